"""The host's side of an IDE channel, and a block device in memory, for the tests of the chips."""
import errno

from pyemu.machine.atapi_cdrom import AtapiCdrom
from pyemu.machine.block.backend import Backend
from pyemu.machine.block.base import BlockDevice
from pyemu.machine.block.drive import Drive
from pyemu.machine.ide import Channel
from pyemu.machine.ide_bmdma import BusMaster
from pyemu.machine.ide_disk import AtaDisk
from pyemu.machine.line import Line
from pyemu.ports import Ports

DATA, ERROR, COUNT, LOW, MID, HIGH, DEVICE, STATUS = range(0x1F0, 0x1F8)
FEATURES, COMMAND = ERROR, STATUS
CONTROL = ALTERNATE = 0x3F6
BUS_MASTER = 0xC000

ERR, DRQ, BSY, READY = 0x01, 0x08, 0x80, 0x50


class MemoryDisk(BlockDevice):
    """Sectors that can go bad."""

    def __init__(self, sectors):
        self.data = bytearray(b"".join(i.to_bytes(4, "little") * 128 for i in range(sectors)))
        self.size = len(self.data)
        self.read_only = False
        self.bad = set()
        self.full = False
        self.log = []

    def _check(self, offset, length):
        assert 0 <= offset <= offset + length <= self.size
        if any(offset <= 512 * sector < offset + length for sector in self.bad):
            raise OSError(errno.EIO, "bad sector")

    def read(self, offset, length):
        self._check(offset, length)
        self.log.append(("read", offset // 512, length // 512))
        return bytes(self.data[offset:offset + length])

    def write(self, offset, data):
        self._check(offset, len(data))
        self.log.append(("write", offset // 512, len(data) // 512))
        self.data[offset:offset + len(data)] = data

    def flush(self):
        self.log.append(("flush",))
        if self.full:
            raise OSError(errno.ENOSPC, "full")


class Memory:
    """128 KiB of guest RAM at 0 and nothing else."""

    def __init__(self):
        self.ram = bytearray(1 << 17)

    def read(self, address, length):
        return bytes(self.ram[address:address + length]).ljust(length, b"\xff")

    def write(self, address, data):
        if address < len(self.ram):
            self.ram[address:address + len(data)] = data


class Driver:
    """What software does with a channel on the usual ports, through `ports` and `memory`."""

    def inb(self, port):
        return self.ports.read(port, 1)

    def outb(self, port, value):
        self.ports.write(port, 1, value)

    def inl(self, port):
        return self.ports.read(port, 4)

    def outl(self, port, value):
        self.ports.write(port, 4, value)

    def registers(self):
        return [self.inb(port) for port in range(ERROR, STATUS)]

    def command(self, code, lba=0, count=0, features=0, device=0x40):
        """Issue a command with an LBA of 28 bits; return the alternate status."""
        for port, value in zip(range(FEATURES, COMMAND), (
                features, count, lba & 0xFF, lba >> 8 & 0xFF, lba >> 16 & 0xFF,
                device | (lba >> 24 if device & 0x40 else 0)), strict=True):
            self.outb(port, value)
        self.outb(COMMAND, code)
        return self.inb(ALTERNATE)

    def command48(self, code, lba, count, device=0x40):
        for shift in 24, 0:
            self.outb(COUNT, count >> (8 if shift else 0) & 0xFF)
            for port, more in (LOW, 0), (MID, 8), (HIGH, 16):
                self.outb(port, lba >> shift + more & 0xFF)
        self.outb(DEVICE, device)
        self.outb(COMMAND, code)
        return self.inb(ALTERNATE)

    def lba(self):
        low, mid, high, device = self.registers()[2:]
        return low | mid << 8 | high << 16 | (device & 0xF) << 24

    def take(self, length, size=2):
        """Read from the data port, word by word."""
        return b"".join(self.ports.read(DATA, size).to_bytes(size, "little")
                        for _ in range(length // size))

    def give(self, data, size=2):
        for i in range(0, len(data), size):
            self.ports.write(DATA, size, int.from_bytes(data[i:i + size], "little"))

    def table(self, *regions, at=0x1000):
        """Write descriptors (address, length) and point the bus master at them."""
        for i, (address, length) in enumerate(regions):
            last = 0x8000 if i == len(regions) - 1 else 0
            entry = b"".join(value.to_bytes(size, "little") for value, size in (
                (address, 4), (length & 0xFFFF, 2), (last, 2)))
            self.memory.write(at + 8 * i, entry)
        self.outl(BUS_MASTER + 4, at)


class Host(Driver):
    """One channel with disks of `sectors` each (None: no device) on the usual ports."""

    def __init__(self, clock, *sectors):
        self.backends = [None if count is None else MemoryDisk(count) for count in sectors]
        self.images = [backend and Backend(backend, "disk", "raw", report=lambda text: None)
                       for backend in self.backends]
        self.disks = [image and AtaDisk(image) for image in self.images]
        self.backend = self.backends[0]
        self._plug(clock, *self.disks)

    def _plug(self, clock, *devices):
        self.interrupts = []  # the bus master's status when INTRQ rose
        self.irq = Line(self._on_irq)
        self.channel = Channel(self.irq, clock, *devices)
        self.memory = Memory()
        self.bus_master = BusMaster(self.channel, Channel(Line(lambda level: None), clock),
                                    self.memory)
        self.ports = Ports()
        self.ports.map(0x1F0, 1, self.channel.data, width=4)
        self.ports.map(0x1F1, 7, self.channel.command)
        self.ports.map(0x3F6, 1, self.channel.control)
        self.ports.map(BUS_MASTER, 16, self.bus_master, width=4)

    def _on_irq(self, level):
        if level:
            self.interrupts.append(self.inb(BUS_MASTER + 2))


class CdHost(Host):
    """One channel with a CD-ROM drive, and in it a disc of so many sectors of 2048 bytes."""

    def __init__(self, clock, sectors):
        self.backend = MemoryDisk(4 * sectors)
        image = Backend(self.backend, "disc", "raw", report=lambda text: None)
        self.drive = Drive("ide1-cd0", image, cdrom=True)
        self.cdrom = AtapiCdrom(self.drive)
        self._plug(clock, self.cdrom)

    def packet(self, *command, limit=0xFFFE, by_dma=False):
        """Send a packet; return the alternate status."""
        for port, value in (FEATURES, by_dma), (MID, limit & 0xFF), (HIGH, limit >> 8):
            self.outb(port, value)
        self.outb(COMMAND, 0xA0)
        assert self.inb(ALTERNATE) == READY | DRQ
        assert self.inb(COUNT) & 7 == 1  # it is for the command
        self.give(bytes(command).ljust(12, b"\0"))
        return self.inb(ALTERNATE)

    def answer(self, *command, limit=0xFFFE):
        """Send a packet; return what comes back in all blocks."""
        data = b""
        self.packet(*command, limit=limit)
        while self.inb(STATUS) & DRQ:
            assert self.inb(COUNT) & 7 == 2
            length = self.inb(MID) | self.inb(HIGH) << 8
            data += self.take(length + length % 2)[:length]
        assert self.inb(COUNT) & 7 == 3
        return data

    def sense(self):
        """Key, code and qualifier of what the last command has failed with."""
        data = self.answer(0x03, 0, 0, 0, 18)
        return data[2], data[12], data[13]
