"""The VGA's memory window, A0000h to BFFFFh: how the CPU reaches the four planes.

Planes lie side by side in video memory: byte `plane` of the 32-bit word `address`. Chained and
odd/even addresses are packed, so that what the CPU sees as neighbours there lie in neighbouring
words, as QEMU stores them. Where such an address is nothing but a place in video memory, the window
is shown from there without a call of the chip.
Source: IBM VGA Technical Reference, Graphics Controller; Ferraro, Programmer's Guide to the EGA,
VGA, and Super VGA Cards, chapter 10.
"""
import operator
from collections.abc import Callable
from typing import Any

from . import vga_registers as register
from .vbe import Dispi
from .vga_registers import VgaRegisters

# Where in the window the memory appears (start, size), by bits 2 and 3 of MISCELLANEOUS
WINDOWS = ((0, 0x20000), (0, 0x10000), (0x10000, 0x8000), (0x18000, 0x8000))
BANKED_WINDOW = WINDOWS[1]

CHAIN_4 = 0x08  # MEMORY_MODE
WRITE_MODE, READ_COMPARE, ODD_EVEN = 0x03, 0x08, 0x10  # GRAPHICS_MODE
ROTATE_COUNT, FUNCTION_SHIFT = 0x07, 3
FUNCTIONS = (lambda new, latch: new, operator.and_, operator.or_, operator.xor)
PLANES = 0x0f
TEXT_PLANES = 0x03
HIGH_PAIR = 0x02  # READ_MAP: odd/even reaches planes 2 and 3
PACKED, PAIRED, PLANAR = 1, 2, 4  # bytes of video memory for an address
NOT_SHOWN = (0, 0, 0, 1, 1)
EVERY_BYTE = 0x01010101
ONES = 0xffffffff
NOBODY = 0xff

# A bit for each plane -> a byte of ones for each
SPREAD = tuple(sum(0xff << 8 * plane for plane in range(4) if mask >> plane & 1)
               for mask in range(16))


class VgaMemory:
    """read(offset, size) and write(offset, size, value) with offsets from A0000h.

    vram: the video memory, a writable buffer of whole 32-bit words.
    show(start, size, buffer, unit, stride), set by the board, lets the buffer answer for offsets
    from `start`: runs of `unit` bytes, `stride` apart. Size 0: they all come here.
    """

    def __init__(self, vram: Any, registers: VgaRegisters, dispi: Dispi):
        self.registers = registers
        self.dispi = dispi
        self.bytes = memoryview(vram).cast("B")
        self.pairs = self.bytes.cast("H")
        self.words = self.bytes.cast("I")
        self.latch = 0
        self.shown = NOT_SHOWN
        self.show: Callable[..., None] = lambda *window: None
        self.update()

    def update(self) -> None:
        """Follow the registers: where the memory appears, and how it is organised."""
        registers, dispi = self.registers, self.dispi
        self.bank = 0
        self.linear = False
        if dispi.enabled:
            self.start, self.size = BANKED_WINDOW
            self.bank = dispi.bank_start
            self.linear = dispi.depth > 4
        else:
            self.start, self.size = WINDOWS[registers.graphics[register.MISCELLANEOUS] >> 2 & 3]
        self.stored = PACKED
        if self.linear:
            self._read, self._write = self._read_linear, self._write_linear
        elif registers.sequencer[register.MEMORY_MODE] & CHAIN_4:
            self._read, self._write = self._read_linear, self._write_chained
        elif registers.graphics[register.GRAPHICS_MODE] & ODD_EVEN:
            self._read, self._write = self._read_odd_even, self._write_odd_even
            self.stored = PAIRED
        else:
            self._read, self._write = self._read_planar, self._write_planar
            self.stored = PLANAR
        if (self.bank + self.size) * self.stored > len(self.bytes):
            self.size = 0  # a bank beyond the memory
        self.select()

    def select(self) -> None:
        """Follow MAP_MASK and READ_MAP: what reaches all planes of its organisation is shown."""
        planes = self.registers.sequencer[register.MAP_MASK]
        shown = NOT_SHOWN
        if self.stored == PAIRED:
            pair = self.registers.graphics[register.READ_MAP] & HIGH_PAIR
            if planes >> pair & TEXT_PLANES == TEXT_PLANES:
                shown = self.start, self.size, self.bank * PAIRED + pair, PAIRED, PLANAR
        elif self.stored == PACKED and (self.linear or planes == PLANES):
            shown = self.start, self.size, self.bank, PACKED, PACKED
        if shown != self.shown:
            self.shown = shown
            start, size, at, unit, stride = shown
            self.show(start, size, self.bytes[at:], unit, stride)

    def read(self, offset: int, size: int) -> int:
        address = offset - self.start
        if 0 <= address <= self.size - size:
            return self._read(address + self.bank, size)
        return int.from_bytes(bytes((NOBODY,)) * size, "little")

    def write(self, offset: int, size: int, value: int) -> None:
        address = offset - self.start
        if 0 <= address <= self.size - size:
            self._write(address + self.bank, size, value)

    # Linear, and the four planes chained to look so

    def _read_linear(self, address: int, size: int) -> int:
        return int.from_bytes(self.bytes[address:address + size], "little")

    def _write_linear(self, address: int, size: int, value: int) -> None:
        self.bytes[address:address + size] = value.to_bytes(size, "little")

    def _write_chained(self, address: int, size: int, value: int) -> None:
        planes = self.registers.sequencer[register.MAP_MASK]
        for byte, at in zip(value.to_bytes(size, "little"), range(address, address + size),
                            strict=True):
            if planes >> (at & 3) & 1:
                self.bytes[at] = byte

    # Odd and even addresses in different planes: text

    def _read_odd_even(self, address: int, size: int) -> int:
        pair = self.registers.graphics[register.READ_MAP] & HIGH_PAIR
        if size > 1 and not address & 1:
            at = address | pair >> 1
            if size == 2:
                return self.pairs[at]
            return self.pairs[at] | self.pairs[at + 2] << 16
        value = 0
        for shift in range(0, 8 * size, 8):
            value |= self.bytes[(address & ~1) << 1 | pair | address & 1] << shift
            address += 1
        return value

    def _write_odd_even(self, address: int, size: int, value: int) -> None:
        pair = self.registers.graphics[register.READ_MAP] & HIGH_PAIR
        planes = self.registers.sequencer[register.MAP_MASK] >> pair & TEXT_PLANES
        if planes == TEXT_PLANES and size > 1 and not address & 1:
            at = address | pair >> 1
            self.pairs[at] = value & 0xffff
            if size > 2:
                self.pairs[at + 2] = value >> 16
            return
        for byte in value.to_bytes(size, "little"):
            if planes >> (address & 1) & 1:
                self.bytes[(address & ~1) << 1 | pair | address & 1] = byte
            address += 1

    # Planar

    def _read_planar(self, address: int, size: int) -> int:
        graphics = self.registers.graphics
        value = 0
        for shift in range(0, 8 * size, 8):
            self.latch = self.words[address]
            address += 1
            if graphics[register.GRAPHICS_MODE] & READ_COMPARE:
                differ = self.latch ^ SPREAD[graphics[register.COLOUR_COMPARE]]
                differ &= SPREAD[graphics[register.COLOUR_CARE]]
                differ |= differ >> 16
                byte = ~(differ | differ >> 8) & 0xff
            else:
                byte = self.latch >> 8 * graphics[register.READ_MAP] & 0xff
            value |= byte << shift
        return value

    def _write_planar(self, address: int, size: int, value: int) -> None:
        graphics = self.registers.graphics
        planes = SPREAD[self.registers.sequencer[register.MAP_MASK]]
        mode = graphics[register.GRAPHICS_MODE] & WRITE_MODE
        for byte in value.to_bytes(size, "little"):
            new = self.latch if mode == 1 else self._combine(byte, mode)
            self.words[address] = self.words[address] & ~planes & ONES | new & planes
            address += 1

    def _combine(self, byte: int, mode: int) -> int:
        """A byte from the CPU becomes a byte for each plane: write modes 0, 2 and 3."""
        graphics = self.registers.graphics
        bits = graphics[register.BIT_MASK]
        set_reset = SPREAD[graphics[register.SET_RESET]]
        if mode == 2:
            new = SPREAD[byte & PLANES]
        else:
            count = graphics[register.ROTATE] & ROTATE_COUNT
            byte = (byte >> count | byte << 8 - count) & 0xff
            if mode == 3:
                bits &= byte
                new = set_reset
            else:
                which = SPREAD[graphics[register.ENABLE_SET_RESET]]
                new = byte * EVERY_BYTE & ~which | set_reset & which
        new = self._function(new)
        mask = bits * EVERY_BYTE
        return new & mask | self.latch & ~mask

    def _function(self, new: int) -> int:
        """The logical function with the latches."""
        function = self.registers.graphics[register.ROTATE] >> FUNCTION_SHIFT
        return FUNCTIONS[function](new, self.latch)
