"""What is traced, and into which file: does what the options say.

    control.start(TraceOptions.parse(["ide_*", "events=ev,file=boot.trace"]))
    control.start_log(LogOptions.parse(["trace:pic_*,int"], "boot.log"))
    control.close()           at the end; called at exit too

`actions` are what a trigger can do; the runner adds those of the machine, `MACHINE_ACTIONS`.
`log_items` are the words of -d that are not events; the engine adds its own.
Warnings go to stderr. The trace file has simpletrace's format, version 4 (docs/tracing.md).
"""
import atexit
import os
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pyemu.trace import _ring, hooks
from pyemu.trace.conditions import ConditionError, UnknownName, compile_condition
from pyemu.trace.grammar import GrammarError
from pyemu.trace.options import (
    LogOptions,
    Switch,
    TraceError,
    TraceOptions,
    Trigger,
    UnknownEvent,
)
from pyemu.trace.tracefile import TraceFile

__all__ = ["LogOptions", "TraceError", "TraceOptions", "UnknownEvent"]

file = TraceFile()


# Events of the user's own

def declare(paths: Iterable[str]) -> None:
    """Make the events of these trace-events files known. Raises TraceError."""
    for path in paths:
        try:
            hooks.declare_file(path)
        except OSError as error:
            raise TraceError(f"-trace-events {path}: {error.strerror}") from None
        except GrammarError as error:
            more = f" (and {len(error.problems) - 1} more)" if len(error.problems) > 1 else ""
            raise TraceError(f"-trace-events: {error.problems[0]}{more}") from None


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


def conditional(names: Iterable[str], condition: str | None, source: str
                ) -> dict[str, _ring.Filter | None]:
    """The condition compiled for each of the events that have its arguments.

    Raises TraceError if it makes no sense, or for none of them.
    """
    if condition is None:
        return dict.fromkeys(names)
    filters: dict[str, _ring.Filter | None] = {}
    missing: UnknownName | None = None
    for name in names:
        try:
            filters[name] = compile_condition(condition, hooks.events[name])
        except UnknownName as error:
            missing = error
        except ConditionError as error:
            raise TraceError(f"{source}: {error}") from None
    if missing is not None and not filters:
        raise TraceError(f"{source}: condition '{condition}': {missing}")
    return filters


def find(pattern: str, source: str) -> tuple[list[str], str | None]:
    """The events that match and can be traced; and a warning if there are none."""
    try:
        names = matching(pattern)
    except UnknownEvent:
        return [], f"{source}: warning: trace event '{pattern}' does not exist"
    able = [name for name in names if not hooks.events[name].disabled]
    if not names:
        return [], f"{source}: warning: no trace event matches '{pattern}'"
    if not able:
        return [], f"{source}: warning: trace event '{pattern}' is not traceable"
    return able, None


def apply(switches: Iterable[Switch], attribute: str = "enabled") -> list[str]:
    """Do what the options say; returns a warning for each that came to nothing.

    attribute: "enabled" for the trace file, "logged" for the log. Raises TraceError.
    """
    warnings = []
    for wish in switches:
        names, warning = find(wish.pattern, wish.source)
        if warning:
            warnings.append(warning)
        for name, condition in conditional(names, wish.condition, wish.source).items():
            hook = hooks.hooks[name]
            if wish.on:
                hook.filter = condition
            setattr(hook, attribute, wish.on)
    return warnings


# Triggers

def resume() -> None:
    """Record, into a new file the first time. Raises TraceError."""
    file.resume()
    atexit.register(close)


def open_file_once() -> None:
    """Record into the file, if it has not been opened before. Raises TraceError."""
    if file.fd < 0:
        resume()


actions: dict[str, Callable[[], object]] = {
    "start": resume, "stop": lambda: file.suspend(), "flush": lambda: file.flush(),
}


MACHINE_ACTIONS = ("pause", "registers")  # known from the start, there once the machine is


def arm(trigger: Trigger) -> str | None:
    """Take the trigger's actions from now on, whenever it is true; returns a warning if it can
    never be. Raises TraceError."""
    for action in trigger.actions:
        if action not in (*actions, *MACHINE_ACTIONS):
            raise TraceError(f"{trigger.source}: no action '{action}', expected one of "
                             + ", ".join(sorted({*actions, *MACHINE_ACTIONS})))

    def act(*unused: object) -> None:
        for action in trigger.actions:
            try:
                if action in actions:
                    actions[action]()
                else:
                    raise TraceError(f"{trigger.source}: too early for '{action}', there is no "
                                     "machine yet")
            except TraceError as error:
                print(error.line, file=sys.stderr, flush=True)

    names, warning = find(trigger.pattern, trigger.source)
    for name, condition in conditional(names, trigger.condition, trigger.source).items():
        hook = hooks.hooks[name]
        hook.listeners = (*hook.listeners, (condition, act) if condition else act)
    return warning


# The log

@dataclass
class LogItem:
    """One word of -d. True while it is asked for; call it with whole lines of text."""

    name: str
    help: str
    on: bool = False

    def __bool__(self) -> bool:
        return self.on

    def __call__(self, text: str) -> None:
        if self.on:
            _ring.log(text)


log_items: dict[str, LogItem] = {}
LOG_EVENTS = {  # words of -d that stand for events
    "int": ("show interrupts and exceptions", ("cpu_interrupt", "cpu_exception")),
    "exec": ("show each executed block (lots of lines)", ("exec_tb",)),
    "cpu_reset": ("show resets and triple faults", ("guest_cpu_reset", "cpu_triple_fault")),
}
_log_fd = -1
_log_open = False


def say(text: str) -> None:
    """Add whole lines to the log, or to stderr if there is none."""
    if _log_open:
        _ring.log(text)
    else:
        print(text, end="", file=sys.stderr, flush=True)


def log_item(name: str, help: str) -> LogItem:
    """Make a word of -d known; modules call this when they are imported."""
    return log_items.setdefault(name, LogItem(name, help))


def log_help() -> str:
    """What `-d help` prints."""
    rows = [(name, text) for name, (text, _) in LOG_EVENTS.items()]
    rows += [(item.name, item.help) for item in log_items.values()]
    rows.append(("trace:PATTERN", "enable trace events"))
    return "Log items (comma separated):\n" + "\n".join(
        f"{name:15} {text}" for name, text in rows)


def start_log(options: LogOptions) -> None:
    """Open the log and switch on what goes there. Raises TraceError."""
    global _log_fd, _log_open
    switches = list(options.patterns)
    for item, source in options.items:
        if item in LOG_EVENTS:
            switches += [Switch(name, True, source) for name in LOG_EVENTS[item][1]]
        elif item in log_items:
            log_items[item].on = True
        else:
            raise TraceError(f"{source}: unknown log item '{item}' (-d help lists them)")
    warn(apply(switches, "logged"))
    if options.file is not None:
        path = options.file.replace("%d", str(os.getpid()))
        try:
            _log_fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise TraceError(f"-D {options.file}: {error.strerror}") from None
        _ring.log_open(_log_fd, True, options.stamped)
        _log_open = True
    elif options.patterns or options.items:
        _ring.log_open(2, False, options.stamped)
        _log_open = True
    atexit.register(close)


# Start and end

def warn(warnings: Iterable[str]) -> None:
    for warning in warnings:
        print(f"pyemu: {warning}" if warning.startswith("-") else f"pyemu:{warning}",
              file=sys.stderr, flush=True)


def start(options: TraceOptions) -> None:
    """Switch on what the options say and open the trace file.

    Without any -trace nothing is opened until the monitor switches an event on. Raises TraceError.
    """
    warn(apply(options.switches))
    warn(warning for trigger in options.triggers if (warning := arm(trigger)))
    file.size, file.overwrite, file.wait = options.size, options.overwrite, options.wait
    file.starts_off = options.starts_off
    file.path = options.file if options.file is not None else f"trace-{os.getpid()}"
    if options.given:
        resume()


def close() -> None:
    """End of tracing. What could not be written is told on stderr."""
    global _log_fd, _log_open
    atexit.unregister(close)
    try:
        file.close()
    except TraceError as error:
        print(error.line, file=sys.stderr, flush=True)
    try:
        _ring.log_flush()
    except OSError as error:
        print(f"pyemu: log file: {error.strerror}", file=sys.stderr, flush=True)
    _ring.log_open(-1, False, False)
    _log_open = False
    if _log_fd >= 0:
        os.close(_log_fd)
        _log_fd = -1
