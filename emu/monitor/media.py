"""Commands about drives: eject, change, commit."""
from __future__ import annotations

from typing import TYPE_CHECKING

from pyemu.drives import READ_ONLY_MODES
from pyemu.machine.block.drive import DriveError
from pyemu.monitor import vnc
from pyemu.monitor.command import Command, CommandError, UsageError

if TYPE_CHECKING:
    from pyemu.monitor.monitor import Monitor


def eject(monitor: Monitor, arguments: list[str]) -> str:
    force = arguments[0] == "-f"
    if len(arguments) == force:
        raise UsageError("eject: block device name expected")
    try:
        monitor.runner.machine.drives.eject(arguments[force], force)
    except DriveError as error:
        raise CommandError(f"Error: {error}") from None
    return ""


def change(monitor: Monitor, arguments: list[str]) -> str:
    name, *rest = arguments
    if name == "vnc":
        return vnc.change(monitor, arguments)
    force = rest[:1] == ["-f"]
    if len(rest) == force:
        raise UsageError("change: filename expected")
    file, image_format, mode, *_ = (*rest[force:], None, None)
    if mode not in (None, *READ_ONLY_MODES):
        raise CommandError(f"Error: invalid parameter value: {mode}")
    try:
        monitor.runner.machine.drives.change(name, file, image_format, mode or "retain", force)
    except DriveError as error:
        raise CommandError(f"Error: {error}") from None
    return ""


def commit(monitor: Monitor, arguments: list[str]) -> str:
    drives = monitor.runner.machine.drives
    if arguments == ["all"]:
        errors = monitor.runner.call(drives.commit_all)
        return "\n".join(f"'commit' error: {error.strerror}" for error in errors)
    name = arguments[0]
    if name not in drives:
        raise CommandError(f"Device '{name}' not found")
    if drives[name].medium is None:
        raise CommandError(f"'commit' error for '{name}': No medium found")
    try:
        monitor.runner.call(drives[name].medium.commit)
    except OSError as error:
        raise CommandError(f"'commit' error for '{name}': {error.strerror}") from None
    return ""


def names(monitor: Monitor, words: list[str]) -> list[str]:
    return [drive.name for drive in monitor.config.drives]


COMMANDS = (
    Command("change", "device [-f] filename [format [read-only-mode]]",
            "change a removable medium, optional format, use -f to force the operation", change,
            required=2, optional=3, kinds="df", complete=names),
    Command("commit", "device|all",
            "commit changes to the disk images (if -snapshot is used) or backing files", commit,
            required=1, kinds="d", complete=lambda monitor, words: ["all", *names(monitor, words)]),
    Command("eject", "[-f] device", "eject a removable medium (use -f to force it)", eject,
            required=1, optional=1, kinds="d", complete=names),
)
