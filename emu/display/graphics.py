"""Graphics modes of the VGA proper: what its two shift modes and its 256-colour mode show.

All modes fetch 32-bit words of video memory, one byte a plane; that is also how chained memory and
CGA-compatible modes are stored. A line of the picture is a run of words that begins at its source.
Source: IBM VGA Technical Reference, CRT Controller and Graphics Controller; what happens at the
split and in CGA's interleaved addresses as QEMU does it.
"""
from typing import Any

import numpy as np
from pyemu.display import colours
from pyemu.display.snapshot import MODE_CONTROL, PEL_PANNING, Snapshot
from pyemu.machine import vga_crt as crt
from pyemu.machine import vga_registers as register

WORDS = 0x10000  # addresses of the VGA's own 256 KiB

# GRAPHICS_MODE of the graphics controller: how bytes become dots
SHIFT_PLANAR, SHIFT_PAIRS, SHIFT_BYTES = range(3)
SHIFT_BIT = 5

# MODE of the CRT controller: clear, a bit of the row scan counter replaces one of the address
ROW_BIT_0, ROW_BIT_1, WORD_SHIFT = 0x01, 0x02, 6
ROW_0_ADDRESS_BIT, ROW_1_ADDRESS_BIT = 12, 13  # of a word's address

# Attribute controller
PANNING_ABOVE_SPLIT = 0x20  # MODE_CONTROL
PANNING_MASK = 0x07


class PlanarScreen:
    """The picture that a snapshot describes, and those after it with the same `geometry`.

    width, height: of the picture, in pixels.
    """

    plausible = True

    def __init__(self, snapshot: Snapshot, vram: Any):
        self.words = np.frombuffer(vram, "<u4", WORDS)
        self.seen = np.empty(0, np.uint32)  # as it was drawn
        self.palette = np.empty(0, np.uint32)
        self.shift = min(snapshot.graphics[register.GRAPHICS_MODE] >> SHIFT_BIT & 3, SHIFT_BYTES)
        self.half_clock = bool(snapshot.sequencer[crt.CLOCKING] & crt.HALF_CLOCK)
        self.scale = 2 if self.half_clock or self.shift == SHIFT_BYTES else 1
        characters = snapshot.crtc[crt.HORIZONTAL_END] + 1
        self.width = characters * 8
        if self.half_clock and self.shift != SHIFT_BYTES:
            self.width *= 2
        dots = self.width // self.scale
        self.dots_per_word = 4 if self.shift == SHIFT_BYTES else 8
        panning = snapshot.attribute[PEL_PANNING] & PANNING_MASK
        if self.shift == SHIFT_BYTES:
            panning //= 2
        self.dots = dots

        starts = line_addresses(snapshot)
        self.height = len(starts)
        panned = np.full(self.height, panning)
        if snapshot.attribute[MODE_CONTROL] & PANNING_ABOVE_SPLIT:
            panned[crt.line_compare(bytearray(snapshot.crtc)) + 1:] = 0
        # Lines with the same source are drawn once.
        sources, self.source_of_line = np.unique(
            np.stack((starts, panned)), axis=1, return_inverse=True)
        self.source_of_line = self.source_of_line.reshape(-1)
        self.panning = sources[1]
        fetched = -(-dots // self.dots_per_word) + bool(panning)
        self.index = (sources[0][:, None] + np.arange(fetched)) % WORDS
        self.follow(snapshot)

    @staticmethod
    def geometry(snapshot: Snapshot) -> tuple:
        """What makes another picture, if it differs; the rest `follow`s."""
        return "planar", snapshot.mode, snapshot.graphics

    def follow(self, snapshot: Snapshot) -> bool:
        """Take over what does not move anything; true if all must be drawn anew."""
        if self.shift == SHIFT_BYTES:
            palette = colours.palette256(snapshot)
        else:
            palette = colours.palette16(snapshot)
            # A plane that is switched off counts as 0.
            palette = palette[np.arange(16) & snapshot.attribute[colours.COLOUR_PLANES]]
        again = not np.array_equal(palette, self.palette)
        self.palette = palette
        return again

    def update(self, picture: np.ndarray, everything: bool) -> np.ndarray:
        """Draw the lines that have changed into `picture`; which those are."""
        words = self.words[self.index]
        if everything:
            changed = np.ones(len(words), bool)
        else:
            changed = (words != self.seen).any(axis=1)
        self.seen = words
        lines = changed[self.source_of_line]
        if lines.any():
            drawn = self._draw(words[changed], self.panning[changed])
            place = np.cumsum(changed) - 1  # of a source among those drawn
            picture[lines] = drawn[place[self.source_of_line[lines]]]
        return lines

    def _draw(self, words: np.ndarray, panning: np.ndarray) -> np.ndarray:
        planes = words.view(np.uint8).reshape(*words.shape, 4)
        values = (by_planes, _by_pairs, _by_bytes)[self.shift](planes)
        dots = np.empty((len(words), self.dots), np.uint8)
        for pan in np.unique(panning):
            which = panning == pan
            dots[which] = values[which, pan:pan + self.dots]
        pixels = self.palette[dots]
        return pixels.repeat(self.scale, axis=1) if self.scale > 1 else pixels


def line_addresses(snapshot: Snapshot) -> np.ndarray:
    """The word that each line of the picture begins with."""
    crtc = bytearray(snapshot.crtc)
    doubled = 1 if crtc[crt.CELL_HEIGHT] & crt.DOUBLE_SCAN else 0
    row_scans = (crtc[crt.CELL_HEIGHT] & crt.ROW_MASK) + 1
    mode = crtc[crt.MODE]
    row_bit_0 = 0 if mode & ROW_BIT_0 else 1 << ROW_0_ADDRESS_BIT + (mode >> WORD_SHIFT & 1)
    row_bit_1 = 0 if mode & ROW_BIT_1 else 1 << ROW_1_ADDRESS_BIT
    split = crt.line_compare(crtc)
    start, stride = crt.start_address(crtc), crtc[crt.OFFSET] * 2
    addresses = []
    row_scan, again = 0, doubled
    for line in range(crt.vertical_end(crtc)):
        address = start & ~(row_bit_0 | row_bit_1)
        if row_scan & 1:
            address |= row_bit_0
        if row_scan & 2:
            address |= row_bit_1
        addresses.append(address)
        if again:
            again -= 1
        else:
            again = doubled
            row_scan += 1
            if row_scan == row_scans:
                row_scan = 0
                start += stride
        if line == split:
            start = 0
    return np.array(addresses) % WORDS


def by_planes(planes: np.ndarray) -> np.ndarray:
    """A bit of each plane makes a dot: bytes (lines, words, 4) to values (lines, dots)."""
    lines, words, _ = planes.shape
    bits = np.unpackbits(planes.swapaxes(1, 2), axis=2)  # lines, planes, dots
    return (bits[:, 0] | bits[:, 1] << 1 | bits[:, 2] << 2 | bits[:, 3] << 3).reshape(
        lines, words * 8)


def _by_pairs(planes: np.ndarray) -> np.ndarray:
    """Two neighbouring bits of a plane, and those of the plane two further, make a dot."""
    lines, words, _ = planes.shape
    shifts = np.array((6, 4, 2, 0), np.uint8)
    twos = planes[..., None] >> shifts & 3  # lines, words, planes, four dots
    return (twos[:, :, :2] | twos[:, :, 2:] << 2).reshape(lines, words * 8)


def _by_bytes(planes: np.ndarray) -> np.ndarray:
    """A byte is a dot."""
    return planes.reshape(len(planes), -1)
