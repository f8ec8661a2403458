"""PIIX3 bus-master IDE: moves the data of DMA commands between two channels and memory.

Eight ports for each channel: command, status, address of a table of physical regions.
Source: PIIX3 datasheet (290550), section 2.7; Programming Interface for Bus Master IDE
Controller, revision 1.0.
"""
import struct
from collections.abc import Iterator
from typing import Any

from pyemu.machine.block.base import Data
from pyemu.machine.chip import Chip
from pyemu.trace.hooks import (
    trace_bmdma_addr_read,
    trace_bmdma_addr_write,
    trace_bmdma_cmd_writeb,
    trace_bmdma_read,
    trace_bmdma_reset,
    trace_bmdma_write,
)

# Registers of one half
COMMAND, STATUS, ADDRESS = 0, 2, 4
HALF = 8  # ports

START = 1 << 0  # command
TO_MEMORY = 1 << 3

ACTIVE = 1 << 0  # status
ERROR = 1 << 1
INTERRUPT = 1 << 2
CAPABLE = 0b11 << 5  # for drivers to note which device does DMA

# A physical region descriptor: address, count of bytes (0 is 64 KiB), flags
REGION = struct.Struct("<IHH")
END_OF_TABLE = 1 << 15
EVEN = 0xFFFE
WHOLE = 1 << 16
TABLE_LIMIT = 1 << 16  # the table does not cross such a boundary
PAGE = 1 << 12
CHUNK = 256  # bytes of table read in one go


class BusMaster(Chip):
    """Both halves, as the 16 ports of BAR 4. Any width of access.

    Plugs itself into the two channels. memory: read(address, length), write(address, data).
    """

    def __init__(self, channel0: Any, channel1: Any, memory: Any):
        self.halves = Half(channel0, memory), Half(channel1, memory)

    def reset(self) -> None:
        trace_bmdma_reset()
        for half in self.halves:
            half.reset()

    def save(self) -> dict[str, Any]:
        return {"version": self.VERSION, "halves": [half.save() for half in self.halves]}

    def load(self, state: dict[str, Any]) -> None:
        for half, saved in zip(self.halves, state["halves"], strict=True):
            half.load(saved)

    def read(self, offset: int, size: int) -> int:
        return self.halves[offset // HALF].read(offset % HALF, size)

    def write(self, offset: int, size: int, value: int) -> None:
        self.halves[offset // HALF].write(offset % HALF, size, value)


class Half(Chip):
    """The bus master of one channel.

    A transfer begins when START is set and the device waits with a DMA command, in whatever
    order that comes about, and runs from a timer that is due at once: the guest sees it busy.
    """

    STATE = ("command", "status", "address")

    def __init__(self, channel: Any, memory: Any):
        self.channel = channel
        self.memory = memory
        self.timer = channel.clock.timer(self._run, "ide_dma")
        self.regions: list[tuple[int, int]] = []  # address and length
        self.left_over = False  # the regions are longer than the command
        channel.dma = self
        self.reset()

    def reset(self) -> None:
        self.command = 0
        self.status = 0
        self.address = 0
        self.timer.cancel()

    def restored(self) -> None:
        self.request()

    def read(self, offset: int, size: int) -> int:
        registers = struct.pack("<BxBxI", self.command, self.status, self.address)
        value = int.from_bytes(registers[offset:offset + size], "little")
        if offset >= ADDRESS:
            trace_bmdma_addr_read(value)
        elif trace_bmdma_read:
            trace_bmdma_read(offset, value)
        return value

    def write(self, offset: int, size: int, value: int) -> None:
        if offset >= ADDRESS:
            trace_bmdma_addr_write(value)
            shift = 8 * (offset - ADDRESS)
            mask = (1 << 8 * size) - 1 << shift
            self.address = (self.address & ~mask | value << shift) & 0xFFFF_FFFC
            return
        if trace_bmdma_write:
            trace_bmdma_write(offset, value)
        for register in range(offset, min(offset + size, ADDRESS)):
            byte = value >> 8 * (register - offset) & 0xFF
            if register == COMMAND:
                self._write_command(byte)
            elif register == STATUS:
                cleared = byte & (INTERRUPT | ERROR)
                self.status = self.status & ~cleared & ~CAPABLE | byte & CAPABLE

    def _write_command(self, value: int) -> None:
        trace_bmdma_cmd_writeb(value)
        changed = self.command ^ value
        self.command = value & (START | TO_MEMORY)
        if not changed & START:
            return
        if value & START:
            self.status |= ACTIVE
            self.request()
        else:
            self.timer.cancel()
            if self.channel.drive is not None:
                self.channel.drive.settle()  # nothing is moved any more once this has returned
            self.status &= ~ACTIVE

    # What the channel and its device call

    def note_interrupt(self) -> None:
        """INTRQ is about to rise."""
        self.status |= INTERRUPT

    def request(self) -> None:
        """The device may have a DMA command, or START may have been set: go if both are so."""
        drive = self.channel.drive
        if self.status & ACTIVE and drive is not None and drive.dma_length:
            self.timer.at(self.channel.clock.now())

    def to_memory(self, data: Data) -> None:
        """Scatter what the device has read, which may come in several pieces."""
        view = memoryview(data)
        while view:
            address, length = self.regions.pop(0)
            if length > len(view):
                self.regions.insert(0, (address + len(view), length - len(view)))
            self.memory.write(address, bytes(view[:length]))
            view = view[length:]

    def from_memory(self) -> bytes:
        """Gather what the device is to write."""
        return b"".join(self.memory.read(address, length) for address, length in self.regions)

    def end(self) -> None:
        """The device has ended its command. Memory that is left over leaves ACTIVE set."""
        self.regions = []
        if not self.left_over:
            self.status &= ~ACTIVE

    def _run(self) -> None:
        drive = self.channel.drive
        if drive is None or not drive.dma_length:
            return  # it was reset
        left = self._take_regions(drive.dma_length)
        if left:
            self.end()
            drive.refuse_dma()
        else:
            drive.run_dma()

    def _take_regions(self, length: int) -> int:
        """Put the regions for the next `length` bytes into `regions`; return what finds no room."""
        self.regions = []
        self.left_over = False
        for address, count, flags in self._descriptors():
            count = count & EVEN or WHOLE
            self.regions.append((address & ~1, min(count, length)))
            self.left_over = count > length or not flags & END_OF_TABLE
            length -= min(count, length)
            if not length or flags & END_OF_TABLE:
                break
        else:
            self.left_over = False
        return length

    def _descriptors(self) -> Iterator[tuple[int, int, int]]:
        """The table up to its boundary, read a page at a time: it has no marked end yet."""
        at = self.address
        limit = (at | TABLE_LIMIT - 1) + 1
        while at < limit:
            length = min(CHUNK, PAGE - at % PAGE) // REGION.size * REGION.size or REGION.size
            yield from REGION.iter_unpack(self.memory.read(at, length))
            at += length
