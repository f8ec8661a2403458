"""A drive: the place of an image, which its controller and the user's monitors share.

Media can be taken out of a removable drive. Of those CD-ROM drives have a tray, which guest and
user open and close, and which the guest may lock.
"""
from collections.abc import Callable
from typing import Any

from pyemu.machine.block.statistics import Statistics
from pyemu.machine.chip import Chip


class DriveError(Exception):
    """What cannot be done with a drive; the text is one line for the user."""


class Drive(Chip):
    """name: what users call it. medium: the image in it, None if it is empty.

    cdrom, floppy: what it is; it is a hard disk if it is neither.
    on_change: called when the medium has come into reach or gone out of it; on_eject_request: when
    the user wants a locked tray to open. Both are the controller's.
    io_status: "ok", or what has paused the machine since it last went on: "nospace" or "failed".
    on_tray: called with True when the tray has opened, False when it has closed.
    All is done on the vCPU's thread.
    """

    STATE = ("tray_open", "locked")

    def __init__(self, name: str, medium: Any = None, cdrom: bool = False, floppy: bool = False):
        self.name = name
        self.medium = medium
        self.statistics = medium.statistics if medium else Statistics()
        self.cdrom = cdrom
        self.floppy = floppy
        self.tray_open = False
        self.locked = False
        self.io_status = "ok"
        self.on_change: Callable[[], None] = lambda: None
        self.on_eject_request: Callable[[], None] = lambda: None
        self.on_tray: Callable[[bool], None] = lambda opened: None

    @property
    def removable(self) -> bool:
        return self.cdrom or self.floppy

    @property
    def loaded(self) -> Any:
        """The medium, if the drive can read it: there is one and the tray is closed."""
        return None if self.tray_open else self.medium

    def move_tray(self, opened: bool) -> None:
        """Open or close the tray, locked or not. Drives without one stay as they are."""
        if self.cdrom and opened != self.tray_open:
            if self.medium:
                self.medium.drain()
            self.tray_open = opened
            self.on_tray(opened)
            if self.medium:
                self.on_change()

    # What users do

    def open_tray(self, force: bool = False) -> None:
        """Raises DriveError if there are no other media for it, or the guest has locked it."""
        self.check_removable()
        if not self.cdrom or self.tray_open:
            return
        if self.locked:
            self.on_eject_request()
            if not force:
                raise DriveError(f"Device '{self.name}' is locked and force was not specified, "
                                 "wait for tray to open and try again")
        self.move_tray(True)

    def close_tray(self) -> None:
        self.check_removable()
        self.move_tray(False)

    def exchange(self, medium: Any) -> Any:
        """Put `medium` in, or nothing if it is None; return what was in. A tray must be open."""
        if self.medium:
            self.medium.drain()
        before, self.medium = self.medium, medium
        if medium:
            medium.statistics = self.statistics
        if not self.cdrom:
            self.on_change()
        return before

    def check_removable(self) -> None:
        if not self.removable:
            raise DriveError(f"Device '{self.name}' is not removable")
