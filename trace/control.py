"""What is traced, and into which file: the -trace option, and what the monitor's commands do.

    options = TraceOptions.parse(["ide_*", "events=ev,file=boot.trace"])   (arguments of -trace)
    control.start(options)    switches the events on and opens the file
    control.close()           at the end; called at exit too

Texts are QEMU's. The trace file has simpletrace's format, version 4 (docs/tracing.md).
"""
import atexit
import contextlib
import os
import re
import stat
import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field

from pyemu.trace import _ring, hooks

HEADER = struct.Struct("=QQQ")
HEADER_ID, MAGIC, VERSION = 0xffffffffffffffff, 0xf2b177cb0aa429b4, 4
MAPPING = struct.Struct("=QQI")  # record type 0, event id, length of the name
RING_SUFFIX = ".ring"
DEFAULT_SIZE = 4 << 20  # bytes of ring for each thread
SMALLEST_SIZE, LARGEST_SIZE = 64 << 10, 1 << 30
SIZE_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


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


@dataclass
class TraceOptions:
    """All -trace options of a command line."""

    switches: list[Switch] = field(default_factory=list)
    file: str | None = None
    given: bool = False  # whether there was a -trace at all
    help: bool = False
    size: int = DEFAULT_SIZE
    overwrite: bool = False  # keep the newest records and write them at the end
    wait: bool = False  # a thread waits for room in the ring instead of dropping its event

    @classmethod
    def parse(cls, texts: Iterable[str]) -> "TraceOptions":
        """Read the arguments of -trace, in order. Raises TraceError."""
        options = cls()
        for text in texts:
            options.given = True
            options._add(text)
        return options

    def _add(self, text: str) -> None:
        source = f"-trace {text}"
        values: dict[str, str] = {}
        for key, value in split_options(text, "enable"):
            if key not in ("enable", "events", "file", "size", "overwrite", "full"):
                raise TraceError(f"{source}: Invalid parameter '{key}'")
            values[key] = value
        if "enable" in values:
            self._add_pattern(values["enable"], source)
        if "events" in values:
            self._add_file(values["events"])
        self.file = values.get("file", self.file)
        if "size" in values:
            self.size = parse_size(values["size"], source)
        if "overwrite" in values:
            self.overwrite = _choice(values, "overwrite", source, off=False, on=True)
        if "full" in values:
            self.wait = _choice(values, "full", source, drop=False, wait=True)

    def _add_pattern(self, pattern: str, source: str) -> None:
        if pattern in ("help", "?"):
            self.help = True
        else:
            self.switches.append(Switch(pattern.removeprefix("-"), pattern[:1] != "-", source))

    def _add_file(self, path: str) -> None:
        """One pattern a line, `-` before it switches off, `#` in the first column is a comment."""
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                lines = file.read().splitlines()
        except OSError as error:
            raise TraceError(f"{path}: {error.strerror}", in_file=True) from None
        for number, line in enumerate(lines, 1):
            pattern = line.strip()
            if pattern and line[0] != "#":
                self._add_pattern(pattern, f"{path}:{number}")


def split_options(text: str, first: str) -> Iterable[tuple[str, str]]:
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


# Events by pattern

def matching(pattern: str) -> list[str]:
    """Names of the events that match, in the order of their ids. Raises UnknownEvent for a plain
    name that is none."""
    if "*" in pattern or "?" in pattern:
        glob = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
        accepts = re.compile(glob).fullmatch
        return [name for name in hooks.events if accepts(name)]
    if pattern not in hooks.events:
        raise UnknownEvent(f'unknown event "{pattern}"')
    return [pattern]


def switch(pattern: str, on: bool) -> list[str]:
    """Switch all events that match on or off, but for the ones declared `disable`.

    Returns the names of those that match. Raises UnknownEvent.
    """
    names = matching(pattern)
    for name in names:
        if not hooks.events[name].disabled:
            hooks.hooks[name].enabled = on
    return names


def help_text() -> str:
    """The names of all events that can be traced, one a line."""
    return "\n".join(name for name, event in hooks.events.items() if not event.disabled)


def apply(switches: Iterable[Switch]) -> list[str]:
    """Do what the options say; returns a warning for each that came to nothing."""
    warnings = []
    for wish in switches:
        try:
            names = switch(wish.pattern, wish.on)
        except UnknownEvent:
            problem = f"trace event '{wish.pattern}' does not exist"
        else:
            if not names:
                problem = f"no trace event matches '{wish.pattern}'"
            elif all(hooks.events[name].disabled for name in names):
                problem = f"trace event '{wish.pattern}' is not traceable"
            else:
                continue
        warnings.append(f"{wish.source}: warning: {problem}")
    return warnings


# The file

class TraceFile:
    """The trace file and the ring file beside it, from the first record to the last."""

    def __init__(self) -> None:
        self.path = f"trace-{os.getpid()}"
        self.size = DEFAULT_SIZE
        self.overwrite = False
        self.wait = False
        self.on = False
        self.fd = -1
        self.ring_path: str | None = None

    def open(self) -> None:
        """Create the file and record into it. Raises TraceError."""
        self.fd, offset = self._create(self.path, truncate=True)
        ring_path = self._ring_path_of(self.path)
        try:
            _ring.open(self.fd, offset, ring_path, self.size, self.overwrite, self.wait)
        except OSError as error:
            os.close(self.fd)
            self.fd = -1
            raise TraceError(f"{ring_path or 'trace ring'}: {error.strerror}") from None
        self.ring_path = ring_path
        self.on = True

    def _create(self, path: str, truncate: bool) -> tuple[int, int]:
        """An open trace file and where its next record goes."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | (os.O_TRUNC if truncate else 0)
        fd = -1
        try:
            try:
                fd = os.open(path, flags, 0o644)
            except OSError:  # a pipe or a terminal need not be readable
                fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            data = file_header()
            while data:
                data = data[os.write(fd, data):]
            return fd, os.lseek(fd, 0, os.SEEK_CUR) if is_regular(fd) else 0
        except OSError as error:
            if fd >= 0:
                os.close(fd)
            raise TraceError(f"could not open trace file '{path}': {error.strerror}") from None

    def _ring_path_of(self, path: str) -> str | None:
        """Beside the trace file; in memory if that is a device or a pipe."""
        return path + RING_SUFFIX if os.path.isfile(path) else None

    def pause(self) -> None:
        """Write out what there is and record no more until `resume`."""
        if self.on:
            self.on = False
            _ring.record(False)
            self.flush()

    def resume(self) -> None:
        """Go on where `pause` left off; opens the file the first time."""
        if self.fd < 0:
            self.open()
        elif not self.on:
            self.on = True
            _ring.record(True)

    def flush(self) -> None:
        """Everything recorded by now is in the file afterwards. Raises TraceError."""
        try:
            if self.overwrite:
                _ring.dump()
            else:
                _ring.flush()
        except OSError as error:
            raise TraceError(f"{self.path}: {error.strerror}") from None

    def set(self, path: str) -> None:
        """Go on in another file. Raises TraceError, and then nothing has changed."""
        if self.fd < 0:
            self.path = path
            return
        fd, offset = self._create(path, truncate=True)
        with contextlib.suppress(OSError):  # the old file's trouble is not the new one's
            if self.overwrite:
                _ring.dump()
            _ring.set_file(fd, offset)
        os.close(self.fd)
        self.fd, self.path = fd, path
        if self.ring_path is not None:
            ring_path = path + RING_SUFFIX
            with contextlib.suppress(OSError):  # on another file system: stays where it is
                os.rename(self.ring_path, ring_path)
                self.ring_path = ring_path

    def close(self) -> None:
        """Write everything out and remove the ring file. Raises TraceError."""
        if self.fd < 0:
            return
        self.on = False
        problem = None
        try:
            if self.overwrite:
                _ring.dump()
            _ring.close()
        except OSError as error:
            problem = TraceError(f"{self.path}: {error.strerror}; "
                                 f"{_ring.numbers()['pending']} bytes of trace are lost")
        os.close(self.fd)
        self.fd = -1
        if self.ring_path is not None:
            with contextlib.suppress(OSError):
                os.unlink(self.ring_path)
            self.ring_path = None
        if problem is not None:
            raise problem


def is_regular(fd: int) -> bool:
    return stat.S_ISREG(os.fstat(fd).st_mode)


def file_header() -> bytes:
    """What a trace file begins with: the header, and the names of all events."""
    parts = [HEADER.pack(HEADER_ID, MAGIC, VERSION)]
    for name, hook in hooks.hooks.items():
        encoded = name.encode()
        parts.append(MAPPING.pack(0, hook.id, len(encoded)) + encoded)
    return b"".join(parts)


file = TraceFile()


# Start and end

def start(options: TraceOptions) -> None:
    """Switch on what the options say and open the trace file; warnings go to stderr.

    Without any -trace nothing is opened until the monitor switches an event on. Raises TraceError.
    """
    for warning in apply(options.switches):
        print(f"pyemu: {warning}" if warning.startswith("-trace") else f"pyemu:{warning}",
              file=sys.stderr, flush=True)
    file.size, file.overwrite, file.wait = options.size, options.overwrite, options.wait
    file.path = options.file if options.file is not None else f"trace-{os.getpid()}"
    if options.given:
        file.resume()
        atexit.register(close)


def close() -> None:
    """End of tracing. What could not be written is told on stderr."""
    atexit.unregister(close)
    try:
        file.close()
    except TraceError as error:
        print(f"pyemu: {error}", file=sys.stderr, flush=True)


# The monitor's commands: each returns what it prints, "" for nothing

def info_trace_events(pattern: str | None = None) -> str:
    """`info trace-events [PATTERN]`."""
    try:
        names = matching(pattern) if pattern else list(hooks.events)
    except UnknownEvent as error:
        return str(error)
    return "\n".join(f"{name} : state {int(hooks.hooks[name].enabled)}" for name in names)


def trace_event(name: str, option: str | None = None) -> str:
    """`trace-event PATTERN on|off`."""
    if option not in ("on", "off"):
        return "Expected 'on' or 'off'\nTry \"help trace-event\" for more information"
    try:
        names = switch(name, option == "on")
        if option == "on" and file.fd < 0 and any(hooks.hooks[found].enabled for found in names):
            file.resume()
            atexit.register(close)
    except TraceError as error:
        return str(error)
    return ""


def trace_file(operation: str | None = None, argument: str | None = None) -> str:
    """`trace-file [on|off|flush|set FILE]`."""
    try:
        if operation is None:
            return status()
        if operation == "on":
            file.resume()
            atexit.register(close)
        elif operation == "off":
            file.pause()
        elif operation == "flush":
            file.flush()
        elif operation == "set" and argument:
            file.set(argument)
        elif operation == "set":
            return "trace-file set: expected a file name"
        else:
            return (f'unexpected argument "{operation}"\n'
                    'Try "help trace-file" for more information')
    except TraceError as error:
        return str(error)
    return ""


def status() -> str:
    """The file, whether it is being written, and what was lost."""
    lines = [f'Trace file "{file.path}" {"on" if file.on else "off"}.']
    if file.fd >= 0:
        numbers = _ring.numbers()
        if numbers["dropped"]:
            lines.append(f"{numbers['dropped']} events were dropped.")
        if numbers["error"]:
            lines.append(f"It cannot be written: {os.strerror(numbers['error'])}.")
    return "\n".join(lines)


def complete(words: list[str]) -> list[str]:
    """What the last word can become: `words` are those of a line typed so far."""
    command, last = " ".join(words[:-1]), words[-1] if words else ""
    if command in ("trace-event", "info trace-events"):
        candidates: Iterable[str] = hooks.events
    elif re.fullmatch(r"trace-event \S+", command):
        candidates = ("on", "off")
    elif command == "trace-file":
        candidates = ("on", "off", "flush", "set")
    else:
        candidates = ()
    return [candidate for candidate in candidates if candidate.startswith(last)]
