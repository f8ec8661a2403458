"""An IDE channel: the ports that two devices share, the choice between them, their interrupt.

Command block (offsets from 1F1h or 171h), data register (1F0h), control block (3F6h). Both devices
take what is written to the command block; the one that DEV selects executes and answers.
Source: ATA/ATAPI-6 (T13 1410D), sections 5.2 (INTRQ), 7 (registers), 9.2 (software reset);
PIIX3 datasheet (290550).
"""
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyemu.clock import Clock
from pyemu.machine.chip import Chip
from pyemu.machine.ide_device import Absent
from pyemu.machine.line import Line
from pyemu.trace.hooks import (
    trace_ide_bus_reset_aio,
    trace_ide_ctrl_write,
    trace_ide_data_readl,
    trace_ide_data_readw,
    trace_ide_data_writel,
    trace_ide_data_writew,
    trace_ide_exec_cmd,
    trace_ide_ioport_read,
    trace_ide_ioport_write,
    trace_ide_status_read,
)

# Offsets in the command block; the first six are also indices of a device's task file.
ERROR = FEATURES = 0
DEVICE = 5
STATUS = COMMAND = 6
READ_NAMES = ("Error", "Sector Count", "Sector Number", "Cylinder Low", "Cylinder High",
              "Device/Head", "Status")
WRITE_NAMES = ("Features", *READ_NAMES[1:6], "Command")
CONTROL_BLOCK = 0x206  # from the data register, on both channels

DEV = 1 << 4  # DEVICE: device 1 is meant
OBSOLETE = 0b101 << 5  # DEVICE: always read as ones

# Device control
NIEN = 1 << 1
SRST = 1 << 2
HOB = 1 << 7  # read what the registers held before they were written last

BSY = 1 << 7
DRQ = 1 << 3

EXECUTE_DEVICE_DIAGNOSTIC = 0x90


@dataclass
class Window:
    """Ports as the port map wants them; bound methods, so that an access costs one call."""

    read: Callable[[int, int], int]
    write: Callable[[int, int, int], None]


@dataclass
class DataWindow(Window):
    read_block: Callable[[int], bytes]
    write_block: Callable[[bytes], int]


class Channel(Chip):
    """Two devices and their ports.

    data: 1 port, width 4, with block transfers; command: 7 ports; control: 1 port; width 1.
    master, slave: `ide_device.IdeDevice`s, or None where none is plugged in.
    base: the port of the data register, which the events show.
    """

    STATE = ("selected", "device_control", "level")

    def __init__(self, irq: Line, clock: Clock, master: Any = None, slave: Any = None,
                 base: int = 0):
        self.irq = irq
        self.clock = clock
        self.drives = master, slave
        self.base = base
        self.dma: Any = None  # the half of the bus master that serves us; it plugs itself in
        self.level = False
        self.data = DataWindow(self._read_data, self._write_data, self._read_block,
                               self._write_block)
        self.command = Window(self._read, self._write)
        self.control = Window(self._read_alternate_status, self._write_control)
        # Where only one device is missing, its registers are there all the same.
        self.places = [drive or Absent() for drive in self.drives] if master or slave else []
        for place in self.places:
            place.channel = self
        self.reset()

    def reset(self) -> None:
        self.device_control = 0
        self._select(0)
        for place in self.places:
            place.reset()
        self.update()

    def restored(self) -> None:
        self._select(self.selected)
        self.irq.set(self.level)

    def update(self) -> None:
        """Drive INTRQ: the selected device's, unless the host has switched it off."""
        drive = self.drive
        level = drive is not None and drive.interrupt and not self.device_control & NIEN
        if level != self.level:
            self.level = level
            if level and self.dma:
                self.dma.note_interrupt()  # before anyone can see the line
            self.irq.set(level)

    def _select(self, number: int) -> None:
        self.selected = number
        self.drive = self.drives[number]
        self.owner = self.places[number] if self.places else None

    # Command block

    def _read(self, offset: int, size: int) -> int:
        drive, owner = self.drive, self.owner
        if offset == STATUS:
            value = 0
            if drive is not None:
                value = drive.status
                if drive.interrupt:
                    drive.interrupt = False
                    self.update()
        elif owner is None:
            value = 0
        elif self.device_control & HOB:
            value = owner.previous[offset]
        elif offset == ERROR:
            value = drive.error if drive is not None else 0
        else:
            value = owner.task[offset]
        if trace_ide_ioport_read:
            trace_ide_ioport_read(self.base + 1 + offset, READ_NAMES[offset], value, self, owner)
        return value

    def _write(self, offset: int, size: int, value: int) -> None:
        drive = self.drive
        if trace_ide_ioport_write:
            trace_ide_ioport_write(self.base + 1 + offset, WRITE_NAMES[offset], value, self, drive)
        self.device_control &= ~HOB
        busy = drive is not None and drive.status & (BSY | DRQ)
        if offset == COMMAND:
            self._execute(value, busy)
        elif not busy:
            if offset == DEVICE:
                value |= OBSOLETE
            for each in self.places:
                each.previous[offset] = each.task[offset]
                each.task[offset] = value
            if offset == DEVICE:
                self._select(1 if value & DEV else 0)
                self.update()

    def _execute(self, command: int, busy: int) -> None:
        drive = self.drive
        if trace_ide_exec_cmd:
            trace_ide_exec_cmd(self, drive, command)
        if command == EXECUTE_DEVICE_DIAGNOSTIC:
            self._diagnose()
        elif drive is not None and (not busy or command in drive.ALWAYS):
            drive.interrupt = False
            self.update()
            drive.execute(command)

    def _diagnose(self) -> None:
        """Both devices test themselves; device 0 answers for both."""
        for place in self.places:
            place.soft_reset()
        self._select(0)
        if self.drive is not None:
            self.drive.interrupt = True
        self.update()

    # Control block

    def _read_alternate_status(self, offset: int, size: int) -> int:
        value = self.drive.status if self.drive is not None else 0
        if trace_ide_status_read:
            trace_ide_status_read(self.base + CONTROL_BLOCK, value, self, self.drive)
        return value

    def _write_control(self, offset: int, size: int, value: int) -> None:
        if trace_ide_ctrl_write:
            trace_ide_ctrl_write(self.base + CONTROL_BLOCK, value, self)
        changed = self.device_control ^ value
        self.device_control = value & (NIEN | SRST | HOB)
        if changed & SRST:
            trace_ide_bus_reset_aio()
            for place in self.places:
                if value & SRST:
                    place.hold()
                else:
                    place.soft_reset()
            self._select(0)
        self.update()

    # Data register

    def _read_data(self, offset: int, size: int) -> int:
        drive = self.drive
        if drive is None or not drive.sending:
            return 0
        start = drive.position
        end = start + (size if size > 1 else 2)  # the device always moves words
        value = int.from_bytes(drive.buffer[start:end], "little")
        if trace_ide_data_readw and size <= 2:
            trace_ide_data_readw(self.base, value, self, drive)
        elif trace_ide_data_readl and size == 4:
            trace_ide_data_readl(self.base, value, self, drive)
        drive.position = end
        if end >= len(drive.buffer):
            drive.block_done()
        return value

    def _write_data(self, offset: int, size: int, value: int) -> None:
        drive = self.drive
        if drive is None or not drive.receiving:
            return
        if trace_ide_data_writew and size <= 2:
            trace_ide_data_writew(self.base, value, self, drive)
        elif trace_ide_data_writel and size == 4:
            trace_ide_data_writel(self.base, value, self, drive)
        self._write_block(value.to_bytes(size if size > 1 else 2, "little"))

    def _read_block(self, limit: int) -> bytes:
        drive = self.drive
        if drive is None or not drive.sending:
            return b""
        start = drive.position
        data = bytes(drive.buffer[start:start + limit])
        drive.position = start + len(data)
        if drive.position >= len(drive.buffer):
            drive.block_done()
        return data

    def _write_block(self, data: bytes) -> int:
        drive = self.drive
        if drive is None or not drive.receiving:
            return 0
        start = drive.position
        taken = min(len(data), len(drive.buffer) - start)
        drive.buffer[start:start + taken] = data[:taken]
        drive.position = start + taken
        if drive.position >= len(drive.buffer):
            drive.block_done()
        return taken
