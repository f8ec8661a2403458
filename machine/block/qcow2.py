"""A qcow2 image, versions 2 and 3: clusters found through two levels of tables.

An L1 entry names a cluster that holds an L2 table; an L2 entry names the cluster with the data,
or a piece of compressed data, or says that the cluster reads as zeros or as in the backing file.
Source: QEMU's docs/interop/qcow2.txt.
"""
import errno
import sys
import zlib
from array import array
from collections.abc import Callable

from pyemu.machine.block.base import BlockDevice, BlockError, Data
from pyemu.machine.block.lru import Lru
from pyemu.machine.block.qcow2_header import DIRTY, ZLIB, Header
from pyemu.machine.block.raw import RawFile
from pyemu.trace.hooks import (
    trace_bdrv_co_preadv_part,
    trace_qcow2_add_task,
    trace_qcow2_cache_get,
    trace_qcow2_decompress,
)

OFFSET = 0x00FF_FFFF_FFFF_FE00  # of a cluster in the file, in entries of both tables
COMPRESSED_FLAG = 1 << 62
ZERO_FLAG = 1 << 0  # version 3
PIECE = 512  # bytes, the unit of the length of compressed data

# What a cluster can be; the numbers are those that QEMU's events show.
UNALLOCATED, ZERO, ZERO_ALLOCATED, NORMAL, COMPRESSED = range(5)

L2_CACHE = 4 << 20  # bytes
LARGEST_REFCOUNT_TABLE = 8 << 20  # bytes
CLUSTER_CACHE = 16 << 20  # bytes of decompressed clusters


class Qcow2(BlockDevice):
    """Reads images; `write` refuses, which leaves the file as it was.

    No table is believed: what points outside the file or is not aligned raises BlockError, at
    the start if it can be seen in the L1 table or if the file has lost its end, else when read.
    """

    def __init__(self, file: RawFile, header: Header, backing: BlockDevice | None = None):
        """Takes over `file` and `backing`. Raises BlockError."""
        self.file = file
        self.header = header
        self.backing = backing
        self.size = header.size
        self.read_only = file.read_only
        self.decompress = decompressor(header)
        self.l1 = self._load_l1()
        size = header.cluster_size
        self.l2_cache = Lru(max(2, L2_CACHE // size), self._load_table)
        self.clusters = Lru(max(2, CLUSTER_CACHE // size), self._load_compressed)
        self._check_length()

    def read(self, offset: int, length: int) -> bytes:
        if trace_bdrv_co_preadv_part:
            trace_bdrv_co_preadv_part(self, offset, length, 0)
        parts: list[bytes] = []
        end = offset + length
        while offset < end:
            kind, place, count = self._run(offset, end)
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

    def write(self, offset: int, data: Data) -> None:
        raise BlockError("qcow2 images can only be written with -snapshot", errno.EROFS)

    def close(self) -> None:
        self.file.close()
        if self.backing:
            self.backing.close()

    def _read_backing(self, backing: BlockDevice, offset: int, count: int) -> bytes:
        """The backing file may be shorter; zeros follow it."""
        there = max(0, min(count, backing.size - offset))
        return backing.read(offset, there).ljust(count, b"\0") if there else bytes(count)

    def _run(self, offset: int, end: int) -> tuple[int, int, int]:
        """What is at `offset`, as far as it is of one kind and in one piece.

        Returns the kind, the place (offset in the file; the L2 entry if compressed) and the
        length in bytes, which ends at `end`, or with the L2 table.
        """
        bits, l2_bits = self.header.cluster_bits, self.header.l2_bits
        within = offset & self.header.cluster_size - 1
        table = self._l2_table(offset >> bits + l2_bits)
        first = offset >> bits & (1 << l2_bits) - 1
        last = min(1 << l2_bits, first + (within + end - offset - 1 >> bits) + 1)
        if table is None:
            return UNALLOCATED, 0, min(end - offset, (last - first << bits) - within)
        kind, place = self._classify(table[first])
        clusters = 1
        if kind != COMPRESSED:
            step = self.header.cluster_size if kind == NORMAL else 0
            while (first + clusters < last and self._classify(table[first + clusters])
                   == (kind, place + clusters * step)):
                clusters += 1
        if kind == NORMAL:
            place += within
        return kind, place, min(end - offset, (clusters << bits) - within)

    def _classify(self, entry: int) -> tuple[int, int]:
        """Kind and place of an L2 entry. Raises BlockError if it is none."""
        if entry & COMPRESSED_FLAG:
            return COMPRESSED, entry & COMPRESSED_FLAG - 1
        place = entry & OFFSET
        if entry & ZERO_FLAG:
            if self.header.version < 3:
                raise self._corrupt("zero cluster in an image of version 2")
            return ZERO_ALLOCATED if place else ZERO, 0
        if not place:
            return UNALLOCATED, 0
        if place & self.header.cluster_size - 1:
            raise self._corrupt(f"cluster offset {place:#x} unaligned")
        if place >= self.file.length:
            raise self._corrupt(f"cluster offset {place:#x} is beyond the end of the file")
        return NORMAL, place

    def _compressed_place(self, entry: int) -> tuple[int, int]:
        """Offset and length in the file of compressed data: whole pieces, the last one too long."""
        shift = 62 - (self.header.cluster_bits - 8)
        place = entry & (1 << shift) - 1
        pieces = (entry & COMPRESSED_FLAG - 1) >> shift
        return place, (pieces + 1) * PIECE - place % PIECE

    def _load_compressed(self, entry: int) -> bytes:
        place, length = self._compressed_place(entry)
        if place >= self.file.length:
            raise self._corrupt(f"compressed cluster at {place:#x} is beyond the end of the file")
        if trace_qcow2_decompress:
            trace_qcow2_decompress(self, place, length)
        size = self.header.cluster_size
        try:
            data = self.decompress(self.file.read(place, length), size)
        except Exception as error:  # each decompressor has its own
            raise self._corrupt(f"compressed cluster at {place:#x}: {error}") from None
        if len(data) != size:
            raise self._corrupt(f"compressed cluster at {place:#x} has {len(data)} bytes")
        return data

    def _l2_table(self, index: int) -> "array[int] | None":
        place = self.l1[index] & OFFSET
        if not place:
            return None
        if trace_qcow2_cache_get:
            trace_qcow2_cache_get(self, 1, place, True)
        return self.l2_cache.get(place)

    def _load_l1(self) -> "array[int]":
        header = self.header
        needed = -(-header.size >> header.cluster_bits + header.l2_bits)
        if header.l1_offset + 8 * needed > self.file.length:
            raise self._truncated("the L1 table")
        l1 = self._load_entries(header.l1_offset, needed)
        for index, entry in enumerate(l1):
            place = entry & OFFSET
            if place & header.cluster_size - 1:
                raise self._corrupt(f"L2 table offset {place:#x} unaligned (L1 index: {index:#x})")
            if place + header.cluster_size > self.file.length:
                raise self._truncated(f"the L2 table at {place:#x}")
        return l1

    def _load_table(self, place: int) -> "array[int]":
        return self._load_entries(place, 1 << self.header.l2_bits)

    def _load_entries(self, place: int, count: int) -> "array[int]":
        entries = array("Q", self.file.read(place, 8 * count))
        if sys.byteorder == "little":
            entries.byteswap()
        return entries

    def _check_length(self) -> None:
        """Raise BlockError if the file is shorter than the clusters its tables name.

        All L2 tables would be long to read. The reference counts tell the last cluster in two
        reads, so the tables are only asked when that one is not there: it may have leaked.
        """
        if self.file.length > self._last_refcounted() and not self.header.incompatible & DIRTY:
            return
        for place in {entry & OFFSET for entry in self.l1} - {0}:
            for entry in self._load_table(place):
                if entry & COMPRESSED_FLAG:
                    start, _ = self._compressed_place(entry)
                else:
                    start = 0 if entry & ZERO_FLAG else entry & OFFSET
                if start >= self.file.length:
                    raise self._truncated(f"the cluster at {start:#x}")

    def _last_refcounted(self) -> int:
        """Offset of the last cluster that has a reference count; past the end if unknown."""
        header, unknown = self.header, self.file.length
        size = header.cluster_size
        length = header.refcount_clusters * size
        if length > LARGEST_REFCOUNT_TABLE or header.refcount_offset + length > self.file.length:
            return unknown
        table = self._load_entries(header.refcount_offset, length // 8)
        index = max((i for i, entry in enumerate(table) if entry), default=-1)
        if index < 0 or table[index] & size - 1 or table[index] + size > self.file.length:
            return unknown
        used = len(self.file.read(table[index], size).rstrip(b"\0")) - 1
        block_bits = header.cluster_bits + 3 - header.refcount_order
        return (index << block_bits) + (used * 8 >> header.refcount_order) << header.cluster_bits

    def _corrupt(self, what: str) -> BlockError:
        return BlockError(f"qcow2: Image is corrupt: {what}")

    def _truncated(self, what: str) -> BlockError:
        return BlockError(
            f"qcow2: Image is truncated: {what} is beyond its {self.file.length} bytes")


def decompressor(header: Header) -> Callable[[bytes, int], bytes]:
    """The function (data, most bytes) -> bytes of the image. Raises BlockError if there is none."""
    if header.compression == ZLIB:
        return _inflate
    try:
        import zstandard
    except ImportError:
        raise BlockError("qcow2: zstd compression needs the Python package zstandard",
                         errno.ENOTSUP) from None

    def unzstd(data: bytes, size: int) -> bytes:
        with zstandard.ZstdDecompressor().stream_reader(data) as reader:
            return reader.read(size)
    return unzstd


def _inflate(data: bytes, size: int) -> bytes:
    """Deflate without header; what follows the end of the stream belongs to someone else."""
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, size)
