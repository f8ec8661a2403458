"""diff: the first event at which two traces part.

Times and processes do not count, nor do pointers: they differ from run to run.
"""
import argparse
from collections import deque
from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import zip_longest
from typing import Any

from pyemu.trace.formats import as_text
from pyemu.trace.progress import records
from pyemu.trace.reader import Record, TraceReader
from pyemu.trace.tools.common import opened


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("trace", metavar="A")
    parser.add_argument("other", metavar="B")
    parser.add_argument("--only", action="append", metavar="PATTERN", help="only these events")
    parser.add_argument("--pointers", action="store_true", help="let pointers count")
    parser.add_argument("--context", type=int, default=3, metavar="N",
                        help="events shown before (default 3)")


def comparable(record: Record | None, pointers: bool) -> tuple[Any, ...] | None:
    if record is None:
        return None
    args = record.args
    if not pointers and "P" in record.event.types:
        args = tuple(value for letter, value in zip(record.event.types, args, strict=True)
                     if letter != "P")
    return record.event.name, args


def chosen(reader: TraceReader, patterns: list[str] | None) -> Iterator[Record]:
    for record in records(reader):
        if not patterns or any(fnmatchcase(record.event.name, one) for one in patterns):
            yield record


def line(record: Record | None) -> str:
    shown: list[str] = []
    if record is None:
        return "(the end)"
    as_text(shown.append)(record)
    name, _, _, *rest = shown[0].split()
    return " ".join([name, *rest])


def run(options: argparse.Namespace) -> list[str]:
    before: deque[Record] = deque(maxlen=max(options.context, 0))
    same = 0
    with opened(options.trace, options.events) as one, \
            opened(options.other, options.events) as other:
        for left, right in zip_longest(chosen(one, options.only), chosen(other, options.only)):
            if comparable(left, options.pointers) != comparable(right, options.pointers):
                print(f"the first {same} events are the same")
                for record in before:
                    print(f"  {line(record)}")
                print(f"A {line(left)}\nB {line(right)}")
                return one.problems + other.problems
            before.append(left)
            same += 1
        print(f"all {same} events are the same")
        return one.problems + other.problems
