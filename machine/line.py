"""Interrupt and control lines: a level that somebody drives and somebody watches."""
from collections.abc import Callable


class Line:
    """One wire. `on_change(level)` is called when its level really changes.

    What an edge means is the affair of the chip that watches.
    """

    __slots__ = ("level", "on_change")

    def __init__(self, on_change: Callable[[bool], None]):
        self.on_change = on_change
        self.level = False

    def set(self, level: bool) -> None:
        if level != self.level:
            self.level = level
            self.on_change(level)
