"""When the 82540EM interrupts: causes and mask, throttling, delays of packet interrupts.

Source: Intel 8254x software developer's manual (317453), 13.4.17-13.4.22 (ICR to IMC, ITR),
13.4.30, 13.4.31, 13.4.44, 13.4.46 (RDTR, RADV, TIDV, TADV).
"""
from array import array
from collections.abc import Callable
from typing import Any

from pyemu.machine.chip import Chip
from pyemu.machine.net.e1000_registers import CAUSES, ICR, IMS, ITR
from pyemu.trace.hooks import trace_e1000_irq

ITR_UNIT = 256  # ns
DELAY_UNIT = 1024  # ns
SHORT = 20_000  # ns; whoever waits for a timer of the host's waits longer


class Interrupts(Chip):
    """registers: the chip's. line: a `Line`, INTA#."""

    STATE = ("quiet_until",)

    def __init__(self, clock: Any, registers: array, line: Any):
        self.clock = clock
        self.registers = registers
        self.line = line
        self.quiet_until = 0  # the next interrupt comes no earlier
        self.timer = clock.timer(self.update, "e1000_itr")

    def reset(self) -> None:
        self.timer.cancel()
        self.quiet_until = 0
        self.update()

    def restored(self) -> None:
        self.update()

    def cause(self, causes: int) -> None:
        """Something happened: bits of ICR."""
        self.registers[ICR] |= causes & CAUSES
        self.update()

    def update(self) -> None:
        """Bring the pin in line with ICR and IMS; it rises no sooner than ITR allows."""
        registers, line = self.registers, self.line
        level = bool(registers[ICR] & registers[IMS])
        if level == line.level:
            return
        if level:
            now = self.clock.now()
            if now < self.quiet_until:
                if self.timer.deadline != self.quiet_until:
                    self.timer.at(self.quiet_until)
                return
            self.quiet_until = now + registers[ITR] * ITR_UNIT
        if trace_e1000_irq:
            trace_e1000_irq(level, registers[ICR], registers[IMS])
        line.set(level)

    # Registers

    def read_icr(self) -> int:
        value = self.registers[ICR]
        self.registers[ICR] = 0
        self.update()
        return value

    def write_icr(self, value: int) -> None:
        self.registers[ICR] &= ~value
        self.update()

    def write_ims(self, value: int) -> None:
        self.registers[IMS] |= value & CAUSES
        self.update()

    def write_imc(self, value: int) -> None:
        self.registers[IMS] &= ~value
        self.update()

    def write_itr(self, value: int) -> None:
        """A shorter interval counts at once."""
        self.registers[ITR] = value & 0xFFFF
        self.quiet_until = min(self.quiet_until,
                               self.clock.now() + self.registers[ITR] * ITR_UNIT)
        self.update()


class Delay(Chip):
    """Puts an interrupt off: each packet anew, up to a limit counted from the first. For less than
    SHORT it is not worth a timer.

    fire() is called when the time has come.
    """

    STATE = ("due", "limit")

    def __init__(self, clock: Any, name: str, fire: Callable[[], None]):
        self.clock = clock
        self.fire = fire
        self.timer = clock.timer(self._expire, name)
        self.reset()

    def reset(self) -> None:
        self.timer.cancel()
        self.due: int | None = None
        self.limit: int | None = None

    def restored(self) -> None:
        self.timer.cancel()
        if self.due is not None:
            self.timer.at(self.due)

    def packet(self, delay: int, limit: int) -> None:
        """A packet is done; delay and limit in DELAY_UNIT, a limit of 0 is none."""
        now = self.clock.now()
        if self.due is None and limit:
            self.limit = now + limit * DELAY_UNIT
        due = now + delay * DELAY_UNIT
        self.due = due if self.limit is None else min(due, self.limit)
        if self.due - now <= SHORT:
            self.flush()
            return
        # The timer is left to ring early rather than armed for each packet.
        if self.timer.deadline is None or self.due < self.timer.deadline:
            self.timer.at(self.due)

    def flush(self) -> None:
        """Fire now what has been put off."""
        if self.due is not None:
            self.reset()
            self.fire()

    def _expire(self) -> None:
        if self.due is not None and self.clock.now() < self.due:
            self.timer.at(self.due)
        else:
            self.flush()
