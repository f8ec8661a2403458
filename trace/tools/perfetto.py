"""perfetto: a file for ui.perfetto.dev and chrome://tracing.

A track for each subsystem (the group of its trace-events file); --pair makes durations of two
events, --counter makes a curve of an argument. The format is Chrome's JSON, times in microseconds;
bars are its asynchronous events, since those of one thread must not overlap.
"""
import argparse
import json
from collections.abc import Iterator
from typing import Any

from pyemu.trace.formats import US, values
from pyemu.trace.progress import records
from pyemu.trace.reader import Record, TraceReader
from pyemu.trace.tools.common import argument_of, declared, opened
from pyemu.trace.tools.latency import key_positions

FIRST_TRACK = 1
Json = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("trace", metavar="TRACE")
    parser.add_argument("output", metavar="OUTPUT.json")
    parser.add_argument("--pair", action="append", default=[], metavar="START,END[,KEY]",
                        help="show from START to END as one bar")
    parser.add_argument("--counter", action="append", default=[], metavar="EVENT.ARG",
                        help="show this argument as a curve")


class Pair:
    """START and END, and what has begun."""

    def __init__(self, reader: TraceReader, text: str):
        self.start, comma, rest = text.partition(",")
        if not comma:
            raise ValueError(f"--pair {text}: expected START,END or START,END,KEY")
        self.end, _, key = rest.partition(",")
        self.keys = key_positions(reader, self.start, self.end, key or None)
        self.begun: dict[object, Record] = {}

    def take(self, record: Record) -> Record | None:
        """The START of a record that is its END."""
        found = None
        if record.event.name == self.end:
            found = self.begun.pop(record.args[self.keys[1]] if self.keys else None, None)
        if record.event.name == self.start:
            self.begun[record.args[self.keys[0]] if self.keys else None] = record
        return found


def entries(reader: TraceReader, pairs: list[Pair], counters: dict[str, list[str]]
            ) -> Iterator[Json]:
    """The trace events of the JSON file."""
    tracks: dict[str, int] = {}
    origin: int | None = None
    named = False
    bars = 0
    for record in records(reader):
        if not named:
            yield metadata("process_name", record.pid, 0, f"pyemu {record.pid}")
            named = True
        origin = record.timestamp_ns if origin is None else origin
        group = record.event.group or "events"
        if group not in tracks:
            tracks[group] = FIRST_TRACK + len(tracks)
            yield metadata("thread_name", record.pid, tracks[group], group)
        place = {"pid": record.pid, "tid": tracks[group]}
        named_values = values(record)
        yield {"name": record.event.name, "ph": "i", "s": "t",
               "ts": (record.timestamp_ns - origin) / US, "args": named_values, **place}
        for argument in counters.get(record.event.name, ()):
            yield {"name": f"{record.event.name}.{argument}", "ph": "C",
                   "ts": (record.timestamp_ns - origin) / US, "pid": record.pid,
                   "args": {argument: named_values[argument]}}
        for pair in pairs:
            start = pair.take(record)
            if start is not None:
                bars += 1
                bar = {"name": f"{pair.start} - {pair.end}", "cat": "pair", "id": f"{bars:#x}",
                       **place}
                yield {**bar, "ph": "b", "ts": (start.timestamp_ns - origin) / US,
                       "args": values(start)}
                yield {**bar, "ph": "e", "ts": (record.timestamp_ns - origin) / US}


def metadata(kind: str, pid: int, track: int, name: str) -> Json:
    return {"name": kind, "ph": "M", "pid": pid, "tid": track, "args": {"name": name}}


def run(options: argparse.Namespace) -> list[str]:
    with opened(options.trace, options.events) as reader:
        pairs = [Pair(reader, text) for text in options.pair]
        counters: dict[str, list[str]] = {}
        for text in options.counter:
            name, _, argument = text.partition(".")
            argument_of(declared(reader, name), argument)
            counters.setdefault(name, []).append(argument)
        encode = json.JSONEncoder(separators=(",", ":")).encode
        with open(options.output, "w", encoding="utf-8") as file:
            separator = '{"displayTimeUnit":"ns","traceEvents":[\n'
            for entry in entries(reader, pairs, counters):
                file.write(separator + encode(entry))
                separator = ",\n"
            file.write("\n]}\n" if separator == ",\n" else separator + "]}\n")
        return reader.problems
