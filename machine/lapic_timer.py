"""The timer of the local APIC: a 32-bit count down of the bus clock, once or again and again.

The bus clock has 1 GHz, so that one count takes 1, 2, 4 ... 128 ns, as it is divided.
Source: Intel SDM volume 3A, 11.5.4 "APIC Timer".
"""
from collections.abc import Callable

from pyemu.clock import Clock
from pyemu.machine.chip import Chip
from pyemu.trace.hooks import trace_apic_timer_expire, trace_apic_timer_start

MASKED = 0x10000  # in the timer's LVT entry
PERIODIC = 0x20000

DIVIDE_WRITABLE = 0x0B

# A periodic timer leaves out what no guest could serve. Nanoseconds.
CLOSEST_EXPIRIES = 20_000


class LapicTimer(Chip):
    """Counts from `initial` to 0, then calls `on_expire` unless its LVT entry is masked.

    A masked timer counts too, but needs no host timer.
    """

    STATE = ("entry", "initial", "divide", "started")

    def __init__(self, clock: Clock, on_expire: Callable[[], None]):
        self.clock = clock
        self.on_expire = on_expire
        self.timer = clock.timer(self._expire, "lapic")
        self.reset()

    def reset(self) -> None:
        self.entry = MASKED
        self.initial = self.divide = 0
        self.shift = divide_shift(0)  # log2 of ns in a count
        self.started: int | None = None  # ns when the count was `initial`; None when it is 0
        self.timer.cancel()

    def restored(self) -> None:
        self.shift = divide_shift(self.divide)
        self._arm()

    def current_count(self) -> int:
        if self.started is None:
            return 0
        elapsed = self.clock.now() - self.started >> self.shift
        if self.entry & PERIODIC:
            return self.initial - elapsed % self.initial
        return max(self.initial - elapsed, 0)

    def set_initial(self, count: int) -> None:
        """Start from `count`; 0 stops."""
        self.initial = count
        self.started = self.clock.now() if count else None
        self._arm()
        if trace_apic_timer_start:
            trace_apic_timer_start(count, self.shift, bool(self.entry & PERIODIC))

    def set_divide(self, divide: int) -> None:
        """Go on from the present count at another speed."""
        count = self.current_count()
        self.divide = divide & DIVIDE_WRITABLE
        self.shift = divide_shift(divide)
        self._continue_from(count)

    def set_entry(self, entry: int) -> None:
        """The LVT entry: a change of mode goes on from the present count; 0 stays 0."""
        count = self.current_count()
        changed = (entry ^ self.entry) & PERIODIC
        self.entry = entry
        if changed:
            self._continue_from(count)
        elif not count and self.timer.deadline is None:
            self.started = None  # it has run out unheard
        else:
            self._arm()

    def _continue_from(self, count: int) -> None:
        if count:
            self.started = self.clock.now() - (self.initial - count << self.shift)
        else:
            self.started = None
        self._arm()

    def _arm(self) -> None:
        if self.started is None or self.entry & MASKED:
            self.timer.cancel()
            return
        period = self.initial << self.shift
        deadline = self.started + period
        if self.entry & PERIODIC:
            missing = self.clock.now() + max(1, CLOSEST_EXPIRIES - period) - deadline
            deadline += max(0, -(-missing // period)) * period
        self.timer.at(deadline)

    def _expire(self) -> None:
        if self.entry & PERIODIC:
            self._arm()
        else:
            self.started = None
        if trace_apic_timer_expire:
            trace_apic_timer_expire(self.entry)
        self.on_expire()


def divide_shift(divide: int) -> int:
    """log2 of the divisor: bits 3, 1 and 0 count 2, 4, ... 128, and then 1."""
    return ((divide & 3 | divide >> 1 & 4) + 1) & 7
