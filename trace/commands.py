"""What the monitor's commands about tracing do; texts as QEMU's.

The human ones return what they print, "" for nothing. The QMP ones return what goes into `return`,
and raise TraceError with the `desc` of the error.
"""
import os
import re
from collections.abc import Iterable
from typing import Any

from pyemu.trace import _ring, control, hooks
from pyemu.trace.control import matching, switch
from pyemu.trace.options import TraceError, UnknownEvent

TRACE_EVENT_HELP = "trace-event PATTERN on|off -- changes status of the trace events that match"
INFO_HELP = "info trace-events [PATTERN] -- show available trace-events & their state"
TRACE_FILE_HELP = ("trace-file [on|off|flush|set FILE] -- open, close, or flush the trace file, "
                   "or set a new file name")


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
        if option == "on" and any(hooks.hooks[found].enabled for found in names):
            control.open_file_once()
    except TraceError as error:
        return str(error)
    return ""


def trace_file(operation: str | None = None, argument: str | None = None) -> str:
    """`trace-file [on|off|flush|set FILE]`."""
    try:
        if operation is None:
            return status()
        if operation == "on":
            control.resume()
        elif operation == "off":
            control.file.pause()
        elif operation == "flush":
            control.file.flush()
        elif operation == "set" and argument:
            control.file.set(argument)
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
    file = control.file
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


# QMP

def qmp_trace_event_get_state(name: str) -> list[dict[str, Any]]:
    """`trace-event-get-state`."""
    return [{"name": found, "vcpu": "vcpu" in hooks.events[found].properties, "state": state(found)}
            for found in matching(name)]


def qmp_trace_event_set_state(name: str, enable: bool, ignore_unavailable: bool = False
                              ) -> dict[str, Any]:
    """`trace-event-set-state`."""
    for found in matching(name):
        if hooks.events[found].disabled and not ignore_unavailable:
            raise TraceError(f'event "{found}" is disabled')
    if switch(name, enable) and enable:
        control.open_file_once()
    return {}


def state(name: str) -> str:
    if hooks.events[name].disabled:
        return "unavailable"
    return "enabled" if hooks.hooks[name].enabled else "disabled"
