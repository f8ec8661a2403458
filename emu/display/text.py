"""Text modes: cells of a character and its attribute, drawn with the fonts in plane 2.

Source: IBM VGA Technical Reference, Alphanumeric Modes, Character Generator; the cursor's shape and
all 16 background colours as QEMU shows them.
"""
from typing import Any

import numpy as np
from pyemu.display import colours
from pyemu.display.snapshot import MODE_CONTROL, PEL_PANNING, Snapshot
from pyemu.machine import vga_crt as crt
from pyemu.machine.vga_text import CELLS, Cursor, TextPage

CHARACTER_MAP = 3  # sequencer: which fonts
FONT_SIZE = 0x2000  # bytes of plane 2
GLYPHS, GLYPH_HEIGHT = 256, 32
FONT_PLANE, PLANES = 2, 4

# Attribute controller
LINE_GRAPHICS = 0x04  # MODE_CONTROL
PANNING_MASK, NO_PANNING_OF_NINE = 0x0f, 8
LINE_DRAWING = slice(0xb0, 0xe0)  # characters whose ninth dot repeats the eighth

BACKGROUND_SHIFT, COLOUR_MASK, SECOND_FONT = 4, 0x0f, 0x08
ALL_DOTS = 0xffff_ffff


class TextScreen:
    """The page that a snapshot describes, and those after it with the same `geometry`.

    width, height: of the picture, in pixels.
    """

    def __init__(self, snapshot: Snapshot, vram: Any):
        self.words = np.frombuffer(vram, "<u4", CELLS)
        self.fonts = np.frombuffer(vram, np.uint8, CELLS * PLANES)[FONT_PLANE::PLANES]
        self.cells: np.ndarray = np.empty(0, np.uint32)  # as they were drawn
        self.palette = np.empty(0, np.uint32)
        self.cursor: Cursor | None = None
        self.glyph_bytes = np.empty(0, np.uint8)
        self.follow(snapshot)
        crtc, clocking = bytearray(snapshot.crtc), snapshot.sequencer[crt.CLOCKING]
        self.page = TextPage.of(crtc)
        self.dots = 8 if clocking & crt.EIGHT_DOTS else 9
        self.scale = 2 if clocking & crt.HALF_CLOCK else 1
        if self.scale == 2:
            self.dots = 8
        self.lines = 2 if crtc[crt.CELL_HEIGHT] & crt.DOUBLE_SCAN else 1
        self.width = self.page.columns * self.dots * self.scale
        self.height = self.page.rows * self.page.cell_height * self.lines
        self.plausible = self.page.plausible
        self.panning, self.skipped = self._panning()
        columns = self.page.columns + (self.panning > 0)
        rows = self.page.rows + (self.skipped > 0)
        starts = np.array([self.page.row_start(row) for row in range(rows)])
        self.index = (starts[:, None] + np.arange(columns)) % CELLS
        first, second = _fonts(snapshot.sequencer[CHARACTER_MAP])
        self.font_index = np.stack([
            start + np.arange(GLYPHS)[:, None] * GLYPH_HEIGHT + np.arange(self.page.cell_height)
            for start in (first, second)])
        self.nine_for_lines = bool(snapshot.attribute[MODE_CONTROL] & LINE_GRAPHICS)

    @staticmethod
    def geometry(snapshot: Snapshot) -> tuple:
        """What makes another page, if it differs; the rest `follow`s."""
        return "text", snapshot.mode

    def follow(self, snapshot: Snapshot) -> bool:
        """Take over what does not move anything; true if all must be drawn anew."""
        palette = colours.palette16(snapshot)
        again = not np.array_equal(palette, self.palette)
        self.palette = palette
        self.snapshot = snapshot
        return again

    def update(self, picture: np.ndarray, everything: bool) -> np.ndarray:
        """Draw the rows that have changed into `picture`; which lines those are."""
        if self._fonts_changed():
            everything = True
        cells: np.ndarray = self.words[self.index] & 0xffff
        cursor = self._visible_cursor()
        if everything:
            changed = np.ones(len(cells), bool)
        else:
            changed = (cells != self.cells).any(axis=1)
            if cursor != self.cursor:
                for which in (cursor, self.cursor):
                    if which:
                        changed[which.row] = True
        self.cells, self.cursor = cells, cursor
        lines = np.zeros(self.height, bool)
        rows = np.flatnonzero(changed)
        if not len(rows):
            return lines
        drawn = self._draw(cells[rows], cursor, rows)
        height = self.page.cell_height
        first = rows[:, None] * height + np.arange(height) - self.skipped
        where, source = first.reshape(-1), drawn.reshape(-1, drawn.shape[-1])
        inside = (where >= 0) & (where < self.height // self.lines)
        where, source = where[inside], source[inside, self.panning * self.scale:][:, :self.width]
        for line in range(self.lines):
            picture[where * self.lines + line] = source
            lines[where * self.lines + line] = True
        return lines

    def _draw(self, cells: np.ndarray, cursor: Cursor | None, rows: np.ndarray) -> np.ndarray:
        """Cells (rows, columns) as pixels (rows, cell height, dots of a line)."""
        characters, attributes = cells & 0xff, cells >> 8
        foreground = self.palette[attributes & COLOUR_MASK]
        background = self.palette[attributes >> BACKGROUND_SHIFT]
        fonts = (attributes & SECOND_FONT != 0).astype(np.intp)
        masks = self.masks[fonts, characters]  # rows, columns, height, dots
        if cursor and cursor.row in rows:
            row = int(np.flatnonzero(rows == cursor.row)[0])
            masks[row, cursor.column, cursor.top:cursor.bottom + 1] = ALL_DOTS
        masks &= (foreground ^ background)[:, :, None, None]
        masks ^= background[:, :, None, None]
        drawn = masks.swapaxes(1, 2).reshape(len(cells), self.page.cell_height, -1)
        return drawn.repeat(self.scale, axis=2) if self.scale > 1 else drawn

    def _fonts_changed(self) -> bool:
        """Read the fonts; if they are new, make masks (font, character, line, dot) of them."""
        glyphs = self.fonts[self.font_index]
        if np.array_equal(glyphs, self.glyph_bytes):
            return False
        self.glyph_bytes = glyphs
        dots = np.zeros((*glyphs.shape, self.dots), np.uint32)
        dots[..., :8] = np.unpackbits(glyphs[..., None], axis=-1)
        if self.dots == 9 and self.nine_for_lines:
            dots[:, LINE_DRAWING, :, 8] = dots[:, LINE_DRAWING, :, 7]
        self.masks = dots * np.uint32(ALL_DOTS)
        return True

    def _visible_cursor(self) -> Cursor | None:
        if not self.snapshot.cursor_on:
            return None
        return self.page.cursor(bytearray(self.snapshot.crtc))

    def _panning(self) -> tuple[int, int]:
        """Dots by which the page is moved to the left, and lines by which it is moved up."""
        dots = self.snapshot.attribute[PEL_PANNING] & PANNING_MASK
        if dots >= NO_PANNING_OF_NINE:
            dots = 0
        elif self.dots == 9:
            dots += 1
        lines = self.snapshot.crtc[crt.PRESET_ROW] & crt.ROW_MASK
        return dots, min(lines, self.page.cell_height - 1)


def _fonts(select: int) -> tuple[int, int]:
    """Where in plane 2 the fonts of attributes without and with bit 3 begin."""
    return (((select >> 4 & 1) | select << 1 & 6) * FONT_SIZE,
            ((select >> 5 & 1) | select >> 1 & 6) * FONT_SIZE)
