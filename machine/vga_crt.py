"""What the CRT controller makes of its registers: the geometry and the timing of the picture.

Source: IBM VGA Technical Reference, CRT Controller and General Registers.
"""
from dataclasses import dataclass

SECOND = 1_000_000_000  # ns
DOT_CLOCKS = (25_175_000, 28_322_000, 25_175_000, 25_175_000)  # Hz, by bits 2 and 3 of MISC

# CRT controller registers
(HORIZONTAL_TOTAL, HORIZONTAL_END, _, _, _, _, VERTICAL_TOTAL, OVERFLOW, PRESET_ROW, CELL_HEIGHT,
 CURSOR_START, CURSOR_END, START_HIGH, START_LOW, CURSOR_HIGH, CURSOR_LOW, RETRACE_START,
 RETRACE_END, VERTICAL_END, OFFSET, UNDERLINE, _, _, MODE, LINE_COMPARE) = range(25)

# Sequencer
CLOCKING, EIGHT_DOTS, HALF_CLOCK = 1, 0x01, 0x08

# Input status 1
DISPLAY_OFF, VERTICAL_RETRACE = 0x01, 0x08

DOUBLE_SCAN = 0x80
ROW_MASK = 0x1f


def vertical_end(crtc: bytearray) -> int:
    """Lines that are displayed."""
    overflow = crtc[OVERFLOW]
    return (crtc[VERTICAL_END] | (overflow & 0x02) << 7 | (overflow & 0x40) << 3) + 1


def line_compare(crtc: bytearray) -> int:
    """The line after which the display goes on at address 0."""
    return (crtc[LINE_COMPARE] | (crtc[OVERFLOW] & 0x10) << 4 | (crtc[CELL_HEIGHT] & 0x40) << 3)


def start_address(crtc: bytearray) -> int:
    return crtc[START_HIGH] << 8 | crtc[START_LOW]


def cursor_address(crtc: bytearray) -> int:
    return crtc[CURSOR_HIGH] << 8 | crtc[CURSOR_LOW]


@dataclass(frozen=True)
class Timing:
    """One frame: times in nanoseconds, heights in lines."""

    line: int
    shown: int  # of a line
    lines: int
    lines_shown: int
    retrace: int  # first line
    retrace_end: int

    def status(self, now: int) -> int:
        """Input status 1: whether the beam shows anything, and whether it goes back up."""
        line, position = divmod(now % (self.line * self.lines), self.line)
        off = line >= self.lines_shown or position >= self.shown
        retrace = self.retrace <= line < self.retrace_end
        return (DISPLAY_OFF if off else 0) | (VERTICAL_RETRACE if retrace else 0)


# 720 by 400 at 70 Hz, for registers that make no picture
STANDARD = Timing(line=31_778, shown=25_422, lines=449, lines_shown=400, retrace=412,
                  retrace_end=414)


def timing(crtc: bytearray, clocking: int, misc: int) -> Timing:
    """The frame that the registers describe."""
    overflow = crtc[OVERFLOW]
    dots = 8 if clocking & EIGHT_DOTS else 9
    if clocking & HALF_CLOCK:
        dots *= 2
    character = dots * SECOND / DOT_CLOCKS[misc >> 2 & 3]
    lines = (crtc[VERTICAL_TOTAL] | (overflow & 0x01) << 8 | (overflow & 0x20) << 4) + 2
    retrace = crtc[RETRACE_START] | (overflow & 0x04) << 6 | (overflow & 0x80) << 2
    # The end register has the lowest four bits of the line.
    height = (crtc[RETRACE_END] - retrace) % 16 or 16
    shown = vertical_end(crtc)
    if not 0 < shown <= retrace < lines or not crtc[HORIZONTAL_END]:
        return STANDARD
    return Timing(
        line=round((crtc[HORIZONTAL_TOTAL] + 5) * character),
        shown=round((crtc[HORIZONTAL_END] + 1) * character),
        lines=lines, lines_shown=shown, retrace=retrace, retrace_end=min(retrace + height, lines))
