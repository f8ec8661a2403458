"""Offloads of transmission: checksums put in, large sends cut into segments.

Source: Intel 8254x software developer's manual (317453), sections 3.3.6 (contexts) and 3.5 (TCP
segmentation).
"""
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from pyemu.machine.net import checksum
from pyemu.machine.net.e1000_registers import TUCMD_IP, TUCMD_TCP

CONTEXT = struct.Struct("<BBHBBHIBBH")
PAYLOAD_LENGTH = 0xF_FFFF

IPV4_LENGTH, IPV4_IDENTIFICATION, IPV6_LENGTH, UDP_LENGTH = 2, 4, 4, 4
IPV6_HEADER = 40
IP_LIMIT = 0xFFFF  # bytes, headers included
TCP_SEQUENCE, TCP_FLAGS = 4, 13
FIN, PSH = 0x01, 0x08


@dataclass
class Context:
    """What a context descriptor says. IP and transport each have where the checksum begins, where
    it goes, where it ends (0: with the packet)."""

    ip_start: int = 0
    ip_field: int = 0
    ip_end: int = 0
    start: int = 0
    field: int = 0
    end: int = 0
    payload: int = 0
    tcp: bool = False
    ipv4: bool = False
    header: int = 0
    segment: int = 0

    @classmethod
    def parse(cls, descriptor: bytes) -> "Context":
        (ip_start, ip_field, ip_end, start, field, end, length, _status, header,
         segment) = CONTEXT.unpack(descriptor)
        return cls(ip_start, ip_field, ip_end, start, field, end, length & PAYLOAD_LENGTH,
                   bool(length & TUCMD_TCP), bool(length & TUCMD_IP), header, segment)

    def insert(self, packet: bytearray, ip: bool, transport: bool) -> None:
        """Put the checksums that are wanted into a packet."""
        if transport:
            checksum.insert(packet, self.field, self.start, self.end)
        if ip:
            checksum.insert(packet, self.ip_field, self.ip_start, self.ip_end)

    def sizes(self, packet: bytes) -> list[int]:
        """Of the frames of a large send."""
        head, size, segment = self.header, len(packet), self.segment
        return [head + min(segment, size - at) for at in range(head, size, segment or size)]

    def cut(self, packet: bytes, ip: bool, transport: bool, large: bool = False) -> Iterator[bytes]:
        """The frames of a large send, whose headers are the first `header` bytes.

        Nothing where the context makes no sense. large: one frame, if TCP and IP can have it so.
        """
        size, head, segment = len(packet), self.header, self.segment
        if segment and large and self.tcp and size - self.ip_start <= IP_LIMIT:
            segment = size
        minimum = max(self.ip_start + (6 if self.ipv4 else IPV6_HEADER), self.start + (
            TCP_FLAGS + 1 if self.tcp else UDP_LENGTH + 2))
        if not segment or size <= head or head < minimum or head < self.field + 2:
            return
        header = bytearray(packet[:head])
        sequence = int.from_bytes(
            header[self.start + TCP_SEQUENCE:self.start + TCP_SEQUENCE + 4], "big")
        identification = int.from_bytes(
            header[self.ip_start + IPV4_IDENTIFICATION:][:2], "big")
        flags = header[self.start + TCP_FLAGS] if self.tcp else 0
        for number, at in enumerate(range(head, size, segment)):
            data = packet[at:at + segment]
            length = head + len(data)
            if self.ipv4:
                struct.pack_into(">HH", header, self.ip_start + IPV4_LENGTH,
                                 length - self.ip_start & 0xFFFF,
                                 identification + number & 0xFFFF)
            else:
                struct.pack_into(">H", header, self.ip_start + IPV6_LENGTH,
                                 length - self.ip_start - IPV6_HEADER & 0xFFFF)
            if self.tcp:
                struct.pack_into(">I", header, self.start + TCP_SEQUENCE,
                                 sequence + at - head & 0xFFFF_FFFF)
                last = at + segment >= size
                header[self.start + TCP_FLAGS] = flags if last else flags & ~(FIN | PSH)
            else:
                struct.pack_into(">H", header, self.start + UDP_LENGTH,
                                 length - self.start & 0xFFFF)
            yield self._sum(header, data, ip, transport)

    def _sum(self, header: bytearray, data: bytes, ip: bool, transport: bool) -> bytes:
        """One frame. The transport's field holds the pseudo header's sum without the length."""
        head = bytearray(header)
        if ip:
            checksum.insert(head, self.ip_field, self.ip_start, self.ip_end or len(head) - 1)
        if transport:
            covered = bytes(head[self.start:])
            if len(covered) & 1:  # the words of the data begin with the header's last byte
                sums = checksum.total(covered + data)
            else:
                sums = checksum.total(covered) + checksum.total(data)
            length = len(covered) + len(data)
            head[self.field:self.field + 2] = checksum.finish(sums + checksum.swap(length))
        return bytes(head) + data
