"""Random traffic at our VGA and at QEMU's: registers and memory window must read alike."""
import random

import pytest
from pyemu.machine import edid
from pyemu.machine.vga import Vga

WINDOW, WINDOW_SIZE = 0xa0000, 0x20000
VRAM = 16 << 20
VBE_INDEX, VBE_DATA = 0x1ce, 0x1cf
BAR2, MEMORY_SPACE = 0xfe000000, 2
MISC, SEQUENCER, GRAPHICS, CRTC, ATTRIBUTE, RESET_FLIP_FLOP = \
    0x3c2, 0x3c4, 0x3ce, 0x3d4, 0x3c0, 0x3da


class Pair:
    """Both machines, written alike; a read compares."""

    def __init__(self, oracle, clock):
        self.oracle = oracle
        self.vga = Vga(clock, bytearray(VRAM))
        self.history = []

    def window(self, port):
        if port < 0x300:
            return self.vga.dispi.ports, 0x1ce
        return (self.vga.ports, 0x3c0) if port >= 0x3c0 else (self.vga.mono_ports, 0x3b0)

    def outb(self, port, value):
        self.history.append(f"outb {port:#x} {value:#x}")
        self.oracle.outb(port, value)
        window, base = self.window(port)
        window.write(port - base, 1, value)

    def outw(self, port, value):
        self.history.append(f"outw {port:#x} {value:#x}")
        self.oracle.outw(port, value)
        window, base = self.window(port)
        window.write(port - base, 2, value)

    def check(self, what, ours, theirs):
        assert ours == theirs, f"{what}: {ours:#x}, QEMU {theirs:#x} after {self.history[-24:]}"

    def inb(self, port):
        window, base = self.window(port)
        self.check(f"inb {port:#x}", window.read(port - base, 1), self.oracle.inb(port))

    def inw(self, port):
        window, base = self.window(port)
        self.check(f"inw {port:#x}", window.read(port - base, 2), self.oracle.inw(port))

    def poke(self, offset, size, value):
        self.history.append(f"poke {offset:#x} {size} {value:#x}")
        getattr(self.oracle, {1: "writeb", 2: "writew"}[size])(WINDOW + offset, value)
        self.vga.write(offset, size, value)

    def peek(self, offset, size):
        self.history.append(f"peek {offset:#x} {size}")
        theirs = getattr(self.oracle, {1: "readb", 2: "readw"}[size])(WINDOW + offset)
        self.check(f"peek {offset:#x}", self.vga.read(offset, size), theirs)


@pytest.fixture
def pair(qtest, clock):
    return Pair(qtest("-vga", "std"), clock)


@pytest.mark.parametrize("seed", range(3))
def test_registers(pair, seed):
    generator = random.Random(seed)
    for _ in range(500):
        match generator.randrange(8):
            case 0:
                pair.outb(MISC, generator.randrange(256))
            case 1 | 2 | 3 as which:
                port = (SEQUENCER, GRAPHICS, CRTC)[which - 1]
                pair.outb(port, generator.randrange(32))
                pair.inb(port)
                pair.outb(port + 1, generator.randrange(256))
                pair.inb(port + 1)
                pair.inb(port - 0x20 if port == CRTC else port)
            case 4:
                pair.oracle.inb(RESET_FLIP_FLOP)
                pair.vga.ports.read(RESET_FLIP_FLOP - 0x3c0, 1)
                pair.outb(ATTRIBUTE, generator.randrange(256))
                pair.inb(ATTRIBUTE)
                pair.inb(ATTRIBUTE + 1)
                pair.outb(ATTRIBUTE, generator.randrange(256))
                pair.inb(ATTRIBUTE + 1)
            case 5:
                pair.outb(generator.choice((0x3c7, 0x3c8)), generator.randrange(256))
            case 6:
                pair.outb(0x3c9, generator.randrange(64))
            case 7:
                pair.inb(generator.choice((0x3c2, 0x3c7, 0x3c8, 0x3c9, 0x3ca, 0x3cc, 0x3b6, 0x3d0)))


@pytest.mark.parametrize("seed", range(6))
def test_memory_window(pair, seed):
    """Modes of all kinds, and what the CPU writes and reads in them."""
    generator = random.Random(seed)
    offsets = [generator.randrange(WINDOW_SIZE // 2) * 2 for _ in range(6)]
    offsets += [0x18000 + n for n in range(0, 12, 2)]
    pair.outw(GRAPHICS, 0xff08)
    for _ in range(900):
        match generator.randrange(9):
            case 0:
                pair.outw(GRAPHICS, generator.randrange(256) << 8 | generator.randrange(9))
            case 1:
                pair.outw(SEQUENCER, generator.randrange(16) << 8 | 2)
            case 2 if generator.random() < 0.3:
                pair.outw(SEQUENCER, generator.randrange(16) << 8 | 4)
            case 3 | 4 | 5:
                at = generator.choice(offsets)
                size = generator.choice((1, 1, 2))
                pair.poke(at + (generator.randrange(2) if size == 1 else 0), size,
                          generator.randrange(1 << 8 * size))
            case _:
                at = generator.choice(offsets)
                size = generator.choice((1, 1, 2))
                pair.peek(at + (generator.randrange(2) if size == 1 else 0), size)


@pytest.mark.parametrize("seed", range(3))
def test_bochs_interface(pair, seed):
    """All but the bank, which QEMU forgets but goes on to show when a mode starts."""
    values = {
        1: (640, 801, 20000, 1024), 2: (480, 768, 0, 13000), 3: (0, 4, 7, 8, 15, 16, 24, 32),
        4: (0, 1, 1, 0x41, 0xe1, 3, 0x81), 6: (0, 1024, 2000, 16000, 803),
        8: (0, 5, 500, 65535, 16000), 9: (0, 1, 400, 3000, 65535), 0: (0xb0c0, 0xb0c9, 0xb0c5),
    }
    generator = random.Random(seed)
    for index, value in ((1, 640), (2, 480), (3, 8)):
        pair.outw(VBE_INDEX, index)
        pair.outw(VBE_DATA, value)
    for _ in range(150):
        index = generator.choice(tuple(values))
        pair.outw(VBE_INDEX, index)
        pair.outw(VBE_DATA, generator.choice(values[index]))
        for shown in range(12):
            pair.outw(VBE_INDEX, shown)
            pair.inw(VBE_DATA)


def test_banked_window(pair):
    for index, value in ((1, 640), (2, 480), (3, 8), (4, 1), (5, 3)):
        pair.outw(VBE_INDEX, index)
        pair.outw(VBE_DATA, value)
    for at in (0, 1, 0xffff, 0x1234):
        pair.poke(at, 1, at * 7 & 0xff)
        pair.peek(at, 1)
    pair.peek(0x10000, 1)
    pair.outw(VBE_DATA, 0)
    pair.peek(0x1234, 1)
    pair.outw(VBE_DATA, 3)
    pair.peek(0x1234, 1)


def test_monitor(qtest):
    """What QEMU shows at the beginning of BAR2."""
    oracle = qtest("-device", "VGA,addr=2")
    for register, value in ((0x18, BAR2), (0x04, MEMORY_SPACE)):
        oracle.outl(0xcf8, 1 << 31 | 2 << 11 | register)
        oracle.outl(0xcfc, value)
    theirs = bytes(oracle.readb(BAR2 + offset) for offset in range(256))
    assert edid.build(1280, 800, "QEMU Monitor") == theirs
