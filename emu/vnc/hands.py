"""What a client does with the keyboard and the mouse, on its way to the machine.

Source: RFC 6143, sections 7.5.4 and 7.5.5; rfbproto for QEMU's pointer mode and key numbers.
"""
from collections import deque
from collections.abc import Callable
from typing import Any

from pyemu.chardev.loop import IoLoop
from pyemu.display.input import Input, Pace
from pyemu.display.keysyms import STROKES
from pyemu.machine.keymap import KEYS, NUMBERS
from pyemu.trace.hooks import trace_vnc_key_event_ext, trace_vnc_key_event_map

BUTTONS = ((0x01, "left"), (0x02, "middle"), (0x04, "right"))
WHEEL_UP, WHEEL_DOWN = 0x08, 0x10
RELATIVE_ZERO = 0x7fff  # of a client that tells how far the mouse has moved
SHIFTS = ("shift", "shift_r")
CAPS_LOCK_LED = 0x04
RETRY = 0.002  # seconds between two questions whether the guest has taken a key
FULL = 64  # keys that may wait before clients are read no further


class KeyQueue:
    """Keys of all clients, at least `delay` seconds apart, each when the one before is taken.

    All on the thread of `loop`.
    """

    def __init__(self, loop: IoLoop, pace: Pace, delay: float):
        self._loop = loop
        self._pace = pace
        self._delay = delay
        self._waiting: deque[Callable[[], None]] = deque()
        self._resting = False

    @property
    def full(self) -> bool:
        return len(self._waiting) >= FULL

    def put(self, press: Callable[[], None]) -> None:
        self._waiting.append(press)
        if not self._resting:
            self._next()

    def _next(self) -> None:
        pace = self._pace
        due = pace.ready and bool(self._waiting)
        if due:
            self._waiting.popleft()()
            pace.typed()
        pace.ask()
        self._resting = due or bool(self._waiting) or not pace.ready
        if self._resting:
            self._loop.later(max(self._delay, 0 if pace.ready else RETRY), self._next)


class Hands:
    """A client's. runner: as for `Input`."""

    def __init__(self, runner: Any, keys: KeyQueue):
        self.input = Input(runner)
        self.keys = keys
        self.keyboard = runner.machine.keyboard
        self.relative = False  # the pointer's places are distances from RELATIVE_ZERO
        self._place: tuple[int, int] | None = None
        self._buttons = 0
        self._shifted: set[str] = set()  # keys that have been given a Shift of ours

    def key(self, symbol: int, down: bool) -> None:
        """By what it types. Where that needs Shift and none is held, it is held meanwhile."""
        stroke = STROKES.get(symbol)
        trace_vnc_key_event_map(down, symbol, KEYS[stroke.key].set1 if stroke else 0,
                                stroke.key if stroke else "unknown")
        if stroke:
            self.keys.put(lambda: self._stroke(stroke.key, bool(stroke.shift), down))

    def key_number(self, symbol: int, number: int, down: bool) -> None:
        """By its place on the keyboard."""
        key = NUMBERS.get(number)
        trace_vnc_key_event_ext(down, symbol, number, key.name if key else "unknown")
        if key:
            self.keys.put(lambda: self.input.key(key.name, down))

    def pointer(self, buttons: int, x: int, y: int) -> None:
        if self.relative:
            dx, dy = x - RELATIVE_ZERO, y - RELATIVE_ZERO
        else:
            before = self._place or (x, y)
            dx, dy = x - before[0], y - before[1]
            self._place = x, y
        pressed = buttons & ~self._buttons
        dz = bool(pressed & WHEEL_DOWN) - bool(pressed & WHEEL_UP)
        if dx or dy or dz:
            self.input.move(dx, dy, dz)
        for bit, name in BUTTONS:
            self.input.button(name, bool(buttons & bit))
        self._buttons = buttons

    def let_go(self) -> None:
        """The client has gone."""
        self.keys.put(self.input.release_all)

    def _stroke(self, key: str, shift: bool, down: bool) -> None:
        if not down:
            self.input.key(key, False)
            if key in self._shifted:
                self._shifted.discard(key)
                self.input.key("shift", False)
            return
        if key.isalpha() and len(key) == 1:
            shift ^= bool(self.keyboard.leds & CAPS_LOCK_LED)
        if shift and not any(name in self.input.keys for name in SHIFTS):
            self._shifted.add(key)
            self.input.key("shift", True)
        self.input.key(key, True)
