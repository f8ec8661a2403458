"""The options about tracing: -trace, -d and -D, read but not yet acted on.

    -trace [enable=]PATTERN[,if=CONDITION]   -trace events=FILE   -trace file=FILE
    -trace on=EVENT[,if=CONDITION],do=ACTION[+ACTION...]   -trace start=EVENT   -trace stop=EVENT
    -trace size=SIZE   -trace overwrite=on   -trace full=wait   -trace symbols=FILE
    -d trace:PATTERN,ITEM,...   -D FILE   -dfilter RANGE,...

Several of one -trace go together, with commas; a comma inside a value is typed twice.
"""
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

DEFAULT_SIZE = 8 << 20  # bytes of ring for each thread
SMALLEST_SIZE, LARGEST_SIZE = 64 << 10, 1 << 30
SIZE_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
KEYS = ("enable", "events", "file", "if", "on", "do", "start", "stop", "size", "overwrite", "full",
        "symbols")


class TraceError(Exception):
    """Something the user can mend, in one line that begins with the option or the file.

    in_file: it is about a place in a file, which QEMU puts right after the program's name.
    """

    def __init__(self, message: str, in_file: bool = False):
        super().__init__(message)
        self.line = f"pyemu:{message}" if in_file else f"pyemu: {message}"


class UnknownEvent(TraceError):
    """No event has the name."""


@dataclass
class Switch:
    """One wish of the user: the events that match `pattern` are to go on or off.

    source: what a warning about it begins with, `-trace X` or `FILE:LINE`.
    """

    pattern: str
    on: bool
    source: str
    condition: str | None = None


@dataclass
class Trigger:
    """When an event that matches happens, and the condition is true, these actions are taken."""

    pattern: str
    actions: tuple[str, ...]
    source: str
    condition: str | None = None


@dataclass
class TraceOptions:
    """All -trace options of a command line."""

    switches: list[Switch] = field(default_factory=list)
    triggers: list[Trigger] = field(default_factory=list)
    file: str | None = None
    given: bool = False  # whether there was a -trace at all
    help: bool = False
    size: int = DEFAULT_SIZE
    overwrite: bool = False  # keep the newest records and write them at the end
    symbols: str | None = None  # file with the names of guest addresses
    wait: bool = False  # a thread waits for room in the ring instead of dropping its event

    @classmethod
    def parse(cls, texts: Iterable[str]) -> "TraceOptions":
        """Read the arguments of -trace, in order. Raises TraceError."""
        options = cls()
        for text in texts:
            options.given = True
            options._add(text)
        return options

    @property
    def starts_off(self) -> bool:
        """Whether recording waits for a trigger."""
        return any("start" in trigger.actions for trigger in self.triggers)

    def _add(self, text: str) -> None:
        source = f"-trace {text}"
        values: dict[str, str] = {}
        for key, value in split_options(text, "enable"):
            if key not in KEYS:
                raise TraceError(f"{source}: Invalid parameter '{key}'")
            values[key] = value
        condition = values.get("if")
        if "enable" in values:
            self._add_pattern(values["enable"], source, condition)
        if "events" in values:
            self._add_file(values["events"], condition)
        self._add_triggers(values, source, condition)
        self.file = values.get("file", self.file)
        self.symbols = values.get("symbols", self.symbols)
        if "size" in values:
            self.size = parse_size(values["size"], source)
        if "overwrite" in values:
            self.overwrite = _choice(values, "overwrite", source, off=False, on=True)
        if "full" in values:
            self.wait = _choice(values, "full", source, drop=False, wait=True)

    def _add_pattern(self, pattern: str, source: str, condition: str | None = None) -> None:
        if pattern in ("help", "?"):
            self.help = True
        else:
            on = pattern[:1] != "-"
            self.switches.append(Switch(pattern.removeprefix("-"), on, source, condition))

    def _add_file(self, path: str, condition: str | None) -> None:
        """One pattern a line, `-` before it switches off, `#` in the first column is a comment."""
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                lines = file.read().splitlines()
        except OSError as error:
            raise TraceError(f"{path}: {error.strerror}", in_file=True) from None
        for number, line in enumerate(lines, 1):
            pattern = line.strip()
            if pattern and line[0] != "#":
                self._add_pattern(pattern, f"{path}:{number}", condition)

    def _add_triggers(self, values: dict[str, str], source: str, condition: str | None) -> None:
        for action in ("start", "stop"):
            if action in values:
                self.triggers.append(Trigger(values[action], (action,), source, condition))
        if ("on" in values) != ("do" in values):
            raise TraceError(f"{source}: 'on=EVENT' and 'do=ACTION' go together")
        if "on" in values:
            actions = tuple(values["do"].split("+"))
            self.triggers.append(Trigger(values["on"], actions, source, condition))
        elif condition is not None and not values.keys() & {"enable", "events", "start", "stop"}:
            raise TraceError(f"{source}: 'if' needs an event")


@dataclass
class LogOptions:
    """All -d options, -D, and -dfilter."""

    patterns: list[Switch] = field(default_factory=list)  # of `trace:PATTERN`
    items: list[tuple[str, str]] = field(default_factory=list)  # (item, source)
    file: str | None = None
    help: bool = False
    stamped: bool = False  # -msg timestamp=on
    ranges: tuple[range, ...] = ()  # of code, which lines about blocks are to be about; all if none

    @classmethod
    def parse(cls, texts: Iterable[str], file: str | None = None, stamped: bool = False,
              ranges: str = "") -> "LogOptions":
        """texts: the arguments of -d, in order; file: that of -D; ranges: that of -dfilter.

        Raises TraceError.
        """
        options = cls(file=file, stamped=stamped, ranges=parse_ranges(ranges))
        for text in texts:
            source = f"-d {text}"
            for item in text.split(","):
                kind, colon, pattern = item.partition(":")
                if item in ("help", "?") or (kind, pattern) == ("trace", "help"):
                    options.help = True
                elif kind == "trace" and colon:
                    options.patterns.append(Switch(pattern.removeprefix("-"), pattern[:1] != "-",
                                                   source))
                elif item:
                    options.items.append((item, source))
        return options


def parse_ranges(text: str) -> tuple[range, ...]:
    """Addresses: `FIRST..LAST`, `FIRST+SIZE` or, of what ends there, `LAST-SIZE`, with commas.

    Raises TraceError.
    """
    return tuple(_parse_range(part, f"-dfilter {text}") for part in text.split(",") if part)


def _parse_range(text: str, source: str) -> range:
    match = re.fullmatch(r"(.*?)(\.\.|\+|-)(.*)", text)
    if match is None:
        raise TraceError(f"{source}: Bad range specifier")
    left, operator, right = match.groups()
    numbers = []
    for side, digits in (("left", left), ("right", right)):
        try:
            numbers.append(int(digits, 8 if re.fullmatch("0[0-7]+", digits) else 0))
        except ValueError:
            raise TraceError(f"{source}: Invalid number to the {side} of {operator}") from None
    first, second = numbers
    found = {"..": range(first, second + 1), "+": range(first, first + second),
             "-": range(first - second + 1, first + 1)}[operator]
    if not found or not 0 <= found[0] <= found[-1] < 1 << 64:
        raise TraceError(f"{source}: Invalid range")
    return found


def split_options(text: str, first: str) -> Iterator[tuple[str, str]]:
    """(key, value) of `a,k=v`: a bare first word is the value of `first`; `,,` is one comma."""
    parts = [part.replace("\0", ",") for part in text.replace(",,", "\0").split(",")]
    for n, part in enumerate(parts):
        key, equals, value = part.partition("=")
        if equals and (n or re.fullmatch(r"[a-z]+", key)):
            yield key, value
        elif n == 0:
            yield first, part
        elif part:
            yield part, "on"


def parse_size(text: str, source: str) -> int:
    """Bytes, rounded up to a power of two; `4M`, `512k`."""
    match = re.fullmatch(r"(\d{1,15})([kmg]?)", text.lower())
    size = int(match[1]) * SIZE_UNITS[match[2]] if match else 0
    if not SMALLEST_SIZE <= size <= LARGEST_SIZE:
        raise TraceError(f"{source}: size must be 64k to 1G, for example size=16M")
    return 1 << (size - 1).bit_length()


def _choice(values: dict[str, str], key: str, source: str, **choices: bool) -> bool:
    try:
        return choices[values[key]]
    except KeyError:
        raise TraceError(f"{source}: Parameter '{key}' expects "
                         + " or ".join(f"'{choice}'" for choice in choices)) from None
