"""Reads trace files: simpletrace's format, version 4 (docs/tracing.md has it byte by byte).

    with TraceReader("trace-4242", events) as reader:
        for record in reader:
            record.event.name, record.timestamp_ns, record.pid, record.args

Records left in the ring file of a process that was killed come after those of the trace file.
What is broken is kept in `reader.problems`, with its byte offset, and reading goes on at the next
record, since each tells its length. A file that is no trace at all raises TraceFormatError.
"""
import contextlib
import mmap
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, NamedTuple

from pyemu.trace._ring import scan
from pyemu.trace.grammar import Event
from pyemu.trace.ringfile import (
    DROPPED_ID,
    RECORD,
    TYPE_BYTES,
    TYPE_EVENT,
    RingFile,
    is_being_recorded,
)

FILE_HEADER = struct.Struct("=QQQ")
HEADER_ID, MAGIC, VERSION = 0xffffffffffffffff, 0xf2b177cb0aa429b4, 4
TYPE_MAPPING = 0
MAPPING = struct.Struct("=QQI")  # type, event id, length of the name that follows
LONGEST_NAME = 1 << 12
LONGEST_RECORD = 1 << 16  # ten strings of 512 bytes are far below
DROPPED = Event("Dropped_Event", (("uint64_t", "num_events_dropped"),), types="Q")


class TraceFormatError(Exception):
    """The file cannot be read as a trace; the text begins with its name."""


class Record(NamedTuple):
    """One event that happened. args: int, or str with surrogate escapes, as the event declares."""

    event: Event
    timestamp_ns: int
    pid: int
    args: tuple[Any, ...]


Decoder = Callable[[Any, int, int], tuple[Any, ...]]  # buffer, start, end -> arguments


def decoder_for(types: str) -> Decoder:
    """A function that reads the arguments of an event; it raises ValueError if they do not fit."""
    if "s" not in types:
        words = struct.Struct(f"={len(types)}Q")
        size = words.size

        def numbers(data: Any, start: int, end: int) -> tuple[Any, ...]:
            if end - start != size:
                raise ValueError(f"{end - start} bytes of arguments, expected {size}")
            return words.unpack_from(data, start)

        return numbers

    def mixed(data: Any, start: int, end: int) -> tuple[Any, ...]:
        values: list[Any] = []
        for letter in types:
            size = 4 if letter == "s" else 8
            if start + size > end:
                raise ValueError(f"no room for argument {len(values) + 1}")
            value = int.from_bytes(data[start:start + size], "little")
            start += size
            if letter == "s":
                if start + value > end:
                    raise ValueError(f"string of {value} bytes with {end - start} left")
                values.append(bytes(data[start:start + value]).decode("utf-8", "surrogateescape"))
                start += value
            else:
                values.append(value)
        if start != end:
            raise ValueError(f"{end - start} bytes too many")
        return tuple(values)

    return mixed


class TraceReader:
    """The records of a trace file, in order. Iterating twice begins anew.

    events: the declarations (a mapping in the file gives their numbers). header: False for a file
    that has none, whose events are numbered as in `events`.
    """

    def __init__(self, path: str, events: Iterable[Event], header: bool = True):
        self.path = path
        self.events = list(events)
        self.has_header = header
        self.problems: list[str] = []
        self.recovered = 0  # records found in the ring file
        self.position = 0  # bytes read, about
        self._by_name = {event.name: event for event in self.events}
        self._file: IO[bytes] = open(path, "rb")  # noqa: SIM115
        try:
            self._data = self._map()
            if header:
                self._check_header()
        except BaseException:
            self.close()
            raise

    def _map(self) -> Any:
        try:
            return mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        except (ValueError, OSError):  # empty, or a pipe
            return self._file.read()

    def __enter__(self) -> "TraceReader":
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def close(self) -> None:
        if isinstance(getattr(self, "_data", None), mmap.mmap):
            with contextlib.suppress(BufferError):
                self._data.close()
        self._file.close()

    def _check_header(self) -> None:
        data = self._data
        if len(data) == 0:
            raise TraceFormatError(f"{self.path}: byte 0: the file is empty")
        if len(data) < FILE_HEADER.size:
            raise TraceFormatError(f"{self.path}: byte {len(data)}: the header is cut off, "
                                   f"expected {FILE_HEADER.size} bytes")
        header_id, magic, version = FILE_HEADER.unpack_from(data)
        if header_id != HEADER_ID or magic != MAGIC:
            raise TraceFormatError(f"{self.path}: byte {0 if header_id != HEADER_ID else 8}: "
                                   "not a trace file of the simple format")
        if version in (0, 2, 3):
            raise TraceFormatError(f"{self.path}: byte 16: log format {version} is QEMU's before "
                                   "2.8, which does not tell its events' names; expected 4")
        if version != VERSION:
            raise TraceFormatError(f"{self.path}: byte 16: unknown version {version} of the log "
                                   f"format, expected {VERSION}")

    def __len__(self) -> int:
        """Bytes of the file."""
        return len(self._data)

    def __iter__(self) -> Iterator[Record]:
        self.problems.clear()
        self.recovered = 0
        names: dict[int, str] = {}
        if not self.has_header:
            names = {number: event.name for number, event in enumerate(self.events)}
        table = _Table(self._by_name, names, self._problem)
        ring = RingFile.beside(self.path)
        end = len(self._data)
        if ring is not None:
            end = min(end, ring.file_offset)
        yield from self._records(table, FILE_HEADER.size if self.has_header else 0, end)
        if ring is not None:
            for record in self._recover(ring, table):
                self.recovered += 1
                yield record

    def follow(self, interval: float = 0.1) -> Iterator[Record]:
        """The records, and those that come until the tracing process ends. interval: seconds."""
        table = _Table(self._by_name, {}, self._problem)
        at = FILE_HEADER.size
        while True:
            ended = not is_being_recorded(self.path)
            self._data = self._map()
            end = self._whole_records(at, len(self._data))
            yield from self._records(table, at, end)
            at = end
            if ended:
                break
            time.sleep(interval)
        ring = RingFile.beside(self.path)
        if ring is not None:
            yield from self._recover(ring, table)
        elif at < len(self._data):
            self._problem(at, f"the last record is cut off after {len(self._data) - at} bytes")

    def _recover(self, ring: RingFile, table: "_Table") -> Iterator[Record]:
        for ns, raw in ring.records(self._problem):
            _, event, _, _, pid = RECORD.unpack_from(raw)
            record = table.decode(raw, 0, event, ns, pid, RECORD.size, len(raw))
            if record is not None:
                yield record

    def _whole_records(self, at: int, end: int) -> int:
        """Where the last record that is all there ends."""
        data = self._data
        while end - at >= MAPPING.size:
            if data[at:at + TYPE_BYTES] == _MAPPING_WORD:
                size = MAPPING.size + MAPPING.unpack_from(data, at)[2]
            elif end - at < RECORD.size:
                break
            else:
                size = TYPE_BYTES + RECORD.unpack_from(data, at)[3]
            if at + size > end:
                break
            at += size
        return at

    def _problem(self, offset: int, message: str) -> None:
        self.problems.append(f"{self.path}: byte {offset}: {message}")

    def _records(self, table: "_Table", at: int, end: int) -> Iterator[Record]:
        data = self._data
        unpack = RECORD.unpack_from if self.has_header else _unpack_bare
        kind_size = TYPE_BYTES if self.has_header else 0
        header_size = RECORD.size - TYPE_BYTES + kind_size
        while end - at >= header_size:
            self.position = at
            kind, number, ns, length, pid = unpack(data, at)
            stop = at + kind_size + length
            if kind != TYPE_EVENT or not 24 <= length <= LONGEST_RECORD or stop > end:
                at = self._other(table, at, end)
                continue
            record = table.decode(data, at, number, ns, pid, at + header_size, stop)
            if record is not None:
                yield record
            at = stop
        while at < end:
            at = self._other(table, at, end)

    def _other(self, table: "_Table", at: int, end: int) -> int:
        """Take in what lies at `at` and is no whole event record; returns what follows it."""
        data = self._data
        if self.has_header and end - at >= TYPE_BYTES and data[at:at + 8] == _MAPPING_WORD:
            size = self._mapping(table, at, end)
            return at + size if size else end
        kind_size = TYPE_BYTES if self.has_header else 0
        if end - at < RECORD.size - TYPE_BYTES + kind_size:
            self._problem(at, f"the last record is cut off after {end - at} bytes")
            return end
        kind, _, _, length, _ = (RECORD.unpack_from if kind_size else _unpack_bare)(data, at)
        if kind == TYPE_EVENT and 24 <= length <= LONGEST_RECORD:
            self._problem(at, f"the last record is cut off after {end - at} bytes, "
                              f"expected {kind_size + length}")
            return end
        what = (f"a record of unknown type {kind:#x}" if kind != TYPE_EVENT
                else f"a record of impossible length {length}")
        found = self._resynchronise(table, at + 1, end)
        skipped = f"; {found - at} bytes skipped" if found < end else "; nothing follows"
        self._problem(at, what + skipped)
        return found

    def chunks(self, most: int = 1 << 20) -> Iterator["Chunk"]:
        """The same records as columns, at most so many at once; of files with a header only."""
        self.problems.clear()
        table = _Table(self._by_name, {}, self._problem)
        ring = RingFile.beside(self.path)
        at, end = FILE_HEADER.size, len(self._data)
        if ring is not None:
            end = min(end, ring.file_offset)
        while at < end:
            offsets, ids, times, stop = scan(self._data, at, end, most)
            if offsets:
                yield Chunk(self._data, offsets, ids, times, table)
            at = stop
            if len(offsets) < 8 * most and at < end:
                at = self._other(table, at, end)
        if ring is not None:
            left = b"".join(record for _, record in ring.records(self._problem))
            offsets, ids, times, _ = scan(left, 0, len(left), max(1, len(left) // RECORD.size))
            self.recovered = len(offsets) // 8
            yield Chunk(left, offsets, ids, times, table)

    def _mapping(self, table: "_Table", at: int, end: int) -> int:
        """Learn an event's number; returns the bytes that took, or 0 at the end of the file."""
        if end - at < MAPPING.size:
            self._problem(at, "the last record is cut off")
            return 0
        _, number, length = MAPPING.unpack_from(self._data, at)
        if length > LONGEST_NAME:
            self._problem(at, f"an event's name of {length} bytes")
            return max(1, self._resynchronise(table, at + 1, end) - at)
        if end - at < MAPPING.size + length:
            self._problem(at, "the last record is cut off")
            return 0
        name = bytes(self._data[at + MAPPING.size:at + MAPPING.size + length])
        table.names[number] = name.decode("utf-8", "replace")
        table.forget(number)
        return MAPPING.size + length

    def _resynchronise(self, table: "_Table", at: int, end: int) -> int:
        """Where the next plausible event record begins, or `end`."""
        kind_size = TYPE_BYTES if self.has_header else 0
        while (at := self._data.find(_EVENT_WORD, at, end) if kind_size else end) >= 0:
            if end - at < RECORD.size:
                break
            _, number, _, length, _ = RECORD.unpack_from(self._data, at)
            if (number in table.names or number == DROPPED_ID) and 24 <= length <= LONGEST_RECORD:
                return at
            at += 1
        return end


_MAPPING_WORD = struct.pack("=Q", TYPE_MAPPING)
_EVENT_WORD = struct.pack("=Q", TYPE_EVENT)
_BARE_RECORD = struct.Struct("=QQII")


def _unpack_bare(data: Any, at: int) -> tuple[Any, ...]:
    """A record of a file without header, which lacks the word that tells its type."""
    return (TYPE_EVENT, *_BARE_RECORD.unpack_from(data, at))


class _Table:
    """What the numbers of a trace stand for."""

    def __init__(self, by_name: dict[str, Event], names: dict[int, str],
                 problem: Callable[[int, str], None]):
        self.by_name = by_name
        self.names = names
        self.problem = problem
        self.known: dict[int, tuple[Event, Decoder] | None] = {
            DROPPED_ID: (DROPPED, decoder_for(DROPPED.types))}

    def forget(self, number: int) -> None:
        self.known.pop(number, None)

    def decode(self, data: Any, at: int, number: int, ns: int, pid: int, start: int,
               stop: int) -> Record | None:
        try:
            entry = self.known[number]
        except KeyError:
            entry = self.known[number] = self.look_up(number, at)
        if entry is None:
            return None
        event, decoder = entry
        try:
            return Record(event, ns, pid, decoder(data, start, stop))
        except ValueError as error:
            self.problem(at, f"event '{event.name}' does not fit its declaration: {error}")
            return None

    def look_up(self, number: int, at: int) -> tuple[Event, Decoder] | None:
        name = self.names.get(number)
        if name is None:
            self.problem(at, f"event number {number} has no name in this file")
            return None
        event = self.by_name.get(name)
        if event is None:
            self.problem(at, f"'{name}' event is logged but is not declared in the trace events "
                             "file, try using trace-events-all instead")
            return None
        return event, decoder_for(event.types)


class Chunk(NamedTuple):
    """Records as columns of 64-bit words: where they are in `data`, event numbers, times (ns)."""

    data: Any
    offsets: bytes
    ids: bytes
    times: bytes
    table: _Table

    def event(self, number: int) -> Event | None:
        """The event of that number; a problem is noted if there is none."""
        if number not in self.table.known:
            self.table.known[number] = self.table.look_up(number, 0)
        entry = self.table.known[number]
        return entry[0] if entry else None
