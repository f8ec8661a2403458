"""ctf: the Common Trace Format 1.8, for babeltrace2 and Trace Compass.

A folder with `metadata`, in CTF's description language, and `stream`, packets of events.
"""
import argparse
import os
import struct
from collections.abc import Iterable
from typing import IO

from pyemu.trace.grammar import SIGNED_TYPES, Event
from pyemu.trace.progress import records
from pyemu.trace.reader import DROPPED, Record
from pyemu.trace.tools.common import opened

MAGIC = 0xC1FC1FC1
PACKET_HEADER = struct.Struct("<II")  # magic, stream id
PACKET_CONTEXT = struct.Struct("<QQQQQI")  # begin, end, content bits, packet bits, discarded, pid
EVENT_HEADER = struct.Struct("<IQ")
PACKET_BYTES = 1 << 20
BITS = 8

PREAMBLE = """/* CTF 1.8 */
typealias integer { size = 32; align = 8; signed = false; } := uint32_t;
typealias integer { size = 64; align = 8; signed = false; } := uint64_t;

trace {
    major = 1;
    minor = 8;
    byte_order = le;
    packet.header := struct { uint32_t magic; uint32_t stream_id; };
};
env { tracer_name = "pyemu"; };
clock { name = monotonic; freq = 1000000000; };
stream {
    id = 0;
    packet.context := struct {
        integer { size = 64; align = 8; map = clock.monotonic.value; } timestamp_begin;
        integer { size = 64; align = 8; map = clock.monotonic.value; } timestamp_end;
        uint64_t content_size; uint64_t packet_size; uint64_t events_discarded;
        uint32_t pid;
    };
    event.header := struct {
        uint32_t id;
        integer { size = 64; align = 8; map = clock.monotonic.value; } timestamp;
    };
};
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("trace", metavar="TRACE")
    parser.add_argument("output", metavar="FOLDER")


def field(letter: str, name: str) -> str:
    """The declaration of an argument; the underscore keeps names from being keywords."""
    if letter == "s":
        return f"string {{ encoding = UTF8; }} _{name};"
    signed = "true" if letter in SIGNED_TYPES else "false"
    base = "hexadecimal" if letter == "P" else "decimal"
    return f"integer {{ size = 64; align = 8; signed = {signed}; base = {base}; }} _{name};"


def metadata(events: Iterable[tuple[int, Event]]) -> str:
    parts = [PREAMBLE]
    for number, event in events:
        fields = " ".join(field(letter, name) for (_, name), letter in
                          zip(event.args, event.types, strict=True))
        parts.append(f'event {{ id = {number}; name = "{event.name}"; stream_id = 0; '
                     f"fields := struct {{ {fields} }}; }};\n")
    return "".join(parts)


class Stream:
    """Writes packets; `add` takes records in order."""

    def __init__(self, file: IO[bytes]):
        self.file = file
        self.numbers: dict[str, int] = {}
        self.events: list[tuple[int, Event]] = []
        self.parts: list[bytes] = []
        self.size = 0
        self.begin = self.end = self.discarded = self.pid = 0

    def add(self, record: Record) -> None:
        if record.event is DROPPED:
            self.discarded += record.args[0]
            return
        number = self.numbers.get(record.event.name)
        if number is None:
            number = self.numbers[record.event.name] = len(self.events)
            self.events.append((number, record.event))
        parts = [EVENT_HEADER.pack(number, record.timestamp_ns)]
        for value in record.args:
            if isinstance(value, str):
                text = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
                parts.append(text.replace("\0", "\\0").encode() + b"\0")
            else:
                parts.append(struct.pack("<Q", value))
        if not self.parts:
            self.begin, self.pid = record.timestamp_ns, record.pid
        self.end = record.timestamp_ns
        data = b"".join(parts)
        self.parts.append(data)
        self.size += len(data)
        if self.size >= PACKET_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write the packet so far."""
        if not self.parts:
            return
        bits = BITS * (PACKET_HEADER.size + PACKET_CONTEXT.size + self.size)
        self.file.write(PACKET_HEADER.pack(MAGIC, 0) + PACKET_CONTEXT.pack(
            self.begin, self.end, bits, bits, self.discarded, self.pid))
        self.file.writelines(self.parts)
        self.parts.clear()
        self.size = 0


def run(options: argparse.Namespace) -> list[str]:
    with opened(options.trace, options.events) as reader:
        os.makedirs(options.output, exist_ok=True)
        with open(os.path.join(options.output, "stream"), "wb") as file:
            stream = Stream(file)
            for record in records(reader):
                stream.add(record)
            stream.flush()
        with open(os.path.join(options.output, "metadata"), "w", encoding="utf-8") as text:
            text.write(metadata(stream.events))
        return reader.problems
