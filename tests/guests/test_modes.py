"""The modes of the processor and the ways between them."""
import struct

import pytest
from guests.harness import (
    ALL,
    CODE,
    DATA,
    DOUBLE,
    GATE,
    HANDLERS,
    PAGE_FAULT,
    PRESENT,
    PROTECTION,
    TABLES,
    TSS2,
    UNDEFINED,
    USER,
    Guest,
)
from pyemu.cpu_features import CpuChanges
from pyemu.cpu_models import MODELS


def test_reset_state():
    """Intel SDM volume 3A, table 10-1."""
    cpu = Guest("real").cpu
    assert (cpu.rip, cpu.cs, cpu.rflags) == (0xfff0, (0xf000, 0xffff0000, 0xffff, 0x9b00), 2)
    assert (cpu.cr0, cpu.cr3, cpu.cr4, cpu.efer) == (0x60000010, 0, 0, 0)
    assert (cpu.rax, cpu.rdx & 0xf00) == (0, 0x600)
    assert cpu.ds == cpu.es == cpu.ss == (0, 0, 0xffff, 0x9300)
    assert (cpu.dr6, cpu.dr7) == (0xffff0ff0, 0x400)
    assert (cpu.fpu_control, cpu.mxcsr) == (0x37f, 0x1f80)


def test_reset_out_of_long_mode_ring_3_with_everything_in_use():
    guest = Guest("long", ring=3)
    assert guest.run("fld1\nfld1\nEND").stop == "end"
    guest.place(0x7c00, "fnstsw ax\nmov ecx, cr0\nEND", bits=16)
    guest.cpu.reset()
    assert (guest.cpu.cr0, guest.cpu.efer, guest.cpu.hflags & 0xc083) == (0x60000010, 0, 0)
    result = guest.go_on()
    assert (result.ax, result.ecx) == (0, 0x60000010)


@pytest.mark.parametrize("msr", [0x17a, 0x1a0, 0x2ff, 0xd90, 0xc0000103])
def test_msrs_are_reset(msr):
    guest = Guest("long", cpu="max")
    read = f"mov ecx, {msr}\nrdmsr\nEND"
    before = guest.run(read)
    assert guest.run(f"WRMSR32 {msr}, 0x800\nxor eax, eax\nrdmsr\nEND").eax == 0x800
    after = guest.run(read)
    assert (after.stop, after.eax, after.edx) == ("end", before.eax, before.edx)


ROUND_TRIP = """
        bits 64
        mov ebx, 64
        push KCODE32
        push protected
        retfq
        bits 32
protected:                      ; compatibility mode: leave paging, then long mode
        mov eax, cr0
        and eax, 0x7fffffff
        mov cr0, eax
        mov ecx, 0xc0000080
        rdmsr
        and eax, ~0x100
        wrmsr
        mov edi, eax
        add ebx, 32
        jmp KCODE16:code16
        bits 16
code16:  mov ax, KDATA16
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov eax, cr0
        and al, 0xfe
        mov cr0, eax
        jmp 0:in_real
in_real: xor ax, ax
        mov ds, ax
        mov ss, ax
        mov sp, 0x7000
        add ebx, 16
        cs lidt [real_idt]
        int 0x40
        mov eax, cr0            ; and back
        or al, 1
        mov cr0, eax
        jmp dword KCODE32:again
        bits 32
again:  mov ax, KDATA
        mov ds, ax
        mov ss, ax
        mov ecx, 0xc0000080
        rdmsr
        or eax, 0x100
        wrmsr
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        jmp KCODE:in_long
        bits 64
in_long: mov rsi, 0x123456789
        END
        bits 16
handler: inc ebp
        iret
        align 8
real_idt: dw 0x3ff
        dd real_table - 0x40 * 4
real_table: dw handler, 0
"""


def test_64_to_32_to_16_to_64_bit():
    guest = Guest("long")
    code = 0x9000  # where real mode can reach it
    guest.place(code, ROUND_TRIP)
    result = guest.run(f"mov eax, {code}\njmp rax")
    assert result.stop == "end" and not result.events
    assert (result.ebx, result.ebp, result.rsi) == (64 + 32 + 16, 1, 0x123456789)
    assert result.edi & 0x500 == 0  # neither LME nor LMA


@pytest.mark.parametrize("width, selector, loaded", [(32, 0x38, 4), (16, 0x40, 2)])
def test_segments_of_compatibility_mode(width, selector, loaded):
    guest = Guest("long")
    guest.place(0x9000, f"push {'eax' if width == 32 else 'ax'}\nmov ebx, esp\nEND", bits=width)
    result = guest.run(f"push {selector}\npush 0x9000\nmov r12, rsp\nretfq")
    assert result.stop == "end"
    assert result.ebx == result.r12 + 16 - loaded


def test_iretq_to_a_16_bit_stack():
    guest = Guest("long")
    guest.place(0x9000, "push ax\nmov bx, sp\nmov cx, ss\nEND", bits=16)
    result = guest.run("push KDATA16\npush 0x7fe0\npush 2\npush KCODE16\npush 0x9000\niretq")
    assert (result.bx, result.cx) == (0x7fde, 0x48)


def test_a_16_bit_stack_leaves_the_upper_half_of_esp():
    result = Guest("protected").run("""
        mov ax, KDATA16
        mov ss, ax
        mov esp, 0x12347000
        push eax
        pop ecx
        push eax
        mov ebx, esp
        END""")
    assert result.ebx == 0x12346ffc


def test_unreal_mode():
    """A segment loaded in protected mode keeps its limit in real mode."""
    guest = Guest("real")
    guest.poke(DATA, 0xcafe)
    result = guest.run("""
        cs lgdt [pointer]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp next
        next: mov bx, KDATA
        mov fs, bx
        and al, 0xfe
        mov cr0, eax
        jmp last
        last: mov ebx, [fs:dword DATA]
        END
        pointer: dw 0x7f
        dd GDT""")
    assert result.ebx == 0xcafe


# --- virtual 8086 mode ---

ENTER_V86 = """
        push 0              ; GS, FS, DS, ES
        push 0
        push 0
        push 0
        push 0x70           ; SS:SP
        push 0x7000
        push {flags}
        push 0x900          ; CS:IP
        push 0
        iretd"""


def v86(code, iopl, before=lambda guest: None):
    guest = Guest("protected")
    guest.place(0x9000, code, bits=16, origin=0)
    before(guest)
    return guest.run(ENTER_V86.format(flags=0x20002 | iopl << 12))


def test_v86_runs_and_ends():
    result = v86("mov bx, 0x77\nmov cx, cs\nEND", 0)
    assert (result.stop, result.bx, result.cx) == ("end", 0x77, 0x900)


def test_v86_int_needs_iopl_3():
    result = v86("nop\nint 0x80", 0)
    assert (result.vectors, result.last.error, result.last.ip) == ([PROTECTION], 0, 1)
    assert result.last.flags & 0x20000


def test_v86_int_with_iopl_3():
    result = v86("int 0x80\nmov bx, 5\nEND", 3)
    assert (result.vectors, result.last.cs, result.bx) == ([0x80], 0x900, 5)


def test_v86_ports_need_the_bitmap_whatever_iopl_is():
    result = v86("nop\nin al, 0x60", 3)
    assert (result.vectors, result.last.ip) == ([PROTECTION], 1)

    def allow(guest):
        guest.memory.write(0x4000 + 0x68 + 0x60 // 8, b"\0")

    assert v86("in al, 0x60\nmov bx, 5\nEND", 0, allow).bx == 5


def test_v86_sysenter_leaves_it():
    def prepare(guest):
        guest.place(CODE + 0x4000, "mov ebx, cs\npushf\npop ecx\nEND")

    guest = Guest("protected")
    prepare(guest)
    guest.place(0x9000, "sysenter", bits=16, origin=0)
    result = guest.run(f"""
        WRMSR32 0x174, 8
        WRMSR32 0x175, 0x40000
        WRMSR32 0x176, {CODE + 0x4000}
        {ENTER_V86.format(flags=0x20002)}""")
    assert (result.stop, result.bx, result.ecx & 0x20000) == ("end", 8, 0)


# --- paging ---

def test_pae_paging_of_32_bit_code():
    guest = Guest("protected")
    pointers, directory, table = 0x200000, 0x201000, 0x202000
    guest.poke(pointers, directory | PRESENT, 8)
    guest.poke(directory, table | ALL, 8)
    for page in range(512):
        guest.poke(table + 8 * page, page << 12 | ALL, 8)
    guest.poke(table + 8 * 0x180, DATA | ALL, 8)
    guest.poke(DATA + 4, 0xabcd)
    result = guest.run(f"""
        mov eax, cr4
        or al, 0x20
        mov cr4, eax
        mov eax, {pointers}
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        mov ebx, [0x180004]
        mov [0x180008], ebx
        END""")
    assert (result.stop, result.ebx) == ("end", 0xabcd)
    assert guest.peek(DATA + 8) == 0xabcd


def test_accessed_and_dirty_bits():
    guest = Guest("long")
    entry, second = guest.pages.entry(DATA), guest.pages.entry(DATA + 0x1000)
    result = guest.run("mov eax, [DATA]\nmov [DATA + 0x1000], eax\nEND")
    assert result.stop == "end"
    assert guest.peek(entry) & 0x60 == 0x20
    assert guest.peek(second) & 0x60 == 0x60


def test_invlpg_and_cr3_forget_translations():
    guest = Guest("long")
    entry = guest.pages.entry(DATA)
    guest.poke(DATA, 1)
    guest.poke(DATA + 0x1000, 2)
    guest.poke(DATA + 0x2000, 3)
    result = guest.run(f"""
        mov ebx, [DATA]
        mov dword [{entry}], {DATA + 0x1000 | ALL}
        invlpg [DATA]
        mov ecx, [DATA]
        mov dword [{entry}], {DATA + 0x2000 | ALL}
        mov rax, cr3
        mov cr3, rax
        mov edx, [DATA]
        END""")
    assert (result.ebx, result.ecx, result.edx) == (1, 2, 3)


def test_write_protection_binds_the_kernel_as_cr0_says():
    guest = Guest("long")
    guest.pages.set(DATA, DATA | PRESENT | USER)
    result = guest.run("""
        mov rax, cr0
        and eax, ~0x10000
        mov cr0, rax
        mov dword [DATA], 5
        or eax, 0x10000
        mov cr0, rax
        mov dword [DATA], 6
        END""")
    assert (result.vectors, guest.peek(DATA)) == ([PAGE_FAULT], 5)


def test_a20():
    guest = Guest("real")
    guest.on_port(0x92, write=lambda value: guest.cpu.set_a20(value & 2))
    result = guest.run("""
        mov ax, 0xffff
        mov es, ax
        mov word [es:0x610], 0x1111     ; 0x100600
        mov word [0x600], 0x2222
        mov al, 0
        out 0x92, al
        mov bx, [es:0x610]
        mov al, 2
        out 0x92, al
        mov cx, [es:0x610]
        END""")
    assert (result.bx, result.cx) == (0x2222, 0x1111)


# --- tasks ---

def test_call_of_a_task_and_iret():
    guest = Guest("protected")
    guest.second_task("mov ecx, 0x77\npushf\npop ebp\niret\njmp $")
    result = guest.run(f"mov ebx, 5\ncall {TSS2}:0\nmov edi, 0x99\nstr ax\nEND")
    assert (result.stop, result.ebx, result.edi, result.ax) == ("end", 5, 0x99, 0x50)


def test_a_double_fault_through_a_task_gate_in_paged_mode():
    guest = Guest("protected", paging=True)
    guest.second_task("mov eax, cr3\nEND")
    guest.gate(DOUBLE, 0, TSS2, 0xe5)
    guest.pages.set(DATA, 0)
    result = guest.run("mov esp, DATA + 0x800\nud2")
    assert (result.stop, result.eax) == ("end", TABLES)


def test_names_of_prelude_and_harness_agree():
    result = Guest("protected").run("mov eax, HANDLERS\nmov ebx, GATE\nmov ecx, TABLES\nEND")
    assert (result.eax, result.ebx, result.ecx) == (HANDLERS, GATE, TABLES)


# --- CPU models ---

@pytest.mark.parametrize("model", MODELS)
def test_model_starts(model):
    """Each passes the engine's check of itself and runs in protected mode."""
    guest = Guest("protected", cpu=model)
    result = guest.run("xor eax, eax\ncpuid\nmov esi, eax\nmov eax, 1\ncpuid\nEND"
                       if model != "486" else "mov esi, 1\nEND")
    assert result.stop == "end" and not result.events
    assert result.esi >= 1


COUNT_BITS = "mov eax, 1\ncpuid\nmov esi, ecx\nmov eax, 0xff\npopcnt edi, eax\nEND"
POPCNT = 1 << 23


@pytest.mark.parametrize("model, changes, known", [
    ("qemu64", CpuChanges(), False),
    ("qemu64", CpuChanges(on=frozenset({"popcnt"})), True),
    ("max", CpuChanges(), True),
    ("max", CpuChanges(off=frozenset({"popcnt"})), False),
])
def test_what_cpuid_tells_of_a_feature_is_what_is_executed(model, changes, known):
    result = Guest(cpu=model, changes=changes).run(COUNT_BITS)
    assert bool(result.esi & POPCNT) is known
    assert result.vectors == ([] if known else [UNDEFINED])
    assert not known or result.edi == 8


def test_changes_of_the_identity():
    changes = CpuChanges(numbers={"family": 0x17, "model": 0x31, "stepping": 2, "level": 7,
                                  "xlevel": 0x80000004}, vendor="GenuineIntel", model_id="A model")
    cpu = Guest(cpu="qemu64", changes=changes).cpu
    assert cpu.cpuid(0) == (7, *struct.unpack("<I", b"Genu"), *struct.unpack("<I", b"ntel"),
                            *struct.unpack("<I", b"ineI"))
    assert cpu.cpuid(1)[0] == 0x830f12
    assert cpu.cpuid(0x80000000)[0] == 0x80000004
    name = b"".join(struct.pack("<4I", *cpu.cpuid(0x80000002 + part)) for part in range(3))
    assert name == b"A model".ljust(48, b"\0")


def test_a_feature_brings_the_leaf_that_tells_it_and_the_states_that_it_keeps():
    cpu = Guest(cpu="core2duo", changes=CpuChanges(on=frozenset({"smap", "xsave", "mpx"}))).cpu
    assert cpu.cpuid(0)[0] >= 7 and cpu.cpuid(7)[1] == 1 << 20 | 1 << 14
    assert cpu.cpuid(13)[0] == 0x1b


@pytest.mark.parametrize("model", ["qemu64", "Haswell", "EPYC", "core2duo", "Skylake-Server"])
def test_model_runs_long_mode(model):
    result = Guest("long", ring=3, cpu=model).run("mov rax, 1 << 40\nsyscall_free: int 0x80\nEND")
    assert (result.stop, result.rax, result.vectors) == ("end", 1 << 40, [0x80])


@pytest.mark.parametrize("model", ["qemu64", "EPYC", "Opteron_G5", "Haswell", "Icelake-Server"])
def test_cpuid_hides_what_is_only_half_there(model):
    result = Guest("long", cpu=model).run("""
        mov eax, 0x80000001
        cpuid
        mov r8d, ecx
        mov eax, 1
        cpuid
        mov r9d, ecx
        mov eax, 7
        xor ecx, ecx
        cpuid
        mov r10d, ecx
        END""")
    assert not result.r8 & 1 << 2, "SVM"
    assert not result.r9 & (1 << 17 | 1 << 21 | 1 << 24), "PCID, x2APIC, TSC deadline"
    assert not result.r10 & (1 << 3 | 1 << 16), "PKU, LA57"
