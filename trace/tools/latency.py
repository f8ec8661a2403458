"""latency: time from one event to another, paired by an argument."""
import argparse
from collections.abc import Iterable

from pyemu.trace.progress import records
from pyemu.trace.reader import Record, TraceReader
from pyemu.trace.tools.common import argument_of, bars, declared, opened, table, us

PERCENTILES = (50, 90, 99, 99.9)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("start", metavar="START", help="event that begins it")
    parser.add_argument("end", metavar="END", help="event that ends it")
    parser.add_argument("trace", metavar="TRACE")
    parser.add_argument("--key", metavar="ARG[:ARG]",
                        help="pair only those that agree in this argument (START's:END's, if it "
                        "is named differently)")


def pairs(found: Iterable[Record], start: str, end: str, keys: tuple[int, int] | None
          ) -> Iterable[tuple[Record, Record]]:
    """(start, end) records. A second START with the same key begins anew."""
    begun: dict[object, Record] = {}
    for record in found:
        name = record.event.name
        if name == end:
            first = begun.pop(record.args[keys[1]] if keys else None, None)
            if first is not None:
                yield first, record
        if name == start:
            begun[record.args[keys[0]] if keys else None] = record


def key_positions(reader: TraceReader, start: str, end: str, key: str | None
                  ) -> tuple[int, int] | None:
    """Where START and END have the key. Raises ValueError."""
    first, last = declared(reader, start), declared(reader, end)
    if key is None:
        return None
    one, _, other = key.partition(":")
    return argument_of(first, one), argument_of(last, other or one)


def run(options: argparse.Namespace) -> list[str]:
    import numpy as np
    from pyemu.trace.columns import Histogram
    with opened(options.trace, options.events) as reader:
        keys = key_positions(reader, options.start, options.end, options.key)
        gaps = [end.timestamp_ns - start.timestamp_ns for start, end in
                pairs(records(reader), options.start, options.end, keys)]
        if not gaps:
            print(f"no {options.end} follows {options.start}")
            return reader.problems
        histogram = Histogram()
        histogram.add(np.array(gaps, dtype=np.int64))
        print(table(
            ["pairs", "min us", *(f"p{percent:g} us" for percent in PERCENTILES), "max us"],
            [[len(gaps), us(min(gaps)), *(us(histogram.percentile(percent))
                                          for percent in PERCENTILES), us(max(gaps))]], left=0))
        print(bars(histogram.powers()))
        return reader.problems
