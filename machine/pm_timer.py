"""ACPI power management timer: a 24-bit counter at 3.579545 MHz that never stops.

Bit 23 changing sets TMR_STS, which interrupts while TMR_EN is on.
Source: ACPI 6.5, section 4.8.3.3; Intel 82371AB datasheet (290562), section 7.2, PMTMR.
"""
from collections.abc import Callable

from pyemu.clock import SECOND, Clock
from pyemu.machine.chip import Chip
from pyemu.trace.hooks import trace_pm_timer_read

FREQUENCY = 3_579_545  # Hz
MASK = (1 << 24) - 1
HALF = 1 << 23  # ticks from one change of bit 23 to the next


class PmTimer(Chip):
    """The counter. Its status and enable bits are in the event registers of `Piix4Pm`.

    on_carry is called when bit 23 changes while `watch(True)`: nobody is woken for nothing.
    """

    STATE = ("carry", "epoch", "watched")

    def __init__(self, clock: Clock, on_carry: Callable[[], None]):
        self.clock = clock
        self.on_carry = on_carry
        self.timer = clock.timer(on_carry, "pm_timer")
        self.reset()

    def reset(self) -> None:
        self.epoch = self.clock.now()
        self.carry = HALF  # the tick at which the carry is or was due
        self.watched = False
        self.timer.cancel()

    def restored(self) -> None:
        self.watch(self.watched)

    def ticks(self) -> int:
        """Ticks of FREQUENCY since reset, unmasked."""
        return (self.clock.now() - self.epoch) * FREQUENCY // SECOND

    def carried(self) -> bool:
        """TMR_STS: has bit 23 changed since it was last cleared?"""
        return self.ticks() >= self.carry

    def clear(self) -> None:
        """Acknowledge the carry."""
        self.carry = (self.ticks() // HALF + 1) * HALF
        self.watch(self.watched)

    def watch(self, on: bool) -> None:
        """Call `on_carry` at the next carry, or no more."""
        self.watched = on
        if on and not self.carried():
            self.timer.at(self.epoch - (-self.carry * SECOND // FREQUENCY))
        else:
            self.timer.cancel()

    def read(self, offset: int, size: int) -> int:
        value = self.ticks() & MASK
        if trace_pm_timer_read:
            trace_pm_timer_read(value)
        return value >> 8 * offset
