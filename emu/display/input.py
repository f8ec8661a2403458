"""What a person does to the keyboard and the mouse, from a window's thread to the machine."""
from typing import Any

from pyemu.machine import ps2_mouse
from pyemu.runstate import RunState
from pyemu.trace.hooks import (
    trace_input_event_btn,
    trace_input_event_key_qcode,
    trace_input_event_rel,
    trace_input_event_sync,
)

CONSOLE = 0  # as trace events number it
PATIENCE = 100  # questions, after which a guest that takes no keys is not waited for
BUTTONS = {"left": ps2_mouse.LEFT, "right": ps2_mouse.RIGHT, "middle": ps2_mouse.MIDDLE,
           "side": ps2_mouse.SIDE, "extra": ps2_mouse.EXTRA}


class Input:
    """Keys and buttons that are down, so that none stays so when the window loses the keyboard.

    runner: `post(function)`, `state` and `machine` with `keyboard` and `mouse`. While the machine
    is paused it feels nothing but releases.
    """

    def __init__(self, runner: Any):
        self.runner = runner
        self.keys: dict[str, None] = {}  # in the order in which they went down
        self.buttons = 0

    def key(self, name: str, down: bool) -> None:
        """A key, by its QKeyCode name, goes down (again, while it repeats) or up."""
        if down:
            self.keys[name] = None
        elif name not in self.keys:
            return
        else:
            del self.keys[name]
        trace_input_event_key_qcode(CONSOLE, name, down)
        trace_input_event_sync()
        self._post(lambda machine: machine.keyboard.key(name, down), release=not down)

    def button(self, name: str, down: bool) -> None:
        """A button of the mouse: a name in BUTTONS."""
        held = self.buttons | BUTTONS[name] if down else self.buttons & ~BUTTONS[name]
        if held == self.buttons:
            return
        self.buttons = held
        trace_input_event_btn(CONSOLE, name, down)
        trace_input_event_sync()
        self._post(lambda machine: machine.mouse.button(held), release=not down)

    def move(self, dx: int, dy: int, dz: int = 0) -> None:
        """The mouse moves, in counts: to the right, down; its wheel turns to the user."""
        for axis, value in (("x", dx), ("y", dy), ("z", dz)):
            if value:
                trace_input_event_rel(CONSOLE, axis, value)
        trace_input_event_sync()
        self._post(lambda machine: machine.mouse.move(dx, dy, dz))

    def release_all(self) -> None:
        """Let go of all keys and buttons."""
        for name in reversed(list(self.keys)):
            self.key(name, False)
        for name in BUTTONS:
            self.button(name, False)

    def _post(self, act: Any, release: bool = False) -> None:
        runner = self.runner

        def run() -> None:
            if release or runner.state is RunState.RUNNING:
                act(runner.machine)

        runner.post(run)


class Pace:
    """Whether the guest has taken the keys that were typed: those that come at once it may lose.

    ready: it has, as far as is known. `typed` and `ask` are for one thread.
    """

    def __init__(self, runner: Any):
        self.runner = runner
        self.ready = True
        self._asked = False
        self._denials = 0

    def typed(self) -> None:
        """A key has gone to the machine."""
        self.ready = False
        self._denials = 0

    def ask(self) -> None:
        """Find out, without waiting."""
        if not self.ready and not self._asked:
            self._asked = True
            self.runner.post(self._answer)

    def _answer(self) -> None:
        """On the vCPU's thread."""
        self._asked = False
        self._denials += 1
        self.ready = not self.runner.machine.keyboard.events or self._denials > PATIENCE
