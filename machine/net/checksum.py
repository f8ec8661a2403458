"""The Internet checksum, and what a network card does with it.

Sums are of 16-bit words in the machine's byte order, modulo FFFFh: ones' complement addition does
not care in which order, as long as the result is stored in the same.
Source: RFC 1071; RFC 791, 793, 768 and 8200 (headers).
"""
import numpy

WORD = numpy.dtype("<u4")
WIDE = numpy.dtype("<u8")
_add, _words = numpy.add.reduce, numpy.frombuffer

SMALL = 64  # bytes up to which Python's integers are faster
ONES = 0xFFFF

IPV4, IPV6 = b"\x08\x00", b"\x86\xdd"
TCP, UDP = 6, 17
IPV4_HEADER, IPV6_HEADER = 20, 40
FRAGMENT = 0x3FFF  # more fragments, and the offset


def total(data: bytes | bytearray) -> int:
    """The sum of all words, 0 to FFFEh; an odd byte at the end is padded with zero."""
    length = len(data)
    if length <= SMALL:
        return int.from_bytes(data, "little") % ONES
    whole = length & ~3
    value = int(_add(_words(data, WORD, whole >> 2), None, WIDE))
    if whole != length:
        value += int.from_bytes(data[whole:], "little")
    return value % ONES


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


def pseudo_header(addresses: bytes, protocol: int, length: int) -> int:
    """Its sum; length is that of header and data of the transport."""
    return total(addresses) + (protocol << 8) + swap(length)


def swap(value: int) -> int:
    """A number as the sums here see it, which is in the other byte order than the network's."""
    return (value & 0xFF) << 8 | value >> 8 & 0xFF


def examine(frame: bytes, offset: int) -> tuple[bool | None, bool | None]:
    """Verdicts on the checksums of the IPv4 header and of TCP or UDP (over IPv4 or IPv6).

    offset: of the Ethernet type. None: there is none to check.
    """
    kind = frame[offset:offset + 2]
    start = offset + 2
    if kind == IPV4:
        return _examine_ipv4(frame, start)
    if kind == IPV6 and len(frame) >= start + IPV6_HEADER:
        length = frame[start + 4] << 8 | frame[start + 5]
        return None, _transport(frame, start + IPV6_HEADER, length, frame[start + 6],
                                frame[start + 8:start + 40])
    return None, None


def _examine_ipv4(frame: bytes, start: int) -> tuple[bool | None, bool | None]:
    if len(frame) < start + IPV4_HEADER or frame[start] >> 4 != 4:
        return None, None
    header = (frame[start] & 0xF) * 4
    if header < IPV4_HEADER or len(frame) < start + header:
        return None, None
    right = total(frame[start:start + header]) == 0
    if (frame[start + 6] << 8 | frame[start + 7]) & FRAGMENT:
        return right, None
    length = (frame[start + 2] << 8 | frame[start + 3]) - header
    return right, _transport(frame, start + header, length, frame[start + 9],
                             frame[start + 12:start + 20])


def _transport(frame: bytes, start: int, length: int, protocol: int,
               addresses: bytes) -> bool | None:
    if protocol == TCP:
        least = 20
    elif protocol == UDP:
        least = 8
        if frame[start + 6:start + 8] == b"\0\0":
            return None
    else:
        return None
    end = start + length
    if length < least or end > len(frame):
        return None
    return (total(frame[start:end]) + pseudo_header(addresses, protocol, length)) % ONES == 0
