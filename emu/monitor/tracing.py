"""Commands that switch events and steer the trace file."""
from __future__ import annotations

from typing import TYPE_CHECKING

from pyemu.monitor.command import Command
from pyemu.trace import commands as trace_commands

if TYPE_CHECKING:
    from pyemu.monitor.monitor import Monitor


def trace_event(monitor: Monitor, arguments: list[str]) -> str:
    name, *option = arguments
    return monitor.runner.call(lambda: trace_commands.trace_event(name, *option))


def trace_file(monitor: Monitor, arguments: list[str]) -> str:
    return monitor.runner.call(lambda: trace_commands.trace_file(*arguments))


COMMANDS = (
    Command("trace-event", "name on|off", "changes status of a specific trace event",
            trace_event, required=1, optional=1,
            complete=lambda monitor, words: trace_commands.complete(["trace-event", *words])),
    Command("trace-file", "on|off|flush|set [arg]",
            "open, close, or flush trace file, or set a new file name",
            trace_file, optional=2,
            complete=lambda monitor, words: (
                ["on", "off", "flush", "set"] if len(words) == 1 else [])),
)
