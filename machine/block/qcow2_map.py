"""Where the clusters of a qcow2 disk are: two levels of tables.

An L1 entry names a cluster that holds an L2 table; an L2 entry names the cluster with the data,
or a piece of compressed data, or says that the cluster reads as zeros or as in the backing file.
Source: QEMU's docs/interop/qcow2.txt, "Cluster mapping".
"""
from array import array

from pyemu.machine.block.base import BlockError
from pyemu.machine.block.qcow2_header import DIRTY, Header
from pyemu.machine.block.qcow2_refcounts import LARGEST_TABLE
from pyemu.machine.block.qcow2_tables import (
    ENTRY,
    Table,
    TableCache,
    corrupt,
    load_entries,
    store_entries,
)
from pyemu.machine.block.raw import RawFile
from pyemu.trace.hooks import trace_qcow2_cache_flush, trace_qcow2_cache_get

OFFSET = 0x00FF_FFFF_FFFF_FE00  # of a cluster in the file, in entries of both tables
COPIED = 1 << 63  # nobody else uses the cluster: it may be written in place
COMPRESSED_FLAG = 1 << 62
ZERO_FLAG = 1 << 0  # version 3
PIECE = 512  # bytes, the unit of the length of compressed data

# What a cluster can be; the numbers are those that QEMU's events show.
UNALLOCATED, ZERO, ZERO_ALLOCATED, NORMAL, COMPRESSED = range(5)

CACHE = 4 << 20  # bytes of L2 tables


class ClusterMap:
    """The active L1 table and the L2 tables under it.

    No table is believed: what points outside the file or is not aligned raises BlockError, at
    the start if it can be seen in the L1 table or if the file has lost its end, else when read.
    """

    def __init__(self, file: RawFile, header: Header):
        self.file = file
        self.header = header
        self.l2 = TableCache(max(2, CACHE // header.cluster_size), self._load, self._store)
        self.l1 = self._load_l1()
        self.new_entries: set[int] = set()  # of L1, that the file does not have yet
        self._l2_clusters = {(entry & OFFSET) >> header.cluster_bits for entry in self.l1} - {0}
        self._check_length()

    @property
    def changed(self) -> bool:
        """Whether `write` has something to write."""
        return bool(self.l2.changed or self.new_entries)

    def find(self, offset: int, end: int) -> tuple[int, int, int]:
        """What is at `offset` of the disk, as far as it is of one kind and in one piece.

        Returns the kind, the place (offset in the file; the L2 entry if compressed) and the
        length in bytes, which ends at `end`, or with the L2 table.
        """
        bits = self.header.cluster_bits
        within = offset & self.header.cluster_size - 1
        index, first, last = self.slots(offset, end - offset)
        table = self.table(index)
        if table is None:
            return UNALLOCATED, 0, min(end - offset, (last - first << bits) - within)
        kind, place = self.classify(table[first])
        clusters = 1
        if kind != COMPRESSED:
            step = self.header.cluster_size if kind == NORMAL else 0
            while (first + clusters < last and self.classify(table[first + clusters])
                   == (kind, place + clusters * step)):
                clusters += 1
        if kind == NORMAL:
            place += within
        return kind, place, min(end - offset, (clusters << bits) - within)

    def slots(self, offset: int, length: int) -> tuple[int, int, int]:
        """The entries for `length` bytes at `offset`, to the end of one L2 table.

        Returns the index in L1, the first entry in L2 and the one behind the last.
        """
        bits, l2_bits = self.header.cluster_bits, self.header.l2_bits
        index = offset >> bits + l2_bits
        base = index << l2_bits
        last = min((offset + length - 1 >> bits) + 1 - base, 1 << l2_bits)
        return index, (offset >> bits) - base, last

    def classify(self, entry: int) -> tuple[int, int]:
        """Kind and place of an L2 entry. Raises BlockError if it is none."""
        if entry & COMPRESSED_FLAG:
            return COMPRESSED, entry & COMPRESSED_FLAG - 1
        place = entry & OFFSET
        if entry & ZERO_FLAG:
            if self.header.version < 3:
                raise corrupt("zero cluster in an image of version 2")
            return ZERO_ALLOCATED if place else ZERO, 0
        if not place:
            return UNALLOCATED, 0
        if place & self.header.cluster_size - 1:
            raise corrupt(f"cluster offset {place:#x} unaligned")
        if place >= self.file.length:
            raise corrupt(f"cluster offset {place:#x} is beyond the end of the file")
        return NORMAL, place

    def compressed_place(self, entry: int) -> tuple[int, int]:
        """Offset and length in the file of compressed data: whole pieces, the last one too long."""
        shift = self._compressed_shift
        place = entry & (1 << shift) - 1
        pieces = (entry & COMPRESSED_FLAG - 1) >> shift
        return place, (pieces + 1) * PIECE - place % PIECE

    def compressed_entry(self, place: int, length: int) -> int:
        """The L2 entry for `length` bytes of compressed data at `place`."""
        pieces = (place + length - 1) // PIECE - place // PIECE
        return COMPRESSED_FLAG | pieces << self._compressed_shift | place

    def clusters_of(self, entry: int) -> tuple[int, int]:
        """The run (first, count) of clusters in the file that an L2 entry takes up."""
        bits = self.header.cluster_bits
        if entry & COMPRESSED_FLAG:
            place, length = self.compressed_place(entry)
            first = place >> bits
            return first, (place + length - 1 >> bits) - first + 1
        place = entry & OFFSET
        return place >> bits, 1 if place else 0

    def table(self, index: int) -> "Table[int] | None":
        """The L2 table of an L1 entry, for reading."""
        place = self.l1[index] & OFFSET
        if not place:
            return None
        if trace_qcow2_cache_get:
            trace_qcow2_cache_get(self, 1, place, True)
        return self.l2.get(place)

    def empty_table(self) -> "Table[int]":
        return array("Q", bytes(self.header.cluster_size))

    def set_table(self, index: int, place: int, table: "Table[int]") -> None:
        """A new L2 table, which nobody else uses, for an L1 entry."""
        bits = self.header.cluster_bits
        self._store(place, table)  # a full disk is to be noticed now, while nothing is changed
        self.l2.add(place, table)
        self._l2_clusters.discard((self.l1[index] & OFFSET) >> bits)
        self._l2_clusters.add(place >> bits)
        self.l1[index] = place | COPIED
        self.new_entries.add(index)

    def owner(self, cluster: int) -> str:
        """Which of the tables here a cluster of the file holds; "" for none."""
        if cluster in self._l2_clusters:
            return "active L2 table"
        first = self.header.l1_offset >> self.header.cluster_bits
        length = -(-self.header.l1_size * ENTRY >> self.header.cluster_bits)
        return "active L1 table" if first <= cluster < first + length else ""

    def write(self) -> None:
        """Bring changed tables into the file, each when those that it names are safe there.

        What they name must be safe already. They are after the next `flush` of the file.
        """
        if trace_qcow2_cache_flush:
            trace_qcow2_cache_flush(self, 1)
        self.l2.write()
        if not self.new_entries:
            return
        self.file.flush()
        for index in sorted(self.new_entries):
            store_entries(self.file, self.header.l1_offset + ENTRY * index,
                          self.l1[index:index + 1])
        self.new_entries.clear()

    @property
    def _compressed_shift(self) -> int:
        return 62 - (self.header.cluster_bits - 8)

    def _load_l1(self) -> "Table[int]":
        header = self.header
        needed = -(-header.size >> header.cluster_bits + header.l2_bits)
        if header.l1_offset + ENTRY * needed > self.file.length:
            raise self._truncated("the L1 table")
        l1 = load_entries(self.file, header.l1_offset, header.l1_size)
        for index, entry in enumerate(l1):
            place = entry & OFFSET
            if place & header.cluster_size - 1:
                raise corrupt(f"L2 table offset {place:#x} unaligned (L1 index: {index:#x})")
            if place + header.cluster_size > self.file.length:
                raise self._truncated(f"the L2 table at {place:#x}")
        return l1

    def _load(self, place: int) -> "Table[int]":
        return load_entries(self.file, place, 1 << self.header.l2_bits)

    def _store(self, place: int, table: "Table[int]") -> None:
        store_entries(self.file, place, table)

    def _check_length(self) -> None:
        """Raise BlockError if the file is shorter than the clusters its tables name.

        All L2 tables would be long to read. The reference counts tell the last cluster in two
        reads, so the tables are only asked when that one is not there: it may have leaked.
        """
        if self.file.length > self._last_refcounted() and not self.header.incompatible & DIRTY:
            return
        for place in {entry & OFFSET for entry in self.l1} - {0}:
            for entry in self._load(place):
                if entry & COMPRESSED_FLAG:
                    start, _ = self.compressed_place(entry)
                else:
                    start = 0 if entry & ZERO_FLAG else entry & OFFSET
                if start >= self.file.length:
                    raise self._truncated(f"the cluster at {start:#x}")

    def _last_refcounted(self) -> int:
        """Offset of the last cluster that has a reference count; past the end if unknown."""
        header, unknown = self.header, self.file.length
        size = header.cluster_size
        length = header.refcount_clusters * size
        if length > LARGEST_TABLE or header.refcount_offset + length > self.file.length:
            return unknown
        table = load_entries(self.file, header.refcount_offset, length // ENTRY)
        index = max((i for i, entry in enumerate(table) if entry), default=-1)
        if index < 0 or table[index] & size - 1 or table[index] + size > self.file.length:
            return unknown
        used = len(self.file.read(table[index], size).rstrip(b"\0")) - 1
        block_bits = header.cluster_bits + 3 - header.refcount_order
        return (index << block_bits) + (used * 8 >> header.refcount_order) << header.cluster_bits

    def _truncated(self, what: str) -> BlockError:
        return BlockError(
            f"qcow2: Image is truncated: {what} is beyond its {self.file.length} bytes")
