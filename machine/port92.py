"""System control port A, 92h: a fast way to the A20 gate and to the CPU's reset.

Source: IBM PS/2 Hardware Interface Technical Reference, System Control Port A.
"""
from collections.abc import Callable

from pyemu.trace.hooks import trace_port92_read, trace_port92_write

from .chip import Chip

FAST_RESET, A20 = 0x01, 0x02


class Port92(Chip):
    """set_a20(on): the A20 gate. reset_request(cause): the CPU's reset pin."""

    STATE = ("value",)

    def __init__(self, set_a20: Callable[[bool], None], reset_request: Callable[[str], None]):
        self.set_a20 = set_a20
        self.reset_request = reset_request
        self.reset()

    def reset(self) -> None:
        self.value = 0

    def read(self, offset: int, size: int) -> int:
        trace_port92_read(self.value)
        return self.value

    def write(self, offset: int, size: int, value: int) -> None:
        trace_port92_write(value)
        rising = value & ~self.value
        self.value = value
        self.set_a20(bool(value & A20))
        if rising & FAST_RESET:
            self.reset_request("guest-reset")
