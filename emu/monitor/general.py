"""Commands about the monitor itself: help, quit."""
from __future__ import annotations

from typing import TYPE_CHECKING

from pyemu.monitor.command import Command, CommandError, find, names
from pyemu.monitor.info import SUBCOMMANDS, listing

if TYPE_CHECKING:
    from pyemu.monitor.monitor import Monitor


def show_help(monitor: Monitor, arguments: list[str]) -> str:
    if not arguments:
        return "\n".join(command.help_line() for command in monitor.commands)
    if arguments == ["info"]:
        return listing()
    if arguments[0] == "info" and (subcommand := find(SUBCOMMANDS, arguments[1])):
        return subcommand.help_line("info ")
    command = find(monitor.commands, arguments[0])
    if command is None or len(arguments) > 1:
        raise CommandError(f"unknown command: '{' '.join(arguments)}'")
    return command.help_line()


def complete_help(monitor: Monitor, words: list[str]) -> list[str]:
    if len(words) == 1:
        return names(monitor.commands)
    return names(SUBCOMMANDS) if words[0] == "info" else []


def leave(monitor: Monitor, arguments: list[str]) -> str:
    monitor.end()
    monitor.runner.quit()
    return ""


COMMANDS = (
    Command("help|?", "[cmd]", "show the help", show_help, optional=2, complete=complete_help),
    Command("quit|q", "", "quit the emulator", leave),
)
