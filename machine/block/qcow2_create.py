"""Making a new qcow2 image."""
import errno
import os
import struct
from array import array
from dataclasses import dataclass

from pyemu.machine.block.base import BlockError
from pyemu.machine.block.hostfile import fallocate
from pyemu.machine.block.qcow2 import Qcow2
from pyemu.machine.block.qcow2_header import (
    BACKING_FORMAT,
    COMPRESSION,
    FEATURE_ENTRY,
    FEATURE_TABLE,
    LARGEST_L1,
    LAZY_REFCOUNTS,
    MAGIC,
    V2_FIELDS,
    V2_LENGTH,
    V3_FIELDS,
    ZLIB,
    ZSTD,
    Header,
    read_header,
)
from pyemu.machine.block.qcow2_map import COPIED
from pyemu.machine.block.qcow2_refcounts import Refcounts, pack, unpack
from pyemu.machine.block.qcow2_tables import ENTRY, big_endian
from pyemu.machine.block.raw import RawFile

V3_WRITTEN = 112  # bytes of a header of version 3, with the compression type and padding
COMPRESSIONS = {"zlib": ZLIB, "zstd": ZSTD}
PREALLOCATIONS = ("off", "metadata", "falloc", "full")
FIRST_CLUSTERS = 3  # header, refcount table, refcount block

# For readers that do not know a feature: (kind, bit, name); 0 incompatible, 1 compatible, 2 other.
FEATURES = ((0, 0, b"dirty bit"), (0, 1, b"corrupt bit"), (0, 2, b"external data file"),
            (0, 3, b"compression type"), (0, 4, b"extended L2 entries"), (1, 0, b"lazy refcounts"),
            (2, 0, b"bitmaps"), (2, 1, b"raw external data"))


@dataclass
class Options:
    """How to make it, as `pyemu-img create -o` names it."""

    cluster_size: int = 64 << 10
    version: int = 3
    refcount_bits: int = 16
    lazy_refcounts: bool = False
    compression_type: str = "zlib"
    backing_file: str | None = None
    backing_format: str | None = None
    preallocation: str = "off"

    def check(self) -> None:
        """Raises BlockError, saying which of them is wrong."""
        if self.cluster_size.bit_count() != 1 or not 512 <= self.cluster_size <= 2 << 20:
            raise _bad("Cluster size must be a power of two between 512 and 2048k")
        if self.refcount_bits.bit_count() != 1 or self.refcount_bits > 64:
            raise _bad("Refcount width must be a power of two and may not exceed 64 bits")
        if self.version < 3 and self.refcount_bits != 16:
            raise _bad("Different refcount widths than 16 bits require compatibility level 1.1 or "
                       "above (use version=v3 or greater)")
        if self.version < 3 and self.lazy_refcounts:
            raise _bad("Lazy refcounts only supported with compatibility level 1.1 and above "
                       "(use version=v3 or greater)")
        if self.version < 3 and self.compression_type != "zlib":
            raise _bad("Non-zlib compression type is only supported with compatibility level 1.1 "
                       "and above (use version=v3 or greater)")
        if self.backing_file and self.preallocation != "off":
            raise _bad("Backing file and preallocation can only be used at the same time if "
                       "extended_l2 is enabled")


def create(file: RawFile, size: int, options: Options) -> None:
    """Make `file`, which is empty, an image of `size` bytes. Raises OSError."""
    options.check()
    cluster = options.cluster_size
    entries = -(-size // (cluster * (cluster // ENTRY)))
    if entries * ENTRY > LARGEST_L1:
        raise BlockError("The image size is too large (try using a larger cluster size)",
                         errno.EFBIG)
    order = options.refcount_bits.bit_length() - 1
    block = unpack(bytes(cluster), order)
    block[:FIRST_CLUSTERS] = array(block.typecode, [1] * FIRST_CLUSTERS)
    header = Header(
        version=options.version, size=size, cluster_bits=cluster.bit_length() - 1,
        l1_offset=0, l1_size=entries, refcount_offset=cluster, refcount_clusters=1,
        refcount_order=order,
        incompatible=COMPRESSION if options.compression_type != "zlib" else 0,
        compression=COMPRESSIONS[options.compression_type],
        compatible=LAZY_REFCOUNTS if options.lazy_refcounts else 0, autoclear=0,
        snapshots=0, snapshots_offset=0, backing_file=options.backing_file,
        backing_format=options.backing_format)
    file.resize(FIRST_CLUSTERS * cluster)
    file.write(cluster, big_endian(array("Q", [2 * cluster])).tobytes())
    file.write(2 * cluster, pack(block, order).rstrip(b"\0"))
    refcounts = Refcounts(file, header)
    clusters = -(-entries * ENTRY // cluster)
    if clusters:
        header.l1_offset = refcounts.allocate_run(clusters) * cluster
        file.write_zeroes(header.l1_offset, clusters * cluster)
    refcounts.write()
    refcounts.settle()
    refcounts.write()
    file.write(0, pack_header(header))
    if options.preallocation != "off":
        image = Qcow2(file, read_header(file))
        preallocate(image, options.preallocation)
        image.sync()
    file.flush()


def pack_header(header: Header) -> bytes:
    """What the first cluster begins with. Raises BlockError if the backing name does not fit."""
    extensions = b""
    if header.backing_format:
        extensions += _extension(BACKING_FORMAT, os.fsencode(header.backing_format))
    if header.version >= 3:
        features = b"".join(FEATURE_ENTRY.pack(*feature) for feature in FEATURES)
        if V3_WRITTEN + len(extensions) + len(features) + 1100 < header.cluster_size:
            extensions += _extension(FEATURE_TABLE, features)
    extensions += _extension(0, b"")
    length = V3_WRITTEN if header.version >= 3 else V2_LENGTH
    name = os.fsencode(header.backing_file or "")
    name_offset = length + len(extensions) if name else 0
    if name_offset + len(name) > header.cluster_size or len(name) > 1023:
        raise _bad("Backing file name too long")
    first = V2_FIELDS.pack(
        MAGIC, header.version, name_offset, len(name), header.cluster_bits, header.size, 0,
        header.l1_size, header.l1_offset, header.refcount_offset, header.refcount_clusters,
        header.snapshots, header.snapshots_offset)
    if header.version >= 3:
        first += V3_FIELDS.pack(header.incompatible, header.compatible, header.autoclear,
                                header.refcount_order, V3_WRITTEN)
        first += bytes([header.compression]) + bytes(7)
    return first + extensions + name


def preallocate(image: Qcow2, how: str) -> None:
    """Give every cluster its place: only that, or room on the host's disk, or written zeros."""
    header, offset = image.header, 0
    while offset < image.size:
        index, first, last = image.map.slots(offset, image.size - offset)
        table = image.own_table(index)
        while first < last:
            place, count = image.allocate(last - first)
            length = count << header.cluster_bits
            if how == "full":
                image.file.write(place, bytes(length))
            elif how == "falloc":
                fallocate(image.file.fd, 0, place, length)
            for slot in range(first, first + count):
                table[slot] = place | COPIED
                place += header.cluster_size
            if place > image.file.length:
                image.file.resize(place)
            first += count
            offset += length
        offset = min(offset, image.size)


def _extension(kind: int, data: bytes) -> bytes:
    return struct.pack(">II", kind, len(data)) + data.ljust(-(-len(data) // 8) * 8, b"\0")


def _bad(text: str) -> BlockError:
    return BlockError(text, errno.EINVAL)
