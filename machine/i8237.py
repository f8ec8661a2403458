"""Two Intel 8237A DMA controllers as the PC/AT has them, with their page registers.

The first moves bytes, by channels 0 to 3; the second moves words, by channels 4 to 7. Its ports are
every other one, and channel 4 is where the first is connected. A page register has the address
bits from 16 on: what a channel moves does not cross 64 KiB, or 128 KiB if it is words.
Source: Intel 8237A datasheet (231466); IBM PC AT Technical Reference (1502494), section 1.
"""
from collections.abc import Callable
from typing import Any

from pyemu.machine.chip import Chip
from pyemu.trace.hooks import trace_i8257_unregistered_dma
from pyemu.trace.log import unimp

# Offsets; below are address and count of each channel in turn
STATUS = COMMAND = 8
REQUEST, MASK_ONE, MODE, CLEAR_POINTER, MASTER_CLEAR, CLEAR_MASKS, MASKS = range(9, 16)

CHANNEL = 0b11  # REQUEST, MASK_ONE, MODE: which one
SET = 1 << 2  # REQUEST, MASK_ONE
DISABLED = 1 << 2  # COMMAND

# Mode
TRANSFER = 0b11 << 2
VERIFY, TO_MEMORY, FROM_MEMORY = 0b00 << 2, 0b01 << 2, 0b10 << 2
RELOADED = 1 << 4  # address and count begin anew at the end
DOWNWARDS = 1 << 5

WORD = 0xFFFF
PAGE_OF = {0x1: 2, 0x2: 3, 0x3: 1, 0x7: 0, 0x9: 6, 0xA: 7, 0xB: 5, 0xF: 4}  # offsets from 80h


class DmaChannel(Chip):
    """One channel, as the device that is connected to it sees it.

    on_grant: called when the device has requested and may transfer; it is to do so at once.
    """

    STATE = ("page", "base_address", "base_count", "address", "count", "mode", "masked",
             "requested", "ended")

    def __init__(self, number: int, memory: Any):
        self.number = number
        self.memory = memory
        self.width = 2 if number >= 4 else 1
        self.on_grant: Callable[[], None] | None = None
        self.controller: Controller | None = None
        self.page = 0
        self.reset()

    def reset(self) -> None:
        self.base_address = self.base_count = self.address = self.count = 0
        self.mode = 0
        self.masked = True
        self.requested = False
        self.ended = False  # the terminal count has been reached

    def request(self, level: bool) -> None:
        """Drive DREQ."""
        self.requested = level
        self.grant()

    def grant(self) -> None:
        """Let the device transfer, if it wants to and may."""
        if self.requested and not self.masked and self.controller and self.controller.enabled:
            if self.on_grant:
                self.on_grant()
            else:
                self.requested = False
                trace_i8257_unregistered_dma(self.number, 0, self.room)

    @property
    def room(self) -> int:
        """Bytes up to the terminal count."""
        return (self.count + 1) * self.width

    def to_memory(self, data: bytes) -> int:
        """Store what there is room for; return how many bytes that was."""
        data = data[:self.room]
        if self.mode & TRANSFER == TO_MEMORY:
            done = 0
            for address, length in self._pieces(len(data)):
                piece = data[done:done + length]
                self.memory.write(address, piece[::-1] if self.mode & DOWNWARDS else piece)
                done += length
        self._advance(len(data))
        return len(data)

    def from_memory(self, limit: int) -> bytes:
        """Fetch at most `limit` bytes."""
        length = min(limit, self.room)
        data = b""
        for address, count in self._pieces(length):
            piece = self.memory.read(address, count)
            data += piece[::-1] if self.mode & DOWNWARDS else piece
        self._advance(length)
        return data

    def _pieces(self, length: int) -> list[tuple[int, int]]:
        """Addresses and lengths: the address register wraps around."""
        size = (WORD + 1) * self.width
        page = self.page << 16 & ~(size - 1)
        start = self.address * self.width
        if self.mode & DOWNWARDS:
            start = (start + self.width - length) % size
        first = min(length, size - start)
        pieces = [(page + start, first), (page, length - first)]
        if self.mode & DOWNWARDS:
            pieces.reverse()
        return [piece for piece in pieces if piece[1]]

    def _advance(self, length: int) -> None:
        units = length // self.width
        self.address = (self.address + (-units if self.mode & DOWNWARDS else units)) & WORD
        left = self.count - units
        self.count = left & WORD
        if left < 0:
            self.ended = True
            if self.mode & RELOADED:
                self.address, self.count = self.base_address, self.base_count
            else:
                self.masked = True


class Controller(Chip):
    """One 8237A: 16 ports, of which the second one takes 32."""

    STATE = ("command", "high_byte", "temporary")

    def __init__(self, channels: list[DmaChannel], spacing: int):
        self.channels = channels
        self.spacing = spacing
        for channel in channels:
            channel.controller = self
        self.reset()

    def reset(self) -> None:
        self.command = 0
        self.high_byte = False  # of addresses and counts is next
        self.temporary = 0
        for channel in self.channels:
            channel.reset()

    def save(self) -> dict[str, Any]:
        return {**super().save(), "channels": [channel.save() for channel in self.channels]}

    def load(self, state: dict[str, Any]) -> None:
        for channel, saved in zip(self.channels, state["channels"], strict=True):
            channel.load(saved)
        super().load(state)

    @property
    def enabled(self) -> bool:
        return not self.command & DISABLED

    def read(self, offset: int, size: int) -> int:
        register = offset // self.spacing
        if register < STATUS:
            channel = self.channels[register >> 1]
            value = channel.count if register & 1 else channel.address
            shift = 8 if self.high_byte else 0
            self.high_byte = not self.high_byte
            return value >> shift & 0xFF
        if register == STATUS:
            value = sum(channel.ended << n | channel.requested << n + 4
                        for n, channel in enumerate(self.channels))
            for channel in self.channels:
                channel.ended = False
            return value
        if register == MASKS:
            return sum(channel.masked << n for n, channel in enumerate(self.channels))
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        register = offset // self.spacing
        channel = self.channels[value & CHANNEL]
        if register < STATUS:
            self._write_word(self.channels[register >> 1], register & 1, value)
        elif register == COMMAND:
            if unimp and value & ~DISABLED:
                unimp(f"i8257_write_cont: cmd 0x{value:02x} not supported")
            self.command = value
        elif register == REQUEST:
            channel.requested = bool(value & SET)
        elif register == MASK_ONE:
            channel.masked = bool(value & SET)
        elif register == MODE:
            channel.mode = value & ~CHANNEL
        elif register == CLEAR_POINTER:
            self.high_byte = False
        elif register == MASTER_CLEAR:
            self.command = 0
            self.high_byte = False
            for each in self.channels:
                each.masked, each.ended = True, False
        elif register == CLEAR_MASKS:
            for each in self.channels:
                each.masked = False
        else:
            for n, each in enumerate(self.channels):
                each.masked = bool(value >> n & 1)
        for each in self.channels:
            each.grant()

    def _write_word(self, channel: DmaChannel, count: int, value: int) -> None:
        """A byte of the base register and of the current one at once."""
        old = channel.base_count if count else channel.base_address
        new = old & 0xFF | value << 8 if self.high_byte else old & 0xFF00 | value
        self.high_byte = not self.high_byte
        if count:
            channel.base_count = channel.count = new
        else:
            channel.base_address = channel.address = new


class PageRegisters(Chip):
    """Ports 81h to 8Fh. Those that belong to no channel just hold a byte."""

    STATE = ("values",)

    def __init__(self, channels: list[DmaChannel]):
        self.channels = channels
        self.reset()

    def reset(self) -> None:
        self.values = bytearray(16)
        self.restored()

    def restored(self) -> None:
        for register, number in PAGE_OF.items():
            self.channels[number].page = self.values[register]

    def read(self, offset: int, size: int) -> int:
        return self.values[offset + 1]

    def write(self, offset: int, size: int, value: int) -> None:
        register = offset + 1
        self.values[register] = value
        if register in PAGE_OF:
            self.channels[PAGE_OF[register]].page = value


class Dma(Chip):
    """Both controllers; `channels[n]` is for the device at channel n."""

    STATE = ("first", "second", "pages")

    def __init__(self, memory: Any):
        self.channels = [DmaChannel(n, memory) for n in range(8)]
        self.first = Controller(self.channels[:4], spacing=1)
        self.second = Controller(self.channels[4:], spacing=2)
        self.pages = PageRegisters(self.channels)

    def reset(self) -> None:
        for part in (self.first, self.second, self.pages):
            part.reset()
