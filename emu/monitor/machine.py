"""Commands that steer the machine: stop, cont, reset, the power button, keys."""
from __future__ import annotations

from typing import TYPE_CHECKING

from pyemu.drives import commit_all
from pyemu.monitor.command import Command, CommandError

if TYPE_CHECKING:
    from pyemu.monitor.monitor import Monitor


def stop(monitor: Monitor, arguments: list[str]) -> str:
    monitor.runner.pause()
    return ""


def resume(monitor: Monitor, arguments: list[str]) -> str:
    monitor.runner.resume()
    return ""


def reset(monitor: Monitor, arguments: list[str]) -> str:
    monitor.runner.reset()
    return ""


def power_down(monitor: Monitor, arguments: list[str]) -> str:
    monitor.runner.powerdown()
    return ""


def commit(monitor: Monitor, arguments: list[str]) -> str:
    drives = monitor.runner.machine.drives
    if arguments == ["all"]:
        errors = monitor.runner.call(lambda: commit_all(drives))
        return "\n".join(f"'commit' error: {error.strerror}" for error in errors)
    for drive in monitor.config.drives:
        if drive.name == arguments[0]:
            try:
                monitor.runner.call(drives[drive.index].commit)
            except OSError as error:
                raise CommandError(f"'commit' error for '{drive.name}': {error.strerror}") from None
            return ""
    raise CommandError(f"Device '{arguments[0]}' not found")


COMMANDS = (
    Command("commit", "device|all",
            "commit changes to the disk images (if -snapshot is used) or backing files", commit,
            required=1, complete=lambda monitor, words: [
                "all", *(drive.name for drive in monitor.config.drives)]),
    Command("stop|s", "", "stop emulation", stop),
    Command("cont|c", "", "resume emulation", resume),
    Command("system_reset", "", "reset the system", reset),
    Command("system_powerdown", "", "send system power down event", power_down),
)
