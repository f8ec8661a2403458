"""screendump."""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyemu.monitor.qmp.types import QmpError
from pyemu.monitor.screen import DEVICES

if TYPE_CHECKING:
    from pyemu.monitor.qmp.session import Session


def screen_dump(session: Session, filename: str, device: str | None = None,
                head: int | None = None, format: str = "ppm") -> None:
    from pyemu.display import dump, image  # late: they bring in numpy
    if device is None and head is not None:
        raise QmpError("'head' must be specified together with 'device'")
    if device is not None and device not in DEVICES:
        raise QmpError(f"Device '{device}' not found", "DeviceNotFound")
    if head:
        raise QmpError(f"'{device}' has no head {head}")
    picture = dump.picture(session.runner)
    if picture is None:
        raise QmpError("There is no console to take a screendump from")
    try:
        image.save(picture, filename, format)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise QmpError(f"failed to open file '{filename}': {reason}") from None


COMMANDS: dict[str, Callable[..., Any]] = {"screendump": screen_dump}
