"""Packets of gdb's remote protocol: $data#checksum, acknowledged by + or -, and Ctrl-C between.

Source: Debugging with GDB, appendix E.1 (overview).
"""
from collections.abc import Iterator

LARGEST = 4096  # bytes of a packet, as qSupported tells the client

START, END, ESCAPE = b"$#}"
ESCAPE_FLIP = 0x20
ESCAPED = b"$#}*"
INTERRUPT = b"\x03"
ACK, NAK = b"+", b"-"


def checksum(data: bytes) -> int:
    return sum(data) & 0xff


def framed(data: bytes) -> bytes:
    """A packet ready to be sent."""
    return b"$%b#%02x" % (data, checksum(data))


def escaped(data: bytes) -> bytes:
    """Binary data as it may stand in a packet."""
    return b"".join(bytes([ESCAPE, byte ^ ESCAPE_FLIP]) if byte in ESCAPED else bytes([byte])
                    for byte in data)


class PacketReader:
    """feed() takes bytes as they come and gives what they mean.

    That is the data of each packet with b"$" before it, or INTERRUPT, ACK, or NAK, which also
    stands for a packet that did not arrive whole.
    """

    def __init__(self) -> None:
        self._data: bytearray | None = None  # of the packet being read
        self._tail: bytearray | None = None  # its checksum

    def feed(self, data: bytes) -> Iterator[bytes]:
        for byte in data:
            if self._tail is not None:
                self._tail.append(byte)
                if len(self._tail) == 2:
                    yield self._finish()
            elif byte == START:
                self._data = bytearray()
            elif self._data is None:
                if byte in b"+-\x03":
                    yield bytes([byte])
            elif byte == END:
                self._tail = bytearray()
            else:
                self._data.append(byte)
                if len(self._data) > LARGEST:
                    self._data = None
                    yield b"too long"

    def _finish(self) -> bytes:
        assert self._data is not None and self._tail is not None
        data, tail = bytes(self._data), bytes(self._tail)
        self._data = self._tail = None
        if tail.lower() != b"%02x" % checksum(data):
            return b"broken"
        return b"$" + _unescaped(data)


def _unescaped(data: bytes) -> bytes:
    first, *rest = data.split(bytes([ESCAPE]))
    return first + b"".join(bytes([part[0] ^ ESCAPE_FLIP]) + part[1:] for part in rest if part)
