"""How records are shown: as QEMU's simpletrace.py does, by format strings, as JSON, as CSV."""
import csv
import json
from collections.abc import Callable
from typing import Any

from pyemu.trace.grammar import SIGNED_TYPES, Event, conversions
from pyemu.trace.reader import Record

US = 1000.0  # nanoseconds
Write = Callable[[str], object]
Show = Callable[[Record], object]


def printable(text: str) -> str:
    """On one line: control characters and bytes that are no UTF-8 as escapes."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else f"\\x{ord(c) - 0xdc00:02x}" if "\udc80" <= c <= "\udcff"
        else c.encode("unicode_escape").decode() for c in text)


def bytes_as_python(text: str) -> str:
    return repr(text.encode("utf-8", "surrogateescape"))


def as_text(write: Write, string: Callable[[str], str] = printable) -> Show:
    """`name DELTA pid=N arg=value ...`: microseconds since the record before, numbers in hex."""
    last: int | None = None
    templates: dict[str, str] = {}

    def show(record: Record) -> None:
        nonlocal last
        event, timestamp, pid, args = record
        delta = 0 if last is None else timestamp - last
        last = timestamp
        template = templates.get(event.name)
        if template is None:
            template = templates[event.name] = "".join(
                f" {name}=%{'s' if letter == 's' else '#x'}"
                for (_, name), letter in zip(event.args, event.types, strict=True)) + "\n"
        if "s" in event.types:
            args = tuple(string(value) if isinstance(value, str) else value for value in args)
        write(f"{event.name} {delta / US:0.3f} pid={pid}{template % args}")

    return show


def as_pretty(write: Write) -> Show:
    """`SECONDS name: ` and the arguments as the event's format string shows them; seconds since the
    first record."""
    first: int | None = None
    formats: dict[str, Callable[[tuple[Any, ...]], str]] = {}

    def show(record: Record) -> None:
        nonlocal first
        if first is None:
            first = record.timestamp_ns
        event = record.event
        formatted = formats.get(event.name)
        if formatted is None:
            formatted = formats[event.name] = printf(event)
        seconds = (record.timestamp_ns - first) / 1e9
        write(f"{seconds:12.6f} {event.name}: {printable(formatted(record.args))}".rstrip() + "\n")

    return show


def printf(event: Event) -> Callable[[tuple[Any, ...]], str]:
    """A function that formats the arguments as C's printf would."""
    template, at, casts = "", 0, []
    text = event.printf or " ".join(
        f"{name}={'%s' if letter == 's' else '0x%lx'}"
        for (_, name), letter in zip(event.args, event.types, strict=True))
    for found in conversions(text):
        template += text[at:found.start()].replace("%%", "\0").replace("%", "%%")
        at = found.end()
        for star in (found["width"], found["precision"]):
            if star == "*":
                casts.append(_cast(32, True))
        letter, length = found["letter"], found["length"]
        width = f"{found['flags'].replace(chr(39), '')}{found['width']}"
        precision = "" if found["precision"] is None else f".{found['precision']}"
        if letter == "p":
            template += f"%{width}s"
            casts.append(_pointer)
        elif letter == "s":
            template += f"%{width}{precision}s"
            casts.append(str)
        else:
            template += f"%{width}{precision}{letter}"
            bits = {"hh": 8, "h": 16, "": 32}.get(length, 64)
            casts.append(_cast(8, False) if letter == "c" else _cast(bits, letter in "di"))
    template += text[at:].replace("%%", "\0").replace("%", "%%")
    template = template.replace("\0", "%%")

    def formatted(args: tuple[Any, ...]) -> str:
        return template % tuple(cast(value) for cast, value in zip(casts, args, strict=False))

    return formatted


def _pointer(value: int) -> str:
    return f"{value:#x}" if value else "(nil)"


def _cast(bits: int, signed: bool) -> Callable[[Any], Any]:
    mask, sign = (1 << bits) - 1, 1 << (bits - 1)
    if signed:
        return lambda value: ((value & mask) ^ sign) - sign
    return lambda value: value & mask


def values(record: Record) -> dict[str, Any]:
    """The arguments by name, signed ones as signed numbers, strings as text."""
    named: dict[str, Any] = {}
    for (_, name), letter, value in zip(record.event.args, record.event.types, record.args,
                                        strict=True):
        if letter in SIGNED_TYPES and value >> 63:
            value -= 1 << 64
        elif letter == "s":
            value = value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        named[name] = bool(value) if letter == "?" else value
    return named


def as_json(write: Write) -> Show:
    """One object a line: name, timestamp_ns, pid, args."""
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

    def show(record: Record) -> None:
        write(encode({"name": record.event.name, "timestamp_ns": record.timestamp_ns,
                      "pid": record.pid, "args": values(record)}) + "\n")

    return show


class _Lines:
    """What csv.writer writes to."""

    def __init__(self, write: Write):
        self.write = write


def as_csv(write: Write) -> Show:
    """name, timestamp_ns, pid, args; the arguments as a JSON object."""
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    rows = csv.writer(_Lines(write), lineterminator="\n")
    rows.writerow(["name", "timestamp_ns", "pid", "args"])

    def show(record: Record) -> None:
        rows.writerow([record.event.name, record.timestamp_ns, record.pid, encode(values(record))])

    return show


FORMATS: dict[str, Callable[[Write], Show]] = {"text": as_text, "json": as_json, "csv": as_csv}
