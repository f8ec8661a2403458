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
from pyemu.trace.options import TraceError

CPUS = 1


def of_cpu(pattern: str, vcpu: int | None) -> list[str]:
    """The events that match; with `vcpu`, of those that tell CPUs apart. Raises TraceError."""
    if vcpu is not None and vcpu >= CPUS:
        raise TraceError(f"invalid vCPU index {vcpu}")
    names = matching(pattern)
    if vcpu is None:
        return names
    apart = [name for name in names if hooks.events[name].per_cpu]
    if names == [pattern] and not apart:
        raise TraceError(f'event "{pattern}" is not vCPU-specific')
    return apart


def info_trace_events(pattern: str = "*", vcpu: int | None = None) -> str:
    """`info trace-events [PATTERN] [VCPU]`."""
    try:
        names = of_cpu(pattern, vcpu)
    except TraceError as error:
        return str(error)
    return "\n".join(f"{name} : state {int(is_on(name))}" for name in names)


def trace_event(name: str, option: str | None = None, vcpu: int | None = None) -> str:
    """`trace-event PATTERN on|off [VCPU]`."""
    if option not in ("on", "off"):
        return "Expected 'on' or 'off'\nTry \"help trace-event\" for more information"
    try:
        names = of_cpu(name, vcpu)
        for found in names:
            set_event(found, option == "on")
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

def qmp_trace_event_get_state(name: str, vcpu: int | None = None) -> list[dict[str, Any]]:
    """`trace-event-get-state`."""
    return [{"name": found, "vcpu": hooks.events[found].per_cpu, "state": state(found)}
            for found in of_cpu(name, vcpu)]


def qmp_trace_event_set_state(name: str, enable: bool, ignore_unavailable: bool = False,
                              vcpu: int | None = None) -> dict[str, Any]:
    """`trace-event-set-state`."""
    names = of_cpu(name, vcpu)
    for found in names:
        if hooks.events[found].disabled and not ignore_unavailable:
            raise TraceError(f'event "{found}" is disabled')
    for found in names:
        set_event(found, enable)
    if names and enable:
        control.open_file_once()
    return {}


def state(name: str) -> str:
    if hooks.events[name].disabled:
        return "unavailable"
    return "enabled" if is_on(name) else "disabled"


def is_on(name: str) -> bool:
    """Whether the event goes into the trace file or, by `-d trace:`, into the log."""
    hook = hooks.hooks[name]
    return bool(hook.enabled or hook.logged)


def set_event(name: str, on: bool) -> None:
    """Record the event, or neither record nor log it any more."""
    switch(name, on)
    if not on:
        hooks.hooks[name].logged = False
