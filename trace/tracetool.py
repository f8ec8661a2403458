"""pyemu-tracetool: shows what the trace-events files declare.

    --format=py           each event as the hook a chip calls, with its signature
    --format=events-all   all declarations as one file, for QEMU's and other simpletrace tools
    --format=md           the event reference
"""
import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

from pyemu.trace import grammar
from pyemu.trace.grammar import Event, GrammarError, join

PYTHON_TYPES = {"s": "str | bytes | None", "P": "object", "?": "bool"}


def as_python(events: Iterable[Event]) -> Iterator[str]:
    """Stub code: what `from pyemu.trace.hooks import trace_NAME` gives."""
    yield "# What pyemu.trace.hooks offers: call one and its event is recorded, if it is on."
    for event in events:
        args = ", ".join(f"{name}: {PYTHON_TYPES.get(letter, 'int')}"
                         for (_, name), letter in zip(event.args, event.types, strict=True))
        yield ""
        yield f"def trace_{event.name}({args}{', /' if args else ''}) -> None:"
        signature = ", ".join(join(*arg) for arg in event.args) or "void"
        yield f"    # {event.file}:{event.line}: {signature}"
        if event.format:
            yield f"    # {event.format}"
        yield f"    # recorded as {record_layout(event)}"
        yield "    ..."


def record_layout(event: Event) -> str:
    """The payload of the event's record, in words."""
    parts = ["u32 length + bytes" if letter == "s" else "u64" for letter in event.types]
    return ", ".join(parts) or "no arguments"


def as_events_all(events: Iterable[Event]) -> Iterator[str]:
    """One trace-events file with everything."""
    yield "# Made by pyemu-tracetool --format=events-all: do not edit."
    for file, members in groupby(events, key=lambda event: event.file):
        yield ""
        yield f"# {file}"
        for event in members:
            yield str(event)


def as_markdown(events: Iterable[Event]) -> Iterator[str]:
    """Tables of all events, a section for each file."""
    yield "# Events"
    yield ""
    yield "Made by `pyemu-tracetool --format=md`."
    for file, members in groupby(events, key=lambda event: event.file):
        yield ""
        yield f"## {file}"
        yield ""
        yield "| event | arguments | format |"
        yield "|---|---|---|"
        for event in members:
            args = ", ".join(join(*arg) for arg in event.args) or "void"
            text = event.printf.replace("|", "\\|")
            yield f"| `{event.name}` | `{args}` | {f'`{text}`' if text else ''} |"


FORMATS: dict[str, Callable[[Iterable[Event]], Iterator[str]]] = {
    "py": as_python, "events-all": as_events_all, "md": as_markdown,
}


def load(paths: Sequence[str]) -> list[Event]:
    """The events of these files, or the emulator's own. Raises GrammarError, OSError."""
    if paths:
        events: list[Event] = []
        for path in paths:
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                events += grammar.parse(file.read(), path, known=events)
        return events
    from pyemu.trace import hooks
    names = {path: os.path.join(group.replace("_", "/"), hooks.FILE_NAME)
             for path, group in hooks.files()}
    for event in hooks.events.values():
        event.file = names.get(event.file, event.file)
    return list(hooks.events.values())


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="pyemu-tracetool",
                                     description="Show what trace-events files declare.")
    parser.add_argument("--format", required=True, choices=FORMATS)
    parser.add_argument("files", nargs="*", metavar="TRACE-EVENTS",
                        help="instead of this emulator's own")
    options = parser.parse_args(arguments)
    try:
        for line in FORMATS[options.format](load(options.files)):
            print(line)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except GrammarError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"pyemu-tracetool: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
