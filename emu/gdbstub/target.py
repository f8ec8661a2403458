"""The machine under a debugger: memory, breakpoints, watchpoints, going on and stopping.

Everything here happens on the vCPU's thread while the machine stands still.
"""
from typing import Any

from pyemu.engine.cpu import WATCH_READ, WATCH_WRITE
from pyemu.memory import PAGE

MOST_POINTS = 1000
MASK = (1 << 64) - 1
BREAK_TYPES = (0, 1)  # software and hardware breakpoints, which are one here
WATCH_TYPES = {2: ("watch", WATCH_WRITE), 3: ("rwatch", WATCH_READ),
               4: ("awatch", WATCH_READ | WATCH_WRITE)}


class Target:
    def __init__(self, runner: Any):
        self.cpu = runner.cpu
        self.memory = runner.memory
        self.physical = False  # how addresses of memory are meant
        self._breakpoints: dict[tuple[int, int], None] = {}  # (type, address)
        self._watchpoints: dict[tuple[int, int, int], int] = {}  # (type, address, length): physical

    def read(self, address: int, length: int) -> bytes | None:
        """Memory, or None where no page is."""
        parts = self._pieces(address, length)
        if parts is None:
            return None
        return b"".join(self.memory.read(physical, size) for physical, size in parts)

    def write(self, address: int, data: bytes) -> bool:
        """Whether all of it is there to be written. ROM stays as it is."""
        parts = self._pieces(address, len(data))
        if parts is None:
            return False
        for physical, size in parts:
            self.memory.write(physical, data[:size])
            data = data[size:]
        return True

    def insert(self, kind: int, address: int, length: int) -> bool:
        """Set a breakpoint or watchpoint; False if it cannot be."""
        if len(self._breakpoints) + len(self._watchpoints) >= MOST_POINTS:
            return False
        if kind in BREAK_TYPES:
            self._breakpoints[kind, address & MASK] = None
            self._set_breakpoints()
            return True
        pieces = self._pieces(address, length) or ()
        if len(pieces) != 1:  # none, or on two pages
            return False
        self._watchpoints[kind, address, length] = pieces[0][0]
        self._set_watchpoints()
        return True

    def remove(self, kind: int, address: int, length: int) -> bool:
        """Take it away; False if there was none."""
        if kind in BREAK_TYPES:
            found = (kind, address & MASK) in self._breakpoints
            self._breakpoints.pop((kind, address & MASK), None)
            self._set_breakpoints()
        else:
            found = (kind, address, length) in self._watchpoints
            self._watchpoints.pop((kind, address, length), None)
            self._set_watchpoints()
        return found

    def remove_all(self) -> None:
        self._breakpoints.clear()
        self._watchpoints.clear()
        self._set_breakpoints()
        self._set_watchpoints()

    def watch_hit(self) -> tuple[str, int] | None:
        """Kind and address of the watchpoint that stopped the machine."""
        index = self.cpu.watch_hit
        if not 0 <= index < len(self._watchpoints):
            return None
        kind, address, _ = list(self._watchpoints)[index]
        return WATCH_TYPES[kind][0], address

    def _set_breakpoints(self) -> None:
        self.cpu.set_breakpoints(sorted({address for _, address in self._breakpoints}))

    def _set_watchpoints(self) -> None:
        self.cpu.set_watchpoints([
            (physical, length, WATCH_TYPES[kind][1])
            for (kind, _, length), physical in self._watchpoints.items()])

    def _pieces(self, address: int, length: int) -> list[tuple[int, int]] | None:
        """(physical address, length) of the parts of a range, page by page; None: not all there."""
        if self.physical:
            return [(address & MASK, length)]
        pieces = []
        while length:
            here = address & MASK
            physical = self.cpu.translate(here)
            if physical < 0:
                return None
            size = min(length, PAGE - here % PAGE)
            pieces.append((physical, size))
            address += size
            length -= size
        return pieces
