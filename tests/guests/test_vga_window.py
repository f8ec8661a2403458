"""The VGA's window, much of which is shown without a call of the chip: a guest must not notice.

A program runs a script of random port and memory accesses on two machines, one of which calls the
chip for each; what it reads, and the video memory, must be the same.
"""
import mmap
import random
import struct

import pytest
from guests.harness import DATA, PAGE, Guest
from pyemu.machine.vga import Vga

WINDOW, FRAME_BUFFER = 0x4000_0000, 0x4100_0000  # physical addresses
WINDOW_SIZE, VRAM_SIZE = 0x20000, 1 << 20
SCRIPT, SCRIPT_SIZE = 0x4200_0000, 1 << 20
ANSWERS = DATA
OUT, FILL, END, LOAD, STORE = 0, 1, 2, 3, 7  # LOAD and STORE: plus 0 to 3 for 1 to 8 bytes

SEQUENCER, GRAPHICS, DISPI = 0x3c4, 0x3ce, 0x1ce
MAP_MASK, MEMORY_MODE, READ_MAP, GRAPHICS_MODE, MISCELLANEOUS = 2, 4, 4, 5, 6
XRES, YRES, BPP, ENABLE, BANK = 1, 2, 3, 4, 5

PROGRAM = f"""
        mov esi, {SCRIPT}
        mov r8d, {ANSWERS}
next:   mov eax, [rsi]
        mov edi, [rsi + 4]
        mov rbx, [rsi + 8]
        mov edx, edi
        xor ecx, ecx
        add rsi, 16
        jmp [steps + rax * 8]
steps:  dq output, fill, end, load1, load2, load4, load8, store1, store2, store4, store8
output: mov eax, ebx
        out dx, ax
        jmp next
fill:   mov eax, ebx
        mov ecx, 100
        rep stosw
        jmp next
load1:  mov cl, [rdi]
        jmp note
load2:  mov cx, [rdi]
        jmp note
load4:  mov ecx, [rdi]
        jmp note
load8:  mov rcx, [rdi]
note:   mov [r8], rcx
        add r8, 8
        jmp next
store1: mov [rdi], bl
        jmp next
store2: mov [rdi], bx
        jmp next
store4: mov [rdi], ebx
        jmp next
store8: mov [rdi], rbx
        jmp next
end:    END
"""


class Machine:
    """A CPU with a VGA; its calls are counted. calls_chip: for each access, as on other buses."""

    def __init__(self, clock, calls_chip=False):
        self.guest = Guest("long")
        self.vram = mmap.mmap(-1, VRAM_SIZE)
        self.vga = Vga(clock, self.vram)
        self.calls = 0
        memory, ports = self.guest.memory, self.guest.ports
        self.region = memory.map_mmio(WINDOW, WINDOW_SIZE, self, "vga-lowmem")
        memory.map_ram(FRAME_BUFFER, self.vram, "vga.vram")
        self.script = mmap.mmap(-1, SCRIPT_SIZE)
        memory.map_ram(SCRIPT, self.script, "script")
        if not calls_chip:
            self.vga.memory.show = lambda *window: memory.show(self.region, *window)
        ports.map(0x3c0, 32, self.vga.ports, width=2)
        ports.map(DISPI, 2, self.vga.dispi.ports, width=2)

    def read(self, offset, size):
        self.calls += 1
        return self.vga.read(offset, size)

    def write(self, offset, size, value):
        self.calls += 1
        self.vga.write(offset, size, value)

    def run(self, steps):
        """What the loads among the steps (operation, address, value) gave."""
        for number, step in enumerate([*steps, (END, 0, 0)]):
            struct.pack_into("<IIQ", self.script, 16 * number, *step)
        assert self.guest.run(PROGRAM).stop == "end"
        count = sum(LOAD <= operation < STORE for operation, _, _ in steps)
        return struct.unpack_from(f"<{count}Q", self.guest.ram, ANSWERS)


def put(port, index, value):
    return [(OUT, port, value << 8 | index)]


def dispi(index, value):
    return [(OUT, DISPI, index), (OUT, DISPI + 1, value)]


TEXT = [step for port, index, value in (
    (SEQUENCER, MAP_MASK, 3), (SEQUENCER, MEMORY_MODE, 2), (GRAPHICS, READ_MAP, 0),
    (GRAPHICS, GRAPHICS_MODE, 0x10), (GRAPHICS, MISCELLANEOUS, 0x0e), (GRAPHICS, 8, 0xff))
    for step in put(port, index, value)]
PACKED = [*put(SEQUENCER, MAP_MASK, 15), *put(SEQUENCER, MEMORY_MODE, 0x0e),
          *put(GRAPHICS, MISCELLANEOUS, 5)]
BANKED = [step for index, value in ((XRES, 640), (YRES, 480), (BPP, 8), (ENABLE, 0x81), (BANK, 3))
          for step in dispi(index, value)]


def random_steps(dice, count):
    """Mostly of modes that are shown, with changes of mode between and accesses of all kinds."""
    offsets = [0, 1, 0x0ffff, 0x10000, 0x17ffe, 0x18000, 0x18001, 0x18ffd, 0x1fff8, 0x1fffd,
               *range(0x18100, 0x18180, 5), *(dice.randrange(WINDOW_SIZE - 8) for _ in range(4))]
    steps = []
    for _ in range(count):
        action = dice.randrange(32)
        at = dice.choice(offsets)
        size = dice.choice((0, 1, 1, 2, 3))
        if at + (1 << size) > WINDOW_SIZE:
            size = 0
        if action < 3:
            steps += dice.choice(([*dispi(ENABLE, 0), *TEXT], PACKED, BANKED))
        elif action == 3:
            steps += put(SEQUENCER, MAP_MASK, dice.choice((3, 3, 12, 15, dice.randrange(16))))
        elif action == 4:
            steps += put(GRAPHICS, READ_MAP, dice.randrange(4))
        elif action == 5:
            steps += put(GRAPHICS, dice.randrange(9), dice.randrange(256))
        elif action == 6:
            steps += put(SEQUENCER, MEMORY_MODE, dice.randrange(16))
        elif action == 7:
            steps += dispi(dice.choice((BANK, BANK, BPP, ENABLE)),
                           dice.choice((0, 0, 1, 4, 8, 0x81)))
        elif action == 8:
            place = dice.choice((0x18000, 0x0ff80, 0x1ff20))
            steps.append((FILL, WINDOW + place, dice.getrandbits(16)))
        elif action < 20:
            steps.append((STORE + size, WINDOW + at, dice.getrandbits(64)))
        else:
            steps.append((LOAD + size, WINDOW + at, 0))
    return steps


@pytest.mark.parametrize("seed", range(4))
def test_the_guest_cannot_tell(clock, seed):
    machine, model = Machine(clock), Machine(clock, calls_chip=True)
    steps = [*TEXT, *random_steps(random.Random(seed), 8000)]
    ours, theirs = machine.run(steps), model.run(steps)
    wrong = [n for n, (one, other) in enumerate(zip(ours, theirs, strict=True)) if one != other]
    assert not wrong
    assert machine.vram[:] == model.vram[:]
    assert machine.calls < model.calls - 5000, "much is shown"


@pytest.mark.parametrize("mode, offset, place, stride", [
    (TEXT, 0x18000, 0, 4), (PACKED, 0, 0, 1), (BANKED, 0, 3 << 16, 1),
    ([*TEXT, *put(SEQUENCER, MAP_MASK, 12), *put(GRAPHICS, READ_MAP, 2)], 0x18000, 2, 4),
])
def test_what_is_stored_is_where_the_screen_is_fetched(clock, mode, offset, place, stride):
    machine = Machine(clock)
    step = stride // 2 or 1
    first, last = WINDOW + offset, WINDOW + offset + 0x7ffe
    fetched = FRAME_BUFFER + place
    answers = machine.run([
        *mode, (STORE + 2, first, 0x2f42_1f41), (STORE + 1, last, 0x1e50), (LOAD + 1, fetched, 0),
        (LOAD + 1, fetched + 2 * step, 0), (STORE + 1, fetched, 0x3543), (LOAD + 1, first, 0)])
    assert answers == (0x1f41, 0x2f42, 0x3543)
    assert machine.vram[place + 0x7ffe * step:][:2] == b"\x50\x1e"
    assert machine.calls == 0


def test_reset_and_saved_state_are_followed(clock):
    machine = Machine(clock)
    machine.run([*TEXT, (STORE + 1, WINDOW + 0x18000, 0x1f41)])
    state = machine.vga.save()
    machine.vga.reset()
    load = [(LOAD + 1, WINDOW + 0x18000, 0)]
    machine.run(load)
    assert machine.calls == 1, "planar after a reset"
    machine.vga.load(state)
    assert machine.run(load) == (0x1f41,) and machine.calls == 1


def test_dma_reaches_what_is_shown(clock):
    machine = Machine(clock)
    memory = machine.guest.memory
    memory.write(WINDOW + 0x18000, b"lost")
    machine.run(TEXT)
    memory.write(WINDOW + 0x17ffe, b"..A\x1eB\x2f")
    assert machine.vram[:8] == b"A\x1e\0\0B\x2f\0\0"
    assert memory.read(WINDOW + 0x17fff, 3) == b"\xffA\x1e"


def test_a_window_must_fit_its_buffer():
    guest = Guest("long")
    region = guest.memory.map_mmio(WINDOW, PAGE, guest.device, "device")
    for size, unit, stride in ((8, 2, 4), (6, 1, 1), (4, 3, 4), (4, 4, 2), (4, 0, 1)):
        with pytest.raises(ValueError):
            guest.memory.show(region, 0, size, bytearray(5), unit, stride)
    guest.memory.show(region, 2, 3, bytearray(b"abcde"), 2, 4)
    result = guest.run(f"mov esi, {WINDOW}\nmov al, [rsi + 4]\nmov bl, [rsi + 5]\nEND")
    assert (result.rax & 0xff, result.rbx & 0xff) == (ord("e"), 5)
    guest.memory.unmap(region)
    with pytest.raises(ValueError, match="no device"):
        guest.memory.show(region, 0, 0, b"", 1, 1)
