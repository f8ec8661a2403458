"""Interrupts are taken at the windows that the architecture gives, and nothing runs twice for them.

Source: Intel SDM volume 3A, 6.7 (NMI), 6.8.1 (IF), 6.8.3 (MOV SS); volume 2, STI.
"""
import threading
import time

import pytest
from guests.harness import (
    BREAKPOINT,
    CODE,
    DATA,
    KSTACK,
    NMI,
    PAGE_FAULT,
    POLICY,
    STACK,
    UCODE32,
    UCODE64,
    Guest,
)

VECTOR = 0x30
MODES = [("real", 0), ("protected", 0), ("long", 0)]

# An interrupt that was raised with IF clear must come at the label `here`.
WINDOWS = {
    "the instruction after STI is shadowed": "sti\ninc ebx\nhere: inc ebx\ninc ebx",
    "STI with IF set has no shadow": "sti\nsti\nhere: inc ebx\ninc ebx\ninc ebx",
    "a branch in the shadow": "sti\njmp here\nnop\nhere: inc ebx\ninc ebx\ninc ebx",
    "POPF has none": "push 0x202\npopf\nhere: inc ebx\ninc ebx\ninc ebx",
    "MOV SS after STI": "mov si, ss\nsti\nmov ss, si\nhere: inc ebx\ninc ebx\ninc ebx",
}


@pytest.mark.parametrize("mode, ring", MODES)
@pytest.mark.parametrize("name", WINDOWS)
def test_window(mode, ring, name):
    guest = Guest(mode, ring)
    result = guest.run(f"""
        xor ebx, ebx
        mov al, {VECTOR}
        mov edi, here
        cli
        out PORT_IRQ, al
        nop
        {WINDOWS[name]}
        END""")
    assert result.vectors == [VECTOR]
    assert result.last.ip == result.edi & 0xffffffff
    assert result.ebx == 3


@pytest.mark.parametrize("mode, ring", MODES)
def test_sti_cli_opens_no_window(mode, ring):
    result = Guest(mode, ring).run(f"""
        xor ebx, ebx
        mov al, {VECTOR}
        cli
        out PORT_IRQ, al
        sti
        cli
        inc ebx
        sti
        nop
        END""")
    assert result.vectors == [VECTOR] and result.ebx == 1


@pytest.mark.parametrize("mode", ["protected", "long"])
def test_mov_ss_shadows_the_next_instruction(mode):
    """SS and SP are loaded together, whatever comes between."""
    guest = Guest(mode)
    a = "r" if mode == "long" else "e"
    result = guest.run(f"""
        mov al, {VECTOR}
        mov cx, ss
        mov edi, here
        sti
        jmp next
        next: out PORT_IRQ, al
        mov ss, cx
        mov {a}sp, {STACK - 0x100}
        here: inc ebx
        END""")
    assert result.vectors == [VECTOR]
    assert result.last.ip == result.edi
    assert result.esp == STACK - 0x100


@pytest.mark.parametrize("mode, ring", MODES)
def test_interrupt_of_a_loop_without_exits(mode, ring):
    guest = Guest(mode, ring)
    handler = 0x7800 if mode == "real" else CODE + 0x4000
    guest.place(handler, "END")
    guest.gate(VECTOR, handler)
    result = guest.run(f"mov al, {VECTOR}\nsti\nout PORT_IRQ, al\nl: jmp l")
    assert result.stop == "end"


@pytest.mark.parametrize("mode, selector", [("protected", UCODE32), ("long", UCODE64)])
def test_interrupt_of_ring_3(mode, selector):
    guest = Guest(mode, ring=3)
    handler = CODE + 0x4000  # of INT3: sets IF in the frame, since ring 3 cannot STI
    register, iret = ("rsp", "iretq") if mode == "long" else ("esp", "iretd")
    guest.place(handler, f"or dword [{register} + {2 * guest.bits // 8}], 0x200\n{iret}")
    guest.gate(BREAKPOINT, handler, kind=0xee)
    guest.memory.write(POLICY + VECTOR, b"\0")
    result = guest.run(f"""
        int3
        mov al, {VECTOR}
        mov ebx, 5
        out PORT_IRQ, al
        forever: jmp forever""")
    assert result.vectors == [VECTOR]
    assert (result.last.cs, result.last.sp) == (selector, STACK)
    assert result.ebx == 5
    assert KSTACK - 0x80 <= result.esp <= KSTACK


# --- NMI ---

def test_nmi_does_not_nest_before_iret():
    guest = Guest("long", resume={NMI})
    guest.on_port(0x90, write=lambda value: guest.cpu.set_nmi())
    at = CODE + 0x4000
    guest.place(at, """
        inc ebx
        cmp ebx, 1
        jne .done
        out 0x90, al        ; a second one while the first is being handled
        nop
        jmp .next
        .next: mov esi, ebx
        .done: iretq""")
    guest.gate(NMI, at)
    result = guest.run("cli\nout 0x90, al\nnop\njmp next\nnext: nop\nEND")
    assert (result.stop, result.ebx, result.esi) == ("end", 2, 1)


def test_nmi_comes_before_an_interrupt():
    guest = Guest("protected", resume={NMI})

    def both(value):
        guest.interrupt(VECTOR)
        guest.cpu.set_nmi()

    guest.on_port(0x90, write=both)
    result = guest.run("sti\nnop\nout 0x90, al\njmp next\nnext: jmp last\nlast: END")
    assert result.vectors == [NMI, VECTOR]


def test_no_vector_after_all():
    """An interrupt may be withdrawn between INTR and the acknowledge: on_acknowledge says -1."""
    guest = Guest("long")

    def withdraw():
        guest.cpu.set_intr(False)
        return -1

    guest.cpu.on_acknowledge = withdraw
    guest.on_port(0x90, write=lambda value: guest.cpu.set_intr(True))
    result = guest.run("sti\nnop\nout 0x90, al\njmp next\nnext: mov ebx, 5\nEND")
    assert (result.stop, result.vectors, result.ebx) == ("end", [], 5)


# --- nothing runs twice ---

class Storm:
    """Rings the doorbell from another thread as fast as it can."""

    def __init__(self, guest):
        self.guest, self.rings, self.going = guest, 0, True
        self.thread = threading.Thread(target=self._ring)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.going = False
        self.thread.join()

    def _ring(self):
        while self.going:
            self.guest.cpu.ring()
            self.rings += 1
            time.sleep(0)


SERVICES = 300  # that a storm has to bring about


@pytest.mark.parametrize("mode, interrupts", [
    ("protected", False), ("long", False), ("long", True)])
def test_read_modify_write_under_a_storm_of_kicks(mode, interrupts):
    """An asynchronous stop makes stock Unicorn execute memory instructions twice."""
    guest = Guest(mode)
    services = 0

    def service():
        nonlocal services
        services += 1
        if services == SERVICES:
            guest.poke(DATA + 0x200, 1)
        if interrupts and not guest.pending:
            guest.interrupt(VECTOR)

    guest.on_service = service
    at = CODE + 0x4000
    guest.place(at, f"inc dword [{DATA + 0x100}]\niret{'q' if mode == 'long' else 'd'}")
    guest.gate(VECTOR, at)
    with Storm(guest):
        result = guest.run(f"""
            {'sti' if interrupts else 'cli'}
            xor ecx, ecx
            again:
            inc dword [{DATA}]
            lock add dword [{DATA + 4}], 3
            push {'rcx' if mode == 'long' else 'ecx'}
            sub dword [{DATA + 8}], 5
            pop {'rdx' if mode == 'long' else 'edx'}
            xor [{DATA + 12}], edx
            inc ecx
            cmp dword [{DATA + 0x200}], 0
            je again
            cli
            END""", timeout=60)
    turns = result.ecx
    assert result.stop == "end" and turns > SERVICES
    assert guest.peek(DATA) == turns
    assert guest.peek(DATA + 4) == 3 * turns % (1 << 32)
    assert guest.peek(DATA + 8) == -5 * turns % (1 << 32)
    assert result.esp == STACK
    if interrupts:
        assert guest.peek(DATA + 0x100) > SERVICES // 10


def test_a_stop_asked_for_by_a_device_in_the_middle_of_read_modify_write():
    """The device's callback runs inside the instruction, which must not start again."""
    guest = Guest("long")
    values = [0]

    def store(offset, size, value):
        values.append(value)
        guest.cpu.stop()

    guest.device.on_read = lambda offset, size: values[-1]
    guest.device.on_write = store
    guest.start("mov ebx, DEVICE\ninc dword [rbx]\njmp next\nnext: lock inc dword [rbx]\nEND")
    while not guest.ended:
        guest.cpu.run()
    assert values == [0, 1, 2]


def test_kicks_and_page_faults_and_interrupts_together():
    """Faults leave by siglongjmp; the doorbell must not be lost in it."""
    guest = Guest("long")
    services = 0

    def service():
        nonlocal services
        services += 1
        if not guest.pending:
            guest.interrupt(VECTOR)

    guest.on_service = service
    guest.pages.set(DATA, 0)
    turns = 100_000
    guest.gate(PAGE_FAULT, CODE + 0x4000)
    guest.place(CODE + 0x4000, "add rsp, 8\nadd dword [rsp], 2\ninc r8\niretq")
    guest.gate(VECTOR, CODE + 0x5000)
    guest.place(CODE + 0x5000, "inc r9\niretq")
    with Storm(guest):
        result = guest.run(f"""
            sti
            mov ecx, {turns}
            mov ebx, {DATA}
            again: mov eax, [rbx]
            inc edx
            dec ecx
            jnz again
            cli
            END""", timeout=30)
    assert (result.stop, result.edx, result.r8) == ("end", turns, turns)
    assert services > 5 and result.r9 > 5
