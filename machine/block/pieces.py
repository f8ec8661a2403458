"""What an image and its backing files hold, piece by piece."""
from collections.abc import Iterator
from typing import NamedTuple

from pyemu.machine.block.base import ABSENT, DATA, HOLE, BlockDevice
from pyemu.machine.block.qcow2 import Qcow2


class Piece(NamedTuple):
    """`length` bytes at `start` of the disk that are alike, in the words of `qemu-img map`."""

    start: int
    length: int
    depth: int  # of the image that says so; 0 is the top one
    present: bool  # whether any image says so, or nobody has these bytes
    zero: bool
    data: bool
    place: int | None  # offset in the file `path`
    path: str

    def follows(self, other: "Piece") -> bool:
        """Whether both can be told as one."""
        if self[2:6] + self[7:] != other[2:6] + other[7:]:
            return False
        if self.place is None or other.place is None:
            return self.place is other.place
        return other.place + other.length == self.place


def pieces(top: BlockDevice, start: int, end: int) -> Iterator[Piece]:
    """The disk from `start` to `end`, in pieces as long as they can be."""
    last: Piece | None = None
    while start < end:
        piece = _piece(top, start, end)
        start += piece.length
        if last and piece.follows(last):
            last = last._replace(length=last.length + piece.length)
            continue
        if last:
            yield last
        last = piece
    if last:
        yield last


def _piece(node: BlockDevice, start: int, end: int) -> Piece:
    depth, limit = 0, end
    while True:
        extent = node.extent(start, limit)
        limit = start + extent.length
        if extent.kind != ABSENT or not node.backing:
            break
        node, depth = node.backing, depth + 1
        if start >= node.size:
            return Piece(start, extent.length, depth, False, True, False, None, "")
        limit = min(limit, node.size)
    file = node.file if isinstance(node, Qcow2) else node
    kind = extent.kind
    return Piece(start, extent.length, depth, kind != ABSENT, kind != DATA, kind in (DATA, HOLE),
                 extent.place, getattr(file, "path", ""))
