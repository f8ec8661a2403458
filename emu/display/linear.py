"""Modes of the Bochs display interface: lines of pixels of 4, 8, 15, 16, 24 or 32 bits.

Source: QEMU docs/specs/standard-vga.txt; Bochs iodev/display/vbe.h.
"""
from typing import Any

import numpy as np
from pyemu.display import colours
from pyemu.display.graphics import by_planes
from pyemu.display.snapshot import Snapshot
from pyemu.machine import vbe

COLOUR = 0x00ff_ffff
BITS_STORED = {4: 4, 8: 8, 15: 16, 16: 16, 24: 24, 32: 32}


class LinearScreen:
    """The picture that a snapshot describes, and those after it with the same `geometry`.

    width, height: of the picture, in pixels.
    """

    plausible = True

    def __init__(self, snapshot: Snapshot, vram: Any):
        assert snapshot.dispi is not None
        self.width = snapshot.dispi[vbe.XRES]
        self.height = snapshot.dispi[vbe.YRES]
        self.depth = snapshot.dispi[vbe.BPP]
        line_bytes = self.width * BITS_STORED[self.depth] // 8
        # Widths are multiples of eight pixels, so that a line is a whole number of words.
        word = 8 if line_bytes % 8 == 0 and snapshot.stride % 8 == 0 else 4
        start = snapshot.start // 4 * 4 if self.depth == 4 else snapshot.start  # whole planes
        self.lines = np.ndarray(
            (self.height, line_bytes // word), f"u{word}", buffer=vram, offset=start,
            strides=(snapshot.stride, word))
        self.seen = np.empty(0, self.lines.dtype)  # as it was drawn
        self.palette = np.empty(0, np.uint32)
        self.follow(snapshot)

    @staticmethod
    def geometry(snapshot: Snapshot) -> tuple:
        """What makes another picture, if it differs; the rest `follow`s."""
        return "linear", snapshot.dispi, snapshot.start, snapshot.stride

    def follow(self, snapshot: Snapshot) -> bool:
        """Take over what does not move anything; true if all must be drawn anew."""
        if self.depth > 8:
            return False
        palette = (colours.palette256 if self.depth == 8 else colours.palette16)(snapshot)
        again = not np.array_equal(palette, self.palette)
        self.palette = palette
        return again

    def update(self, picture: np.ndarray, everything: bool) -> np.ndarray:
        """Draw the lines that have changed into `picture`; which those are."""
        if everything:
            changed = np.ones(self.height, bool)
            self.seen = self.lines.copy()
        else:
            changed = (self.lines != self.seen).any(axis=1)
            self.seen[changed] = self.lines[changed]
        if changed.any():
            # Drawn from the copy: the guest may be writing, which the next update will notice.
            picture[changed] = self._draw(self.seen[changed])
        return changed

    def _draw(self, lines: np.ndarray) -> np.ndarray:
        data = lines.view(np.uint8)
        if self.depth == 32:
            return data.view("<u4") & np.uint32(COLOUR)
        if self.depth == 24:
            return colours.packed(data.reshape(len(data), -1, 3)[..., ::-1])
        if self.depth == 16:
            return colours.high_colour(5, 6, 5)[data.view("<u2")]
        if self.depth == 15:
            return colours.high_colour(5, 5, 5, fill=False)[data.view("<u2")]
        if self.depth == 8:
            return self.palette[data]
        return self.palette[by_planes(data.reshape(len(data), -1, 4))]
