"""The picture on the screen, kept up to date: what has changed since the last look is drawn.

The memory is read as the guest writes it, by numpy and without the interpreter's lock, so the
vCPU's thread is only asked for a `Snapshot` of the registers.
"""
from typing import Any

import numpy as np
from pyemu.display.graphics import PlanarScreen
from pyemu.display.linear import LinearScreen
from pyemu.display.snapshot import Snapshot
from pyemu.display.text import TextScreen

Screen = TextScreen | PlanarScreen | LinearScreen
FIRST_SIZE = 480, 640  # height and width before the guest has chosen any


class Renderer:
    """picture: pixels 0x00RRGGBB, shape (height, width), uint32. It is replaced when its size
    changes, and written in place otherwise.

    vram: the video memory.
    """

    def __init__(self, vram: Any):
        self.vram = vram
        self.picture = np.zeros(FIRST_SIZE, np.uint32)
        self._screen: Screen | None = None
        self._geometry: tuple = ()
        self._dark = True

    def update(self, snapshot: Snapshot) -> np.ndarray:
        """Bring the picture up to date. Which of its lines may have changed: bools (height,)."""
        if not snapshot.shown:
            return self._darken()
        kind = _kind(snapshot)
        geometry = kind.geometry(snapshot)
        if self._screen is None or geometry != self._geometry:
            screen = kind(snapshot, self.vram)
            if not screen.plausible:
                return np.zeros(len(self.picture), bool)
            self._screen, self._geometry = screen, geometry
            everything = True
        else:
            screen = self._screen
            everything = screen.follow(snapshot) or self._dark
        size = screen.height, screen.width
        if self.picture.shape != size:
            self.picture = np.zeros(size, np.uint32)
        self._dark = False
        return screen.update(self.picture, everything)

    def _darken(self) -> np.ndarray:
        changed = not self._dark
        self._dark = True
        if changed:
            self.picture[:] = 0
        return np.full(len(self.picture), changed)


def _kind(snapshot: Snapshot) -> type[Screen]:
    if snapshot.dispi is not None:
        return LinearScreen
    return TextScreen if snapshot.is_text else PlanarScreen
