"""From the colours of the palette and of pixels to 0x00RRGGBB, as numpy tables.

Source: IBM VGA Technical Reference, Attribute Controller and Video Digital-to-Analog Converter.
"""
from functools import cache

import numpy as np
from pyemu.display.snapshot import MODE_CONTROL, Snapshot

# Attribute controller
COLOUR_PLANES, COLOUR_SELECT = 0x12, 0x14
P4_P5_SELECT = 0x80  # MODE_CONTROL: bits 4 and 5 come from COLOUR_SELECT, too

LOWEST_BIT = 0x01
SIX_BITS = 0x3f


def palette256(snapshot: Snapshot) -> np.ndarray:
    """The colour of each byte that reaches the DAC: shape (256,), uint32."""
    components: np.ndarray = np.frombuffer(snapshot.palette, np.uint8).reshape(256, 3)
    if not snapshot.wide_palette:
        components = components & SIX_BITS
        components = components << 2 | (components & LOWEST_BIT) * 3
    return packed(components)[np.arange(256) & snapshot.pixel_mask]


def palette16(snapshot: Snapshot) -> np.ndarray:
    """The colour of each value of four planes, by way of the attribute controller: (16,)."""
    attribute = snapshot.attribute
    select = attribute[COLOUR_SELECT]
    indices: np.ndarray = np.frombuffer(attribute, np.uint8, 16)
    if attribute[MODE_CONTROL] & P4_P5_SELECT:
        indices = indices & 0x0f | (select & 0x0f) << 4
    else:
        indices = indices & SIX_BITS | (select & 0x0c) << 4
    return palette256(snapshot)[indices]


@cache
def high_colour(red: int, green: int, blue: int, fill: bool = True) -> np.ndarray:
    """The colour of each 16-bit pixel whose components have so many bits: (65536,), uint32.

    fill: whether the brightest is ffh, by repeating the highest bits; QEMU does so for 16 bits a
    pixel and not for 15.
    """
    pixels = np.arange(1 << 16, dtype=np.uint32)
    return (_widened(pixels >> green + blue, red, fill) << 16
            | _widened(pixels >> blue, green, fill) << 8
            | _widened(pixels, blue, fill))


def packed(components: np.ndarray) -> np.ndarray:
    """Red, green and blue bytes along the last axis become one number."""
    red, green, blue = (components[..., n].astype(np.uint32) for n in range(3))
    return red << 16 | green << 8 | blue


def rgb(picture: np.ndarray) -> np.ndarray:
    """0x00RRGGBB pixels (height, width) as bytes (height, width, 3)."""
    little_endian = picture.astype("<u4", copy=False)
    return np.ascontiguousarray(little_endian.view(np.uint8).reshape(*picture.shape, 4)[..., 2::-1])


def _widened(values: np.ndarray, bits: int, fill: bool) -> np.ndarray:
    """The lowest bits of each value become the highest of eight."""
    values = values & (1 << bits) - 1
    wide = values << 8 - bits
    return wide | values >> 2 * bits - 8 if fill else wide
