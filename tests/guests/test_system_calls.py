"""Ring 3 to ring 0 and back: SYSCALL, SYSENTER, INT, and the instructions that return.

Sources: AMD64 APM volume 3, SYSCALL and SYSRET; Intel SDM volume 2, SYSENTER and SYSEXIT.
"""
import pytest
from guests.harness import CODE, DATA, KSTACK, PROTECTION, STACK, UNDEFINED, Guest
from pyemu.trace import hooks

EFER, STAR, LSTAR, CSTAR, FMASK = range(0xc0000080, 0xc0000085)
SYSENTER_CS, SYSENTER_ESP, SYSENTER_EIP = 0x174, 0x175, 0x176

STAR_VALUE = 0x001b_0008 << 32  # SYSRET to 0x1b, 0x23, 0x2b; SYSCALL to 8 and 0x10
KERNEL = CODE + 0x4000


def with_msrs(mode, values, program, kernel, ring=3, **options):
    """Run `program` in ring 3 behind an INT3 whose handler has set MSRs."""
    guest = Guest(mode, ring, **options)
    setup = CODE + 0x5000
    iret = "iretq" if mode == "long" else "iretd"
    writes = "".join(f"""
        mov ecx, {msr}
        mov eax, {value & 0xffffffff}
        mov edx, {value >> 32}
        wrmsr""" for msr, value in values.items())
    guest.place(setup, f"{writes}\nxor eax, eax\nxor ecx, ecx\nxor edx, edx\n{iret}")
    guest.gate(3, setup, kind=0xee)
    guest.place(KERNEL, kernel)
    return guest.run(f"int3\n{program}")


LONG = {STAR: STAR_VALUE, LSTAR: KERNEL, CSTAR: KERNEL + 0x100, FMASK: 0x700}


def test_syscall_of_64_bit_code():
    result = with_msrs("long", LONG, """
        pushf
        or dword [rsp], 0xc01       ; OF, DF, CF
        popf
        mov esi, after
        syscall
        after: END""", """
        mov rbx, rsp
        pushf
        pop r8
        mov r9w, cs
        mov r10w, ss
        END""")
    assert result.stop == "end" and not result.events
    assert result.rcx == result.rsi  # the return address
    assert result.r11 & 0xc01 == 0xc01
    assert result.r8 & 0xf01 == 0x801  # FMASK clears DF, IF, TF
    assert (result.r9, result.r10, result.rbx) == (0x08, 0x10, STACK)  # RSP is the program's


def test_syscall_and_sysret_many_times():
    result = with_msrs("long", LONG, """
        mov ebx, 100000
        again: syscall
        add rsi, rax
        dec ebx
        jnz again
        mov dx, cs
        mov di, ss
        END""", "mov eax, 3\no64 sysret")
    assert (result.stop, result.rsi) == ("end", 300000)
    assert (result.dx, result.di) == (0x2b, 0x23)


def test_syscall_of_a_compatibility_mode_program():
    """Enters at CSTAR, in 64-bit mode; SYSRET without REX.W goes back."""
    result = with_msrs("long", LONG, """
        push 0x1b
        push program
        retfq
        bits 32
        program: mov edx, after
        syscall
        after: mov ax, cs
        END
        bits 64""", "times 0x100 nop\nmov r8, rcx\nmov r9w, cs\nmov esi, 5\no32 sysret")
    assert (result.stop, result.ax, result.esi) == ("end", 0x1b, 5)
    assert (result.r8, result.r9) == (result.rdx, 0x08)


def test_syscall_of_legacy_mode():
    result = with_msrs("protected", {EFER: 1, STAR: STAR_VALUE | KERNEL}, """
        mov esi, after
        syscall
        after: mov bx, cs
        mov dx, ss
        END""", "mov ax, cs\nmov di, ss\nsysret")
    assert result.stop == "end" and not result.events
    assert (result.ax, result.di, result.ecx) == (0x08, 0x10, result.esi)
    assert (result.bx, result.dx) == (0x1b, 0x23)


@pytest.mark.parametrize("mode", ["protected", "long"])
def test_syscall_without_sce_is_undefined(mode):
    result = with_msrs(mode, {EFER: 0x500 if mode == "long" else 0, **LONG},
                       "mov esi, here\nhere: syscall\nmov ebx, 1\nEND", "END")
    assert (result.vectors, result.last.ip, result.ebx) == ([UNDEFINED], result.esi, 0)


def test_syscall_in_real_mode_is_undefined():
    assert Guest("real").run("syscall\nEND").vectors == [UNDEFINED]


def test_syscall_with_prefixes_returns_behind_itself():
    result = with_msrs("long", LONG, "mov esi, after\ndb 0x66, 0x48\nsyscall\nafter: END", "END")
    assert (result.stop, result.rcx) == ("end", result.rsi)


def test_single_step_over_syscall():
    """TF is masked: the first trap is the one after the return."""
    result = with_msrs("long", LONG, """
        pushf
        or dword [rsp], 0x100
        popf
        here: syscall
        nop
        END""", "mov r8d, 1\no64 sysret")
    assert result.vectors[0] == 1 and result.r8 == 1


SYSENTER = {SYSENTER_CS: 0x08, SYSENTER_ESP: KSTACK, SYSENTER_EIP: KERNEL}


INTEL = "core2duo"  # on AMD's processors SYSENTER is undefined in long mode


@pytest.mark.parametrize("mode", ["protected", "long"])
def test_sysenter_and_sysexit(mode):
    r = "r" if mode == "long" else "e"
    result = with_msrs(mode, SYSENTER, f"""
        mov {r}cx, {r}sp
        mov edx, after
        mov ebx, 77
        sysenter
        mov ebx, 1
        after: mov di, cs
        mov bp, ss
        END""", f"mov {r}si, {r}sp\nmov ax, cs\n{'o64 ' if mode == 'long' else ''}sysexit",
        cpu=INTEL)
    assert result.stop == "end" and not result.events
    assert (result.ebx, result.esi, result.esp, result.ax) == (77, KSTACK, STACK, 0x08)
    assert (result.di, result.bp) == ((0x2b, 0x33) if mode == "long" else (0x1b, 0x23))


def test_sysenter_clears_if_and_vm_only():
    result = with_msrs("protected", SYSENTER, """
        pushf
        or dword [esp], 0x401
        popf
        sysenter""", "pushf\npop ebx\nEND")
    assert result.ebx & 0x20600 == 0x400 and result.ebx & 1


@pytest.mark.parametrize("mode", ["protected", "long"])
def test_sysenter_without_a_selector_is_a_protection_fault(mode):
    result = with_msrs(mode, {SYSENTER_CS: 0}, "mov esi, here\nhere: sysenter\nEND", "END",
                       cpu=INTEL)
    assert (result.vectors, result.last.ip) == ([PROTECTION], result.esi)


def test_sysenter_of_compatibility_mode_enters_64_bit_mode():
    result = with_msrs("long", SYSENTER, """
        push 0x1b
        push program
        retfq
        bits 32
        program: sysenter
        bits 64""", "mov rax, 0x123456789\nEND", cpu=INTEL)
    assert (result.stop, result.rax) == ("end", 0x123456789)


@pytest.mark.parametrize("mode", ["protected", "long"])
def test_int_to_ring_0_and_back(mode):
    guest = Guest(mode, ring=3)
    result = guest.run("mov ecx, 50000\nagain: int 0x80\ninc ebx\nloop again\nEND")
    assert (result.stop, result.ebx, len(result.events)) == ("end", 50000, 500)
    assert {event.sp for event in result.events} == {STACK}


def test_call_gate_to_ring_0_and_back():
    guest = Guest("protected", ring=3)
    guest.place(KERNEL, "mov ax, cs\nmov ebx, [esp + 8]\nretf 4")
    gate = (KERNEL & 0xffff) | 0x08 << 16 | 0xec01 << 32 | KERNEL >> 16 << 48  # one parameter
    guest.segment(0x70, gate)
    result = guest.run("push 0x1234\ncall 0x73:0\nmov dx, cs\nmov ecx, esp\nEND")
    assert result.stop == "end" and not result.events
    assert (result.ax, result.ebx, result.dx, result.ecx) == (0x08, 0x1234, 0x1b, STACK)


# --- what is traced of them ---

@pytest.fixture
def traced():
    """[number, six arguments] and [number, result] of each, as a plugin gets them."""
    calls = []
    entry, ret = (hooks.hooks[name] for name in ("guest_user_syscall", "guest_user_syscall_ret"))
    entry.listeners = (lambda cpu, number, *arguments: calls.append([number, *arguments[:6]]),)
    ret.listeners = (lambda cpu, number, result: calls.append([number, result]),)
    yield calls
    entry.listeners = ret.listeners = ()


ARGUMENTS_32 = "mov eax, 20\nmov ebx, 1\nmov ecx, 2\nmov edx, 3\nmov esi, 4\nmov edi, 5\n"


def test_syscall_is_traced_with_its_result(traced):
    result = with_msrs("long", LONG, """
        mov eax, 39
        mov edi, 1
        mov esi, 2
        mov edx, 3
        mov r10d, 4
        mov r8d, 5
        mov r9d, 6
        syscall
        END""", "mov eax, 77\no64 sysret")
    assert result.stop == "end"
    assert traced == [[39, 1, 2, 3, 4, 5, 6], [39, 77]]


def test_sysenter_is_traced_with_its_result(traced):
    """It returns to wherever the program and its kernel have agreed on, here to `after`."""
    result = with_msrs("protected", SYSENTER, f"""
        {ARGUMENTS_32}
        push after
        mov ebp, esp
        sysenter
        nop
        after: END""", """
        mov ecx, ebp
        mov edx, [ebp]
        mov eax, -2
        sysexit""", cpu=INTEL)
    assert result.stop == "end"
    assert traced == [[20, 1, 2, 3, 4, 5, STACK - 4], [20, 0xfffffffe]]


@pytest.mark.parametrize("mode", ["protected", "long"])
def test_int_80_is_traced_with_its_result(traced, mode):
    guest = Guest(mode, 3)
    guest.place(KERNEL, f"mov eax, 42\n{'iretq' if mode == 'long' else 'iretd'}")
    guest.gate(0x80, KERNEL, kind=0xee)
    result = guest.run(f"{ARGUMENTS_32}\nmov ebp, 6\nint 0x80\nint 0x50\nEND")
    assert result.stop == "end"
    assert traced == [[20, 1, 2, 3, 4, 5, 6], [20, 42]]


def test_int_80_of_the_kernel_is_no_system_call(traced):
    guest = Guest("protected")
    guest.place(KERNEL, "iretd")
    guest.gate(0x80, KERNEL, kind=0xee)
    assert guest.run("int 0x80\nEND").stop == "end" and traced == []


@pytest.mark.parametrize("back", ["iretq", "retfq"])
def test_return_to_ring_3_keeps_the_base_of_gs(back):
    """GS holds a selector that ring 3 may not have: it becomes null, the base stays."""
    guest = Guest("long", ring=3)
    guest.poke(DATA, 0x1234, 8)
    drop = "pop rcx\npop rdx\nadd rsp, 8\npush rdx\npush rcx" if back == "retfq" else ""
    # The frame of RETF lacks the flags, which the handler takes out of that of IRET.
    guest.place(KERNEL, f"mov ax, KDATA\nmov gs, ax\nmov ecx, 0xc0000101\nmov eax, {DATA}\n"
                        f"xor edx, edx\nwrmsr\n{drop}\n{back}")
    guest.gate(3, KERNEL, kind=0xee)
    result = guest.run("int3\nmov rbx, [gs:0]\nmov esi, gs\nEND")
    assert (result.stop, result.events) == ("end", [])
    assert (result.rbx, result.rsi) == (0x1234, 0)


def test_fault_of_iret_with_a_kernel_gs_is_at_the_iret():
    result = Guest("long").run("""
        mov ax, KDATA
        mov gs, ax
        mov rax, rsp
        push UDATA
        push rax
        pushf
        push KDATA                  ; no code segment
        push 0
        mov ebx, back
        cmp eax, eax                ; ZF, which is still to be worked out
        back: iretq""")
    (event,) = result.events
    assert (event.vector, event.ip, event.flags & 0x40) == (PROTECTION, result.rbx, 0x40)
