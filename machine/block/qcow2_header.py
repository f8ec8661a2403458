"""The header of a qcow2 image: read, checked, refused by name.

Source: QEMU's docs/interop/qcow2.txt (version 2 and 3 of the format).
"""
import errno
import os
import struct
from dataclasses import dataclass

from pyemu.machine.block.base import BlockError
from pyemu.machine.block.raw import RawFile

MAGIC = b"QFI\xfb"
V2_FIELDS = struct.Struct(">4sIQIIQIIQQIIQ")
V3_FIELDS = struct.Struct(">QQQII")  # behind those of version 2
V2_LENGTH = V2_FIELDS.size
V3_LENGTH = V2_LENGTH + V3_FIELDS.size
COMPRESSION_TYPE = V3_LENGTH  # offset of a byte in headers that are longer than version 3 began

# Offsets of fields that change. Those of one line are written together, within one sector.
SIZE_FIELD = 24  # 64 bits
L1_FIELDS = 36  # entries (32 bits), offset (64)
REFCOUNT_FIELDS = 48  # offset (64 bits), clusters (32)
SNAPSHOT_FIELDS = 60  # number (32 bits), offset (64)
INCOMPATIBLE_FIELD = 72  # 64 bits
AUTOCLEAR_FIELD = 88  # 64 bits

# Incompatible features, by bit: what an implementation must know to read the image.
DIRTY = 1 << 0  # reference counts may be wrong; reading does not need them
CORRUPT = 1 << 1
EXTERNAL_DATA = 1 << 2
COMPRESSION = 1 << 3
EXTENDED_L2 = 1 << 4
SUPPORTED = DIRTY | CORRUPT | COMPRESSION
FEATURE_NAMES = {2: "external data file", 4: "extended L2 entries"}

# Compatible features
LAZY_REFCOUNTS = 1 << 0  # reference counts may be brought up to date late, if DIRTY says so

ZLIB, ZSTD = 0, 1  # compression types
ENCRYPTION_NAMES = {1: "AES", 2: "LUKS"}

# Types of header extensions.
END = 0
BACKING_FORMAT = 0xE2792ACA
FEATURE_TABLE = 0x6803F857
FEATURE_ENTRY = struct.Struct(">BB46s")  # kind of feature (0: incompatible), bit, name

CLUSTER_BITS = range(9, 22)
LARGEST_L1 = 32 << 20  # bytes
LARGEST_SIZE = (1 << 63) - 1
LONGEST_BACKING_NAME = 1023
WIDEST_REFCOUNT = 6  # log2 of bits


@dataclass
class Header:
    """What the header says, in bytes where nothing else is said; offsets are those of the file."""

    version: int
    size: int
    cluster_bits: int
    l1_offset: int
    l1_size: int  # entries
    refcount_offset: int
    refcount_clusters: int
    refcount_order: int  # log2 of the bits of one count
    incompatible: int
    compression: int
    compatible: int
    autoclear: int
    snapshots: int
    snapshots_offset: int
    backing_file: str | None
    backing_format: str | None

    @property
    def cluster_size(self) -> int:
        return 1 << self.cluster_bits

    @property
    def l2_bits(self) -> int:
        """log2 of the entries of an L2 table: it fills a cluster with 8 bytes for each."""
        return self.cluster_bits - 3


def read_header(file: RawFile, corrupt_too: bool = False) -> Header:
    """Raises BlockError, saying what is wrong with it.

    corrupt_too: also for writing, an image that says of itself that it is corrupt.
    """
    head = file.read(0, min(file.length, COMPRESSION_TYPE + 8))
    if not head.startswith(MAGIC):
        raise _bad("Image is not in qcow2 format")
    if len(head) < V2_LENGTH:
        raise _bad("qcow2 header too short")
    (_, version, backing_offset, backing_length, cluster_bits, size, encryption, l1_size,
     l1_offset, refcount_offset, refcount_clusters, snapshots,
     snapshots_offset) = V2_FIELDS.unpack_from(head)
    if version not in (2, 3):
        raise _unsupported(f"Unsupported qcow2 version {version}")
    if cluster_bits not in CLUSTER_BITS:
        raise _bad(f"Unsupported cluster size: 2^{cluster_bits}")
    cluster_size = 1 << cluster_bits

    incompatible = compatible = autoclear = 0
    refcount_order, length, compression = 4, V2_LENGTH, ZLIB
    if version == 3:
        if len(head) < V3_LENGTH:
            raise _bad("qcow2 header too short")
        (incompatible, compatible, autoclear, refcount_order,
         length) = V3_FIELDS.unpack_from(head, V2_LENGTH)
        if length < V3_LENGTH:
            raise _bad("qcow2 header too short")
        if length > cluster_size:
            raise _bad("qcow2 header exceeds cluster size")
        if length > COMPRESSION_TYPE < len(head):
            compression = head[COMPRESSION_TYPE]
    if backing_offset > cluster_size:
        raise _bad("Invalid backing file offset")

    cluster = file.read(0, min(file.length, cluster_size))
    extensions = _extensions(cluster, length, backing_offset or cluster_size)
    _check_features(incompatible, extensions)
    if bool(incompatible & COMPRESSION) != (compression != ZLIB):
        must = "must not" if compression == ZLIB else "must"
        raise _bad(f"qcow2: Compression type incompatible feature bit {must} be set")
    if compression not in (ZLIB, ZSTD):
        raise _unsupported(f"qcow2: unknown compression type: {compression}")
    if encryption:
        name = ENCRYPTION_NAMES.get(encryption, f"method {encryption}")
        raise _unsupported(f"qcow2: encrypted images ({name}) are not supported")
    if incompatible & CORRUPT and not (file.read_only or corrupt_too):
        raise BlockError("qcow2: Image is corrupt; cannot be opened read/write", errno.EACCES)
    if refcount_order > WIDEST_REFCOUNT:
        raise _bad("Reference count entry width too large; may not exceed 64 bits")
    if size > LARGEST_SIZE:
        raise _bad("Image size too big")
    if l1_size * 8 > LARGEST_L1:
        raise _bad("Active L1 table too large")
    if l1_offset % cluster_size or (l1_size and not l1_offset):
        raise _bad("Active L1 table offset invalid")
    if l1_size < -(-size >> 2 * cluster_bits - 3):
        raise _bad("L1 table is too small")

    return Header(
        version, size, cluster_bits, l1_offset, l1_size, refcount_offset, refcount_clusters,
        refcount_order, incompatible, compression, compatible, autoclear, snapshots,
        snapshots_offset,
        _backing_name(cluster, backing_offset, backing_length),
        os.fsdecode(extensions[BACKING_FORMAT]) if BACKING_FORMAT in extensions else None)


def _extensions(cluster: bytes, offset: int, end: int) -> dict[int, bytes]:
    """The header extensions between `offset` and `end` of the first cluster."""
    found: dict[int, bytes] = {}
    while offset + 8 <= min(end, len(cluster)):
        kind, length = struct.unpack_from(">II", cluster, offset)
        if kind == END:
            break
        offset += 8
        if offset + length > end:
            raise _bad("Header extension too large")
        found[kind] = cluster[offset:offset + length]
        offset += -(-length // 8) * 8
    return found


def _check_features(incompatible: int, extensions: dict[int, bytes]) -> None:
    unknown = incompatible & ~SUPPORTED
    if not unknown:
        return
    names = dict(FEATURE_NAMES)
    table = extensions.get(FEATURE_TABLE, b"")
    for at in range(0, len(table) - FEATURE_ENTRY.size + 1, FEATURE_ENTRY.size):
        kind, bit, name = FEATURE_ENTRY.unpack_from(table, at)
        if kind == 0:
            names.setdefault(bit, name.rstrip(b"\0").decode("utf-8", "replace"))
    listed = ", ".join(names.get(bit, f"Unknown incompatible feature: {1 << bit:x}")
                       for bit in range(64) if unknown >> bit & 1)
    raise _unsupported(f"Unsupported qcow2 feature(s): {listed}")


def _backing_name(cluster: bytes, offset: int, length: int) -> str | None:
    if not offset or not length:
        return None
    if length > LONGEST_BACKING_NAME:
        raise _bad("Backing file name too long")
    name = cluster[offset:offset + length]
    if len(name) < length or b"\0" in name:
        raise _bad("Could not read backing file name")
    return os.fsdecode(name)


def _bad(text: str) -> BlockError:
    return BlockError(text, errno.EINVAL)


def _unsupported(text: str) -> BlockError:
    return BlockError(text, errno.ENOTSUP)
