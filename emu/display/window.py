"""What a window does with what the user does in it, without any toolkit: keys, grab, title.

Ctrl-Alt with G, F, U or S are for the window; all else is the guest's.
"""
from collections.abc import Callable
from typing import Any

from pyemu.display.input import Input

HOTKEY_MODIFIERS = {"ctrl", "alt"}
GRAB_HINT = " - Press Ctrl-Alt-G to exit grab"


class Controls:
    """toolkit: the window itself, with `set_grab(on)`, `set_full_screen(on)`, `restore_size()`
    and `save_screenshot()`.
    """

    def __init__(self, input: Input, toolkit: Any):
        self.input = input
        self.toolkit = toolkit
        self.grabbed = False
        self.full_screen = False
        self._swallowed: set[str] = set()  # keys whose release is not the guest's either
        self._hotkeys: dict[str, Callable[[], None]] = {
            "g": self.toggle_grab, "f": self.toggle_full_screen,
            "u": toolkit.restore_size, "s": toolkit.save_screenshot,
        }

    def key(self, name: str, down: bool, repeated: bool = False) -> str:
        """A key of the host went down or up. What became of it, for trace events."""
        if down and name in self._hotkeys and set(self.input.keys) == HOTKEY_MODIFIERS:
            self._swallowed.add(name)
            if not repeated:
                self._hotkeys[name]()
            return "hotkey"
        if not down and name in self._swallowed:
            self._swallowed.discard(name)
            return "hotkey"
        if repeated and name not in self.input.keys:
            return "ignored"  # it went down before the window had the keyboard
        self.input.key(name, down)
        return "down" if down else "up"

    def motion(self, dx: int, dy: int) -> None:
        if self.grabbed:
            self.input.move(dx, dy)

    def wheel(self, toward_user: int) -> None:
        if self.grabbed:
            self.input.move(0, 0, toward_user)

    def button(self, name: str, down: bool) -> None:
        """The first click takes the mouse, further ones are the guest's."""
        if self.grabbed:
            self.input.button(name, down)
        elif down and name == "left":
            self.toggle_grab()

    def focus_lost(self) -> None:
        self.input.release_all()
        self._swallowed.clear()
        if self.grabbed:
            self.toggle_grab()

    def toggle_grab(self) -> None:
        self.grabbed = not self.grabbed
        self.toolkit.set_grab(self.grabbed)

    def toggle_full_screen(self) -> None:
        """Full screen has the mouse, too."""
        self.full_screen = not self.full_screen
        self.toolkit.set_full_screen(self.full_screen)
        if self.grabbed != self.full_screen:
            self.toggle_grab()

    def title(self, name: str, state: str) -> str:
        """name: of the machine, perhaps empty; state: of the run."""
        text = f"pyemu ({name})" if name else "pyemu"
        if state != "running":
            text += f" [{state.capitalize()}]"
        return text + GRAB_HINT if self.grabbed else text
