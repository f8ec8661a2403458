"""Internal snapshots of a qcow2 image: L1 tables of earlier states, kept in the same file.

Source: QEMU's docs/interop/qcow2.txt, "Snapshots".
"""
import errno
import struct
from collections import Counter
from dataclasses import dataclass

from pyemu.machine.block.base import BlockError
from pyemu.machine.block.qcow2 import Qcow2
from pyemu.machine.block.qcow2_header import LARGEST_L1, SIZE_FIELD, SNAPSHOT_FIELDS, Header
from pyemu.machine.block.qcow2_map import COMPRESSED_FLAG, COPIED, OFFSET, ClusterMap
from pyemu.machine.block.qcow2_tables import (
    ENTRY,
    Table,
    corrupt,
    load_entries,
    store_entries,
)
from pyemu.machine.block.raw import RawFile

FIXED = struct.Struct(">QIHHIIQII")  # what each entry of the table begins with
EXTRA = struct.Struct(">QQQ")  # size of the VM state, of the disk, instruction count
EXTRA_KNOWN = 16  # bytes of it that version 3 promises
NO_COUNT = (1 << 64) - 1
MOST = 65536  # snapshots
LARGEST_TABLE = 64 << 20  # bytes
LARGEST_EXTRA = 1024  # bytes


@dataclass
class Snapshot:
    """One entry. Sizes are bytes; the date is seconds since 1970 and nanoseconds."""

    id: str
    name: str
    l1_offset: int
    l1_size: int  # entries
    date: tuple[int, int]
    disk_size: int
    vm_clock: int = 0  # nanoseconds of guest time
    vm_state_size: int = 0
    icount: int = NO_COUNT

    def packed(self) -> bytes:
        ident, name = self.id.encode(), self.name.encode("utf-8", "surrogateescape")
        entry = FIXED.pack(self.l1_offset, self.l1_size, len(ident), len(name), *self.date,
                           self.vm_clock, min(self.vm_state_size, 0xFFFF_FFFF), EXTRA.size)
        entry += EXTRA.pack(self.vm_state_size, self.disk_size, self.icount) + ident + name
        return entry.ljust(-(-len(entry) // 8) * 8, b"\0")


def read_snapshots(file: RawFile, header: Header) -> tuple[list[Snapshot], int]:
    """All snapshots in the order of the table, and its length in bytes. Raises BlockError."""
    if header.snapshots > MOST:
        raise BlockError("Snapshot table too large", errno.EFBIG)
    if header.snapshots and header.snapshots_offset % header.cluster_size:
        raise BlockError("Snapshot table offset invalid", errno.EINVAL)
    found = []
    place = header.snapshots_offset
    for _ in range(header.snapshots):
        if place + FIXED.size > file.length:
            raise corrupt("the snapshot table is beyond the end of the file")
        (l1_offset, l1_size, id_length, name_length, seconds, nanoseconds, vm_clock, vm_state,
         extra_length) = FIXED.unpack(file.read(place, FIXED.size))
        place += FIXED.size
        length = extra_length + id_length + name_length
        if extra_length > LARGEST_EXTRA or l1_size * ENTRY > LARGEST_L1:
            raise corrupt("an entry of the snapshot table is too large")
        if l1_offset % header.cluster_size:
            raise corrupt(f"snapshot L1 table offset {l1_offset:#x} unaligned")
        tail = file.read(place, length)
        state, disk_size, icount = vm_state, header.size, NO_COUNT
        if extra_length >= EXTRA_KNOWN:
            state, disk_size, icount = EXTRA.unpack(
                (tail[:extra_length] + b"\xff" * 8)[:EXTRA.size])
        ident = tail[extra_length:extra_length + id_length]
        found.append(Snapshot(
            ident.decode(errors="replace"),
            tail[extra_length + id_length:].decode("utf-8", "surrogateescape"),
            l1_offset, l1_size, (seconds, nanoseconds), disk_size, vm_clock, state, icount))
        place += -(-(FIXED.size + length) // 8) * 8 - FIXED.size
        if place - header.snapshots_offset > LARGEST_TABLE:
            raise BlockError("Snapshot table too large", errno.EFBIG)
    return found, place - header.snapshots_offset


class Snapshots:
    """The snapshots of an image that is open for writing.

    Not to be used while a power cut must leave more than an image that can be repaired: between
    its steps the flags of clusters used by one may differ from their counts.
    """

    def __init__(self, image: Qcow2):
        """Raises BlockError."""
        self.image = image
        self.list, self.length = read_snapshots(image.file, image.header)

    def find(self, name: str) -> Snapshot | None:
        """By ID, else by name."""
        return (next((each for each in self.list if each.id == name), None)
                or next((each for each in self.list if each.name == name), None))

    def create(self, name: str, date: tuple[int, int]) -> Snapshot:
        """Keep the state of the disk. Raises OSError."""
        image = self.image
        image.flush()
        self._check_room(image.map.l1)
        offset = self._store_l1(image.map.l1)
        self._count(image.map.l1, 1)
        self._set_flags()
        image.flush()
        ident = str(max((int(each.id) for each in self.list if each.id.isdecimal()),
                        default=0) + 1)
        new = Snapshot(ident, name, offset, len(image.map.l1), date, image.size)
        self._store([*self.list, new])
        image.sync()
        return new

    def delete(self, snapshot: Snapshot) -> None:
        """Raises OSError."""
        image = self.image
        l1 = self.load_l1(snapshot)
        image.flush()
        self._store([each for each in self.list if each is not snapshot])
        self._count(l1, -1)
        self._free_l1(snapshot.l1_offset, snapshot.l1_size)
        image.refcounts.settle()
        image.refcounts.write()
        image.file.flush()
        self._set_flags()
        image.sync()

    def apply(self, snapshot: Snapshot) -> None:
        """Make the disk what it was. Raises OSError."""
        image, header = self.image, self.image.header
        image.flush()
        l1 = self.load_l1(snapshot)
        needed = -(-snapshot.disk_size >> header.cluster_bits + header.l2_bits)
        l1.extend([0] * (needed - len(l1)))
        self._check_room(l1)
        offset = self._store_l1(l1)
        self._count(l1, 1)
        image.refcounts.write()
        image.file.flush()

        before, old_offset = image.map.l1, header.l1_offset
        image.file.write(SIZE_FIELD, struct.pack(">QIIQ", snapshot.disk_size, 0, len(l1), offset))
        image.file.flush()
        header.size = image.size = snapshot.disk_size
        header.l1_offset, header.l1_size = offset, len(l1)
        self._count(before, -1)
        self._free_l1(old_offset, len(before))
        image.refcounts.settle()
        image.refcounts.write()
        image.file.flush()
        image.map = ClusterMap(image.file, header)
        image.clusters.values.clear()
        self._set_flags()
        image.sync()

    def load_l1(self, snapshot: Snapshot) -> "Table[int]":
        """Its L1 table, its flags cleared. Raises BlockError."""
        header = self.image.header
        if snapshot.l1_offset >= self.image.file.length and snapshot.l1_size:
            raise corrupt("the L1 table of a snapshot is beyond the end of the file")
        l1 = load_entries(self.image.file, snapshot.l1_offset, snapshot.l1_size)
        for index, entry in enumerate(l1):
            place = l1[index] = entry & OFFSET
            if place % header.cluster_size or place >= self.image.file.length:
                raise corrupt(f"L2 table offset {place:#x} in a snapshot")
        return l1

    def _tables(self, l1: "Table[int]"):
        """Each L2 table under an L1 table once, with its place and how often it is there."""
        for place, times in Counter(entry & OFFSET for entry in l1 if entry & OFFSET).items():
            yield place, self.image.map.l2.get(place), times

    def _check_room(self, l1: "Table[int]") -> None:
        """Raise BlockError if a count under this L1 table cannot rise any more."""
        refcounts, bits = self.image.refcounts, self.image.header.cluster_bits
        for place, table, _ in self._tables(l1):
            firsts = {self.image.map.clusters_of(entry)[0] for entry in table if entry} - {0}
            if not all(map(refcounts.can_add, (place >> bits, *firsts))):
                raise BlockError("qcow2: the reference counts of the image are too narrow for one "
                                 "more snapshot", errno.EINVAL)

    def _count(self, l1: "Table[int]", by: int) -> None:
        """Change the counts of all that an L1 table leads to."""
        refcounts, bits = self.image.refcounts, self.image.header.cluster_bits
        for place, table, times in self._tables(l1):
            refcounts.add(place >> bits, 1, by * times)
            for entry in table:
                first, count = self.image.map.clusters_of(entry)
                if count:
                    refcounts.add(first, count, by * times)

    def _set_flags(self) -> None:
        """Let COPIED say in all active tables which clusters are used once."""
        set_copied_flags(self.image)

    def _store_l1(self, l1: "Table[int]") -> int:
        """Write a copy of an L1 table; return its place."""
        image, size = self.image, self.image.header.cluster_size
        clusters = -(-len(l1) * ENTRY // size)
        if not clusters:
            return 0
        offset = image.refcounts.allocate_run(clusters) * size
        image.file.write(offset, bytes(clusters * size))
        copy = l1[:]
        for index, entry in enumerate(copy):
            copy[index] = entry & ~COPIED
        store_entries(image.file, offset, copy)
        return offset

    def _free_l1(self, offset: int, entries: int) -> None:
        size = self.image.header.cluster_size
        self.image.refcounts.free(offset // size, -(-entries * ENTRY // size))

    def _store(self, snapshots: list[Snapshot]) -> None:
        """Write a new table and then, in one sector, where it is and its length."""
        image, header, size = self.image, self.image.header, self.image.header.cluster_size
        table = b"".join(each.packed() for each in snapshots)
        offset = 0
        if table:
            clusters = -(-len(table) // size)
            offset = image.refcounts.allocate_run(clusters) * size
            image.file.write(offset, table.ljust(clusters * size, b"\0"))
            image.refcounts.write()
            image.file.flush()
        image.file.write(SNAPSHOT_FIELDS, struct.pack(">IQ", len(snapshots), offset))
        image.file.flush()
        if header.snapshots:
            image.refcounts.free(header.snapshots_offset // size, -(-self.length // size))
        header.snapshots, header.snapshots_offset = len(snapshots), offset
        self.list, self.length = snapshots, len(table)


def set_copied_flags(image: Qcow2) -> int:
    """Let COPIED say in active tables which clusters are used once. Returns how many did not."""
    changes = 0
    refcounts, bits = image.refcounts, image.header.cluster_bits

    def flagged(entry: int) -> int:
        place = entry & OFFSET
        once = place and refcounts.get(place >> bits) == 1
        return entry & ~COPIED | (COPIED if once else 0)

    for index, entry in enumerate(image.map.l1):
        place = entry & OFFSET
        if not place:
            continue
        if flagged(entry) != entry:
            image.map.l1[index] = flagged(entry)
            image.map.new_entries.add(index)
            changes += 1
        for slot, below in enumerate(image.map.l2.get(place)):
            if below and not below & COMPRESSED_FLAG and flagged(below) != below:
                image.map.l2.change(place)[slot] = flagged(below)
                changes += 1
    return changes
