"""Compressed clusters of a qcow2 image: deflate without a header, or zstd."""
import errno
import zlib
from collections.abc import Callable

from pyemu.machine.block.base import BlockError
from pyemu.machine.block.qcow2_header import ZLIB

WINDOW = -12  # of deflate: 4 KiB, as all readers know it; negative for no header


def decompressor(kind: int) -> Callable[[bytes, int], bytes]:
    """The function (data, most bytes) -> bytes of the image. Raises BlockError if there is none."""
    if kind == ZLIB:
        return _inflate
    zstandard = _zstandard()

    def unzstd(data: bytes, size: int) -> bytes:
        with zstandard.ZstdDecompressor().stream_reader(data) as reader:
            return bytes(reader.read(size))
    return unzstd


def compressor(kind: int) -> Callable[[bytes], bytes]:
    """The function from a cluster to its compressed form. Raises BlockError if there is none."""
    if kind == ZLIB:
        return _deflate
    zstandard = _zstandard()
    return lambda data: bytes(zstandard.ZstdCompressor().compress(data))


def _zstandard():
    try:
        import zstandard
    except ImportError:
        raise BlockError("qcow2: zstd compression needs the Python package zstandard",
                         errno.ENOTSUP) from None
    return zstandard


def _inflate(data: bytes, size: int) -> bytes:
    """What follows the end of the stream belongs to someone else."""
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, size)


def _deflate(data: bytes) -> bytes:
    squeeze = zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION, zlib.DEFLATED, WINDOW)
    return squeeze.compress(data) + squeeze.flush()
