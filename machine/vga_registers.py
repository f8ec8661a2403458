"""The VGA's register file: general registers, sequencer, graphics and attribute controllers, CRTC.

Two windows: `ports` (from 3C0h, 32 ports) and `mono_ports` (from 3B0h, 12 ports). Misc output
decides which of them has the CRT controller; the other answers ones there.
Source: IBM VGA Technical Reference, Registers.
"""
from collections.abc import Callable
from typing import Any

from pyemu.trace.hooks import trace_vga_std_read_io, trace_vga_std_write_io

from . import vga_crt as crt
from .chip import Chip
from .vga_dac import Dac

# Offsets from 3C0h
PORTS, PORTS_COUNT = 0x3c0, 0x20
ATTRIBUTE, ATTRIBUTE_DATA, MISC_OUTPUT = 0x00, 0x01, 0x02
SEQUENCER_INDEX, SEQUENCER_DATA = 0x04, 0x05
DAC_MASK, DAC_READ_INDEX, DAC_WRITE_INDEX, DAC_DATA = 0x06, 0x07, 0x08, 0x09
FEATURE, MISC_INPUT, GRAPHICS_INDEX, GRAPHICS_DATA = 0x0a, 0x0c, 0x0e, 0x0f
COLOUR_CRT = 0x10

# Offsets from 3B0h
MONO_PORTS, MONO_PORTS_COUNT = 0x3b0, 0x0c
MONO_CRT = 0x00

# The CRT controller's, from 3B0h or 3D0h
CRTC_INDEX, CRTC_DATA, STATUS_1 = 4, 5, 10

# Bits that exist
MISC_MASK, FEATURE_MASK = 0xef, 0x10
MISC_COLOUR = 0x01
SEQUENCER_MASKS = bytes((0x03, 0x3d, 0x0f, 0x3f, 0x0e, 0, 0, 0xff))
GRAPHICS_MASKS = bytes((0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff)) + bytes(7)
ATTRIBUTE_MASKS = bytes((*[0x3f] * 16, 0xef, 0xff, 0x3f, 0x0f, 0x0f)) + bytes(11)
ATTRIBUTE_INDEX_MASK = 0x3f  # five bits of index, and the palette's address source
PROTECT, PROTECTED = 0x80, range(8)  # in RETRACE_END: these cannot be written but for
PROTECTED_EXCEPTION = 0x10  # the line compare bit of OVERFLOW

# Registers that other parts look at
MAP_MASK, MEMORY_MODE = 2, 4  # sequencer
SET_RESET, ENABLE_SET_RESET, COLOUR_COMPARE, ROTATE, READ_MAP, GRAPHICS_MODE, MISCELLANEOUS, \
    COLOUR_CARE, BIT_MASK = range(9)  # graphics controller
NOBODY = 0xff


def _nobody() -> int:
    return NOBODY


def _ignore(value: int) -> None:
    pass


class VgaRegisters(Chip):
    """on_change() is called when what the memory window shows may have changed, on_select() when
    it shows other planes.
    """

    STATE = ("misc", "feature", "sequencer", "sequencer_index", "graphics", "graphics_index",
             "attribute", "attribute_index", "attribute_data_next", "crtc", "crtc_index")

    def __init__(self, clock: Any, dac: Dac, on_change: Callable[[], None],
                 on_select: Callable[[], None]):
        self.clock = clock
        self.dac = dac
        self.on_change = on_change
        self.on_select = on_select
        self.ports = _Window(PORTS, PORTS_COUNT)
        self.mono_ports = _Window(MONO_PORTS, MONO_PORTS_COUNT)
        connect = self.ports.connect
        connect(ATTRIBUTE, self._read_attribute_index, self._write_attribute)
        connect(ATTRIBUTE_DATA, self._read_attribute, _ignore)
        connect(MISC_OUTPUT, lambda: 0, self._write_misc)  # reads input status 0: no switches
        connect(MISC_INPUT, lambda: self.misc, _ignore)
        connect(FEATURE, lambda: self.feature, _ignore)
        connect(SEQUENCER_INDEX, lambda: self.sequencer_index, self._write_sequencer_index)
        connect(SEQUENCER_DATA, self._read_sequencer, self._write_sequencer)
        connect(GRAPHICS_INDEX, lambda: self.graphics_index, self._write_graphics_index)
        connect(GRAPHICS_DATA, self._read_graphics, self._write_graphics)
        connect(DAC_MASK, dac.read_mask, dac.write_mask)
        connect(DAC_READ_INDEX, dac.read_state, dac.start_reading)
        connect(DAC_WRITE_INDEX, dac.read_write_index, dac.start_writing)
        connect(DAC_DATA, dac.read_data, dac.write_data)
        self.reset()

    def reset(self) -> None:
        self.misc = self.feature = 0
        self.sequencer = bytearray(len(SEQUENCER_MASKS))
        self.graphics = bytearray(len(GRAPHICS_MASKS))
        self.attribute = bytearray(len(ATTRIBUTE_MASKS))
        self.crtc = bytearray(0x100)
        self.sequencer_index = self.graphics_index = 0
        self.attribute_index = self.crtc_index = 0
        self.attribute_data_next = False  # the flip-flop of port 3C0h
        self._place_crtc()
        self._timing: crt.Timing | None = None

    def restored(self) -> None:
        self._place_crtc()
        self._timing = None
        self.on_change()

    # General registers

    def _write_misc(self, value: int) -> None:
        self.misc = value & MISC_MASK
        self._timing = None
        self._place_crtc()

    def _place_crtc(self) -> None:
        """Colour or monochrome: who has the CRT controller."""
        here, there = (self.ports, COLOUR_CRT), (self.mono_ports, MONO_CRT)
        if not self.misc & MISC_COLOUR:
            here, there = there, here
        window, base = here
        window.connect(base + CRTC_INDEX, lambda: self.crtc_index, self._write_crtc_index)
        window.connect(base + CRTC_DATA, lambda: self.crtc[self.crtc_index], self._write_crtc)
        window.connect(base + STATUS_1, self._read_status_1, self._write_feature)
        window, base = there
        for offset in (CRTC_INDEX, CRTC_DATA, STATUS_1):
            window.connect(base + offset, _nobody, _ignore)

    def _write_feature(self, value: int) -> None:
        self.feature = value & FEATURE_MASK

    def _read_status_1(self) -> int:
        self.attribute_data_next = False
        if self._timing is None:
            self._timing = crt.timing(self.crtc, self.sequencer[crt.CLOCKING], self.misc)
        return self._timing.status(self.clock.now())

    # Sequencer and graphics controller

    def _write_sequencer_index(self, value: int) -> None:
        self.sequencer_index = value % len(SEQUENCER_MASKS)

    def _read_sequencer(self) -> int:
        return self.sequencer[self.sequencer_index]

    def _write_sequencer(self, value: int) -> None:
        index = self.sequencer_index
        self.sequencer[index] = value & SEQUENCER_MASKS[index]
        if index == MAP_MASK:
            self.on_select()
        elif index == MEMORY_MODE:
            self.on_change()
        elif index == crt.CLOCKING:
            self._timing = None

    def _write_graphics_index(self, value: int) -> None:
        self.graphics_index = value % len(GRAPHICS_MASKS)

    def _read_graphics(self) -> int:
        return self.graphics[self.graphics_index]

    def _write_graphics(self, value: int) -> None:
        index = self.graphics_index
        self.graphics[index] = value & GRAPHICS_MASKS[index]
        if index == READ_MAP:
            self.on_select()
        elif index in (GRAPHICS_MODE, MISCELLANEOUS):
            self.on_change()

    # Attribute controller: one port for index and data by turns

    def _read_attribute_index(self) -> int:
        return 0 if self.attribute_data_next else self.attribute_index

    def _read_attribute(self) -> int:
        return self.attribute[self.attribute_index % len(ATTRIBUTE_MASKS)]

    def _write_attribute(self, value: int) -> None:
        if self.attribute_data_next:
            index = self.attribute_index % len(ATTRIBUTE_MASKS)
            self.attribute[index] = value & ATTRIBUTE_MASKS[index]
        else:
            self.attribute_index = value & ATTRIBUTE_INDEX_MASK
        self.attribute_data_next = not self.attribute_data_next

    # CRT controller

    def _write_crtc_index(self, value: int) -> None:
        self.crtc_index = value

    def _write_crtc(self, value: int) -> None:
        index = self.crtc_index
        if index in PROTECTED and self.crtc[crt.RETRACE_END] & PROTECT:
            if index != crt.OVERFLOW:
                return
            value = self.crtc[index] & ~PROTECTED_EXCEPTION | value & PROTECTED_EXCEPTION
        self.crtc[index] = value
        if not crt.CURSOR_START <= index <= crt.CURSOR_LOW:
            self._timing = None


class _Window:
    """A range of ports: one lookup, one call. Two bytes wide for the index-and-data pairs."""

    def __init__(self, base: int, count: int):
        self.base = base
        self.readers: list[Callable[[], int]] = [_nobody] * (count + 1)
        self.writers: list[Callable[[int], None]] = [_ignore] * (count + 1)

    def connect(self, offset: int, read: Callable[[], int], write: Callable[[int], None]) -> None:
        self.readers[offset] = read
        self.writers[offset] = write

    def read(self, offset: int, size: int) -> int:
        value = self.readers[offset]()
        if trace_vga_std_read_io:
            trace_vga_std_read_io(self.base + offset, value)
        return value if size == 1 else value | self.read(offset + 1, 1) << 8

    def write(self, offset: int, size: int, value: int) -> None:
        if size == 2:
            self.write(offset, 1, value & 0xff)
            offset, value = offset + 1, value >> 8
        if trace_vga_std_write_io:
            trace_vga_std_write_io(self.base + offset, value)
        self.writers[offset](value)
