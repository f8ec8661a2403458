"""Commands that switch events and steer the trace file and the log."""
from __future__ import annotations

from typing import TYPE_CHECKING

from pyemu.monitor.command import Command, CommandError
from pyemu.monitor.saving import number_32
from pyemu.trace import commands as trace_commands
from pyemu.trace import control
from pyemu.trace import log as trace_log
from pyemu.trace.options import TraceError

if TYPE_CHECKING:
    from pyemu.monitor.monitor import Monitor


def trace_event(monitor: Monitor, arguments: list[str]) -> str:
    name, option, *word = arguments if len(arguments) > 1 else [*arguments, ""]
    vcpu = vcpu_number(monitor, "trace-event", word[0]) if word else None
    return monitor.runner.call(lambda: trace_commands.trace_event(name, option, vcpu))


def vcpu_number(monitor: Monitor, command: str, word: str) -> int:
    """An expression that is to be the number of a CPU."""
    number = number_32(monitor, command, word)
    if number >> 31:
        raise CommandError("argument vcpu must be positive")
    return number


def trace_file(monitor: Monitor, arguments: list[str]) -> str:
    return monitor.runner.call(lambda: trace_commands.trace_file(*arguments))


def log(monitor: Monitor, arguments: list[str]) -> str:
    if arguments[0] == "trace:help":
        return control.help_text()
    try:
        warnings = monitor.runner.call(lambda: trace_log.choose(arguments[0]))
    except trace_log.UnknownItem:
        return trace_log.help_text("log")
    except TraceError as error:
        return str(error)
    return "\n".join(warnings)


def logfile(monitor: Monitor, arguments: list[str]) -> str:
    file = arguments[0]
    try:
        monitor.runner.call(lambda: trace_log.set_file(file))
    except TraceError as error:
        text = str(error)
        return f"Error opening logfile {text[3:]}" if text.startswith("-D ") else text
    return ""


COMMANDS = (
    Command("log", "item1[,...]", "activate logging of the specified items", log, required=1,
            complete=lambda monitor, words: ["none", *trace_log.items]),
    Command("logfile", "filename", "output logs to 'filename'", logfile, required=1, kinds="f"),
    Command("trace-event", "name on|off [vcpu]", "changes status of a specific trace event "
            "(vcpu: vCPU to set, default is all)", trace_event, required=1, optional=2,
            complete=lambda monitor, words: trace_commands.complete(["trace-event", *words])),
    Command("trace-file", "on|off|flush|set [arg]",
            "open, close, or flush trace file, or set a new file name",
            trace_file, optional=2,
            complete=lambda monitor, words: (
                ["on", "off", "flush", "set"] if len(words) == 1 else [])),
)
