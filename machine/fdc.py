"""Intel 82077AA floppy disk controller: its ports, and the phases of a command.

Ports 3F0h-3F5h and 3F7h. A command's bytes go into the FIFO, then the data pass by DMA or through
the FIFO, then results come out of it. Drives are fast: their heads are where they should be at
once, so that the interrupt comes with the last byte of the command.
Source: Intel 82077AA datasheet (290166), sections 2 (registers), 4 and 5 (commands).
"""
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from pyemu.machine.chip import Chip
from pyemu.machine.floppy_drive import FloppyDrive
from pyemu.machine.line import Line
from pyemu.trace.hooks import trace_fdc_ioport_read, trace_fdc_ioport_write

# Offsets
SRA, SRB, DOR, TDR, MSR, FIFO, DIR = 0, 1, 2, 3, 4, 5, 7
DSR, CCR = MSR, DIR

# SRA and SRB, whose lines are low when they are active
SRA_INTERRUPT, SRA_NO_SECOND_DRIVE, SRA_NOT_TRACK_0 = 1 << 7, 1 << 6, 1 << 4
SRA_HEAD, SRA_NO_INDEX, SRA_WRITABLE = 1 << 3, 1 << 2, 1 << 1
SRB_ONES = 0b11 << 6

# DOR
DRIVE = 0b11
NOT_RESET = 1 << 2
DMA_GATE = 1 << 3  # interrupt and DMA lines are driven

# MSR
READY, TO_HOST, NON_DMA, BUSY = 1 << 7, 1 << 6, 1 << 5, 1 << 4

DSR_RESET = 1 << 7
RATE = 0b11  # DSR, CCR
DISK_CHANGE = 1 << 7  # DIR

NOT_READY = 0b11 << 6  # ST0: the drive has become ready or not ready

POLLING_DISABLED = 1 << 4  # CONFIGURE
POWER_ON_CONFIGURATION = 1 << 5  # the FIFO is off
DRIVES = 4  # that it can address


class Window(NamedTuple):
    """Port 3F7h, which is not beside the others: 3F6h is the disks'."""

    read: Callable[[int, int], int]
    write: Callable[[int, int, int], None]


class Fdc(Chip):
    """drives: A and B, None where there is none. dma: the channel.

    commands(fdc): what carries them out, `fdc_commands.Commands`.
    """

    STATE = ("dor", "tdr", "rate", "command", "results", "interrupt", "sense", "data", "receiving",
             "configuration", "precompensation", "timing", "perpendicular", "locked", "commands")

    def __init__(self, irq: Line, dma: Any, drives: Sequence[FloppyDrive | None],
                 commands: Callable[["Fdc"], Any]):
        self.irq = irq
        self.dma = dma
        self.drives = [*drives, *[None] * (DRIVES - len(drives))]
        self.commands = commands(self)
        dma.on_grant = self.commands.transfer
        for drive in drives:
            if drive:
                drive.on_change = partial(self.commands.medium_changed, drive)
        self.direction = Window(lambda offset, size: self.read(DIR, size),
                                lambda offset, size, value: self.write(CCR, size, value))
        self.dor = 0
        self.reset()

    def reset(self) -> None:
        """By hardware."""
        self.dor = DMA_GATE | NOT_RESET
        self.tdr = 0
        self.rate = 0  # 500 kb/s, as QEMU comes up; the chip itself does with 250
        self.locked = False
        self.timing = bytes(2)  # as SPECIFY has it
        self.perpendicular = 0
        self.software_reset()

    def software_reset(self) -> None:
        if not self.locked:
            self.configuration = POWER_ON_CONFIGURATION
            self.precompensation = 0
        self.commands.cancel()
        self.dma.request(False)
        self.command = b""  # bytes of it that have come
        self.results = b""  # that are still to be read
        self.data = bytearray()  # between the FIFO and the drive
        self.receiving = 0  # bytes of data that are still to be written
        self.sense: list[tuple[int, int]] = []  # ST0 and cylinder, for SENSE INTERRUPT STATUS
        self.set_interrupt(False)

    def save(self) -> dict[str, Any]:
        return {**super().save(), "drives": [drive and drive.save() for drive in self.drives]}

    def load(self, state: dict[str, Any]) -> None:
        for drive, saved in zip(self.drives, state["drives"], strict=True):
            if drive:
                drive.load(saved)
        super().load(state)

    def restored(self) -> None:
        self.set_interrupt(self.interrupt)

    def set_interrupt(self, level: bool) -> None:
        self.interrupt = level
        self.irq.set(level and bool(self.dor & DMA_GATE))

    @property
    def selected(self) -> FloppyDrive | None:
        return self.drives[self.dor & DRIVE]

    @property
    def by_dma(self) -> bool:
        return not self.timing[1] & 1

    # Ports

    def read(self, offset: int, size: int) -> int:
        if offset == FIFO:
            value = self._read_fifo()
        elif offset == MSR:
            value = self._main_status()
        elif offset == DOR:
            value = self.dor
        elif offset == SRA:
            value = self._status_a()
        elif offset == SRB:
            value = SRB_ONES | self.dor >> 4 & 3 | (self.dor & 1) << 5
        elif offset == TDR:
            value = self.tdr
        else:
            value = 0
            if offset == DIR and (self.selected is None or self.selected.disk_changed):
                value = DISK_CHANGE
        if trace_fdc_ioport_read:
            trace_fdc_ioport_read(offset, value)
        return value

    def write(self, offset: int, size: int, value: int) -> None:
        if trace_fdc_ioport_write:
            trace_fdc_ioport_write(offset, value)
        if offset == FIFO:
            self._write_fifo(value)
        elif offset == DOR:
            self._write_dor(value)
        elif offset == TDR:
            self.tdr = value & 3
        elif offset == DSR:
            self.rate = value & RATE
            if value & DSR_RESET:
                self._leave_reset()
        elif offset == CCR:
            self.rate = value & RATE

    def _main_status(self) -> int:
        if not self.dor & NOT_RESET:
            return 0
        if self.data or self.receiving:
            return READY | NON_DMA | BUSY | (0 if self.receiving else TO_HOST)
        if self.results:
            return READY | TO_HOST | BUSY
        if self.commands.working:
            return BUSY
        return READY | (BUSY if self.command else 0)

    def _status_a(self) -> int:
        drive = self.selected
        value = SRA_NO_INDEX | (SRA_INTERRUPT if self.interrupt else 0)
        value |= SRA_HEAD if self.commands.head else 0
        value |= SRA_NO_SECOND_DRIVE if self.drives[1] is None else 0
        value |= SRA_NOT_TRACK_0 if drive is None or drive.cylinder else 0
        return value | (0 if drive is None or drive.write_protected else SRA_WRITABLE)

    def _write_dor(self, value: int) -> None:
        before, self.dor = self.dor, value
        if before & NOT_RESET and not value & NOT_RESET:
            self.software_reset()
        elif not before & NOT_RESET and value & NOT_RESET:
            self._leave_reset()
        self.set_interrupt(self.interrupt)

    def _leave_reset(self) -> None:
        """Each drive seems to have changed from ready to not ready, which is to be sensed."""
        self.software_reset()
        if not self.configuration & POLLING_DISABLED:
            self.sense = [(NOT_READY | n, self.cylinder(n)) for n in range(DRIVES)]
            self.set_interrupt(True)

    def cylinder(self, number: int) -> int:
        drive = self.drives[number]
        return drive.cylinder if drive else 0

    # FIFO

    def _read_fifo(self) -> int:
        if self.data and not self.receiving:
            value = self.data.pop(0)
            if not self.data:
                self.commands.data_taken()
        elif self.results:
            value, self.results = self.results[0], self.results[1:]
            self.set_interrupt(False)
        else:
            value = 0
        return value

    def _write_fifo(self, value: int) -> None:
        if self.receiving:
            self.data.append(value)
            self.receiving -= 1
            if not self.receiving:
                self.commands.data_given()
            return
        if not self.dor & NOT_RESET or self.results or self.commands.working:
            return
        self.command += bytes((value,))
        if len(self.command) == self.commands.length(self.command[0]):
            command, self.command = self.command, b""
            self.commands.execute(command)

    def answer(self, *results: int, interrupt: bool = False) -> None:
        """Begin the result phase."""
        self.results = bytes(results)
        if interrupt:
            self.set_interrupt(True)
