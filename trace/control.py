"""What is traced, and into which file: does what the options say.

    control.start(TraceOptions.parse(["ide_*", "events=ev,file=boot.trace"]))
    control.close()           at the end; called at exit too

`actions` are what a trigger can do; the runner adds those of the machine, `MACHINE_ACTIONS`.
Warnings go to stderr. The trace file has simpletrace's format, version 4 (docs/tracing.md).
"""
import atexit
import os
import sys
from collections.abc import Callable, Iterable

from pyemu.trace import hooks
from pyemu.trace.grammar import GrammarError
from pyemu.trace.options import TraceError, TraceOptions, Trigger, UnknownEvent
from pyemu.trace.patterns import apply, conditional, find, help_text, matching, switch, warn
from pyemu.trace.symbols import Symbols
from pyemu.trace.tracefile import TraceFile

__all__ = ["TraceError", "TraceOptions", "UnknownEvent", "help_text", "matching", "switch"]

file = TraceFile()
symbols: Symbols | None = None


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
CRASHES = ("cpu_triple_fault", "guest_panicked")  # at which the flight recorder is written
MACHINE_ACTIONS = ("pause", "registers", "backtrace")  # there once the machine is


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


# Start and end

def symbol(address: int) -> str:
    """`name+0x12` of a guest address, or "" where no symbols are known."""
    return symbols.name(address) if symbols is not None else ""


def load_symbols(path: str) -> None:
    """Know the names of guest addresses in this file. Raises TraceError."""
    global symbols
    try:
        symbols = Symbols.load(path)
    except OSError as error:
        raise TraceError(f"-trace symbols={path}: {error.strerror}") from None
    except ValueError as error:
        raise TraceError(f"-trace symbols={path}: {error}") from None


def start(options: TraceOptions) -> None:
    """Switch on what the options say and open the trace file.

    Without any -trace nothing is opened until the monitor switches an event on. Raises TraceError.
    """
    if options.symbols is not None:
        load_symbols(options.symbols)
    warn(apply(options.switches))
    triggers = list(options.triggers)
    if options.overwrite:
        triggers += [Trigger(event, ("flush",), "-trace overwrite=on") for event in CRASHES]
    warn(warning for trigger in triggers if (warning := arm(trigger)))
    file.size, file.overwrite, file.wait = options.size, options.overwrite, options.wait
    file.starts_off = options.starts_off
    file.path = options.file if options.file is not None else f"trace-{os.getpid()}"
    if options.given:
        resume()


def close() -> None:
    """End of tracing. What could not be written is told on stderr."""
    atexit.unregister(close)
    try:
        file.close()
    except TraceError as error:
        print(error.line, file=sys.stderr, flush=True)
