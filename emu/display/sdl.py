"""The window: SDL 2, by PySDL2. It lives on the main thread, as SDL wants it.

Source: SDL 2 API, categories Video, Render, Events, Keyboard, Mouse.
"""
import ctypes
import ctypes.util
import os
import time
import warnings
from typing import Any

import numpy as np
from pyemu.config import Config
from pyemu.display import image
from pyemu.display.input import Input
from pyemu.display.renderer import FIRST_SIZE, Renderer
from pyemu.display.scancodes import NAMES
from pyemu.display.snapshot import Glances
from pyemu.display.window import Controls
from pyemu.machine.keymap import KEYS
from pyemu.report import complain
from pyemu.trace.hooks import (
    trace_console_refresh,
    trace_displaysurface_create,
    trace_sdl2_process_key,
)

REFRESH = 0.025  # seconds between two looks at the screen
BYTES_PER_PIXEL = 4
LIBRARY, SONAME = "SDL2-2.0", "libSDL2-2.0.so.0"
SCREENSHOT_NAME = "pyemu-%Y%m%d-%H%M%S.png"


class SdlError(Exception):
    """The window cannot be opened; the text says why."""


class SdlWindow:
    """Opens the window at once, raising SdlError; `run` shows the machine until its end."""

    def __init__(self, runner: Any, config: Config):
        self.sdl = _load()
        self.runner = runner
        self.config = config
        self.controls = Controls(Input(runner), self)
        vga = runner.machine.vga
        self.renderer = Renderer(vga.vram) if vga else None
        self._glances = Glances(runner)
        self._texture: Any = None
        self._size = FIRST_SIZE[1], FIRST_SIZE[0]  # width and height of the guest's screen
        self._title = ""
        self._exposed = True
        self._open()

    def run(self) -> None:
        """Show the machine and listen to the user until the machine has ended."""
        trace_console_refresh(round(REFRESH * 1000))
        due = time.monotonic()
        while not self.runner.wait(0):
            self._handle_events(max(0.0, due - time.monotonic()))
            if time.monotonic() >= due:
                due = time.monotonic() + REFRESH
                self._update_title()
                self._refresh()

    def close(self) -> None:
        """Close the window. Again is harmless."""
        self.sdl.SDL_Quit()

    # What the controls want of the window

    def set_grab(self, on: bool) -> None:
        sdl = self.sdl
        sdl.SDL_SetRelativeMouseMode(sdl.SDL_TRUE if on else sdl.SDL_FALSE)
        sdl.SDL_SetWindowGrab(self._window, sdl.SDL_TRUE if on else sdl.SDL_FALSE)

    def set_full_screen(self, on: bool) -> None:
        self.sdl.SDL_SetWindowFullscreen(
            self._window, self.sdl.SDL_WINDOW_FULLSCREEN_DESKTOP if on else 0)

    def restore_size(self) -> None:
        """One pixel of the window for one of the guest."""
        self.sdl.SDL_SetWindowSize(self._window, *self._size)

    def save_screenshot(self) -> None:
        """Into the current folder, under a name made of the time."""
        if self.renderer is None:
            return
        name = time.strftime(SCREENSHOT_NAME)
        try:
            image.save(self.renderer.picture, name, "png")
            complain(f"screenshot saved as {name}")
        except OSError as error:
            complain(f"could not save screenshot {name}: {error.strerror}")

    # The window

    def _open(self) -> None:
        sdl = self.sdl
        hints = {"SDL_VIDEODRIVER": _drivers(), "SDL_NO_SIGNAL_HANDLERS": "1",
                 "SDL_GRAB_KEYBOARD": "1", "SDL_VIDEO_ALLOW_SCREENSAVER": "1",
                 "SDL_VIDEO_X11_NET_WM_BYPASS_COMPOSITOR": "0"}
        for name, value in hints.items():
            sdl.SDL_SetHint(name.encode(), value.encode())
        if sdl.SDL_Init(sdl.SDL_INIT_VIDEO):
            raise SdlError(f"Could not initialize SDL({_error(sdl)})")
        anywhere = sdl.SDL_WINDOWPOS_UNDEFINED
        self._window = sdl.SDL_CreateWindow(
            b"pyemu", anywhere, anywhere, *self._size, sdl.SDL_WINDOW_RESIZABLE)
        self._output = self._window and sdl.SDL_CreateRenderer(self._window, -1, 0)
        if not self._output:
            error = _error(sdl)
            sdl.SDL_Quit()
            raise SdlError(f"Could not open a window: {error}")
        if self.config.full_screen:
            self.controls.toggle_full_screen()

    def _update_title(self) -> None:
        title = self.controls.title(self.config.name, self.runner.status())
        if title != self._title:
            self._title = title
            self.sdl.SDL_SetWindowTitle(self._window, os.fsencode(title))

    # The picture

    def _refresh(self) -> None:
        """Show what has changed, by the registers that came last."""
        snapshot = self._glances.latest()
        if self.renderer is not None and snapshot is not None:
            self._draw(self.renderer.update(snapshot))
        if self._exposed:
            self._present()

    def _draw(self, lines: np.ndarray) -> None:
        """Hand the picture's changed lines to SDL."""
        assert self.renderer is not None
        picture = self.renderer.picture
        height, width = picture.shape
        if self._texture is None or self._size != (width, height):
            self._resize(width, height)
            lines = np.ones(height, bool)
        changed = np.flatnonzero(lines)
        if not len(changed):
            return
        top, bottom = int(changed[0]), int(changed[-1]) + 1
        area = self.sdl.SDL_Rect(0, top, width, bottom - top)
        self.sdl.SDL_UpdateTexture(
            self._texture, area, ctypes.c_void_p(picture[top:].ctypes.data),
            width * BYTES_PER_PIXEL)
        self._exposed = True

    def _resize(self, width: int, height: int) -> None:
        """The guest has another mode: the window follows unless the user has sized it."""
        sdl = self.sdl
        if self._texture is not None:
            sdl.SDL_DestroyTexture(self._texture)
        now_width, now_height = ctypes.c_int(), ctypes.c_int()
        sdl.SDL_GetWindowSize(self._window, now_width, now_height)
        follows = (now_width.value, now_height.value) == self._size
        self._size = width, height
        if follows and not self.controls.full_screen:
            sdl.SDL_SetWindowSize(self._window, width, height)
        sdl.SDL_RenderSetLogicalSize(self._output, width, height)
        self._texture = sdl.SDL_CreateTexture(
            self._output, sdl.SDL_PIXELFORMAT_RGB888, sdl.SDL_TEXTUREACCESS_STREAMING, width,
            height)
        trace_displaysurface_create(self, width, height)

    def _present(self) -> None:
        sdl = self.sdl
        self._exposed = False
        sdl.SDL_RenderClear(self._output)
        if self._texture is not None:
            sdl.SDL_RenderCopy(self._output, self._texture, None, None)
        sdl.SDL_RenderPresent(self._output)

    # Events

    def _handle_events(self, seconds: float) -> None:
        """Wait for events at most that long, and handle all there are."""
        sdl, event = self.sdl, self.sdl.SDL_Event()
        dx = dy = 0
        waiting = sdl.SDL_WaitEventTimeout(event, round(seconds * 1000))
        while waiting:
            if event.type == sdl.SDL_MOUSEMOTION:
                dx += event.motion.xrel
                dy += event.motion.yrel
            else:
                if dx or dy:
                    self.controls.motion(dx, dy)
                    dx = dy = 0
                self._handle(event)
            waiting = sdl.SDL_PollEvent(event)
        if dx or dy:
            self.controls.motion(dx, dy)

    def _handle(self, event: Any) -> None:
        sdl, controls = self.sdl, self.controls
        match event.type:
            case sdl.SDL_KEYDOWN | sdl.SDL_KEYUP:
                self._handle_key(event)
            case sdl.SDL_MOUSEBUTTONDOWN | sdl.SDL_MOUSEBUTTONUP:
                name = {sdl.SDL_BUTTON_LEFT: "left", sdl.SDL_BUTTON_MIDDLE: "middle",
                        sdl.SDL_BUTTON_RIGHT: "right", sdl.SDL_BUTTON_X1: "side",
                        sdl.SDL_BUTTON_X2: "extra"}.get(event.button.button)
                if name:
                    controls.button(name, event.type == sdl.SDL_MOUSEBUTTONDOWN)
            case sdl.SDL_MOUSEWHEEL:
                controls.wheel(-event.wheel.y)
            case sdl.SDL_WINDOWEVENT:
                if event.window.event == sdl.SDL_WINDOWEVENT_FOCUS_LOST:
                    controls.focus_lost()
                self._exposed = True
            case sdl.SDL_QUIT:
                if self.config.window_close:
                    self.runner.quit(cause="host-ui")

    def _handle_key(self, event: Any) -> None:
        down = event.type == self.sdl.SDL_KEYDOWN
        code = event.key.keysym.scancode
        name = NAMES.get(code)
        if name is None:
            trace_sdl2_process_key(code, 0, "unknown")
            return
        action = self.controls.key(name, down, bool(event.key.repeat))
        trace_sdl2_process_key(code, KEYS[name].qcode, action)


def _load() -> Any:
    """PySDL2 with Debian's library, or that of pysdl2-dll where it is installed.

    PySDL2 looks for libraries by ctypes.util.find_library, whose last resort is to link a program
    against the library into /dev/null. When that fails for root, the linker removes /dev/null. So
    that function is another while PySDL2 is imported.
    """
    find_library = ctypes.util.find_library
    ctypes.util.find_library = _find_library
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it announces where it found the library
            import sdl2
    except ImportError:
        raise SdlError("Could not find the SDL2 library (Debian: apt install libsdl2-2.0-0, "
                       "elsewhere: pip install pysdl2-dll)") from None
    finally:
        ctypes.util.find_library = find_library
    return sdl2


def _find_library(name: str) -> str | None:
    return SONAME if name == LIBRARY else None


def _drivers() -> str:
    """What SDL may open a window on. Left to itself it would be content with no screen at all."""
    chosen = os.environ.get("SDL_VIDEODRIVER")
    if chosen:
        return chosen
    variables = {"x11": "DISPLAY", "wayland": "WAYLAND_DISPLAY"}
    found = [driver for driver, variable in variables.items() if os.environ.get(variable)]
    if not found:
        raise SdlError(f"there is no display: neither {' nor '.join(variables.values())} is set")
    return ",".join(found)


def _error(sdl: Any) -> str:
    return sdl.SDL_GetError().decode(errors="replace") or "unknown error"
