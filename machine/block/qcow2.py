"""A qcow2 image, versions 2 and 3, for reading and writing.

What a power cut may leave, at any moment, is an image with all that was flushed, and at worst with
clusters that are counted but not used. Therefore the file is changed in this order, with a flush
of the file between two steps: data and reference counts that rise; L2 tables; L1 entries. Only
when these are safe do counts fall, and only then is the room of a freed cluster used again.
Source: QEMU's docs/interop/qcow2.txt.
"""
import errno
import os
import struct
from array import array

from pyemu.machine.block.base import BlockDevice, BlockError, Data
from pyemu.machine.block.qcow2_compression import compressor
from pyemu.machine.block.qcow2_header import (
    AUTOCLEAR_FIELD,
    CORRUPT,
    DIRTY,
    INCOMPATIBLE_FIELD,
    LARGEST_L1,
    LAZY_REFCOUNTS,
    SIZE_FIELD,
    Header,
)
from pyemu.machine.block.qcow2_map import (
    COMPRESSED,
    COMPRESSED_FLAG,
    COPIED,
    NORMAL,
    OFFSET,
    UNALLOCATED,
    ZERO,
    ZERO_FLAG,
)
from pyemu.machine.block.qcow2_reader import Qcow2Reader
from pyemu.machine.block.qcow2_refcounts import Refcounts
from pyemu.machine.block.qcow2_tables import ENTRY, Table, corrupt, store_entries
from pyemu.machine.block.raw import RawFile
from pyemu.trace.hooks import (
    trace_bdrv_co_pwritev_part,
    trace_qcow2_cluster_alloc_phys,
    trace_qcow2_cluster_link_l2,
    trace_qcow2_l2_allocate,
    trace_qcow2_l2_allocate_done,
    trace_qcow2_pwrite_zeroes,
)

MOST_CHANGED = 64  # L2 tables kept in memory before they are written without being asked
MOST_FREED = 4096  # runs of clusters that wait for a flush before one is made


class Qcow2(Qcow2Reader):
    """The disk in the image.

    pass_discards: what is freed becomes a hole in the file.
    """

    refcounts: Refcounts  # if it can be written

    def __init__(self, file: RawFile, header: Header, backing: BlockDevice | None = None):
        """Takes over `file` and `backing`. Raises BlockError."""
        super().__init__(file, header, backing)
        self.pass_discards = False
        self.lazy = bool(header.compatible & LAZY_REFCOUNTS)
        self._compressed_end = 0  # place in the file where the next compressed cluster may follow
        if not self.read_only:
            self.refcounts = Refcounts(file, header)

    def write(self, offset: int, data: Data) -> None:
        if trace_bdrv_co_pwritev_part:
            trace_bdrv_co_pwritev_part(self, offset, len(data), 0)
        self._begin()
        rest = memoryview(data).cast("B")
        while rest:
            count = self._write_some(offset, rest)
            offset += count
            rest = rest[count:]

    def write_zeroes(self, offset: int, length: int, unmap: bool = True) -> None:
        """Make these bytes zeros, if possible without writing them.

        unmap: the room of whole clusters may be given up.
        """
        if trace_qcow2_pwrite_zeroes:
            trace_qcow2_pwrite_zeroes(self, offset, length)
        self._begin()
        size = self.header.cluster_size
        end = offset + length
        while offset < end:
            within = offset % size
            whole = end - offset if end == self.size else (end - offset) // size * size
            done = self._drop(offset, whole, keep=not unmap) if whole and not within else 0
            if not done:
                done = min(end - offset, size - within)
                self._write_zeros(offset, done)
            offset += done

    def discard(self, offset: int, length: int) -> None:
        """Whole clusters read as zeros afterwards; parts of them stay."""
        if self.header.version < 3 and self.backing:
            return  # there is no way to hide the backing file again
        self._begin()
        size = self.header.cluster_size
        end = offset + length
        if end < self.size:
            end -= end % size
        offset = -(-offset // size) * size
        while offset < end:
            offset += self._drop(offset, end - offset, keep=False)

    def write_compressed(self, offset: int, data: Data, packed: bytes | None = None) -> None:
        """Write one whole cluster (or the last of the disk), compressed if that makes it shorter.

        packed: its compressed form, if the caller has it already.
        """
        self._begin()
        size = self.header.cluster_size
        if packed is None:
            packed = compressor(self.header.compression)(bytes(data).ljust(size, b"\0"))
        if len(packed) >= size:
            self.write(offset, data)
            return
        index, slot, _ = self.map.slots(offset, 1)
        table = self.own_table(index)
        place = self._allocate_bytes(len(packed))
        self.file.write(place, packed)
        self._forget(table[slot])
        table[slot] = self.map.compressed_entry(place, len(packed))
        self._limit()

    def resize(self, size: int) -> None:
        """Raises BlockError where snapshots or the format are in the way."""
        self._begin()
        header, old = self.header, self.size
        if header.snapshots and header.version < 3:
            raise BlockError("Can't resize a v2 image which has snapshots", errno.ENOTSUP)
        if size < old:
            cluster = header.cluster_size
            rest = min(-size % cluster, old - size)
            self._write_zeros(size, rest)
            if size + rest < old:
                self._release(size + rest, old)
            self.flush()
        entries = max(len(self.map.l1), -(-size >> header.cluster_bits + header.l2_bits))
        if entries * ENTRY > LARGEST_L1:
            raise BlockError("qcow2: the L1 table would be too large", errno.EFBIG)
        l1, offset, freed = self.map.l1, header.l1_offset, (0, 0)
        if entries > len(self.map.l1):
            self._write_metadata()
            freed = offset // header.cluster_size, self._clusters(len(l1) * ENTRY)
            l1 = l1 + array("Q", bytes(ENTRY * (entries - len(l1))))
            run = self._clusters(entries * ENTRY)
            offset = self.refcounts.allocate_run(run) * header.cluster_size
            self.file.write(offset, bytes(run * header.cluster_size))
            store_entries(self.file, offset, l1)
            self.refcounts.write()
            self.file.flush()
        self.file.write(SIZE_FIELD, struct.pack(">QIIQ", size, 0, entries, offset))
        self.file.flush()
        header.size, header.l1_offset, header.l1_size = size, offset, entries
        self.size, self.map.l1 = size, l1
        if freed[1]:
            self.refcounts.free(*freed)
        if self.backing and size > old < self.backing.size:
            self.write_zeroes(old, min(size, self.backing.size) - old)
        self.sync()

    def empty(self) -> None:
        """Let all of the disk be as in the backing file."""
        self._begin()
        self._release(0, self.size)
        self.sync()

    def flush(self) -> None:
        if self.read_only:
            return
        self._write_metadata()
        self.file.flush()
        for first, count in self.refcounts.settle():
            if self.pass_discards:
                bits = self.header.cluster_bits
                self.file.discard(first << bits, count << bits)

    def close(self) -> None:
        try:
            if not self.read_only:
                self.sync()
        finally:
            self.file.close()
            if self.backing:
                self.backing.close()

    def sync(self) -> None:
        """`flush`, and leave no count behind that is too high or was put off."""
        self.flush()
        if self.refcounts.changed:
            self.refcounts.write()
            self.file.flush()
        if self.lazy and self.header.incompatible & DIRTY:
            self.set_incompatible(self.header.incompatible & ~DIRTY)

    def set_incompatible(self, features: int) -> None:
        """Change the feature bits in the header, safely."""
        self.file.write(INCOMPATIBLE_FIELD, struct.pack(">Q", features))
        self.file.flush()
        self.header.incompatible = features

    def mark_corrupt(self, why: str) -> BlockError:
        """Refuse writing from now on, also to later users. Returns the error to raise."""
        if self.header.version >= 3 and not self.header.incompatible & CORRUPT:
            self.set_incompatible(self.header.incompatible | CORRUPT)
        self.header.incompatible |= CORRUPT
        return BlockError(f"qcow2: Marking image as corrupt: {why}")

    def _begin(self) -> None:
        """Before the first change, and each time refuse what must not be changed."""
        if self.read_only:
            raise BlockError(os.strerror(errno.EROFS), errno.EROFS)
        if self.header.incompatible & CORRUPT:
            raise corrupt("it cannot be written")
        if self.header.autoclear:
            # Features that nobody here keeps up, such as dirty bitmaps.
            self.file.write(AUTOCLEAR_FIELD, bytes(8))
            self.header.autoclear = 0

    def _write_some(self, offset: int, rest: memoryview) -> int:
        """Write what can be written in one piece; return its length."""
        size = self.header.cluster_size
        within = offset & size - 1
        index, first, last = self.map.slots(offset, len(rest))
        table = self.map.table(index)
        if table is not None and self.map.l1[index] & COPIED:
            place, clusters = self._in_place(table, first, last)
            if clusters:
                piece = rest[:clusters * size - within]
                self._guard(place, clusters)
                self.file.write(place + within, piece)
                return len(piece)
        table = self.own_table(index)
        place = self._kept_room(table[first])
        clusters = 1
        if not place:
            while (first + clusters < last and not self._kept_room(table[first + clusters])
                   and not self._in_place(table, first + clusters, last)[1]):
                clusters += 1
            place, clusters = self.allocate(clusters)
        piece = rest[:clusters * size - within]
        try:
            self._fill(place, offset, piece)
        except OSError:
            if not self._kept_room(table[first]):
                self.refcounts.release(place // size, clusters)
            raise
        if trace_qcow2_cluster_link_l2:
            trace_qcow2_cluster_link_l2(self, clusters)
        for slot in range(first, first + clusters):
            if table[slot] & OFFSET != place or table[slot] & COMPRESSED_FLAG:
                self._forget(table[slot])
            table[slot] = place | COPIED
            place += size
        self._limit()
        return len(piece)

    def _in_place(self, table: "Table[int]", first: int, last: int) -> tuple[int, int]:
        """Clusters from `first` on that are ours alone and lie in a row: place and number."""
        entry = table[first]
        if entry & ~OFFSET != COPIED:
            return 0, 0
        _, place = self.map.classify(entry)
        size = self.header.cluster_size
        count = 1
        while first + count < last and table[first + count] == entry + count * size:
            count += 1
        return place, count

    def _kept_room(self, entry: int) -> int:
        """Where a cluster that reads as zeros has room of its own; 0 if it has none."""
        if entry & ~OFFSET != COPIED | ZERO_FLAG:
            return 0
        place = entry & OFFSET
        if place:
            self._guard(place, 1)
        return place

    def _fill(self, place: int, offset: int, piece: memoryview) -> None:
        """Write `piece` into new clusters at `place`, and around it what the disk has there."""
        size = self.header.cluster_size
        before = offset & size - 1
        after = -(before + len(piece)) % size
        head = self.read(offset - before, before)
        end = offset + len(piece)
        tail = self.read(end, max(0, min(after, self.size - end))).ljust(after, b"\0")
        if place >= self.file.length and not head.strip(b"\0") and not tail.strip(b"\0"):
            self.file.write(place + before, piece)  # the file reads as zeros there
        elif before or after:
            self.file.write(place, b"".join((head, piece, tail)))
        else:
            self.file.write(place, piece)

    def _write_zeros(self, offset: int, count: int) -> None:
        """Write zeros into part of a cluster, or all of it, unless it reads as zeros already."""
        kind, _, _ = self.map.find(offset, offset + count)
        if kind == UNALLOCATED and not self.shines_through(offset):
            return
        if kind in (UNALLOCATED, NORMAL, COMPRESSED):
            self.write(offset, bytes(count))

    def _drop(self, offset: int, length: int, keep: bool) -> int:
        """Make the whole clusters at `offset` read as zeros; return how many bytes.

        keep: not to give up their room. Returns 0 if the format has no way to do it.
        """
        size = self.header.cluster_size
        index, first, last = self.map.slots(offset, length)
        done = min(length, (last - first) * size)
        old = self.map.table(index)
        if old is None:
            if not self.shines_through(offset):
                return done
            old = self.map.empty_table()
        if self.header.version < 3 and self.backing:
            return 0
        table = None
        for slot in range(first, last):
            entry = old[slot]
            kind = self.map.classify(entry)[0]
            if kind == ZERO or (kind == UNALLOCATED and not self.shines_through(
                    offset + (slot - first) * size)):
                continue
            zeros = ZERO_FLAG if self.header.version >= 3 else 0
            if keep and zeros and entry & ~(OFFSET | ZERO_FLAG) == COPIED:
                zeros = entry | ZERO_FLAG
            if zeros == entry:
                continue
            if table is None:
                table = self.own_table(index)
            if (zeros ^ entry) & OFFSET or entry & COMPRESSED_FLAG:
                self._forget(entry)
            table[slot] = zeros
        self._limit()
        return done

    def _release(self, offset: int, end: int) -> None:
        """Give up all clusters from a whole one on: they show the backing file, or zeros."""
        while offset < end:
            index, first, last = self.map.slots(offset, end - offset)
            if self.map.table(index) is not None:
                table = self.own_table(index)
                for slot in range(first, last):
                    self._forget(table[slot])
                    table[slot] = 0
                self._limit()
            offset += last - first << self.header.cluster_bits

    def _clusters(self, length: int) -> int:
        return -(-length >> self.header.cluster_bits)

    # Clusters and tables

    def own_table(self, index: int) -> "Table[int]":
        """The L2 table of an L1 entry, for changing it; a copy if a snapshot has it too."""
        entry = self.map.l1[index]
        if entry & COPIED and entry & OFFSET:
            return self.map.l2.change(entry & OFFSET)
        if trace_qcow2_l2_allocate:
            trace_qcow2_l2_allocate(self, index)
        old = self.map.table(index)
        table = self.map.empty_table() if old is None else old[:]
        place, _ = self.allocate(1)
        try:
            self.map.set_table(index, place, table)
        except OSError:
            self.refcounts.release(place >> self.header.cluster_bits, 1)
            raise
        if entry & OFFSET:
            self.refcounts.free((entry & OFFSET) >> self.header.cluster_bits)
        if trace_qcow2_l2_allocate_done:
            trace_qcow2_l2_allocate_done(self, index, 0)
        return table

    def allocate(self, most: int) -> tuple[int, int]:
        """Up to `most` clusters in a row that nobody uses: place and number."""
        if trace_qcow2_cluster_alloc_phys:
            trace_qcow2_cluster_alloc_phys(self)
        first, count = self.refcounts.allocate(most)
        place = first << self.header.cluster_bits
        self._guard(place, count)
        return place, count

    def _allocate_bytes(self, length: int) -> int:
        """Room for compressed data, behind the last if that cluster has some left."""
        bits, size = self.header.cluster_bits, self.header.cluster_size
        place = self._compressed_end
        left = -place % size
        if length > left or not self.refcounts.can_add(place >> bits):
            follows = place + left
            place, _ = self.allocate(1)
            if left and place == follows and self.refcounts.can_add(self._compressed_end >> bits):
                place = self._compressed_end
                self.refcounts.add(place >> bits, 1, 1)
        else:
            self.refcounts.add(place >> bits, 1, 1)
        self._compressed_end = place + length
        return place

    def _forget(self, entry: int) -> None:
        """An L2 entry is about to go: so does its reference to clusters in the file."""
        first, count = self.map.clusters_of(entry)
        if count:
            self.refcounts.free(first, count)
        if entry & COMPRESSED_FLAG:
            self.clusters.forget(entry & COMPRESSED_FLAG - 1)
            self._compressed_end = 0

    def _guard(self, place: int, count: int) -> None:
        """Raise BlockError if clusters that are to be written hold the image's own tables."""
        first = place >> self.header.cluster_bits
        for cluster in range(first, first + count):
            name = self._owner(cluster)
            if name:
                raise self.mark_corrupt(
                    f"Preventing invalid write on metadata (overlaps with {name})")

    def _owner(self, cluster: int) -> str:
        if cluster == 0:
            return "main header"
        return self.map.owner(cluster) or self.refcounts.owner(cluster)

    def _limit(self) -> None:
        """Keep what waits in memory small even if nobody ever flushes."""
        if len(self.refcounts.freed) > MOST_FREED:
            self.flush()
        elif len(self.map.l2.changed) > MOST_CHANGED:
            self._write_metadata()

    def _write_metadata(self) -> None:
        """Everything but the last flush of the file."""
        missing = -self.file.length % self.header.cluster_size
        if missing:  # not every reader takes a last cluster without its end for one with zeros
            self.file.resize(self.file.length + missing)
        tables = self.map.changed
        if not self.lazy or self.refcounts.moved:
            if self.refcounts.changed:
                self.refcounts.write()
        elif tables and not self.header.incompatible & DIRTY:
            self.set_incompatible(self.header.incompatible | DIRTY)
        if tables:
            self.file.flush()
            self.map.write()
