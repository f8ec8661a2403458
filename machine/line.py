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


class WiredOr:
    """Several drivers of one line, as with the open-drain interrupt pins of PCI.

    `line` is high while at least one of the `input()`s is.
    """

    __slots__ = ("held", "line")

    def __init__(self, line: Line):
        self.line = line
        self.held = 0

    def input(self) -> Line:
        """A line of its own for one more driver."""
        return Line(self._changed)

    def _changed(self, level: bool) -> None:
        self.held += 1 if level else -1
        self.line.set(self.held > 0)
