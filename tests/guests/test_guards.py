"""Guests that would take Unicorn, and the process with it, down; and quirks of it, so that the day
they are mended upstream is noticed.
"""
import mmap

import pytest
from guests.harness import (
    BAD_TSS,
    BREAKPOINT,
    CODE,
    DATA,
    DEBUG,
    GATE,
    KCODE,
    UNDEFINED,
    Guest,
    assemble,
    isolated,
)
from unicorn import (
    UC_ARCH_X86,
    UC_HOOK_INTR,
    UC_HOOK_MEM_WRITE,
    UC_MODE_64,
    UC_PROT_ALL,
    Uc,
)
from unicorn.x86_const import UC_X86_REG_RIP

# --- the task register ---

NO_TASK = {"never loaded": "", "loaded with null": "xor ecx, ecx\nltr cx"}


def enter_ring_3_without_a_task(mode, how, program):
    """Ring 0 drops the TSS, or has never had one, then goes to ring 3."""
    guest = Guest(mode)
    iret, code = ("iretq", "UCODE64") if mode == "long" else ("iretd", "UCODE32")
    if not how:  # boot.asm would load it: take the instruction out
        boot = guest.memory.read(0x7c00, 0x400)
        assert boot.count(b"\x0f\x00\xd8") == 1
        guest.place(0x7c00, boot.replace(b"\x0f\x00\xd8", b"\x90\x90\x90"))
    guest.place(CODE + 0x4000, program)
    return guest, f"{how}\npush UDATA\npush STACK\npush 0x3202\npush {code}\n" \
                  f"push {CODE + 0x4000}\n{iret}"


@pytest.mark.parametrize("mode", ["protected", "long"])
@pytest.mark.parametrize("how", NO_TASK)
@pytest.mark.parametrize("program", [
    "int3", "ud2", "hlt", "mov al, 0x30\nout PORT_IRQ, al\nforever: jmp forever"])
@isolated
def test_ring_3_is_interrupted_without_a_task(mode, how, program):
    """No stack to switch to: #TS, in it #TS, #DF, in it #TS: the machine resets."""
    guest, enter = enter_ring_3_without_a_task(mode, NO_TASK[how], program)
    assert guest.run(enter).stop == "triple fault"


@pytest.mark.parametrize("how", NO_TASK)
@isolated
def test_call_gate_without_a_task(how):
    """Here Unicorn asks for the task register in the middle of an instruction."""
    guest, enter = enter_ring_3_without_a_task("protected", NO_TASK[how], "call GATE + 3:0")
    guest.segment(GATE, CODE | KCODE << 16 | 0xec00 << 32 | CODE >> 16 << 48)
    assert guest.run(enter).stop == "triple fault"


def test_a_task_that_is_too_small():
    guest = Guest("protected", ring=3)
    guest.gate(UNDEFINED, 0, 0x60, 0xe5)  # its task has a TSS of its own
    guest.segment(0x60, 0x0000890050000010)
    result = guest.run("ud2")
    assert result.vectors[:1] == [BAD_TSS]


# --- instructions at which the translator aborts ---

@pytest.mark.parametrize("mode, ring", [
    ("real", 0), ("protected", 0), ("protected", 3), ("long", 0), ("long", 3)])
@pytest.mark.parametrize("instruction", ["lock btr edx, ecx", "lock bts edx, 3", "lock btc cx, cx"])
@isolated
def test_lock_of_a_register(mode, ring, instruction):
    """#UD, after what stands before it, again and again."""
    length = len(assemble(instruction, {"real": 16, "protected": 32, "long": 64}[mode]))
    guest = Guest(mode, ring, resume={UNDEFINED}, skip={UNDEFINED: length})
    result = guest.run(f"""
        xor ebx, ebx
        mov bp, 300
        mov di, here
        again: inc ebx
        inc ebx
        here: {instruction}
        inc ebx
        dec bp
        jnz again
        END""")
    assert result.stop == "end" and result.ebx == 900
    assert result.vectors == [UNDEFINED] * 300
    assert {event.ip & 0xffff for event in result.events} == {result.di}


@isolated
def test_lock_of_a_register_with_interrupts_in_between():
    """An interrupt between the trials of an instruction must not count against it."""
    guest = Guest("long", resume={UNDEFINED}, skip={UNDEFINED: 4})
    guest.on_service = lambda: guest.pending or guest.interrupt(0x30)
    guest.gate(0x30, CODE + 0x5000)
    guest.place(CODE + 0x5000, "inc r9d\niretq")
    guest.on_port(0x90, write=lambda value: guest.cpu.ring())
    result = guest.run("""
        sti
        mov ebx, 300
        again: out 0x90, al
        inc r8d
        lock btr edx, ecx
        out 0x90, al
        inc r8d
        dec ebx
        jnz again
        END""")
    assert (result.stop, result.r8) == ("end", 600) and result.r9 > 300
    assert result.vectors == [UNDEFINED] * 300


# --- page tables that a device answers for ---

PAGING_BY_DEVICE = """
        mov eax, cr4
        or eax, 0x10
        mov cr4, eax
        mov eax, DEVICE
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        mov ebx, 7
        out 0x90, al
        inc ebx
        mov ecx, [0x700000]
        END"""


def map_and_unmap(guest):
    guest.memory.unmap(guest.memory.map_ram(0xf0000000, mmap.mmap(-1, 1 << 16), "extra"))


@pytest.mark.parametrize("act", [
    lambda guest: guest.cpu.translate(DATA), map_and_unmap,
    lambda guest: guest.memory.write(0x700000, b"1234")],
    ids=["translate", "map", "dma"])
@isolated
def test_python_asks_for_memory_whose_page_tables_are_a_device(act):
    """The device is called from within Python, which must not wait for itself."""
    guest = Guest("protected")
    guest.device.on_read = lambda offset, size: offset // 4 << 22 | 0x87
    guest.on_port(0x90, write=lambda value: act(guest))
    result = guest.run(PAGING_BY_DEVICE)
    assert (result.stop, result.ebx) == ("end", 8)


# --- debug registers ---

BREAKPOINT_AT = """
        mov eax, {address}
        mov dr0, {a}
        mov eax, 0x402
        mov dr7, {a}
        nop
        here: inc ebx
        mov ecx, 5
        END"""


@pytest.mark.parametrize("mode", ["real", "protected", "long"])
@isolated
def test_execution_breakpoint(mode):
    """A linear address: where CS has a base Unicorn alone would loop for ever."""
    guest = Guest(mode)
    address = f"{CODE} + here" if mode == "real" else "here"
    result = guest.run("xor ebx, ebx\n" + BREAKPOINT_AT.format(
        address=address, a="rax" if mode == "long" else "eax"))
    assert result.stop == "end" and result.vectors == [DEBUG]
    assert (result.ebx, result.last.dr6 & 0xf) == (0, 1)


@pytest.mark.parametrize("mode", ["real", "protected", "long"])
@isolated
def test_execution_goes_on_behind_a_breakpoint_by_rf(mode):
    guest = Guest(mode)
    handler = 0x7800 if mode == "real" else CODE + 0x4000
    if mode == "long":
        set_rf, iret = "or dword [rsp + 16], 0x10000", "iretq"
    elif mode == "protected":
        set_rf, iret = "or dword [esp + 8], 0x10000", "iretd"
    else:  # IRET of 16 bits knows no RF: switch the breakpoint off
        set_rf, iret = "push eax\nxor eax, eax\nmov dr7, eax\npop eax", "iret"
    guest.place(handler, f"inc esi\n{set_rf}\n{iret}")
    guest.gate(DEBUG, handler)
    address = f"{CODE} + here" if mode == "real" else "here"
    result = guest.run("xor ebx, ebx\nxor esi, esi\n" + BREAKPOINT_AT.format(
        address=address, a="rax" if mode == "long" else "eax"))
    assert (result.stop, result.ebx, result.esi, result.ecx) == ("end", 1, 1, 5)


@isolated
def test_breakpoint_at_the_offset_alone_does_not_hit():
    result = Guest("real").run("xor ebx, ebx\n" + BREAKPOINT_AT.format(address="here", a="eax"))
    assert (result.stop, result.events, result.ebx) == ("end", [], 1)


@isolated
def test_reset_drops_breakpoints():
    guest = Guest("protected")
    assert guest.run(BREAKPOINT_AT.format(address="here", a="eax")).vectors == [DEBUG]
    result = guest.run(BREAKPOINT_AT.format(address=DATA, a="eax"))
    assert (result.stop, result.events, result.ebx) == ("end", [], 1)


@isolated
def test_interrupt_flood_from_a_breakpoint_that_is_never_left():
    """The handler returns to it again and again; the doorbell still ends the run."""
    guest = Guest("real")
    guest.place(0x7800, "iret")
    guest.gate(DEBUG, 0x7800)
    result = guest.run(BREAKPOINT_AT.format(address=f"{CODE} + here", a="eax"), timeout=0.3)
    assert result.stop == "timeout"


# --- rare instructions ---

@pytest.mark.parametrize("cpu", ["qemu64", "EPYC"])
@pytest.mark.parametrize("instruction", [
    "vmrun", "vmmcall", "vmload", "vmsave", "clgi", "stgi", "skinit", "rsm", "ud1 eax, eax",
    "vmcall", "monitor", "getsec", "times 15 db 0x66\nnop"])
@isolated
def test_rare_instruction(cpu, instruction):
    guest = Guest("long", cpu=cpu)
    result = guest.run(f"mov eax, DATA\nxor ecx, ecx\nxor edx, edx\n{instruction}\nmov ebx, 5\nEND")
    assert result.stop in ("end", "triple fault")
    if instruction not in ("vmmcall", "monitor", "clgi", "stgi"):
        assert result.vectors and result.ebx == 0


@isolated
def test_mwait_and_rdpmc_in_ring_0():
    guest = Guest("protected")
    assert guest.run("mov eax, DATA\nxor ecx, ecx\nxor edx, edx\nmonitor\nmwait\nEND").stop in (
        "halt", "end")
    assert guest.run("xor ecx, ecx\nrdpmc\nEND").stop == "end"


@pytest.mark.parametrize("instruction", ["vmrun", "vmload", "vmsave", "stgi", "clgi"])
@isolated
def test_svm_cannot_be_switched_on(instruction):
    """The translator would run a guest of the guest, with much of it missing."""
    result = Guest("long", cpu="EPYC").run(f"""
        WRMSR32 0xc0000080, 0x1d01
        rdmsr
        mov ebx, eax
        mov eax, DATA
        jmp here
        here: {instruction}
        END""")
    assert result.vectors == [UNDEFINED] and result.ebx == 0xd01


@isolated
def test_unknown_msrs_read_as_zero():
    result = Guest("long").run("mov ecx, 0x12345\nmov eax, 1\nwrmsr\nrdmsr\nEND")
    assert result.stop == "end" and (result.eax == 0 or result.vectors)


# --- quirks of Unicorn: a failure here means that a measure of the engine can go ---

def stock():
    """A bare Unicorn, without the engine, at a loop that increments a word of memory."""
    uc = Uc(UC_ARCH_X86, UC_MODE_64)
    uc.mem_map(0, 0x10000, UC_PROT_ALL)
    return uc


def test_stock_unicorn_restarts_an_instruction_when_stopped_in_it():
    uc = stock()
    uc.mem_write(0x1000, bytes.fromhex("ff0425 00200000 90 90"))  # inc dword [0x2000]
    hook = uc.hook_add(UC_HOOK_MEM_WRITE, lambda uc, *_: uc.emu_stop())
    uc.emu_start(0x1000, 0x1008)
    uc.hook_del(hook)
    uc.emu_start(uc.reg_read(UC_X86_REG_RIP), 0x1008)
    assert int.from_bytes(uc.mem_read(0x2000, 4), "little") == 2


def test_stock_unicorn_delivers_no_exception():
    uc = stock()
    uc.mem_write(0x1000, b"\xcc\x90")
    vectors = []
    uc.hook_add(UC_HOOK_INTR, lambda uc, vector, user: vectors.append(vector))
    uc.emu_start(0x1000, 0x1002)
    assert vectors == [BREAKPOINT]
