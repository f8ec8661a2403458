"""Control and debug registers: CR8, which is the task priority, and what must not be touched.

What the local APIC makes of CR8 is in interop/test_processor_like_qemu.py.
Sources: Intel SDM volume 3A, 2.5 and 11.8.6; 3B, 17.2.
"""
import pytest
from guests.harness import DEBUG, PROTECTION, UNDEFINED, Guest

CR4_BASIC = 0x7ff  # VME to OSXMMEXCPT
CR4_FEATURES = {  # CPUID leaf, register (EAX, EBX, ECX, EDX) and bit
    11: (7, 2, 2), 12: (7, 2, 16), 13: (1, 2, 5), 14: (1, 2, 6), 16: (7, 1, 0), 17: (1, 2, 17),
    18: (1, 2, 26), 20: (7, 1, 7), 21: (7, 1, 20), 22: (7, 2, 3)}
BD, DR7_FIXED = 1 << 13, 0x400


def test_cr8_has_four_bits():
    guest = Guest("long")
    result = guest.run("mov eax, 0xe\nmov cr8, rax\nmov rbx, cr8\nmov eax, 0x10\nmov cr8, rax\nEND")
    assert (result.vectors, result.last.error, result.rbx) == ([PROTECTION], 0, 0xe)
    assert guest.cpu.task_priority == 0xe0


@pytest.mark.parametrize("requested", [False, True])
def test_the_local_apic_hears_of_cr8_while_it_holds_an_interrupt(requested):
    guest = Guest("long")
    heard = []
    guest.cpu.on_task_priority = lambda: heard.append(guest.cpu.task_priority)
    guest.cpu.interrupt_requested = requested
    assert guest.run("mov eax, 3\nmov cr8, rax\nEND").stop == "end"
    assert heard == ([0x30] if requested else [])


@pytest.mark.parametrize("model", ["qemu64", "max"])
def test_cr4_takes_what_cpuid_announces(model):
    """QEMU 7.2 falls into its own SVM at a reserved bit, and never comes back."""
    refused = set()
    for bit in range(64):
        if bit in (0, 32):  # without paging some bits can be set that would fault at once with it
            guest = Guest("long" if bit else "protected", cpu=model, resume=[PROTECTION],
                          skip={PROTECTION: 3})
        r = "r" if bit >= 32 else "e"
        result = guest.run(f"mov {r}ax, cr4\nmov {r}bx, {r}ax\nbts {r}ax, {bit}\nmov cr4, {r}ax\n"
                           f"mov cr4, {r}bx\nEND")
        assert result.stop == "end" and result.vectors in ([], [PROTECTION])
        refused |= {bit} if result.vectors else set()
    announced = {bit for bit, (leaf, word, feature) in CR4_FEATURES.items()
                 if guest.cpu.cpuid(leaf)[word] >> feature & 1}
    assert refused == set(range(64)) - announced - {n for n in range(11) if CR4_BASIC >> n & 1}
    assert (20 in refused) == (model == "qemu64")


@pytest.mark.parametrize("mode", ["real", "protected", "long"])
@pytest.mark.parametrize("access", ["mov {a}, dr0", "mov dr3, {a}", "mov {a}, dr7", "mov dr7, {a}"])
def test_dr7_general_detect(mode, access):
    """The fault comes before the access, and clears DR7.GD for the handler."""
    guest = Guest(mode, resume=[DEBUG])
    a = "rax" if mode == "long" else "eax"
    result = guest.run(f"mov eax, 0x2400\nmov dr7, {a}\n{access.format(a=a)}\nmov ebx, 1\nEND")
    (event,) = result.events
    assert event.vector == DEBUG and result.ebx == 1
    assert result.dr6 & BD and guest.cpu.dr7 == (0x2400 if "dr7, " in access else DR7_FIXED)


def test_dr4_is_none_with_cr4_de():
    result = Guest("long").run("""mov rax, cr4
        or eax, 8
        mov cr4, rax
        mov rax, dr6
        mov rax, dr4
        END""")
    assert result.vectors == [UNDEFINED]


APIC_BASE = 0xfee00900


@pytest.mark.parametrize("bit", [0, 7, 9, 10, 40, 63])
def test_reserved_bits_of_the_apic_base(bit):
    """QEMU 7.2 drops them."""
    value = APIC_BASE | 1 << bit
    result = Guest("long").run(f"mov ecx, 0x1b\nmov eax, {value & 0xffffffff}\n"
                               f"mov edx, {value >> 32}\nwrmsr\nEND")
    assert (result.vectors, result.last.error) == ([PROTECTION], 0)


def test_the_local_apic_is_switched_off_and_on():
    """QEMU 7.2 does not switch it on again, as processors before the Pentium 4 did not."""
    guest = Guest("long")
    heard = []
    guest.cpu.on_apic_enable = heard.append
    result = guest.run("""mov ecx, 0x1b
        rdmsr
        btr eax, 11
        wrmsr
        wrmsr
        mov eax, 1
        cpuid
        mov esi, edx
        mov ecx, 0x1b
        rdmsr
        mov edi, eax
        bts eax, 11
        wrmsr
        mov eax, 1
        cpuid
        END""")
    assert heard == [False, True] and result.rdi == APIC_BASE & ~0x800
    assert (result.rsi >> 9 & 1, result.rdx >> 9 & 1) == (0, 1)
