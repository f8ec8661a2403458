"""Whatever a guest writes, to whichever register: no chip raises, and all answer in range."""
import random

import pytest
from pyemu.machine.fw_cfg import FwCfg
from pyemu.machine.i8042 import I8042
from pyemu.machine.line import Line
from pyemu.machine.port92 import Port92
from pyemu.machine.ps2_keyboard import Keyboard
from pyemu.machine.ps2_mouse import Mouse
from pyemu.machine.uart import Uart
from pyemu.machine.vga import Vga

STEPS = 40_000


class FarEnd:
    """A character device with always something to read."""

    def write(self, data):
        assert len(data) == 1

    def read(self, limit):
        return bytes(random.randrange(limit + 1))


class Memory:
    def __init__(self, generator):
        self.generator = generator

    def read(self, address, length):
        return self.generator.randbytes(min(length, 1 << 16)).ljust(16, b"\0")

    def write(self, address, data):
        pass


def line():
    return Line(lambda level: None)


def uart(clock, generator):
    return [(Uart(clock, line(), FarEnd()), 8, (1,))]


def keyboard_controller(clock, generator):
    keyboard, mouse = Keyboard(), Mouse()
    chip = I8042(clock, line(), line(), keyboard, mouse, lambda on: None, lambda cause: None)
    users = Users(keyboard, mouse)
    return [(chip.data, 1, (1,)), (chip.command, 1, (1,)), (users, 1, (1,))]


class Users:
    """Somebody who types and moves the mouse while the guest does what it likes."""

    def __init__(self, keyboard, mouse):
        self.keyboard = keyboard
        self.mouse = mouse

    def read(self, offset, size):
        self.mouse.move(random.randrange(-999, 999), random.randrange(-999, 999), 9)
        return 0

    def write(self, offset, size, value):
        self.keyboard.key("pause" if value & 1 else "print", bool(value & 2))
        self.mouse.button(value & 0x1f)


def vga(clock, generator):
    chip = Vga(clock, bytearray(1 << 18))
    dispi = chip.dispi.ports
    return [(chip.ports, 32, (1, 2)), (chip.mono_ports, 12, (1, 2)), (dispi, 2, (1, 2)),
            (dispi, 2, (2,)), (chip, 0x20000, (1, 2, 4, 8)), (TextReader(chip), 1, (1,))]


class TextReader:
    """Somebody who looks at the screen."""

    def __init__(self, chip):
        self.chip = chip

    def read(self, offset, size):
        assert len(self.chip.text_screen()) == len(self.chip.text_attributes())
        self.chip.cursor()
        return 0

    def write(self, offset, size, value):
        self.chip.load(self.chip.save())


def small_ports(clock, generator):
    return [(Port92(lambda on: None, lambda cause: None), 1, (1,))]


def fw_cfg(clock, generator):
    chip = FwCfg(Memory(generator))
    chip.add_file("open", bytes(100), writable=True)
    return [(chip, 2, (1, 2)), (chip.dma, 8, (1, 2, 4))]


@pytest.mark.parametrize("machine", [uart, keyboard_controller, vga, small_ports, fw_cfg])
def test_random_accesses(clock, machine):
    random.seed(0)
    generator = random.Random(machine.__name__)
    windows = machine(clock, generator)
    for _ in range(STEPS if machine is not fw_cfg else STEPS // 100):
        device, count, sizes = generator.choice(windows)
        size = generator.choice(sizes)
        offset = generator.randrange(max(1, count - size + 1))
        if generator.random() < 0.5:
            assert 0 <= device.read(offset, size) < 1 << 8 * size
        else:
            device.write(offset, size, generator.getrandbits(8 * size))
        clock.advance(us=generator.randrange(3000))
