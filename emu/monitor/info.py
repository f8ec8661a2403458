"""`info`: what the machine and the emulator are like now."""
from __future__ import annotations

from typing import TYPE_CHECKING

from pyemu import __version__
from pyemu.monitor import registers, screen, vnc
from pyemu.monitor.command import Command, CommandError, find, names
from pyemu.net.registry import describe
from pyemu.trace import commands as trace_commands

if TYPE_CHECKING:
    from pyemu.monitor.monitor import Monitor

CACHE_MODES = {"unsafe": "writeback, ignore flushes"}
PLACES = ("primary master", "primary slave", "secondary master", "secondary slave")


def info(monitor: Monitor, arguments: list[str]) -> str:
    if not arguments:
        return listing()
    subcommand = find(SUBCOMMANDS, arguments[0])
    if subcommand is None:
        raise CommandError(f"unknown command: 'info {' '.join(arguments)}'")
    subcommand.check(arguments[1:])
    return subcommand.run(monitor, arguments[1:])


def listing() -> str:
    """What can be asked for."""
    return "\n".join(command.help_line("info ") for command in SUBCOMMANDS)


def complete(monitor: Monitor, words: list[str]) -> list[str]:
    if len(words) == 1:
        return names(SUBCOMMANDS)
    subcommand = find(SUBCOMMANDS, words[0])
    return subcommand.complete(monitor, words[1:]) if subcommand else []


def block(monitor: Monitor, arguments: list[str]) -> str:
    drives = [drive for drive in monitor.config.drives if arguments in ([], [drive.name])]
    if arguments and not drives:
        raise CommandError(f"Device '{arguments[0]}' not found")
    entries = []
    for drive in drives:
        image = monitor.runner.machine.drives[drive.index]
        entries.append("\n".join([
            f"{drive.name}: {drive.file} ({image.format}{', read-only' * image.read_only})",
            f"    Attached to:      IDE {PLACES[drive.index]}",
            f"    Cache mode:       {CACHE_MODES.get(drive.cache, drive.cache)}",
            *["    Snapshot:         writes stay in memory"] * drive.snapshot,
        ]))
    return "\n\n".join(entries)


def chardev(monitor: Monitor, arguments: list[str]) -> str:
    return "\n".join(f"{label}: filename={name}" for label, name in monitor.chardevs.describe())


def history(monitor: Monitor, arguments: list[str]) -> str:
    return "\n".join(f"{number}: '{line}'" for number, line in enumerate(monitor.editor.history))


def name(monitor: Monitor, arguments: list[str]) -> str:
    return monitor.config.name


def network(monitor: Monitor, arguments: list[str]) -> str:
    return describe(monitor.config)


def show_registers(monitor: Monitor, arguments: list[str]) -> str:
    runner = monitor.runner
    return "\nCPU#0\n" + runner.call(lambda: registers.text(runner.cpu))


def status(monitor: Monitor, arguments: list[str]) -> str:
    state = monitor.runner.status()
    if state in ("running", "paused"):
        return f"VM status: {state}"
    return f"VM status: paused ({state})"


def trace_events(monitor: Monitor, arguments: list[str]) -> str:
    return trace_commands.info_trace_events(*arguments)


def version(monitor: Monitor, arguments: list[str]) -> str:
    return __version__


SUBCOMMANDS = (
    Command("block", "[device]", "show info of one block device or all block devices", block,
            optional=1, complete=lambda monitor, words: [
                drive.name for drive in monitor.config.drives]),
    Command("chardev", "", "show the character devices", chardev),
    Command("history", "", "show the command line history", history),
    Command("mice", "", "show which guest mouse is receiving events", screen.mice),
    Command("name", "", "show the current VM name", name),
    Command("network", "", "show the network state", network),
    Command("registers", "", "show the cpu registers", show_registers),
    Command("status", "", "show the current VM status (running|paused)", status),
    Command("trace-events", "[name]",
            "show available trace-events & their state (name: event name pattern)",
            trace_events, optional=1,
            complete=lambda monitor, words: trace_commands.complete(
                ["info", "trace-events", *words])),
    Command("version", "", "show the version of pyemu", version),
    Command("vnc", "", "show the vnc server status", vnc.info),
)
COMMANDS = (
    Command("info", "[subcommand]", "show various information about the system state", info,
            optional=3, complete=complete),
)
