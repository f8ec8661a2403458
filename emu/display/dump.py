"""One look at the screen of a machine."""
from typing import Any

import numpy as np
from pyemu.display.renderer import Renderer
from pyemu.display.snapshot import Snapshot


def picture(runner: Any) -> np.ndarray | None:
    """The screen now, as 0x00RRGGBB (height, width); None if the machine has no display adapter.

    runner: `call(function)`, `clock` and `machine` with `vga`.
    """
    vga = runner.machine.vga
    if vga is None:
        return None
    renderer = Renderer(vga.vram)
    renderer.update(runner.call(lambda: Snapshot.of(vga, runner.clock.now())))
    return renderer.picture
