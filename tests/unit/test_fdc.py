"""Floppy disk controller, through its ports: Intel 82077AA."""
import pytest
from pyemu.machine.block.backend import Backend
from pyemu.machine.block.drive import Drive
from pyemu.machine.fdc import Fdc
from pyemu.machine.fdc_commands import Commands
from pyemu.machine.floppy_drive import FORMATS, FloppyDrive, format_of
from pyemu.machine.i8237 import Dma
from pyemu.machine.line import Line

from .ide_host import MemoryDisk
from .test_i8237 import FROM_MEMORY, TO_MEMORY, Memory, program

DOR, MSR, FIFO, DIR = 2, 4, 5, 7
READ, WRITE, FORMAT, READ_ID, SEEK, RECALIBRATE = 0xE6, 0xC5, 0x4D, 0x4A, 0x0F, 0x07
SPECIFY, SENSE_DRIVE, SENSE, DUMP, VERSION, CONFIGURE, LOCK = 3, 4, 8, 0x0E, 0x10, 0x13, 0x94
BUFFER = 0x8000
SECTORS = 2880


class Host:
    """A controller with drive A and, if asked for, a disk in it; DMA goes to BUFFER."""

    def __init__(self, sectors=SECTORS):
        self.disk = MemoryDisk(sectors)
        self.image = Backend(self.disk, "disk", "raw", report=lambda text: None)
        self.drive = Drive("floppy0", self.image, floppy=True)
        self.memory = Memory()
        self.dma = Dma(self.memory)
        self.irq = Line(lambda level: None)
        self.fdc = Fdc(self.irq, self.dma.channels[2], [FloppyDrive(self.drive), None], Commands)

    def rate(self, code):
        self.fdc.direction.write(0, 1, code)

    def give(self, *command):
        for byte in command:
            assert self.fdc.read(MSR, 1) & 0xC0 == 0x80
            self.fdc.write(FIFO, 1, byte)

    def results(self):
        data = b""
        while self.fdc.read(MSR, 1) & 0x50 == 0x50:
            data += bytes((self.fdc.read(FIFO, 1),))
        return list(data)

    def do(self, *command):
        self.give(*command)
        return self.results()

    def transfer(self, command, mode, length, cylinder, head, sector, last=18):
        program(self.dma, 2, BUFFER, length, mode)
        return self.do(command, head << 2, cylinder, head, sector, 2, last, 0x1B, 0xFF)

    def buffer(self, length):
        return bytes(self.memory.ram[BUFFER:BUFFER + length])


@pytest.fixture
def host():
    return Host()


def sectors(first, count):
    return b"".join(n.to_bytes(4, "little") * 128 for n in range(first, first + count))


@pytest.mark.parametrize(("size", "format_"), [
    (160 << 10, (40, 1, 8)), (180 << 10, (40, 1, 9)), (320 << 10, (40, 2, 8)),
    (360 << 10, (40, 2, 9)), (720 << 10, (80, 2, 9)), (1200 << 10, (80, 2, 15)),
    (1440 << 10, (80, 2, 18)), (2880 << 10, (80, 2, 36)), (1000, (40, 1, 8)),
    (100 << 20, (80, 2, 36))])
def test_the_format_follows_from_the_size(size, format_):
    assert format_of(size)[:3] == format_
    assert list(FORMATS) == sorted(FORMATS, key=lambda each: each.size)


def test_reset_has_four_interrupts_to_be_sensed(host):
    host.fdc.write(DOR, 1, 0)
    assert host.fdc.read(MSR, 1) == 0
    host.fdc.write(DOR, 1, 0x0C)
    assert host.irq.level
    assert [host.do(SENSE) for _ in range(4)] == [[0xC0 | n, 0] for n in range(4)]
    assert not host.irq.level
    assert host.do(SENSE) == [0x80]


def test_identity(host):
    assert host.do(VERSION) == [0x90]
    assert host.do(0x1F) == [0x80]


def test_read_by_dma(host):
    assert host.transfer(READ, TO_MEMORY, 1024, 1, 1, 3) == [4, 0, 0, 1, 1, 5, 2]
    assert host.irq.level is False  # reading the results has cleared it
    assert host.buffer(1024) == sectors(18 * 3 + 2, 2)


def test_read_goes_on_at_the_other_head_and_the_next_cylinder(host):
    assert host.transfer(READ, TO_MEMORY, 36 * 512, 2, 0, 1) == [0, 0, 0, 3, 0, 1, 2]
    assert host.buffer(36 * 512) == sectors(72, 36)
    assert host.transfer(READ, TO_MEMORY, 20 * 512, 2, 0, 1) == [4, 0, 0, 2, 1, 3, 2]
    assert host.transfer(READ & 0x7F, TO_MEMORY, 18 * 512, 2, 0, 1)[3:] == [3, 0, 1, 2]


def test_a_part_of_a_sector(host):
    host.transfer(READ, TO_MEMORY, 100, 0, 0, 1)
    assert host.buffer(512) == sectors(0, 1)[:100] + bytes(412)


def test_write_by_dma(host):
    host.memory.ram[BUFFER:BUFFER + 1024] = b"new data" * 128
    assert host.transfer(WRITE, FROM_MEMORY, 1024, 0, 0, 2) == [0, 0, 0, 0, 0, 4, 2]
    assert host.disk.data[512:1536] == b"new data" * 128
    assert host.disk.data[1536:2048] == sectors(3, 1)


def test_format(host):
    program(host.dma, 2, BUFFER, 18 * 4, FROM_MEMORY)
    host.memory.ram[BUFFER:BUFFER + 72] = b"".join(bytes((0, 1, n, 2)) for n in range(1, 19))
    assert host.do(FORMAT, 4, 2, 18, 0x54, 0xF6)[:3] == [4, 0, 0]
    assert host.disk.data[18 * 512:36 * 512] == b"\xf6" * 18 * 512
    assert host.disk.data[36 * 512:37 * 512] == sectors(36, 1)


@pytest.mark.parametrize(("address", "status_1"), [
    ((80, 0, 1), 4), ((0, 0, 19), 4), ((0, 0, 0), 4)])
def test_there_is_no_such_sector(host, address, status_1):
    assert host.transfer(READ, TO_MEMORY, 512, *address, last=40)[:2] == [0x40, status_1]


def test_the_wrong_data_rate_finds_nothing(host):
    host.rate(2)
    assert host.transfer(READ, TO_MEMORY, 512, 0, 0, 1)[:2] == [0x40, 1]
    assert host.do(READ_ID, 0)[:2] == [0x40, 1]
    host.rate(0)
    assert host.do(READ_ID, 0) == [0, 0, 0, 0, 0, 1, 2]


def test_write_protection(host):
    host.image.read_only = True
    assert host.transfer(WRITE, FROM_MEMORY, 512, 0, 0, 1)[:2] == [0x40, 2]
    assert host.do(SENSE_DRIVE, 0) == [0x78]


def test_a_host_error(host):
    host.disk.bad.add(3)
    assert host.transfer(READ, TO_MEMORY, 512, 0, 0, 4)[:2] == [0x40, 0x20]


def test_dma_may_be_unmasked_later(host):
    host.dma.first.write(10, 1, 4 | 2)
    host.give(READ, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF)
    assert host.fdc.read(MSR, 1) == 0x10
    program(host.dma, 2, BUFFER, 512, TO_MEMORY)
    assert host.results()[:3] == [0, 0, 0]


def test_data_through_the_fifo(host):
    host.do(SPECIFY, 0xDF, 0x03)  # no DMA
    host.give(READ & 0x7F, 0, 0, 0, 17, 2, 18, 0x1B, 0xFF)
    assert host.irq.level and host.fdc.read(MSR, 1) == 0xF0
    data = bytes(host.fdc.read(FIFO, 1) for _ in range(1024))
    assert data == sectors(16, 2)
    assert host.results()[:2] == [0x40, 0x80]  # nobody has said that it is enough
    host.give(WRITE & 0x7F, 0, 0, 0, 18, 2, 18, 0x1B, 0xFF)
    for byte in b"by byte." * 64:
        assert host.fdc.read(MSR, 1) == 0xB0
        host.fdc.write(FIFO, 1, byte)
    assert host.results()[0] == 0
    assert host.disk.data[17 * 512:18 * 512] == b"by byte." * 64


def test_seek_and_recalibrate(host):
    host.give(SEEK, 4, 33)
    assert host.irq.level
    assert host.do(SENSE) == [0x24, 33] and not host.irq.level
    assert host.do(SENSE_DRIVE, 0) == [0x28]
    assert host.do(0xCF, 0, 7) == [] and host.do(SENSE) == [0x20, 40]
    host.give(RECALIBRATE, 0)
    assert host.do(SENSE) == [0x20, 0]
    host.give(RECALIBRATE, 1)  # there is no drive B
    assert host.do(SENSE) == [0x71, 0]


def test_settings_are_dumped_and_may_survive_a_reset(host):
    host.give(SPECIFY, 0xAF, 0x1E)
    host.give(CONFIGURE, 0, 0x57, 9)
    host.give(0x12, 0x84)
    host.give(SEEK, 0, 5)
    assert host.do(DUMP) == [5, 0, 0, 0, 0xAF, 0x1E, 0, 4, 0x57, 9]
    assert host.do(LOCK) == [0x10]
    host.fdc.write(DOR, 1, 0)
    host.fdc.write(DOR, 1, 0x0C)
    assert not host.irq.level  # polling is off
    assert host.do(DUMP)[7:] == [0x84, 0x57, 9]
    assert host.do(LOCK & 0x7F) == [0]
    host.fdc.write(DOR, 1, 0)
    host.fdc.write(DOR, 1, 0x0C)
    assert host.irq.level
    while host.do(SENSE) != [0x80]:
        pass
    assert host.do(DUMP)[7:] == [4, 0x20, 0]


def test_the_change_line_falls_when_the_head_moves(host):
    host.fdc.write(DOR, 1, 0x1C)
    assert host.fdc.direction.read(0, 1) == 0x80
    host.give(SEEK, 0, 1)
    assert host.fdc.direction.read(0, 1) == 0
    assert host.drive.exchange(None) is host.image
    host.give(SEEK, 0, 2)
    assert host.fdc.direction.read(0, 1) == 0x80
    assert host.transfer(READ, TO_MEMORY, 512, 0, 0, 1)[:2] == [0x40, 1]
    host.drive.exchange(Host(1440).image)
    host.give(SEEK, 0, 0)
    assert host.fdc.direction.read(0, 1) == 0
    host.rate(2)
    assert host.transfer(READ, TO_MEMORY, 512, 0, 1, 1, last=9)[:3] == [4, 0, 0]
    assert host.buffer(512) == sectors(9, 1)


def test_an_eject_ends_what_waits_for_the_user(host):
    held = []
    host.image.rerror, host.image.stop = "stop", held.append
    host.disk.bad.add(0)
    assert host.transfer(READ, TO_MEMORY, 512, 0, 0, 1) == []
    host.drive.exchange(None)
    assert host.results()[:2] == [0x40, 1]


def test_an_eject_ends_what_waits_for_the_dma_controller(host):
    host.dma.first.write(10, 1, 4 | 2)
    host.give(READ, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF)
    host.drive.exchange(None)
    assert host.results()[:2] == [0x40, 1]
    program(host.dma, 2, BUFFER, 512, TO_MEMORY)
    assert host.results() == []


def test_an_eject_ends_what_waits_for_the_fifo(host):
    host.do(SPECIFY, 0xDF, 0x03)  # no DMA
    host.give(WRITE & 0x7F, 0, 79, 1, 18, 2, 18, 0x1B, 0xFF)
    for _ in range(500):
        host.fdc.write(FIFO, 1, 0xAA)
    other = Host(1440)
    host.drive.exchange(other.image)
    assert host.results()[:2] == [0x44, 1]
    assert other.disk.data[:512] == bytes(512)
    host.rate(2)
    host.give(READ & 0x7F, 0, 0, 0, 9, 2, 9, 0x1B, 0xFF)
    assert bytes(host.fdc.read(FIFO, 1) for _ in range(512)) == sectors(8, 1)


def test_no_interrupt_without_the_gate(host):
    host.fdc.write(DOR, 1, 0x04)
    host.give(SEEK, 0, 1)
    assert not host.irq.level
    host.fdc.write(DOR, 1, 0x0C)
    assert host.irq.level


def test_state_is_saved_and_loaded(host):
    host.give(SEEK, 0, 33)
    host.give(READ, 0, 0)
    state = host.fdc.save()
    host.fdc.reset()
    host.fdc.load(state)
    assert host.irq.level
    program(host.dma, 2, BUFFER, 512, TO_MEMORY)
    host.give(0, 1, 2, 18, 0x1B, 0xFF)
    assert host.results()[:3] == [0, 0, 0]
