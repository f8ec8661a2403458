"""Pixels as a client wants them: 8, 16 or 32 bits with red, green and blue anywhere in them.

Source: RFC 6143, section 7.4 (Pixel Format Data Structure).
"""
import struct
from dataclasses import dataclass
from functools import cached_property

import numpy as np

LAYOUT = struct.Struct(">BBBBHHHBBB3x")
SIZES = (8, 16, 32)
EIGHT_BITS = range(256)


class FormatError(Exception):
    """There are no such pixels."""


@dataclass(frozen=True)
class PixelFormat:
    """maxima, shifts: of red, green and blue. A component is scaled to 0..maximum and shifted."""

    bits: int
    depth: int
    big_endian: bool
    true_colour: bool
    maxima: tuple[int, int, int]
    shifts: tuple[int, int, int]

    @classmethod
    def parse(cls, data: bytes) -> "PixelFormat":
        """What a client sends. Raises FormatError."""
        bits, depth, big_endian, true_colour, *rest = LAYOUT.unpack(data)
        if not true_colour:
            return WITH_MAP
        if bits not in SIZES:
            raise FormatError(f"pixels of {bits} bits")
        red, green, blue, *shifts = rest
        return cls(bits, depth, bool(big_endian), True, (red, green, blue), tuple(shifts))

    def pack(self) -> bytes:
        return LAYOUT.pack(self.bits, self.depth, self.big_endian, self.true_colour,
                           *self.maxima, *self.shifts)

    def encode(self, picture: np.ndarray) -> np.ndarray:
        """Pixels 0x00RRGGBB as the client's, of the same shape, in its order of bytes."""
        if self.maxima == NATIVE.maxima and self.shifts == NATIVE.shifts and self.bits == 32:
            return picture.astype(self._type, copy=False)
        red, green, blue = self._tables
        mixed = red[picture >> 16 & 0xff] | green[picture >> 8 & 0xff] | blue[picture & 0xff]
        return mixed.astype(self._type, copy=False)

    @property
    def _type(self) -> np.dtype:
        return np.dtype(f"{'>' if self.big_endian else '<'}u{self.bits // 8}")

    @cached_property
    def _tables(self) -> list[np.ndarray]:
        """What each component's eight bits become."""
        inside = (1 << self.bits) - 1
        return [np.array([(value * (maximum + 1) >> 8) << shift & inside for value in EIGHT_BITS],
                         f"u{self.bits // 8}")
                for maximum, shift in zip(self.maxima, self.shifts, strict=True)]


NATIVE = PixelFormat(32, 24, False, True, (255, 255, 255), (16, 8, 0))
# For those who ask for a map of colours: it is given once and never changes.
WITH_MAP = PixelFormat(8, 8, False, False, (7, 7, 3), (0, 3, 6))


def colour_map() -> list[list[int]]:
    """The colours of WITH_MAP's pixels, of 16 bits each."""
    return [[(pixel >> shift & maximum) * 0xffff // maximum
             for maximum, shift in zip(WITH_MAP.maxima, WITH_MAP.shifts, strict=True)]
            for pixel in EIGHT_BITS]
