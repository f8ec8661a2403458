"""The VGA's palette DAC (an Inmos 171): 256 colours, reached one component after the other.

Components have 6 bits; the Bochs display interface can widen them to 8.
Source: IBM VGA Technical Reference, Video Digital-to-Analog Converter; Inmos IMSG171 datasheet.
"""
from .chip import Chip

COLOURS, COMPONENTS = 256, 3
ALL_PIXELS = 0xff
STATE_READING, STATE_WRITING = 0x3, 0x0
SIX_BITS, EIGHT_BITS = 0x3f, 0xff


class Dac(Chip):
    """`palette` has three bytes a colour: red, green, blue, in the width that `wide` tells."""

    STATE = ("palette", "pixel_mask", "read_index", "write_index", "component", "latch",
             "reading", "wide")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.palette = bytearray(COLOURS * COMPONENTS)
        self.pixel_mask = ALL_PIXELS
        self.read_index = self.write_index = 0
        self.component = 0
        self.latch = bytearray(COMPONENTS)  # a colour being written
        self.reading = False
        self.wide = False  # components have 8 bits

    def read_mask(self) -> int:
        return self.pixel_mask

    def write_mask(self, value: int) -> None:
        self.pixel_mask = value

    def read_state(self) -> int:
        return STATE_READING if self.reading else STATE_WRITING

    def start_reading(self, value: int) -> None:
        self.read_index = value
        self.component = 0
        self.reading = True

    def read_write_index(self) -> int:
        return self.write_index

    def start_writing(self, value: int) -> None:
        self.write_index = value
        self.component = 0
        self.reading = False

    def read_data(self) -> int:
        value = self.palette[self.read_index * COMPONENTS + self.component]
        self.component += 1
        if self.component == COMPONENTS:
            self.component = 0
            self.read_index = (self.read_index + 1) % COLOURS
        return value

    def write_data(self, value: int) -> None:
        """A colour changes when its third component has come."""
        self.latch[self.component] = value & (EIGHT_BITS if self.wide else SIX_BITS)
        self.component += 1
        if self.component == COMPONENTS:
            self.component = 0
            first = self.write_index * COMPONENTS
            self.palette[first:first + COMPONENTS] = self.latch
            self.write_index = (self.write_index + 1) % COLOURS
