"""The text page that the VGA's registers show: characters, attributes and the cursor.

Source: IBM VGA Technical Reference, CRT Controller; code page 437 with its graphics for controls.
"""
from dataclasses import dataclass
from typing import Any

from . import vga_crt as crt

CELL = 4  # bytes of video memory a cell takes: character, attribute, font, nothing
CELLS = 0x10000
CURSOR_OFF = 0x20  # CURSOR_START
MOST_CELLS = 160 * 100  # of a page; a larger one is a mode in the making

CONTROLS = " ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼"
CP437 = (CONTROLS + bytes(range(0x20, 0x7f)).decode() + "⌂"
         + bytes(range(0x80, 0x100)).decode("cp437"))


@dataclass(frozen=True)
class Cursor:
    """Where the cursor is, and the lines of the cell from `top` to `bottom` that it covers."""

    column: int
    row: int
    top: int
    bottom: int


@dataclass(frozen=True)
class TextPage:
    """Geometry of the page, in cells but for the heights, which are lines."""

    columns: int
    rows: int
    cell_height: int
    start: int
    stride: int
    compare: int  # the line after which the display goes on at cell 0

    @classmethod
    def of(cls, crtc: bytearray) -> "TextPage":
        height = (crtc[crt.CELL_HEIGHT] & crt.ROW_MASK) + 1
        lines = crt.vertical_end(crtc)
        if crtc[crt.CELL_HEIGHT] & crt.DOUBLE_SCAN:
            lines //= 2
        return cls(
            columns=crtc[crt.HORIZONTAL_END] + 1, rows=max(1, lines // height),
            cell_height=height, start=crt.start_address(crtc), stride=crtc[crt.OFFSET] * 2,
            compare=crt.line_compare(crtc))

    @property
    def plausible(self) -> bool:
        return self.columns * self.rows <= MOST_CELLS

    def row_start(self, row: int) -> int:
        """The cell that a row begins with."""
        split = -(-(self.compare + 1) // self.cell_height)  # first row below the split
        if row >= split:
            return (row - split) * self.stride
        return self.start + row * self.stride

    def plane(self, vram: Any, number: int) -> list[bytes]:
        """Byte `number` of each cell, row by row."""
        rows = []
        for row in range(self.rows):
            first = self.row_start(row) % CELLS
            cells = bytes(vram[CELL * first + number:CELL * (first + self.columns):CELL])
            if first + self.columns > CELLS:  # round the end of the memory
                cells = cells[:CELLS - first]
                left = self.columns - len(cells)
                cells += bytes(vram[number:CELL * left:CELL])
            rows.append(cells)
        return rows

    def cursor(self, crtc: bytearray) -> Cursor | None:
        """None if it is off or not on the page."""
        shape = crtc[crt.CURSOR_START]
        top, bottom = shape & crt.ROW_MASK, crtc[crt.CURSOR_END] & crt.ROW_MASK
        if shape & CURSOR_OFF or top > bottom:
            return None
        address = crt.cursor_address(crtc)
        for row in range(self.rows):
            column = (address - self.row_start(row)) % CELLS
            if column < self.columns:
                return Cursor(column, row, top, min(bottom, self.cell_height - 1))
        return None


def decode(characters: bytes) -> str:
    """Code page 437 as the VGA's font draws it."""
    return "".join(CP437[character] for character in characters)
