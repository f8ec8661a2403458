"""pyemu-simpletrace: prints a trace, one event a line; and an API for one's own analyses.

    class Reads(Analyzer):
        def ide_sector_read(self, sector_num, nsectors):      (an event's name and arguments)
            print(sector_num, nsectors)

    run(Reads())                                  (takes the files from the command line)
    process("trace-events-all", "trace-4242", Reads())

The lines and the API are those of QEMU 7.2's simpletrace.py, but strings are text, not bytes.
"""
import argparse
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Any

from pyemu.trace import grammar
from pyemu.trace.conditions import UnknownName, predicate
from pyemu.trace.formats import FORMATS, as_pretty, as_text, bytes_as_python
from pyemu.trace.grammar import Event, GrammarError
from pyemu.trace.options import split_options
from pyemu.trace.progress import records
from pyemu.trace.reader import Record, TraceFormatError, TraceReader


class Analyzer:
    """Override what you need: `begin`, `end`, and a method for each event, named after it.

    An event's method takes its arguments; with one parameter more also the timestamp (ns) before
    them, with two more timestamp and pid. Events without a method go to `catchall`.
    """

    def begin(self) -> None:
        """Before the first event."""

    def catchall(self, event: Event, rec: tuple[Any, ...]) -> None:
        """An event without a method of its own; rec is (name, timestamp, pid, *arguments)."""

    def end(self) -> None:
        """After the last event."""


def built_in_events() -> list[Event]:
    """The events of this emulator."""
    from pyemu.trace import hooks
    return list(hooks.events.values())


def load_events(events: str | Iterable[str | Event] | None) -> list[Event]:
    """Declarations from files, as they are, or this emulator's own. Raises GrammarError, OSError.
    """
    found: list[Event] = []
    for item in [events] if isinstance(events, str) else events or built_in_events():
        if isinstance(item, Event):
            found.append(item)
        else:
            with open(item, encoding="utf-8", errors="surrogateescape") as file:
                found += grammar.parse(file.read(), item, known=found)
    return found


def with_built_in(events: list[Event]) -> list[Event]:
    """The events, and those of this emulator whose names are not among them.

    For traces that name their events: where they are numbers alone, nothing may be added.
    """
    names = {event.name for event in events}
    return events + [event for event in built_in_events() if event.name not in names]


def process(events: str | Iterable[str | Event] | None, log: str, analyzer: Analyzer,
            read_header: bool = True) -> list[str]:
    """Run an analyzer over a trace file; returns what was broken in the file.

    events: a trace-events file, several, declarations, or None for this emulator's own.
    Raises TraceFormatError, GrammarError, OSError.
    """
    with TraceReader(log, load_events(events), read_header) as reader:
        methods: dict[str, Callable[[Record], object]] = {}
        analyzer.begin()
        for record in whole(reader):
            name = record.event.name
            method = methods.get(name)
            if method is None:
                method = methods[name] = _method(analyzer, record.event)
            method(record)
        analyzer.end()
        tell_recovered(reader)
        return reader.problems


def whole(reader: TraceReader) -> Iterable[Record]:
    """All records; with a progress bar where what is made of them does not go to the terminal."""
    return reader if sys.stdout.isatty() else records(reader)


def tell_recovered(reader: TraceReader) -> None:
    if reader.recovered:
        print(f"{reader.path}: {reader.recovered} records recovered from the ring of a process "
              "that did not close its trace", file=sys.stderr)


def _method(analyzer: Analyzer, event: Event) -> Callable[[Record], object]:
    function = getattr(analyzer, event.name, None)
    if function is None:
        catchall = analyzer.catchall
        return lambda record: catchall(event, (event.name, *record[1:3], *record.args))
    extra = len(inspect.signature(function).parameters) - len(event.args)
    if extra == 0:
        return lambda record: function(*record.args)
    if extra == 1:
        return lambda record: function(record.timestamp_ns, *record.args)
    if extra == 2:
        return lambda record: function(record.timestamp_ns, record.pid, *record.args)
    names = ", ".join(name for _, name in event.args)
    raise TypeError(f"{type(analyzer).__name__}.{event.name}: expected arguments ({names}), "
                    "or timestamp and pid before them")


def run(analyzer: Analyzer, arguments: Sequence[str] | None = None) -> None:
    """Run an analyzer as a program: `[--no-header] [EVENTS...] TRACE` on the command line."""
    parser = argparse.ArgumentParser(description=type(analyzer).__doc__)
    add_arguments(parser)
    options = parser.parse_args(arguments)
    sys.exit(told(lambda: process(chosen_events(options), options.trace, analyzer,
                                  not options.no_header), options.trace))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-header", action="store_true",
                        help="the file has no header; events are numbered as in EVENTS")
    parser.add_argument("events", nargs="*", metavar="EVENTS",
                        help="trace-events files; this emulator's own events need none")
    parser.add_argument("trace", metavar="TRACE", help="trace file, such as trace-4242")


def chosen_events(options: argparse.Namespace) -> list[Event]:
    events = load_events(options.events)
    return events if options.no_header else with_built_in(events)


def told(work: Callable[[], list[str]], path: str) -> int:
    """Do `work`, which returns problems; tell them and return the exit status."""
    try:
        problems = work()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 128 + 2
    except OSError as error:
        problems = [f"{error.filename or path}: {error.strerror}"]
    except GrammarError as error:
        problems = error.problems
    except (TraceFormatError, ValueError) as error:
        problems = [str(error)]
    sys.stdout.flush()
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def selection(texts: Sequence[str], between: str | None) -> Callable[[Iterable[Record]],
                                                                      Iterator[Record]]:
    """What --filter and --between let through. Raises ValueError."""
    wishes = []
    for text in texts:
        wanted = dict(split_options(text, "enable"))
        if set(wanted) - {"enable", "if"}:
            raise ValueError(f"--filter {text}: expected PATTERN or PATTERN,if=CONDITION")
        wishes.append((wanted.get("enable", "*"), wanted.get("if")))
    start, end = 0.0, float("inf")
    if between is not None:
        try:
            start, end = (float(part) if part else default for part, default in
                          zip(between.split(",", 1), (start, end), strict=True))
        except ValueError:
            raise ValueError(f"--between {between}: expected FROM,TO in seconds") from None
    tests: dict[str, list[Callable[[Sequence[Any]], bool]]] = {}

    def tests_of(event: Event) -> list[Callable[[Sequence[Any]], bool]]:
        found = []
        for pattern, condition in wishes:
            if fnmatchcase(event.name, pattern):
                with suppress(UnknownName):
                    found.append(predicate(condition, event) if condition else lambda args: True)
        return found

    def select(records: Iterable[Record]) -> Iterator[Record]:
        first: int | None = None
        for record in records:
            if first is None:
                first = record.timestamp_ns
            if not start <= (record.timestamp_ns - first) / 1e9 <= end:
                continue
            if wishes:
                name = record.event.name
                if name not in tests:
                    tests[name] = tests_of(record.event)
                if not any(test(record.args) for test in tests[name]):
                    continue
            yield record

    return select


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="pyemu-simpletrace", description="Print a trace file, one event a line: name, "
        "microseconds since the event before, process, arguments.")
    add_arguments(parser)
    look = parser.add_mutually_exclusive_group()
    look.add_argument("--format", choices=FORMATS, default="text",
                      help="json: an object a line with name, timestamp_ns, pid, args")
    look.add_argument("--pretty", action="store_true",
                      help="arguments by the format strings of EVENTS, time in seconds")
    look.add_argument("--bytes", action="store_true",
                      help="strings as QEMU 7.2 prints them: name=b'bios.bin'")
    parser.add_argument("--filter", action="append", default=[], metavar="PATTERN[,if=CONDITION]",
                        help="only these events; any of several")
    parser.add_argument("--between", metavar="FROM,TO",
                        help="only what is between these seconds after the first event")
    parser.add_argument("--follow", action="store_true",
                        help="go on until the process that is being traced ends")
    options = parser.parse_args(arguments)
    if options.follow and options.no_header:
        parser.error("argument --follow: not allowed with argument --no-header")
    write = sys.stdout.write
    if options.pretty:
        show = as_pretty(write)
    elif options.bytes:
        show = as_text(write, bytes_as_python)
    else:
        show = FORMATS[options.format](write)

    def print_all() -> list[str]:
        select = selection(options.filter, options.between)
        events = chosen_events(options)
        with TraceReader(options.trace, events, not options.no_header) as reader:
            for record in select(reader.follow() if options.follow else whole(reader)):
                show(record)
                if options.follow:
                    sys.stdout.flush()
            tell_recovered(reader)
            return reader.problems

    return told(print_all, options.trace)


if __name__ == "__main__":
    sys.exit(main())
