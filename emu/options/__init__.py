"""The command line, option by option: from words to a `Config`."""
import os

from pyemu.config import Config, UserError
from pyemu.options import chardevs, drives, network
from pyemu.options.request import Request
from pyemu.options.table import lookup


def parse(words: list[str]) -> Config:
    """The Config that `words`, the command line without the program's name, ask for.

    Raises UserError for what is wrong and Answer where a text is asked for instead of a machine.
    """
    request = Request()
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            _handle(word, drives.bare_image, request, word)
            continue
        option = lookup(word)
        value = ""
        source = word
        if option.takes:
            argument = next(rest, None)
            if argument is None:
                raise UserError(f"{word}: requires an argument")
            value = argument
            source = f"{word} {value}"
        _handle(source, option.handle, request, value)
    return _finish(request)


def _handle(source, handle, request: Request, value: str) -> None:
    """Call the handler; what it complains of begins with the option as it was typed."""
    try:
        handle(request, value)
    except UserError as error:
        raise UserError(f"{source}: {error}") from None


def _finish(request: Request) -> Config:
    """Settle what depends on several options."""
    config = request.config
    if config.kernel is None:
        if config.initrd is not None:
            raise UserError("-initrd only allowed with -kernel option")
        if config.append:
            raise UserError("-append only allowed with -kernel option")
    if request.nodefaults and not request.vga_given:
        config.vga = None
    if request.nographic and request.display not in (None, "none"):
        raise UserError("-nographic and -display exclude each other")
    if request.display is not None:
        config.display = request.display
    elif not request.nographic and _has_desktop():
        config.display = "sdl"
    drives.finish(request)
    _consoles(request)
    network.finish(request)
    chardevs.check(request)
    if request.display is None and config.display == "none" and not request.nographic \
            and not config.chardevs:
        raise UserError("there is no display to open a window on: add -nographic to have the "
                        "serial console and the monitor here, -display curses to have the "
                        "screen here, -vnc :0 or -display none")
    return config


def _has_desktop() -> bool:
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _consoles(request: Request) -> None:
    """With -nographic the terminal is for COM1 and the monitor, or for the one not yet placed."""
    if request.nographic and not request.nodefaults:
        if request.serials is None and request.monitors is None:
            chardevs.serial(request, "mon:stdio")
        elif request.serials is None:
            chardevs.serial(request, "stdio")
        elif request.monitors is None:
            chardevs.monitor(request, "stdio")
    elif request.config.display == "curses" and request.monitors is None \
            and not request.nodefaults:
        chardevs.monitor(request, "vc")
    request.config.serials = request.serials or []
    request.config.monitors = request.monitors or []
