"""The drives of a machine: opened as the user wants them, changed, paused for, committed."""
import errno
import itertools
import os
from collections.abc import Callable
from contextlib import ExitStack, suppress

from pyemu.config import Config, DriveConfig, UserError
from pyemu.machine.block.backend import Backend
from pyemu.machine.block.base import BlockError
from pyemu.machine.block.drive import Drive, DriveError
from pyemu.machine.block.open import FORMATS, open_image
from pyemu.machine.block.request import Request
from pyemu.report import complain
from pyemu.runner import Runner
from pyemu.runstate import RunState

READ_ONLY_MODES = ("retain", "read-only", "read-write")  # of a medium that is put in


class Drives(dict[str, Drive]):
    """The drives by name, in the order of the configuration, which is kept up to date.

    A failing image may pause the machine; a paused machine has nothing left to be written.
    Methods may be called from any thread. Raises UserError if an image cannot be opened.
    """

    def __init__(self, config: Config, runner: Runner, resources: ExitStack):
        super().__init__()
        self.config = config
        self.runner = runner
        self._held: list[Callable[[], None]] = []  # what goes on when the machine does
        self._node_names = (f"#block{number:03}" for number in itertools.count())
        resources.callback(self._close)
        for wanted in config.drives:
            try:
                medium = self._open(wanted) if wanted.file else None
            except BlockError as error:
                raise UserError(f"{wanted.source}: {error}") from None
            self[wanted.name] = Drive(wanted.name, medium, cdrom=wanted.media == "cdrom",
                                      floppy=wanted.interface == "floppy")
            self[wanted.name].on_tray = self._teller(wanted)
        runner.on_state.append(self._on_state)

    def at(self, interface: str, index: int) -> Drive | None:
        """What is plugged in there."""
        for drive in self.config.drives:
            if (drive.interface, drive.index) == (interface, index):
                return self[drive.name]
        return None

    def find(self, name: str) -> Drive:
        """The drive of that name. Raises DriveError."""
        if name not in self:
            raise DriveError(f"Device '{name}' not found")
        return self[name]

    def open_tray(self, name: str, force: bool = False) -> None:
        """Raises DriveError, as `Drive.open_tray` does."""
        drive = self.find(name)
        self.runner.call(lambda: drive.open_tray(force))

    def close_tray(self, name: str) -> None:
        self.runner.call(self.find(name).close_tray)

    def eject(self, name: str, force: bool = False) -> None:
        """Take the medium out; a tray stays open. Raises DriveError."""
        drive = self.find(name)

        def take_out() -> Backend | None:
            drive.open_tray(force)
            return drive.exchange(None)

        medium = self.runner.call(take_out)
        if medium:
            medium.close()

    def change(self, name: str, file: str, image_format: str | None = None,
               mode: str = "retain", force: bool = False) -> None:
        """Put the image `file` in, in place of what is in it. Raises DriveError.

        mode: one of READ_ONLY_MODES.
        """
        drive = self.find(name)
        drive.check_removable()
        wanted = next(wanted for wanted in self.config.drives if wanted.name == name)
        if image_format is not None and image_format not in FORMATS:
            raise DriveError(f"Unknown driver '{image_format}'")
        settings = wanted.file, wanted.format, wanted.read_only, wanted.snapshot
        wanted.file, wanted.format, wanted.snapshot = file, image_format, False
        wanted.read_only = wanted.read_only if mode == "retain" else mode == "read-only"

        def put_in(medium: Backend) -> Backend | None:
            drive.open_tray(force)
            before = drive.exchange(medium)
            drive.close_tray()
            return before

        medium = None
        try:
            medium = self._open(wanted)
            before = self.runner.call(lambda: put_in(medium))
        except (BlockError, DriveError) as error:
            wanted.file, wanted.format, wanted.read_only, wanted.snapshot = settings
            if medium:
                medium.close()
            raise DriveError(str(error)) from None
        if before:
            before.close()

    def commit_all(self) -> list[OSError]:
        """Commit those that have something to commit to. Returns what went wrong."""
        errors = []
        for drive in self.values():
            if drive.medium and drive.medium.backing:
                try:
                    drive.medium.commit()
                except OSError as error:
                    errors.append(error)
        return errors

    def _open(self, wanted: DriveConfig) -> Backend:
        image = open_image(wanted.file, wanted.format, wanted.read_only, wanted.snapshot,
                           wanted.discard, wanted.cache, report=complain)
        image.werror, image.rerror = wanted.werror, wanted.rerror
        image.node_name = next(self._node_names)
        image.on_error = self._error_teller(wanted, image)
        image.stop = self._stop
        image.use_worker(self.runner.post)
        return image

    def _close(self) -> None:
        for drive in self.values():
            if drive.medium:
                drive.medium.close()

    def _teller(self, wanted: DriveConfig) -> Callable[[bool], None]:
        def tell(opened: bool) -> None:
            self.runner.tell("DEVICE_TRAY_MOVED", {
                "device": wanted.name, "tray-open": opened, "id": wanted.qdev})
        return tell

    def _error_teller(self, wanted: DriveConfig,
                      image: Backend) -> Callable[[Request, OSError, str], None]:
        def tell(request: Request, error: OSError, action: str) -> None:
            full = error.errno == errno.ENOSPC
            drive = self[wanted.name]
            if action == "stop" and drive.io_status == "ok":
                drive.io_status = "nospace" if full else "failed"
            self.runner.tell("BLOCK_IO_ERROR", {
                "device": wanted.name, "node-name": image.node_name,
                "operation": "write" if request.writes else "read", "action": action,
                **({"nospace": full} if wanted.has_io_status else {}),
                "reason": os.strerror(error.errno or errno.EIO)})
        return tell

    def _stop(self, retry: Callable[[], None]) -> None:
        self._held.append(retry)
        self.runner.pause(RunState.IO_ERROR)

    def _on_state(self, state: RunState) -> None:
        if state is RunState.RUNNING:
            for drive in self.values():
                drive.io_status = "ok"
            while self._held:
                self.runner.post(self._held.pop(0))
            return
        for drive in self.values():
            if drive.medium:
                drive.medium.drain()
                if state is not RunState.IO_ERROR:
                    with suppress(OSError):  # the image has reported it
                        drive.medium.flush()
