"""Bringing what an image has of its own into its backing file."""
from collections.abc import Callable

from pyemu.machine.block.base import ABSENT, HOLE, ZERO_DATA, BlockDevice

PIECE = 2 << 20  # bytes that are copied at once


def commit(top: BlockDevice, base: BlockDevice,
           progress: Callable[[float], None] = lambda part: None) -> None:
    """Write to `base`, which must be writable, all that `top` does not have from it.

    A base that is shorter grows. progress: called with the part that is done. Raises OSError.
    """
    if base.size < top.size:
        base.resize(top.size)
    offset = 0
    while offset < top.size:
        extent = top.extent(offset, min(top.size, offset + PIECE))
        if extent.kind in (ZERO_DATA, HOLE):
            base.write_zeroes(offset, extent.length)
        elif extent.kind != ABSENT:
            base.write(offset, top.read(offset, extent.length))
        if not base.write_cache:
            base.flush()
        offset += extent.length
        progress(offset / top.size)
    base.flush()
