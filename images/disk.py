"""The PC's master boot record: boot code and one active partition.

Source: the conventional layout, as in UEFI 2.10, section 5.2.1.
"""
import struct
from dataclasses import dataclass

SECTOR = 512  # bytes
FIRST_SECTOR = 2048  # where partitions begin, 1 MiB, as fdisk has it

CODE_SIZE = 440
SERIAL_OFFSET = 440
TABLE_OFFSET = 446
SIGNATURE = b"\x55\xaa"
ACTIVE = 0x80

FAT16_LBA = 0x0E
LINUX = 0x83

HEADS = 255
SECTORS_PER_TRACK = 63
LAST_CYLINDER = 1023  # that CHS can name


@dataclass(frozen=True)
class Partition:
    """A partition; start and length are in sectors."""

    kind: int
    start: int
    length: int


def master_boot_record(code: bytes, partition: Partition, serial: int) -> bytes:
    """The first sector of a disk: boot code, disk serial number, and the one partition.

    code: up to 440 bytes, or a whole sector of which the table's place is replaced.
    Raises ValueError if it is longer than that.
    """
    if CODE_SIZE < len(code) != SECTOR:
        raise ValueError(f"{len(code)} bytes of boot code do not fit into {CODE_SIZE}")
    table = struct.pack(
        "<B3sB3sII", ACTIVE, _chs(partition.start), partition.kind,
        _chs(partition.start + partition.length - 1), partition.start, partition.length)
    head = code[:CODE_SIZE].ljust(CODE_SIZE, b"\0") + struct.pack("<I", serial)
    return (head.ljust(TABLE_OFFSET, b"\0") + table).ljust(SECTOR - 2, b"\0") + SIGNATURE


def _chs(sector: int) -> bytes:
    """Cylinder, head and sector as the table packs them; the largest ones if it is too far."""
    track, index = divmod(sector, SECTORS_PER_TRACK)
    cylinder, head = divmod(track, HEADS)
    if cylinder > LAST_CYLINDER:
        cylinder, head, index = LAST_CYLINDER, HEADS - 1, SECTORS_PER_TRACK - 1
    return bytes((head, (index + 1) | (cylinder >> 2 & 0xC0), cylinder & 0xFF))
