"""Commands a person's eyes and hand would do: a picture of the screen, the mouse."""
from __future__ import annotations

from typing import TYPE_CHECKING

from pyemu.machine import ps2_mouse
from pyemu.monitor.command import Command, CommandError, UsageError
from pyemu.monitor.memory import number

if TYPE_CHECKING:
    from pyemu.monitor.monitor import Monitor

DEVICES = ("VGA", "vga")
DEFAULT_FORMAT = "ppm"
MOUSE_NAME = "QEMU PS/2 Mouse"
KEYBOARD, MOUSE = 1, 2  # the indices that QEMU gives them
BUTTONS = ((1, ps2_mouse.LEFT), (2, ps2_mouse.MIDDLE), (4, ps2_mouse.RIGHT))  # bits of the state


def screen_dump(monitor: Monitor, arguments: list[str]) -> str:
    from pyemu.display import dump, image  # late: they bring in numpy
    words, image_format = _take_format(arguments)
    if not words:
        raise UsageError("screendump: filename expected")
    file, *device = words
    if len(device) > 2:
        raise UsageError("screendump: extraneous characters at the end of line")
    if image_format not in image.FORMATS:
        raise CommandError(f"Error: invalid parameter value: {image_format}")
    if device and device[0] not in DEVICES:
        raise CommandError(f"Error: Device '{device[0]}' not found")
    if device[1:] and device[1] != "0":
        raise CommandError(f"Error: '{device[0]}' has no head {device[1]}")
    picture = dump.picture(monitor.runner)
    if picture is None:
        raise CommandError("Error: There is no console to take a screendump from")
    try:
        image.save(picture, file, image_format)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CommandError(f"Error: failed to open file '{file}': {reason}") from None
    return ""


def _take_format(words: list[str]) -> tuple[list[str], str]:
    """The words without -f and what follows it, which comes second."""
    if "-f" not in words:
        return words, DEFAULT_FORMAT
    at = words.index("-f")
    if at + 1 == len(words):
        raise UsageError("screendump: value expected for -f")
    return words[:at] + words[at + 2:], words[at + 1]


def mouse_move(monitor: Monitor, arguments: list[str]) -> str:
    distances = [_number(word) for word in arguments]
    runner = monitor.runner
    runner.call(lambda: runner.machine.mouse.move(*distances))
    return ""


def mouse_button(monitor: Monitor, arguments: list[str]) -> str:
    state = number(monitor, arguments[0])
    held = sum(button for bit, button in BUTTONS if state & bit)
    runner = monitor.runner
    runner.call(lambda: runner.machine.mouse.button(held))
    return ""


def mouse_set(monitor: Monitor, arguments: list[str]) -> str:
    index = number(monitor, arguments[0])
    if index == KEYBOARD:
        raise CommandError("Input device 'QEMU PS/2 Keyboard' is not a mouse")
    if index != MOUSE:
        raise CommandError(f"Mouse at index '{index}' not found")
    return ""


def mice(monitor: Monitor, arguments: list[str]) -> str:
    return f"* Mouse #{MOUSE}: {MOUSE_NAME}"


def _number(word: str) -> int:
    try:
        return int(word, 0)
    except ValueError:
        raise CommandError(f"'{word}' is not a number") from None


COMMANDS = (
    Command("screendump", "filename [-f format] [device [head]]",
            "save screen from head 'head' of display device 'device' in specified format "
            "'format' as image 'filename'. Currently only 'png' and 'ppm' formats are supported.",
            screen_dump, optional=5),
    Command("mouse_move", "dx dy [dz]", "send mouse move events", mouse_move, required=2,
            optional=1),
    Command("mouse_button", "state", "change mouse button state (1=L, 2=M, 4=R)", mouse_button,
            required=1, kinds="n"),
    Command("mouse_set", "index", "set which mouse device receives events", mouse_set,
            required=1, kinds="n"),
)
