"""Whatever a guest writes, to whichever register: no chip raises, and all answer in range."""
import random
from contextlib import suppress

import pytest
from pyemu.machine.atapi_cdrom import AtapiCdrom
from pyemu.machine.block.backend import Backend
from pyemu.machine.block.drive import Drive, DriveError
from pyemu.machine.fdc import Fdc
from pyemu.machine.fdc_commands import Commands
from pyemu.machine.floppy_drive import FloppyDrive
from pyemu.machine.fw_cfg import FwCfg
from pyemu.machine.hpet import Hpet
from pyemu.machine.i8042 import I8042
from pyemu.machine.i8237 import Dma
from pyemu.machine.ide import Channel
from pyemu.machine.ide_bmdma import BusMaster
from pyemu.machine.line import Line
from pyemu.machine.port92 import Port92
from pyemu.machine.ps2_keyboard import Keyboard
from pyemu.machine.ps2_mouse import Mouse
from pyemu.machine.uart import Uart
from pyemu.machine.vga import Vga
from pyemu.machine.virtio_blk import VirtioBlk

from ..unit.ide_host import MemoryDisk

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


def high_precision_timer(clock, generator):
    chip = Hpet(clock, [line(), line()], [line(), line(), line()], lambda on: None)
    host = Waiting(clock, generator)
    return [(chip, 0x180, (1, 2, 4, 8)), (chip, 0x28, (4, 8)), (host, 1, (1,))]


class Waiting:
    """Time that passes, and more of it than timers had expected."""

    def __init__(self, clock, generator):
        self.clock = clock
        self.generator = generator

    def write(self, offset, size, value):
        self.clock.time += self.generator.randrange(1 << 30)
        self.clock.run_due()

    def read(self, offset, size):
        self.clock.advance(self.generator.randrange(1 << 16))
        return 0


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


class User:
    """Somebody who takes media out and puts them in again."""

    def __init__(self, drive):
        self.drive = drive
        self.medium = drive.medium

    def read(self, offset, size):
        with suppress(DriveError):
            self.drive.open_tray()
            self.drive.exchange(self.medium)
        return self.drive.tray_open

    def write(self, offset, size, value):
        self.drive.move_tray(bool(value & 1))
        if self.drive.tray_open or self.drive.floppy:
            self.drive.exchange(self.medium if value & 2 else None)


def drive(generator, kilobytes, **kind):
    return Drive("drive", Backend(MemoryDisk(2 * kilobytes), "disk", "raw"), **kind)


def cdrom(clock, generator):
    place = drive(generator, 800, cdrom=True)
    channel = Channel(line(), clock, AtapiCdrom(place))
    bus_master = BusMaster(channel, Channel(line(), clock), Memory(generator))
    packets = Packets(channel, generator)
    return [(channel.data, 1, (2, 4)), (channel.command, 7, (1,)), (channel.control, 1, (1,)),
            (bus_master, 16, (1, 2, 4)), (packets, 1, (1,)), (packets, 1, (1,)),
            (User(place), 1, (1,))]


class Packets:
    """A host whose packets are commands now and then."""

    def __init__(self, channel, generator):
        self.channel = channel
        self.generator = generator

    def write(self, offset, size, value):
        if value & 7 == 0:
            self.channel.control.write(0, 1, 4)
            self.channel.control.write(0, 1, 0)
        self.channel.command.write(5, 1, 0xA0)
        self.channel.command.write(0, 1, value >> 7)
        self.channel.command.write(6, 1, 0xA0)
        packet = bytearray(self.generator.randbytes(12))
        packet[0] = self.generator.choice(list(AtapiCdrom.OPERATIONS))
        if value & 8:
            packet[2:5] = packet[6:8] = bytes(3)
        self.channel.data.write_block(bytes(packet[:12]))

    def read(self, offset, size):
        return len(self.channel.data.read_block(1 << 16)) & 0xFF


def floppy(clock, generator):
    a, b = drive(generator, 1440, floppy=True), drive(generator, 360, floppy=True)
    dma = Dma(Memory(generator))
    chip = Fdc(line(), dma.channels[2], [FloppyDrive(a), FloppyDrive(b)], Commands)
    return [(chip, 6, (1,)), (chip, 6, (1,)), (FloppyHost(chip, generator), 1, (1,)),
            (chip.direction, 1, (1,)), (dma.first, 16, (1,)), (dma.second, 32, (1,)),
            (dma.pages, 15, (1,)), (User(a), 1, (1,))]


class FloppyHost:
    """A host that gives whole commands, and reads their results."""

    def __init__(self, chip, generator):
        self.chip = chip
        self.generator = generator

    def write(self, offset, size, value):
        self.chip.write(2, 1, 0x1C | value & 3)
        first = self.generator.choice([*Commands.WHOLE_BYTE, *Commands.BY_CODE]) | value & 0xE0
        rest = bytes(self.generator.randrange(20) for _ in range(8))
        for byte in (first, *rest):
            self.chip.write(5, 1, byte)

    def read(self, offset, size):
        return self.chip.read(5, 1)


def virtio_disk(clock, generator):
    device = VirtioBlk(Memory(generator), Backend(MemoryDisk(100), "disk", "raw"))
    return [(device.windows[0].bar.device, 128, (1, 2, 4)),
            (VirtioDriver(device, generator), 1, (1,))]


class VirtioDriver:
    """A driver whose rings are noise, and which resets what it has broken."""

    def __init__(self, device, generator):
        self.device = device
        self.generator = generator
        self.ports = device.windows[0].bar.device

    def write(self, offset, size, value):
        if self.device.broken:
            self.ports.write(0x12, 1, 0)
        self.ports.write(4, 4, self.generator.getrandbits(32))
        self.ports.write(8, 4, self.generator.getrandbits(20))
        self.device.queues[0].next_available = self.generator.getrandbits(16)

    def read(self, offset, size):
        self.ports.write(0x10, 2, 0)
        return self.ports.read(0x13, 1)


@pytest.mark.parametrize("machine", [
    cdrom, floppy, virtio_disk, uart, keyboard_controller, high_precision_timer, vga, small_ports,
    fw_cfg])
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
