"""Pictures as files: PNG and PPM.

Source: PNG Specification (Third Edition); Netpbm, ppm(5).
"""
import os
import stat
import struct
import zlib

import numpy as np
from pyemu.display.colours import rgb

SIGNATURE = b"\x89PNG\r\n\x1a\n"
TRUE_COLOUR = 2
NO_FILTER = 0
COMPRESSION = 6
FORMATS = ("png", "ppm")


def encode(picture: np.ndarray, format: str) -> bytes:
    """A picture (height, width) of 0x00RRGGBB as the file of a format in FORMATS."""
    return {"png": png, "ppm": ppm}[format](rgb(picture))


def save(picture: np.ndarray, path: str, format: str) -> None:
    """Write such a file, of which nothing is left if it cannot be written whole.

    Raises OSError, and ValueError for a path that no file can have.
    """
    with open(path, "wb") as file:
        try:
            file.write(encode(picture, format))
            file.flush()
        except OSError:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                os.unlink(path)
            raise


def ppm(pixels: np.ndarray) -> bytes:
    """Bytes (height, width, 3), red first, as a binary PPM file."""
    height, width, _ = pixels.shape
    return b"P6\n%d %d\n255\n" % (width, height) + pixels.tobytes()


def png(pixels: np.ndarray) -> bytes:
    """Bytes (height, width, 3), red first, as a PNG file."""
    height, width, _ = pixels.shape
    lines = np.full((height, 1 + width * 3), NO_FILTER, np.uint8)
    lines[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, TRUE_COLOUR, 0, 0, 0)
    return b"".join((SIGNATURE, _chunk(b"IHDR", header),
                     _chunk(b"IDAT", zlib.compress(lines.tobytes(), COMPRESSION)),
                     _chunk(b"IEND", b"")))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return (struct.pack(">I", len(data)) + kind + data
            + struct.pack(">I", zlib.crc32(kind + data)))
