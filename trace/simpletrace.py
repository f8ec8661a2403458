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
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pyemu.trace import grammar
from pyemu.trace.grammar import Event, GrammarError
from pyemu.trace.reader import Record, TraceFormatError, TraceReader

US = 1000.0  # nanoseconds


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


def load_events(events: str | Iterable[Event] | None) -> list[Event]:
    """Declarations from a file, as they are, or this emulator's own. Raises GrammarError, OSError.
    """
    if events is None:
        return built_in_events()
    return grammar.parse_file(events) if isinstance(events, str) else list(events)


def process(events: str | Iterable[Event] | None, log: str, analyzer: Analyzer,
            read_header: bool = True) -> list[str]:
    """Run an analyzer over a trace file; returns what was broken in the file.

    events: a trace-events file, declarations, or None for this emulator's own.
    Raises TraceFormatError, GrammarError, OSError.
    """
    with TraceReader(log, load_events(events), read_header) as reader:
        methods: dict[str, Callable[[Record], object]] = {}
        analyzer.begin()
        for record in reader:
            name = record.event.name
            method = methods.get(name)
            if method is None:
                method = methods[name] = _method(analyzer, record.event)
            method(record)
        analyzer.end()
        if reader.recovered:
            print(f"{log}: {reader.recovered} records recovered from the ring of a process that "
                  "did not close its trace", file=sys.stderr)
        return reader.problems


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


class Formatter(Analyzer):
    """Prints every event: name, microseconds since the one before, pid, arguments."""

    def __init__(self, write: Callable[[str], object], bytes_repr: bool = False):
        self.write = write
        self.string = bytes_as_python if bytes_repr else printable
        self.last: int | None = None
        self.templates: dict[str, str] = {}

    def catchall(self, event: Event, rec: tuple[Any, ...]) -> None:
        name, timestamp, pid, *args = rec
        delta = 0 if self.last is None else timestamp - self.last
        self.last = timestamp
        if "s" in event.types:
            string = self.string
            args = [string(value) if isinstance(value, str) else value for value in args]
        template = self.templates.get(name)
        if template is None:
            template = self.templates[name] = "".join(
                f" {arg}=%{'s' if letter == 's' else '#x'}"
                for (_, arg), letter in zip(event.args, event.types, strict=True)) + "\n"
        self.write(f"{name} {delta / US:0.3f} pid={pid}{template % tuple(args)}")


def printable(text: str) -> str:
    """On one line: control characters and bytes that are no UTF-8 as escapes."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else f"\\x{ord(c) - 0xdc00:02x}" if "\udc80" <= c <= "\udcff"
        else c.encode("unicode_escape").decode() for c in text)


def bytes_as_python(text: str) -> str:
    return repr(text.encode("utf-8", "surrogateescape"))


def run(analyzer: Analyzer, arguments: Sequence[str] | None = None) -> None:
    """Run an analyzer as a program: `[--no-header] [EVENTS] TRACE` on the command line."""
    parser = argparse.ArgumentParser(description=type(analyzer).__doc__)
    add_arguments(parser)
    options = parser.parse_args(arguments)
    sys.exit(run_with(options, analyzer))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-header", action="store_true",
                        help="the file has no header; events are numbered as in EVENTS")
    parser.add_argument("events", nargs="?", metavar="EVENTS",
                        help="trace-events file (this emulator's own events unless given)")
    parser.add_argument("trace", metavar="TRACE", help="trace file, such as trace-4242")


def run_with(options: argparse.Namespace, analyzer: Analyzer) -> int:
    """Run an analyzer with parsed arguments; returns the exit status, errors are told."""
    try:
        problems = process(options.events, options.trace, analyzer, not options.no_header)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        problems = [f"{error.filename or options.trace}: {error.strerror}"]
    except TraceFormatError as error:
        problems = [str(error)]
    except GrammarError as error:
        problems = error.problems
    sys.stdout.flush()
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="pyemu-simpletrace", description="Print a trace file, one event a line: name, "
        "microseconds since the event before, process, arguments.")
    add_arguments(parser)
    parser.add_argument("--bytes", action="store_true",
                        help="strings as QEMU 7.2 prints them: name=b'bios.bin'")
    options = parser.parse_args(arguments)
    return run_with(options, Formatter(sys.stdout.write, options.bytes))


if __name__ == "__main__":
    sys.exit(main())
