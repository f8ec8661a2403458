"""The text log: what -d names, as lines on stderr or in the file of -D.

    log.start(LogOptions.parse(["trace:pic_*,int"], "boot.log"))
    log.choose("in_asm,int")        what the monitor's `log` does; "none" for nothing
    log.set_file("other.log")       and its `logfile`
    log.concerns(pc)                whether -dfilter lets this address of code through
    log.close()                     at the end; called at exit too

    if log.guest_errors:            an item is true while it is asked for
        log.guest_errors("text")    and takes text, one line or several

Items have QEMU's names. What is said of the CPU comes from pyemu.cpulog, which listens to
`on_change`.
"""
import atexit
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

from pyemu.trace import _ring, hooks
from pyemu.trace.options import LogOptions, TraceError
from pyemu.trace.patterns import apply, warn

__all__ = ["LogOptions", "TraceError"]


class UnknownItem(TraceError):
    """A word of -d that is none of the items."""


class UnavailableItem(TraceError):
    """An item of QEMU's that there is nothing to show for."""


@dataclass
class Item:
    """One word of -d.

    on_change: called with True when the item is asked for, with False when it no longer is.
    """

    name: str
    help: str
    on: bool = False
    on_change: Callable[[bool], object] | None = None

    def __bool__(self) -> bool:
        return self.on

    def __call__(self, text: str) -> None:
        _ring.log(text + "\n")

    def switch(self, on: bool) -> None:
        changes = on != self.on
        self.on = on
        if changes and self.on_change is not None:
            self.on_change(on)

    def follow(self, on_change: Callable[[bool], object]) -> None:
        """Have the item make its lines from now on."""
        self.on_change = on_change
        if self.on:
            on_change(True)


in_asm = Item("in_asm", "show target assembly code for each translated block")
interrupts = Item("int", "show interrupts and exceptions")
execution = Item("exec", "show each block before it is executed (lots of logs)")
cpu = Item("cpu", "show CPU registers before entering a block (lots of logs)")
fpu = Item("fpu", "include FPU registers in what \"cpu\" shows")
mmu = Item("mmu", "show changes of CR0 and, with paging, of CR3")
cpu_reset = Item("cpu_reset", "show CPU state before CPU resets, and triple faults")
unimp = Item("unimp", "log what the guest asks for and a chip does not do")
guest_errors = Item("guest_errors", "log when the guest does something invalid")
nochain = Item("nochain", "accepted as QEMU's: \"exec\" and \"cpu\" always show all blocks")
items = {item.name: item for item in (in_asm, interrupts, execution, cpu, fpu, mmu, cpu_reset,
                                      unimp, guest_errors, nochain)}

_TRANSLATOR = "how a block is translated is not to be seen from outside the translator"
_USER_MODE = "it is about emulating a single program"
unavailable = {
    "op": _TRANSLATOR, "op_opt": _TRANSLATOR, "op_ind": _TRANSLATOR, "out_asm": _TRANSLATOR,
    "pcall": "far calls and returns do not leave translated code; 'int' shows exceptions",
    "page": _USER_MODE, "strace": f"{_USER_MODE}; -plugin strace shows system calls of the guest",
    "plugin": "plugins print where they like", "tid": "there is one log file for all threads",
    "vpu": "there are no vector registers of that kind",
}


def help_text(command: str = "-d") -> str:
    """What `-d help` prints, or the monitor's `log help`."""
    rows = [(item.name, item.help) for item in items.values()]
    rows.append(("trace:PATTERN", "enable trace events"))
    if command == "log":
        rows.insert(0, ("none", "remove all logs"))
    return "\n".join(["Log items (comma separated):",
                      *(f"{name:15} {text}" for name, text in rows),
                      "", f'Use "{command} trace:help" to get a list of trace events.'])


class _Output:
    """Where the lines go."""

    def __init__(self) -> None:
        self.path: str | None = None  # None: stderr
        self.fd = -1  # of the file
        self.open = False
        self.stamped = False

    def use(self, path: str | None) -> None:
        """Go on in a file, `%d` in its name being the process, or on stderr. Raises TraceError."""
        fd = -1
        if path is not None:
            if path.count("%") > path.count("%d") or path.count("%") > 1:
                raise TraceError(f"Bad logfile template: {path}")
            path = path.replace("%d", str(os.getpid()))
            try:
                fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
            except OSError as error:
                raise TraceError(f"-D {path}: {error.strerror}") from None
        _ring.log_open(2 if fd < 0 else fd, fd >= 0, self.stamped)
        self._close_file()
        self.path, self.fd, self.open = path, fd, True

    def close(self) -> None:
        _ring.log_open(-1, False, False)
        self._close_file()
        self.path, self.open = None, False

    def _close_file(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


_output = _Output()
_ranges: tuple[range, ...] = ()  # of -dfilter


def concerns(address: int) -> bool:
    """Whether a line about code at this address is wanted."""
    return not _ranges or any(address in some for some in _ranges)


def start(options: LogOptions) -> None:
    """Open the log and switch on what goes there. Raises TraceError."""
    global _ranges
    _ranges = options.ranges
    _output.stamped = options.stamped
    wanted = [_item(name, source) for name, source in options.items]
    if options.file is not None or options.patterns or options.items:
        _output.use(options.file)
        atexit.register(close)
    warn(apply(options.patterns, "logged"))
    for item in wanted:
        item.switch(True)


def _item(name: str, source: str) -> Item:
    if name in unavailable:
        raise UnavailableItem(f"{source}: log item '{name}' is not available: {unavailable[name]}")
    if name not in items:
        raise UnknownItem(f"{source}: unknown log item '{name}'")
    return items[name]


def choose(text: str) -> list[str]:
    """Log these items and events, and no others; returns warnings.

    Raises TraceError, and then nothing has changed.
    """
    options = LogOptions.parse([] if text == "none" else [text])
    if options.help:
        raise UnknownItem("help")  # which is answered by the list of those there are
    wanted = {_item(name, text).name for name, _ in options.items}
    for hook in hooks.hooks.values():
        if hook.logged:
            hook.logged = False
    if not _output.open:
        _output.use(_output.path)
        atexit.register(close)
    for item in items.values():
        item.switch(item.name in wanted)
    return [warning[warning.index("warning: "):] for warning in apply(options.patterns, "logged")]


def set_file(path: str) -> None:
    """Go on in another file. Raises TraceError, and then nothing has changed."""
    _output.use(path)
    atexit.register(close)


def say(text: str) -> None:
    """Add text to the log, or to stderr if there is none."""
    if _output.open:
        _ring.log(text + "\n")
    else:
        print(text, file=sys.stderr, flush=True)


def close() -> None:
    """Write out what there is. What could not be written is told on stderr."""
    atexit.unregister(close)
    try:
        _ring.log_flush()
    except OSError as error:
        print(f"pyemu: log file: {error.strerror}", file=sys.stderr, flush=True)
    _output.close()
