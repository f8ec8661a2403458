"""Bochs display interface: high-resolution modes of the standard VGA, by eleven 16-bit registers.

Index at port 1CEh, data at 1CFh, both 16 bits wide (`Dispi.ports`); the PCI function shows the
same registers in memory. While a mode is enabled, what is written is bent to what fits.
Source: QEMU docs/specs/standard-vga.txt; Bochs iodev/display/vbe.h (register list).
"""
from collections.abc import Callable
from typing import Any

from pyemu.trace.hooks import trace_vga_vbe_read, trace_vga_vbe_write

from .chip import Chip
from .vga_dac import Dac

# Registers
ID, XRES, YRES, BPP, ENABLE, BANK, VIRT_WIDTH, VIRT_HEIGHT, X_OFFSET, Y_OFFSET, MEMORY_64K = \
    range(11)

OLDEST_ID, NEWEST_ID = 0xb0c0, 0xb0c5
MAX_XRES, MAX_YRES, MAX_BPP = 16000, 12000, 32
DEPTHS, DEFAULT_DEPTH = (4, 8, 15, 16, 24, 32), 8
GRANULE = 8  # pixels: widths are multiples
BANK_SIZE = 0x10000

# ENABLE
ENABLED, GET_CAPABILITIES, WIDE_DAC, KEEP_MEMORY = 0x01, 0x02, 0x20, 0x80

INDEX_PORT, DATA_PORT = 0, 1
NOBODY = 0xffff


class Dispi(Chip):
    """The registers; `ports` is their window at 1CEh, two ports and two bytes wide.

    on_change() is called when the mode or the bank has changed.
    """

    STATE = ("index", "registers")

    def __init__(self, vram: Any, dac: Dac, on_change: Callable[[], None]):
        self.vram = vram
        self.dac = dac
        self.on_change = on_change
        self.ports = _Ports(self)
        self.reset()

    def reset(self) -> None:
        self.index = 0
        self.registers = [0] * (MEMORY_64K + 1)
        self.registers[ID] = NEWEST_ID
        self.registers[MEMORY_64K] = len(self.vram) // BANK_SIZE

    def restored(self) -> None:
        self.on_change()

    @property
    def enabled(self) -> bool:
        return bool(self.registers[ENABLE] & ENABLED)

    @property
    def depth(self) -> int:
        """Bits a pixel: 4, 8, 15, 16, 24 or 32."""
        return self.registers[BPP]

    @property
    def stride(self) -> int:
        """Bytes from a line to the next."""
        return self.registers[VIRT_WIDTH] * _stored_bits(self.depth) // 8

    @property
    def start(self) -> int:
        """Byte of the video memory where the screen begins."""
        registers = self.registers
        return (registers[Y_OFFSET] * self.stride
                + registers[X_OFFSET] * _stored_bits(self.depth) // 8)

    @property
    def bank_start(self) -> int:
        """Byte of the video memory that A0000h shows while a mode is enabled."""
        return self.registers[BANK] * BANK_SIZE

    def read_register(self, index: int) -> int:
        if index > MEMORY_64K:
            return 0
        value = self.registers[index]
        if self.registers[ENABLE] & GET_CAPABILITIES:
            value = {XRES: MAX_XRES, YRES: MAX_YRES, BPP: MAX_BPP}.get(index, value)
        trace_vga_vbe_read(index, value)
        return value

    def write_register(self, index: int, value: int) -> None:
        trace_vga_vbe_write(index, value)
        registers = self.registers
        if index == ID:
            if OLDEST_ID <= value <= NEWEST_ID:
                registers[ID] = value
        elif index in (XRES, YRES, BPP, VIRT_WIDTH, X_OFFSET, Y_OFFSET):
            registers[index] = value
            self._fit()
        elif index == BANK:
            registers[BANK] = value % registers[MEMORY_64K]
        elif index == ENABLE:
            self._enable(value)
        self.on_change()

    def _enable(self, value: int) -> None:
        registers = self.registers
        starts = value & ENABLED and not self.enabled
        registers[ENABLE] = value
        self.dac.wide = bool(value & WIDE_DAC)
        if starts:
            registers[VIRT_WIDTH] = registers[X_OFFSET] = registers[Y_OFFSET] = 0
            registers[BANK] = 0
            self._fit()
            if not value & KEEP_MEMORY:
                size = registers[YRES] * self.stride
                self.vram[:size] = bytes(size)

    def _fit(self) -> None:
        """While enabled: the screen lies within its virtual screen, and that in the memory."""
        if not self.enabled:
            return
        registers = self.registers
        if registers[BPP] not in DEPTHS:
            registers[BPP] = DEFAULT_DEPTH
        registers[XRES] = _between(GRANULE, registers[XRES] // GRANULE * GRANULE, MAX_XRES)
        virtual = registers[VIRT_WIDTH] // GRANULE * GRANULE
        registers[VIRT_WIDTH] = _between(registers[XRES], virtual, MAX_XRES)
        lines = len(self.vram) // self.stride
        registers[YRES] = _between(1, registers[YRES], min(MAX_YRES, lines))
        registers[VIRT_HEIGHT] = min(lines, NOBODY)
        registers[X_OFFSET] = min(registers[X_OFFSET], MAX_XRES)
        registers[Y_OFFSET] = min(registers[Y_OFFSET], MAX_YRES)
        screen = registers[YRES] * self.stride
        if self.start + screen > len(self.vram):
            registers[Y_OFFSET] = 0
            if self.start + screen > len(self.vram):
                registers[X_OFFSET] = 0


class _Ports:
    def __init__(self, dispi: Dispi):
        self.dispi = dispi

    def read(self, offset: int, size: int) -> int:
        if size != 2:
            return NOBODY >> 8
        return self.dispi.read_register(self.dispi.index) if offset else self.dispi.index

    def write(self, offset: int, size: int, value: int) -> None:
        if size != 2:
            return
        if offset == INDEX_PORT:
            self.dispi.index = value
        else:
            self.dispi.write_register(self.dispi.index, value)


def _stored_bits(depth: int) -> int:
    """Bits that a pixel takes in memory."""
    return 16 if depth == 15 else depth


def _between(low: int, value: int, high: int) -> int:
    return max(low, min(value, high))
