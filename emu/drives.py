"""The images of a machine: opened as the user wants them, paused for, committed."""
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress

from pyemu.config import Config, UserError
from pyemu.machine.block.backend import Backend
from pyemu.machine.block.base import BlockError
from pyemu.machine.block.open import open_image
from pyemu.report import complain
from pyemu.runner import Runner
from pyemu.runstate import RunState

PLACES = 4  # of IDE drives


def open_drives(config: Config, runner: Runner, resources: ExitStack) -> list[Backend | None]:
    """The image of each place, or None. Raises UserError."""
    drives: list[Backend | None] = [None] * PLACES
    for drive in config.drives:
        try:
            image = open_image(drive.file, drive.format, drive.read_only, drive.snapshot,
                               drive.discard, drive.cache, report=complain)
        except BlockError as error:
            raise UserError(f"{drive.source}: {error}") from None
        resources.callback(image.close)
        image.werror, image.rerror = drive.werror, drive.rerror
        image.use_worker(runner.post)
        drives[drive.index] = image
    _pause_and_flush(runner, [drive for drive in drives if drive])
    return drives


def commit_all(images: Iterable[Backend | None]) -> list[OSError]:
    """Commit those that have something to commit to. Returns what went wrong."""
    errors = []
    for image in images:
        if image and image.backing:
            try:
                image.commit()
            except OSError as error:
                errors.append(error)
    return errors


def _pause_and_flush(runner: Runner, images: list[Backend]) -> None:
    """A failing image may pause the machine; a paused machine has nothing left to be written."""
    held: list[Callable[[], None]] = []

    def stop(retry: Callable[[], None]) -> None:
        held.append(retry)
        runner.pause(RunState.IO_ERROR)

    def on_state(state: RunState) -> None:
        if state is RunState.RUNNING:
            while held:
                runner.post(held.pop(0))
            return
        for image in images:
            image.drain()
            if state is not RunState.IO_ERROR:
                with suppress(OSError):  # the image has reported it
                    image.flush()

    for image in images:
        image.stop = stop
    runner.on_state.append(on_state)
