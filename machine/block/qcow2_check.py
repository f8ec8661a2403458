"""Checking and repairing a qcow2 image: are its reference counts those that its tables imply?"""
import errno
import struct
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pyemu.machine.block.base import BlockError
from pyemu.machine.block.qcow2 import Qcow2
from pyemu.machine.block.qcow2_header import CORRUPT, DIRTY, REFCOUNT_FIELDS
from pyemu.machine.block.qcow2_map import COMPRESSED_FLAG, COPIED, OFFSET, ZERO_FLAG
from pyemu.machine.block.qcow2_refcounts import LARGEST_TABLE, PLACE, Refcounts, pack, unpack
from pyemu.machine.block.qcow2_snapshots import Snapshots, set_copied_flags
from pyemu.machine.block.qcow2_tables import ENTRY, Table, big_endian

BITMAPS = 1 << 0  # autoclear: there are dirty bitmaps, and they are up to date
PART = 16  # log2 of the clusters that are counted in one array


@dataclass
class Result:
    """What a check has found, in QEMU's words."""

    corruptions: int = 0
    leaks: int = 0
    corruptions_fixed: int = 0
    leaks_fixed: int = 0
    total: int = 0  # clusters of the disk
    allocated: int = 0
    compressed: int = 0
    fragmented: int = 0
    end: int = 0  # offset behind the last cluster in use


class References:
    """How often clusters of the file are named; most of a large file may be in one array."""

    def __init__(self, limit: int):
        """limit: clusters that the file has room for."""
        self.limit = limit
        self.parts: dict[int, array[int]] = {}

    def add(self, first: int, count: int, times: int = 1) -> bool:
        """False if that is beyond the end of the file."""
        if first + count > self.limit:
            return False
        for cluster in range(first, first + count):
            part = self.parts.get(cluster >> PART)
            if part is None:
                part = self.parts[cluster >> PART] = array("Q", bytes(8 << PART))
            part[cluster & (1 << PART) - 1] += times
        return True

    def get(self, cluster: int) -> int:
        part = self.parts.get(cluster >> PART)
        return part[cluster & (1 << PART) - 1] if part else 0

    def __iter__(self) -> Iterator[int]:
        """The clusters that are named, in order."""
        for index in sorted(self.parts):
            for slot, times in enumerate(self.parts[index]):
                if times:
                    yield (index << PART) + slot


class Check:
    """One check of an image. `report` takes a line for each finding.

    `run` only looks; `repair` mends what `run` has found. Raises OSError.
    """

    def __init__(self, image: Qcow2, report: Callable[[str], None]):
        self.image = image
        self.report = report
        self.result = Result()
        self.bits = image.header.cluster_bits
        limit = -(-image.file.length >> self.bits)
        self.references = References(limit)  # but for those of the counts' own tables
        self.own = References(limit)
        self.counts = image.refcounts if not image.read_only else Refcounts(image.file,
                                                                            image.header)
        self.bad_blocks = False

    def run(self) -> Result:
        header, result = self.image.header, self.result
        if header.autoclear & BITMAPS:
            raise BlockError("qcow2: images with bitmaps cannot be checked", errno.ENOTSUP)
        result.total = -(-header.size >> self.bits)
        self._name(0, 1, "header")
        self._name_bytes(header.l1_offset, header.l1_size * ENTRY, "L1 table")
        self._walk(self.image.map.l1, active=True)
        snapshots = Snapshots(self.image)
        if header.snapshots:
            self._name_bytes(header.snapshots_offset, snapshots.length, "snapshot table")
        for snapshot in snapshots.list:
            self._name_bytes(snapshot.l1_offset, snapshot.l1_size * ENTRY, "snapshot L1 table")
            self._walk(snapshots.load_l1(snapshot), active=False)
        self._name_own()
        self._compare()
        self._compare_flags()
        return result

    def repair(self, leaks_only: bool = False) -> None:
        """Mend the counts and the flags; entries that are wrong stay as they are."""
        result, image = self.result, self.image
        wrong = self.bad_blocks or any(self._too_low())
        if wrong and leaks_only:
            return
        if wrong:
            self.report("Rebuilding refcount structure")
            self._rebuild()
        else:
            for cluster, count, named in list(self._different()):
                self.counts.add(cluster, 1, named - count)
            self.counts.write()
            image.file.flush()
        result.leaks_fixed, result.leaks = result.leaks, 0
        if leaks_only:
            return
        set_copied_flags(image)
        image.sync()
        again = Check(image, lambda text: None).run()
        result.corruptions_fixed = max(0, result.corruptions - again.corruptions)
        result.corruptions, result.end = again.corruptions, again.end
        features = image.header.incompatible & ~(DIRTY | CORRUPT)
        if not again.corruptions and features != image.header.incompatible:
            image.set_incompatible(features)

    # What the tables name

    def _name(self, first: int, count: int, what: str, times: int = 1) -> None:
        if not self.references.add(first, count, times):
            self._error(f"ERROR: {what} at offset {first << self.bits:#x} is beyond the end of "
                        "the file")

    def _name_bytes(self, offset: int, length: int, what: str) -> None:
        first = offset >> self.bits
        # The last cluster of a table may be cut short by the end of the file.
        self._name(first, (offset + length - 1 >> self.bits) - first + 1 if length else 0, what)

    def _walk(self, l1: "Table[int]", active: bool) -> None:
        image, result = self.image, self.result
        follows = 0
        for place, times in Counter(entry & OFFSET for entry in l1 if entry & OFFSET).items():
            self._name(place >> self.bits, 1, "L2 table", times)
            for entry in image.map.l2.get(place):
                if not entry:
                    continue
                first, count = image.map.clusters_of(entry)
                if not entry & COMPRESSED_FLAG and entry & OFFSET & image.header.cluster_size - 1:
                    self._error(f"ERROR offset={entry & OFFSET:x}: Cluster is not properly "
                                "aligned; L2 entry corrupted.")
                    continue
                if count:
                    self._name(first, count, "cluster", times)
                if not active or (not count and not entry & COMPRESSED_FLAG):
                    continue
                if entry & ZERO_FLAG and not entry & COMPRESSED_FLAG:
                    continue
                result.allocated += 1
                if entry & COMPRESSED_FLAG:
                    result.compressed += 1
                    result.fragmented += 1
                else:
                    result.fragmented += bool(follows and follows != first)
                    follows = first + 1

    def _name_own(self) -> None:
        """The refcount table and its blocks."""
        header = self.image.header
        if not self.own.add(header.refcount_offset >> self.bits, header.refcount_clusters):
            self.bad_blocks = True
        for index, entry in enumerate(self.counts.table):
            place = entry & PLACE
            if not place:
                continue
            if place & header.cluster_size - 1 or not self.own.add(place >> self.bits, 1):
                self._error(f"ERROR refcount block {index} is outside image or not aligned")
                self.bad_blocks = True
            elif self.own.get(place >> self.bits) > 1:
                self._error(f"ERROR refcount block {index} is used twice")
                self.bad_blocks = True

    # Comparing

    def _named(self, cluster: int) -> int:
        return self.references.get(cluster) + self.own.get(cluster)

    def _counted(self) -> Iterator[tuple[int, "Table[int]"]]:
        """The first cluster and the counts of each block that can be read."""
        for index, entry in enumerate(self.counts.table):
            place = entry & PLACE
            if place and not place & self.image.header.cluster_size - 1 and (
                    place < self.image.file.length):
                yield index << self.counts.block_bits, self.counts.blocks.get(place)

    def _different(self) -> Iterator[tuple[int, int, int]]:
        """Clusters whose count is not what it should be: (cluster, count, references)."""
        for first, block in self._counted():
            for slot, count in enumerate(block):
                if count:
                    named = self._named(first + slot)
                    if named != count:
                        yield first + slot, count, named
        yield from self._uncounted()

    def _uncounted(self) -> Iterator[tuple[int, int, int]]:
        for references in self.references, self.own:
            for cluster in references:
                if not self._count(cluster) and (references is self.references
                                                 or not self.references.get(cluster)):
                    yield cluster, 0, self._named(cluster)

    def _count(self, cluster: int) -> int:
        try:
            return self.counts.get(cluster)
        except BlockError:
            return 0

    def _too_low(self) -> Iterator[bool]:
        for _, count, named in self._different():
            if count < named:
                yield True

    def _compare(self) -> None:
        result = self.result
        for cluster, count, named in self._different():
            if count > named:
                result.leaks += 1
                word = "Leaked"
            else:
                result.corruptions += 1
                word = "ERROR"
            self.report(f"{word} cluster {cluster} refcount={count} reference={named}")
        last = 0
        for first, block in self._counted():
            used = len(block.tobytes().rstrip(b"\0"))
            if used:
                last = max(last, first + (used - 1) // block.itemsize)
        result.end = last + 1 << self.bits

    def _compare_flags(self) -> None:
        """COPIED must say of each cluster in active tables whether it is used once."""
        for index, entry in enumerate(self.image.map.l1):
            place = entry & OFFSET
            if not place:
                continue
            self._compare_flag(entry, f"L2 cluster: l1_index={index} l1_entry={entry:x}")
            for below in self.image.map.l2.get(place):
                if below & OFFSET and not below & COMPRESSED_FLAG:
                    self._compare_flag(below, f"data cluster: l2_entry={below:x}")

    def _compare_flag(self, entry: int, what: str) -> None:
        count = self._count((entry & OFFSET) >> self.bits)
        if bool(entry & COPIED) != (count == 1):
            self._error(f"ERROR OFLAG_COPIED {what} refcount={count}")

    def _error(self, text: str) -> None:
        self.result.corruptions += 1
        self.report(text)

    # A new set of counts

    def _rebuild(self) -> None:
        """Write all counts anew at the end of the file, then let the header name them."""
        image, header, references = self.image, self.image.header, self.references
        size, block_bits = header.cluster_size, self.counts.block_bits
        most = self.counts.largest
        start = references.limit
        named = {cluster >> block_bits for cluster in references}
        clusters = table = 0
        while True:
            end = start + clusters + table
            indices = sorted(named | set(range(start >> block_bits, (end - 1 >> block_bits) + 1)))
            needed = -(-(indices[-1] + 1) * ENTRY // size)
            if len(indices) <= clusters and needed <= table:
                break
            clusters, table = len(indices), needed
        if table * size > LARGEST_TABLE:
            raise BlockError("qcow2: the image is too large for its reference counts",
                             errno.EFBIG)
        entries = array("Q", bytes(table * size))
        for number, index in enumerate(indices):
            entries[index] = start + number << self.bits
            block = unpack(bytes(size), header.refcount_order)
            base = index << block_bits
            for slot in range(len(block)):
                cluster = base + slot
                count = 1 if start <= cluster < end else references.get(cluster)
                if count > most:
                    raise BlockError("qcow2: Reference count too large", errno.EINVAL)
                block[slot] = count
            image.file.write(entries[index], pack(block, header.refcount_order))
        offset = start + clusters << self.bits
        image.file.write(offset, big_endian(entries[:]).tobytes())
        image.file.flush()
        image.file.write(REFCOUNT_FIELDS, struct.pack(">QI", offset, table))
        image.file.flush()
        header.refcount_offset, header.refcount_clusters = offset, table
        image.refcounts = self.counts = Refcounts(image.file, header)


def repair_dirty(image: Qcow2, report: Callable[[str], None]) -> None:
    """What QEMU does with an image whose last user ended without closing it. Raises OSError."""
    check = Check(image, lambda text: None)
    check.run()
    check.repair()
    if check.result.corruptions:
        raise BlockError("qcow2: the image was not closed properly and cannot be repaired")
    report("qcow2: the image was not closed properly: its reference counts have been repaired")
