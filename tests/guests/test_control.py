"""Control registers: CR8, which is the task priority, and bits that must not be written.

What the local APIC makes of CR8 is in interop/test_processor_like_qemu.py.
Source: Intel SDM volume 3A, 2.5 and 11.8.6.
"""
import pytest
from guests.harness import PROTECTION, Guest


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
