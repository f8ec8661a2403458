"""The device's end of a PS/2 cable: what a keyboard and a mouse have in common.

Answers to commands go before events, and none is lost; events wait in a short buffer.
Source: IBM PS/2 Hardware Interface Technical Reference, Keyboard and Auxiliary Device Controller.
"""
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from pyemu.trace.hooks import trace_ps2_read_data

from .chip import Chip

ACK, RESEND = 0xfa, 0xfe
SELF_TEST_PASSED = 0xaa
ANSWERS_MAX = 256  # bytes; only a guest that sends commands and never reads gets there


class Ps2Device(Chip, ABC):
    """Two queues of bytes. The controller sets `on_data` and fetches with `take`."""

    STATE: ClassVar[tuple[str, ...]] = ("answers", "events", "command")

    def __init__(self) -> None:
        self.on_data: Callable[[], None] = lambda: None
        self.reset()

    def reset(self) -> None:
        self.answers: list[int] = []
        self.events: list[int] = []
        self.command: int | None = None  # whose parameter is awaited

    def take(self) -> int:
        """The next byte; only to be called while there is one."""
        trace_ps2_read_data(self)
        return (self.answers or self.events).pop(0)

    @abstractmethod
    def write(self, value: int) -> None:
        """A byte from the host: a command or its parameter."""

    def answer(self, *values: int) -> None:
        if len(self.answers) + len(values) <= ANSWERS_MAX:
            self.answers.extend(values)
