"""Global system interrupts: each ISA interrupt goes to the 8259s and to the I/O APIC at once.

The firmware's tables say so: a GSI is the I/O APIC's pin of that number, but that interrupt 0,
the timer's, is at pin 2, where the 8259s have their cascade. Interrupt 2 is that pin alone.
"""
from collections.abc import Callable
from functools import partial
from typing import Protocol

from pyemu.machine.chip import Chip
from pyemu.machine.line import Line, WiredOr
from pyemu.trace.hooks import trace_x86_gsi_interrupt

ISA_INTERRUPTS = 16
TIMER, CASCADE = 0, 2
PINS = 24


class Inputs(Protocol):
    """An interrupt controller."""

    def line(self, n: int) -> Line: ...


class Gsi(Chip):
    """`line(n)` drives input n of `pic` (below 16) and of `ioapic`."""

    STATE = ("levels",)

    def __init__(self, pic: Inputs, ioapic: Inputs):
        self.counts = dict.fromkeys(range(PINS), 0)  # of rising edges, for statistics
        self._lines: dict[int, Line] = {}
        shared = WiredOr(ioapic.line(CASCADE))
        for n in range(PINS):
            inputs = [pic.line(n)] if n < ISA_INTERRUPTS and n != CASCADE else []
            inputs.append(shared.input() if n in (TIMER, CASCADE) else ioapic.line(n))
            self._lines[n] = Line(partial(self._drive, n, [line.set for line in inputs]))

    @property
    def levels(self) -> list[bool]:
        return [line.level for line in self._lines.values()]

    @levels.setter
    def levels(self, levels: list[bool]) -> None:
        for line, level in zip(self._lines.values(), levels, strict=True):
            line.level = level

    def line(self, n: int) -> Line:
        """Interrupt n, 0..23."""
        return self._lines[n]

    def _drive(self, n: int, inputs: list[Callable[[bool], None]], level: bool) -> None:
        if trace_x86_gsi_interrupt:
            trace_x86_gsi_interrupt(n, level)
        self.counts[n] += level
        for drive in inputs:
            drive(level)
