"""Commands about the media in drives."""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyemu.machine.block.drive import DriveError
from pyemu.monitor.qmp.types import QmpError

if TYPE_CHECKING:
    from pyemu.monitor.qmp.session import Session


def eject(session: Session, device: str | None = None, id: str | None = None,
          force: bool = False) -> None:
    _do(session, device, id, lambda drives, name: drives.eject(name, force))


def open_tray(session: Session, device: str | None = None, id: str | None = None,
              force: bool = False) -> None:
    _do(session, device, id, lambda drives, name: drives.open_tray(name, force))


def close_tray(session: Session, device: str | None = None, id: str | None = None) -> None:
    _do(session, device, id, lambda drives, name: drives.close_tray(name))


def change_medium(session: Session, filename: str, device: str | None = None,
                  id: str | None = None, format: str | None = None, force: bool = False,
                  read_only_mode: str = "retain") -> None:
    _do(session, device, id, lambda drives, name: drives.change(
        name, filename, format, read_only_mode, force))


def _do(session: Session, device: str | None, ident: str | None,
        action: Callable[[Any, str], None]) -> None:
    """Act on the drive of that name, or behind the device of that path."""
    if (device is None) == (ident is None):
        raise QmpError("Need exactly one of 'device' and 'id'")
    for drive in session.config.drives:
        if device == drive.name or ident == drive.qdev:
            try:
                action(session.runner.machine.drives, drive.name)
            except DriveError as error:
                raise QmpError(str(error).partition("\n")[0]) from None  # the rest is a hint
            return
    raise QmpError(f"Device '{device or ident}' not found", "DeviceNotFound")


COMMANDS: dict[str, Callable[..., Any]] = {
    "eject": eject,
    "blockdev-open-tray": open_tray,
    "blockdev-close-tray": close_tray,
    "blockdev-change-medium": change_medium,
}
