"""parquet: typed columns, for DuckDB, Dask, Spark, pandas.

A folder with a file for each event that is in the trace: timestamp_ns, pid, and a column for each
argument. Needs pyarrow (`pip install pyemu[parquet]`).
"""
import argparse
import os
from typing import Any

from pyemu.trace.grammar import Event
from pyemu.trace.reader import DROPPED
from pyemu.trace.tools.common import columns, opened

PID_AT = 28  # bytes into a record
ARROW_TYPES = {"?": "bool_", "b": "int8", "B": "uint8", "h": "int16", "H": "uint16", "i": "int32",
               "I": "uint32", "q": "int64", "Q": "uint64", "P": "uint64", "s": "string"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("trace", metavar="TRACE")
    parser.add_argument("output", metavar="FOLDER")


def column_names(event: Event) -> list[str]:
    """An argument named as one of our own columns gets an underscore."""
    return [name + "_" if name in ("timestamp_ns", "pid") else name for _, name in event.args]


def schema(arrow: Any, event: Event) -> Any:
    fields = [("timestamp_ns", arrow.int64()), ("pid", arrow.uint32())]
    fields += [(name, getattr(arrow, ARROW_TYPES[letter])()) for name, letter in
               zip(column_names(event), event.types, strict=True)]
    return arrow.schema(fields)


def rows_of(arrow: Any, part: Any, event: Event) -> Any:
    """A record batch of one event's rows."""
    rows = part.of(event.name)
    kinds = schema(arrow, event)
    arrays = [arrow.array(part.times[rows]),
              arrow.array(part.words(part.offsets[rows] + PID_AT, 4))]
    for (_, name), letter in zip(event.args, event.types, strict=True):
        values = part.argument(event, name, rows)
        if letter == "?":
            values = values != 0
        elif letter not in "sqQP":
            values = values.astype(ARROW_TYPES[letter])
        arrays.append(arrow.array(values))
    return arrow.record_batch([array.cast(kind.type) for array, kind in
                               zip(arrays, kinds, strict=True)], schema=kinds)


def run(options: argparse.Namespace) -> list[str]:
    try:
        import pyarrow as arrow
        from pyarrow.parquet import ParquetWriter
    except ImportError:
        raise ValueError("pyemu-trace parquet needs pyarrow: pip install 'pyemu[parquet]'") \
            from None
    writers: dict[str, Any] = {}
    with opened(options.trace, options.events) as reader:
        os.makedirs(options.output, exist_ok=True)
        events = {event.name: event for event in (*reader.events, DROPPED)}
        try:
            for part in columns(reader):
                for name in part.numbers:
                    event = events[name]
                    if name not in writers:
                        path = os.path.join(options.output, f"{name}.parquet")
                        writers[name] = ParquetWriter(path, schema(arrow, event))
                    writers[name].write_batch(rows_of(arrow, part, event))
        finally:
            for writer in writers.values():
                writer.close()
        return reader.problems
