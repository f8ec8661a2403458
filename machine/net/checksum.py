"""The Internet checksum, and what a network card does with it.

Sums are of 16-bit words in the machine's byte order, modulo FFFFh: ones' complement addition does
not care in which order, as long as the result is stored in the same. `total` makes them,
`examine` judges those of a frame: in C, as they look at every byte that passes.
Source: RFC 1071.
"""
from pyemu.machine.net._checksum import examine as examine
from pyemu.machine.net._checksum import total as total

ONES = 0xFFFF


def finish(value: int) -> bytes:
    """The field that makes the words it is among, which sum up to `value` without it, right.

    Never zero, which in UDP says that there is none.
    """
    return (ONES - value % ONES).to_bytes(2, "little")


def insert(packet: bytearray, field: int, start: int, end: int) -> None:
    """Put the checksum of start to end (inclusive, 0: of all) where the field is.

    What the field holds before is part of the sum: software has put the pseudo header's there.
    """
    stop = end + 1 if end else len(packet)
    if field + 2 <= len(packet) and start < stop:
        packet[field:field + 2] = finish(total(packet[start:stop]))


def swap(value: int) -> int:
    """A number as the sums here see it, which is in the other byte order than the network's."""
    return (value & 0xFF) << 8 | value >> 8 & 0xFF
