"""stats: counts, rates and intervals of all events; values of an argument.

By numpy, a million records at once: ten million take a few seconds.
"""
import argparse
from collections import Counter

from pyemu.trace.reader import TraceReader
from pyemu.trace.tools.common import argument_of, bars, columns, declared, opened, table, us

PERCENTILES = (50, 90, 99)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("trace", metavar="TRACE")
    parser.add_argument("--by", metavar="EVENT.ARG", help="how often each value of an argument is")
    parser.add_argument("--top", type=int, default=20, metavar="N", help="of --by (default 20)")
    parser.add_argument("--intervals", metavar="EVENT",
                        help="histogram of the time between two of these")


def run(options: argparse.Namespace) -> list[str]:
    with opened(options.trace, options.events) as reader:
        if options.by:
            print(by_argument(reader, options.by, options.top))
        elif options.intervals:
            print(intervals(reader, options.intervals))
        else:
            print(summary(reader))
        return reader.problems


def summary(reader: TraceReader) -> str:
    import numpy as np
    from pyemu.trace.columns import Histogram
    gaps: dict[str, Histogram] = {}
    counts: Counter[str] = Counter()
    last: dict[str, int] = {}
    first_ns = last_ns = None
    for part in columns(reader):
        if len(part) == 0:
            continue
        first_ns = int(part.times[0]) if first_ns is None else first_ns
        last_ns = int(part.times[-1])
        for name in part.numbers:
            times = part.times[part.of(name)]
            counts[name] += len(times)
            if name in last:
                times = np.concatenate(([last[name]], times))
            last[name] = int(times[-1])
            gaps.setdefault(name, Histogram()).add(np.diff(times))
    if first_ns is None or last_ns is None:
        return "no events"
    seconds = (last_ns - first_ns) / 1e9
    rows = []
    for name, count in counts.most_common():
        gap = gaps[name]
        rows.append([name, count, f"{count / seconds:.1f}" if seconds else "-", *(
            us(gap.percentile(percent)) if gap.count else "-" for percent in PERCENTILES),
            us(gap.high) if gap.count else "-"])
    head = ["event", "count", "per second", *(f"p{percent} us" for percent in PERCENTILES),
            "max us"]
    return (f"{sum(counts.values())} events in {seconds:.6f} s\n\n" + table(head, rows))


def intervals(reader: TraceReader, name: str) -> str:
    import numpy as np
    from pyemu.trace.columns import Histogram
    declared(reader, name)
    histogram, last = Histogram(), None
    for part in columns(reader):
        times = part.times[part.of(name)]
        if len(times) == 0:
            continue
        histogram.add(np.diff(times if last is None else np.concatenate(([last], times))))
        last = int(times[-1])
    if histogram.count == 0:
        return f"fewer than two of {name}"
    return f"{histogram.count} intervals of {name}\n{bars(histogram.powers())}"


def by_argument(reader: TraceReader, what: str, top: int) -> str:
    import numpy as np
    name, _, argument = what.partition(".")
    event = declared(reader, name)
    letter = event.types[argument_of(event, argument)]
    counts: Counter[object] = Counter()
    for part in columns(reader):
        values = part.argument(event, argument, part.of(name))
        if letter == "s":
            counts.update(values)
        else:
            unique, times = np.unique(values, return_counts=True)
            counts.update(dict(zip(unique.tolist(), times.tolist(), strict=True)))
    total = sum(counts.values())
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], str(pair[0])))
    rows = [[value if letter in "sbhiq?" else f"{value:#x}", count, f"{100 * count / total:.1f} %"]
            for value, count in ordered[:top]]
    rest = len(counts) - len(rows)
    return table([argument, "count", "share"], rows) + (f"\nand {rest} more" if rest > 0 else "")
