"""The reference counts of a qcow2 image: how often each cluster is used, and which are free.

A table, found by the header, names blocks; a block is a cluster full of counts of 1 to 64 bits.
Source: QEMU's docs/interop/qcow2.txt, "Host cluster management".
"""
import errno
import struct
from array import array
from collections.abc import Iterator

from pyemu.machine.block.base import BlockError
from pyemu.machine.block.qcow2_header import REFCOUNT_FIELDS, Header
from pyemu.machine.block.qcow2_tables import (
    ENTRY,
    Table,
    TableCache,
    big_endian,
    corrupt,
    load_entries,
    store_entries,
)
from pyemu.machine.block.raw import RawFile
from pyemu.trace.hooks import trace_qcow2_cache_flush, trace_qcow2_cache_get

LARGEST_TABLE = 8 << 20  # bytes
PLACE = ~0x1FF  # bits of a table's entry that are the place of a block
CACHE = 4 << 20  # bytes of blocks
TYPES = {3: "B", 4: "H", 5: "I", 6: "Q"}  # of arrays, by log2 of the bits


def unpack(raw: bytes, order: int) -> "Table[int]":
    """The counts of 2**order bits in `raw`; narrow ones begin with the lowest bits of a byte."""
    if order >= 3:
        return big_endian(array(TYPES[order], raw))
    width, per_byte = 1 << order, 8 >> order
    mask = int.from_bytes(bytes([(1 << width) - 1]) * len(raw), "little")
    whole = int.from_bytes(raw, "little")
    counts = bytearray(len(raw) * per_byte)
    for position in range(per_byte):
        picked = whole >> position * width & mask
        counts[position::per_byte] = picked.to_bytes(len(raw), "little")
    return array("B", counts)


def pack(counts: "Table[int]", order: int) -> bytes:
    """The inverse of `unpack`."""
    if order >= 3:
        return big_endian(counts[:]).tobytes()
    width, per_byte = 1 << order, 8 >> order
    whole = 0
    for position in range(per_byte):
        picked = counts[position::per_byte].tobytes()
        whole |= int.from_bytes(picked, "little") << position * width
    return whole.to_bytes(len(counts) // per_byte, "little")


class Refcounts:
    """Counts of clusters by their number, which is their offset in the file in cluster sizes.

    Counts rise at once, but what is freed only falls when `settle` is called: until the tables
    that no longer name a cluster are safe, nobody else may write into it.
    """

    def __init__(self, file: RawFile, header: Header):
        """Raises BlockError for a table that cannot be one."""
        self.file = file
        self.header = header
        self.block_bits = header.cluster_bits + 3 - header.refcount_order
        self.largest = (1 << (1 << header.refcount_order)) - 1
        self.table = self._load_table()
        self.blocks = TableCache(max(4, CACHE // header.cluster_size), self._load, self._store)
        self._block_clusters = {entry >> header.cluster_bits for entry in self.table} - {0}
        self.freed: list[tuple[int, int]] = []  # runs (first, count) of clusters, for `settle`
        self.hint = 0  # no cluster before this one is free, or it is not worth a look
        self._new_entries: set[int] = set()  # of the table, that the file does not have yet
        self.moved = False  # the whole table is new, and so is what the header says of it

    @property
    def changed(self) -> bool:
        """Whether `write` has something to write."""
        return bool(self.blocks.changed or self._new_entries or self.moved)

    def get(self, cluster: int) -> int:
        place = self._place(cluster >> self.block_bits)
        if not place:
            return 0
        return int(self.blocks.get(place)[cluster & (1 << self.block_bits) - 1])

    def add(self, first: int, count: int, by: int) -> None:
        """Change the counts of a run of clusters. Raises BlockError if one would be too large."""
        for index, start, stop in self._spans(first, count):
            place = self._place(index)
            if not place:
                if by > 0:
                    raise corrupt(f"cluster {first:#x} is in use but has no reference count")
                continue
            block = self.blocks.change(place)
            for slot in range(start, stop):
                value = block[slot] + by
                if value > self.largest:
                    raise BlockError("qcow2: Reference count too large", errno.EINVAL)
                block[slot] = max(0, value)
        if by < 0:
            self.hint = min(self.hint, first)

    def can_add(self, cluster: int) -> bool:
        """Whether the count can rise by one."""
        return self.get(cluster) < self.largest

    def free(self, first: int, count: int = 1) -> None:
        """One reference less, from the next `settle` on."""
        if self.freed and sum(self.freed[-1]) == first:
            first, count = self.freed[-1][0], self.freed.pop()[1] + count
        self.freed.append((first, count))

    def settle(self) -> list[tuple[int, int]]:
        """Count down what was freed. Returns the runs of which nobody is left to use the first."""
        freed, self.freed = self.freed, []
        for first, count in freed:
            self.add(first, count, -1)
        return [run for run in freed if not self.get(run[0])]

    def allocate(self, most: int) -> tuple[int, int]:
        """Count 1 for up to `most` free clusters in a row: the first and their number."""
        mask = (1 << self.block_bits) - 1
        while (index := self.hint >> self.block_bits) < len(self.table):
            place = self._place(index)
            if place:
                block = self.blocks.get(place)
                try:
                    start = block.index(0, self.hint & mask)
                except ValueError:
                    pass
                else:
                    stop = start + 1
                    while stop < min(len(block), start + most) and not block[stop]:
                        stop += 1
                    first = (index << self.block_bits) + start
                    self._set_one(first, stop - start)
                    self.hint = first + stop - start
                    return first, stop - start
            self.hint = index + 1 << self.block_bits
        first = self.allocate_run(1)
        self.hint = first + 1
        return first, 1

    def allocate_run(self, count: int) -> int:
        """Count 1 for exactly `count` clusters in a row, at the end of the file: the first.

        Blocks for them, and a larger table if they need one, come to lie behind them.
        """
        start = self._end()
        blocks = table = 0
        while True:  # the blocks and the table have counts too
            last = start + count + blocks + table - 1 >> self.block_bits
            missing = [index for index in range(start >> self.block_bits, last + 1)
                       if not self._place(index)]
            larger = self._clusters_of_table(last + 1) if last >= len(self.table) else 0
            if len(missing) <= blocks and larger <= table:
                break
            blocks, table = len(missing), larger
        size = self.header.cluster_size
        if blocks or table:  # a full disk is to be noticed now, while nothing is changed
            self.file.write(start + count << self.header.cluster_bits,
                            bytes((blocks + table) * size))
        if table:
            self._move_table(start + count + blocks, table)
        for cluster, index in enumerate(missing, start + count):
            self.table[index] = cluster << self.header.cluster_bits
            self._new_entries.add(index)
            self._block_clusters.add(cluster)
            self.blocks.add(self.table[index], unpack(bytes(size), self.header.refcount_order))
        self._set_one(start, count + blocks + table)
        return start

    def release(self, first: int, count: int) -> None:
        """Give back what was just allocated and is named nowhere."""
        self.add(first, count, -1)

    def write(self) -> None:
        """Bring the counts into the file, each part when the one it depends on is safe there.

        The last part is safe after the next `flush` of the file.
        """
        if trace_qcow2_cache_flush:
            trace_qcow2_cache_flush(self, 0)
        self.blocks.write()
        if not self._new_entries and not self.moved:
            return
        self.file.flush()
        offset = self.header.refcount_offset
        if self.moved:
            store_entries(self.file, offset, self.table)
            self.file.flush()
            self.file.write(REFCOUNT_FIELDS,
                            struct.pack(">QI", offset, self.header.refcount_clusters))
        else:
            for index in sorted(self._new_entries):
                store_entries(self.file, offset + ENTRY * index, self.table[index:index + 1])
        self.moved = False
        self._new_entries.clear()

    def counted(self) -> int:
        """How many clusters of the file have a count."""
        total = 0
        clusters = min(-(-self.file.length // self.header.cluster_size),
                       len(self.table) << self.block_bits)
        for index, start, stop in self._spans(0, clusters):
            place = self._place(index)
            if place:
                total += stop - start - self.blocks.get(place)[start:stop].count(0)
        return total

    def owner(self, cluster: int) -> str:
        """Which of the tables here a cluster of the file holds; "" for none."""
        if cluster in self._block_clusters:
            return "refcount block"
        first = self.header.refcount_offset >> self.header.cluster_bits
        inside = first <= cluster < first + self.header.refcount_clusters
        return "refcount table" if inside else ""

    def _spans(self, first: int, count: int) -> Iterator[tuple[int, int, int]]:
        """Pieces of a run by block: (index of the block, first slot, slot behind the last)."""
        end = first + count
        while first < end:
            index = first >> self.block_bits
            base = index << self.block_bits
            stop = min(end, base + (1 << self.block_bits))
            yield index, first - base, stop - base
            first = stop

    def _set_one(self, first: int, count: int) -> None:
        for index, start, stop in self._spans(first, count):
            block = self.blocks.change(self._place(index))
            for slot in range(start, stop):
                block[slot] = 1

    def _end(self) -> int:
        """The cluster behind the last that is counted or in the file."""
        size = self.header.cluster_size
        end = -(-self.file.length // size)
        for index in reversed(range(len(self.table))):
            place = self._place(index)
            if place:
                block = self.blocks.get(place)
                used = len(block.tobytes().rstrip(b"\0"))
                if used:
                    slots = -(-used // block.itemsize)
                    return max(end, (index << self.block_bits) + slots)
        return end

    def _place(self, index: int) -> int:
        """Where the block with this index is; 0 if it does not exist."""
        place = self.table[index] & PLACE if index < len(self.table) else 0
        if place and (place & self.header.cluster_size - 1 or place >= self.file.length):
            raise corrupt(f"refcount block offset {place:#x} (reftable index: {index:#x})")
        return place

    def _load(self, place: int) -> "Table[int]":
        if trace_qcow2_cache_get:
            trace_qcow2_cache_get(self, 0, place, True)
        return unpack(self.file.read(place, self.header.cluster_size), self.header.refcount_order)

    def _store(self, place: int, block: "Table[int]") -> None:
        self.file.write(place, pack(block, self.header.refcount_order))

    def _load_table(self) -> "Table[int]":
        header = self.header
        length = header.refcount_clusters * header.cluster_size
        if length > LARGEST_TABLE:
            raise BlockError("Reference count table too large", errno.EFBIG)
        if not length or not header.refcount_offset:
            raise BlockError("Image does not contain a reference count table", errno.EINVAL)
        if header.refcount_offset & header.cluster_size - 1:
            raise BlockError("Reference count table offset invalid", errno.EINVAL)
        if header.refcount_offset >= self.file.length:
            raise corrupt("the refcount table is beyond the end of the file")
        return load_entries(self.file, header.refcount_offset, length // ENTRY)

    def _clusters_of_table(self, entries: int) -> int:
        """The size of a table that has half as much room again as is needed."""
        clusters = -(-entries * 3 // 2 * ENTRY // self.header.cluster_size)
        if clusters * self.header.cluster_size > LARGEST_TABLE:
            clusters = LARGEST_TABLE // self.header.cluster_size
            if entries * ENTRY > LARGEST_TABLE:
                raise BlockError("qcow2: the image file cannot become larger", errno.EFBIG)
        return clusters

    def _move_table(self, first: int, clusters: int) -> None:
        """Go on with a larger table at cluster `first`; `write` brings it into the file."""
        header = self.header
        self.free(header.refcount_offset >> header.cluster_bits, header.refcount_clusters)
        header.refcount_offset = first << header.cluster_bits
        header.refcount_clusters = clusters
        missing = clusters * header.cluster_size // ENTRY - len(self.table)
        self.table.extend([0] * missing)
        self.moved = True
