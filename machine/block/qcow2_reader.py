"""A qcow2 image, versions 2 and 3, for reading: the data that the tables lead to.

Source: QEMU's docs/interop/qcow2.txt.
"""
from functools import cached_property

from pyemu.machine.block.base import ABSENT, DATA, HOLE, SECTOR, ZERO_DATA, BlockDevice, Extent
from pyemu.machine.block.lru import Lru
from pyemu.machine.block.qcow2_compression import decompressor
from pyemu.machine.block.qcow2_header import Header
from pyemu.machine.block.qcow2_map import COMPRESSED, NORMAL, UNALLOCATED, ClusterMap
from pyemu.machine.block.qcow2_refcounts import Refcounts
from pyemu.machine.block.qcow2_tables import corrupt
from pyemu.machine.block.raw import RawFile
from pyemu.trace.hooks import (
    trace_bdrv_co_preadv_part,
    trace_qcow2_add_task,
    trace_qcow2_decompress,
)

CLUSTER_CACHE = 16 << 20  # bytes of decompressed clusters


class Qcow2Reader(BlockDevice):
    """The disk in the image.

    file, header, map, backing: its parts.
    """

    def __init__(self, file: RawFile, header: Header, backing: BlockDevice | None = None):
        """Takes over `file` and `backing`. Raises BlockError."""
        self.file = file
        self.header = header
        self.backing = backing
        self.size = header.size // SECTOR * SECTOR
        self.read_only = file.read_only
        self.decompress = decompressor(header.compression)
        self.map = ClusterMap(file, header)
        self.clusters = Lru(max(2, CLUSTER_CACHE // header.cluster_size), self._load_compressed)

    def read(self, offset: int, length: int) -> bytes:
        if trace_bdrv_co_preadv_part:
            trace_bdrv_co_preadv_part(self, offset, length, 0)
        parts: list[bytes] = []
        end = offset + length
        while offset < end:
            kind, place, count = self.map.find(offset, end)
            if trace_qcow2_add_task:
                trace_qcow2_add_task(self, self, None, "read", kind, place, offset, count, None,
                                     len(parts))
            if kind == NORMAL:
                parts.append(self.file.read(place, count))
            elif kind == COMPRESSED:
                within = offset & self.header.cluster_size - 1
                parts.append(self.clusters.get(place)[within:within + count])
            elif kind == UNALLOCATED and self.backing:
                parts.append(self._read_backing(self.backing, offset, count))
            else:
                parts.append(bytes(count))
            offset += count
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def extent(self, offset: int, end: int) -> Extent:
        kind, place, count = self.map.find(offset, end)
        if kind == NORMAL:
            below = self.file.extent(place, place + count) if self._preallocated else None
            if below:
                return Extent(below.length, HOLE if below.kind == ZERO_DATA else DATA, place)
            return Extent(count, DATA, place)
        kinds = {COMPRESSED: DATA, UNALLOCATED: ABSENT}
        return Extent(count, kinds.get(kind, ZERO_DATA), None)

    @cached_property
    def _preallocated(self) -> bool:
        """Whether many more clusters are counted than the file has room for on the host's disk.

        Then it is worth asking the host which of them hold anything. The margin is QEMU's.
        """
        there = self.file.allocated() // self.header.cluster_size
        try:
            counted = Refcounts(self.file, self.header).counted()
        except OSError:
            return False
        return counted >= max(there * 10 // 9, there + 2)

    def _read_backing(self, backing: BlockDevice, offset: int, count: int) -> bytes:
        """The backing file may be shorter; zeros follow it."""
        there = max(0, min(count, backing.size - offset))
        return backing.read(offset, there).ljust(count, b"\0") if there else bytes(count)

    def _load_compressed(self, entry: int) -> bytes:
        place, length = self.map.compressed_place(entry)
        if place >= self.file.length:
            raise corrupt(f"compressed cluster at {place:#x} is beyond the end of the file")
        if trace_qcow2_decompress:
            trace_qcow2_decompress(self, place, length)
        size = self.header.cluster_size
        packed = self.file.read(place, length)
        try:
            data = self.decompress(packed, size)
        except Exception as error:  # each decompressor has its own
            raise corrupt(f"compressed cluster at {place:#x}: {error}") from None
        if len(data) != size:
            raise corrupt(f"compressed cluster at {place:#x} has {len(data)} bytes")
        return data

    def shines_through(self, offset: int) -> bool:
        """Whether an unallocated cluster shows something of the backing file."""
        return self.backing is not None and offset < self.backing.size
