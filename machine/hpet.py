"""High precision event timer: a 64-bit counter at 100 MHz with three comparators.

One window of memory, registers of 64 bits, taken by halves or whole. A timer's interrupt goes to
input 2 of the I/O APIC; by the legacy replacement routes timers 0 and 1 are interrupts 0 and 8
instead, and the 8254 and the clock, whose lines come through here, are cut off.
Nothing counts here: the counter is computed from the time, and each timer awaits its next match.
Source: IA-PC HPET specification 1.0a, sections 2.3 and 2.4. As in QEMU a comparator that the
counter has passed already matches at once, and there are no interrupts by FSB.
"""
from collections.abc import Callable, Sequence
from functools import partial

from pyemu.clock import SECOND, Clock
from pyemu.machine.chip import Chip
from pyemu.machine.line import Line
from pyemu.trace.hooks import (
    trace_hpet_irq,
    trace_hpet_ram_read,
    trace_hpet_ram_read_reading_counter,
    trace_hpet_ram_write,
)

SIZE = 0x400
TIMERS = 3
PERIOD = 10  # ns of a tick
MASK_32, MASK_64 = (1 << 32) - 1, (1 << 64) - 1
HALF = 4  # bytes, the narrowest that is written

# Registers, and those of each timer
CAPABILITIES, CONFIG, STATUS, COUNTER = 0x00, 0x10, 0x20, 0xF0
TIMER_FIRST, TIMER_STEP = 0x100, 0x20
TIMER_CONFIG, TIMER_COMPARATOR = 0x00, 0x08

BLOCK_ID = 0x8086_A201  # Intel's; legacy routes, 64 bits, three timers, revision 1
PERIOD_SHIFT = 32  # in capabilities, in fs
FS = 1_000_000  # in a ns

# Configuration
ENABLE, LEGACY = 0x01, 0x02
LEGACY_TIMERS = 2

# Configuration of a timer
LEVEL, INTERRUPT, PERIODIC, SET_VALUE, MODE_32 = 0x02, 0x04, 0x08, 0x40, 0x100
ROUTE_SHIFT, ROUTE = 9, 0x1F << 9
WRITABLE = LEVEL | INTERRUPT | PERIODIC | SET_VALUE | MODE_32 | ROUTE
IO_APIC_INPUT = 2
CAN = 0x30 | 1 << IO_APIC_INPUT + 32  # be periodic, count 64 bits; the routes there are

NEVER = MASK_64  # the comparator after a reset

# As with the 8254: no guest can serve interrupts faster than this, and those that the host was
# late for come all the same, if not by too much, for guests count them.
CLOSEST = 2000  # ticks, 20 us
CATCH_UP = 8  # times as fast as they should have come
MOST_LATE = SECOND // PERIOD  # ticks
FARTHEST = 3600 * SECOND // PERIOD  # ticks that are awaited in one go


class HpetTimer(Chip):
    """One of the three. Ticks are those of the main counter, but do not wrap.

    asking: drives its interrupt. By level it does so until its status bit is cleared; an edge is
    a fall and a rise, as nothing on a PC minds how long the line was low before.
    """

    STATE = ("config", "comparator", "period", "match", "asking")

    def __init__(self, hpet: "Hpet", number: int):
        self.hpet = hpet
        self.number = number
        self.timer = hpet.clock.timer(self._fire, f"hpet{number}")
        self.reset()

    def reset(self) -> None:
        self.config = CAN
        self.comparator = NEVER
        self.period = 0  # ticks
        self.match: int | None = None  # tick of the next match, if it is awaited
        self.asking = False
        self.timer.cancel()

    def restored(self) -> None:
        if self.match is None:
            self.timer.cancel()
        else:
            self._await(self.hpet.ticks())

    @property
    def pending(self) -> bool:
        """The status bit."""
        return self.asking and self.config & LEVEL != 0

    def read(self, register: int) -> int:
        if register == TIMER_CONFIG:
            return self.config
        return self.comparator if register == TIMER_COMPARATOR else 0

    def write(self, register: int, value: int, mask: int) -> None:
        """Of the register, the bits in `mask`."""
        if register == TIMER_CONFIG:
            self._configure(merge(self.config, value, mask & WRITABLE))
        elif register == TIMER_COMPARATOR:
            if not self.config & PERIODIC or self.config & SET_VALUE:
                self.comparator = merge(self.comparator, value, mask)
            if self.config & PERIODIC:
                self.period = merge(self.period, value, mask)
            self.config &= ~SET_VALUE
            self._narrow()
            self.start()

    def _configure(self, config: int) -> None:
        changed = self.config ^ config
        self.config = config
        self._narrow()
        if changed & INTERRUPT:
            self.start()
        if changed & LEVEL or not config & INTERRUPT:
            self.asking = False
        self.hpet.drive()

    def _narrow(self) -> None:
        if self.config & MODE_32:
            self.comparator &= MASK_32
            self.period &= MASK_32

    def start(self) -> None:
        """Await the next match, if the counter runs and there is to be an interrupt."""
        if (self.hpet.started is None or not self.config & INTERRUPT
                or self.comparator == NEVER):
            self.match = None
            self.timer.cancel()
            return
        now = self.hpet.ticks()
        mask = MASK_32 if self.config & MODE_32 else MASK_64
        ahead = self.comparator - now & mask
        self.match = now + (ahead if ahead <= mask >> 1 else ahead - mask - 1)
        self._await(now)

    def stop(self) -> None:
        """The counter stands."""
        self.match = None
        self.timer.cancel()
        self.asking = False

    def _await(self, now: int, pause: int = 0) -> None:
        """Wait for the match, for so many ticks at least."""
        assert self.match is not None
        tick = max(self.match, now + pause)
        if self._one_shot_32():  # interrupts when the counter wraps, too
            tick = min(tick, (now | MASK_32) + 1)
        self.timer.at(self.hpet.time_at(min(tick, now + FARTHEST)))

    def _one_shot_32(self) -> bool:
        return self.config & (MODE_32 | PERIODIC) == MODE_32

    def _fire(self) -> None:
        assert self.match is not None
        now = self.hpet.ticks()
        early = now < self.match
        if early and not self._one_shot_32():
            self._await(now)
            return
        if trace_hpet_irq:
            trace_hpet_irq(self.number, now)
        if not self.config & LEVEL:
            self.asking = False
            self.hpet.drive()
        self.asking = True
        self.hpet.drive()
        if early:
            self._await(now)
        elif self.config & PERIODIC and self.period:
            self._next_period(now)
        else:
            self.match = None

    def _next_period(self, now: int) -> None:
        assert self.match is not None
        missing = max(CLOSEST, now - MOST_LATE - self.match)
        step = -(-missing // self.period) * self.period
        self.match += step
        self.comparator = self.comparator + step & (MASK_32 if self.config & MODE_32 else MASK_64)
        self._await(now, self.period // CATCH_UP)


class Hpet(Chip):
    """The window, and `inputs`, the lines by which the 8254 and the clock come in.

    legacy: interrupts 0 and 8. routed: a line to input 2 of the I/O APIC for each timer.
    on_legacy(on): timers 0 and 1 have these interrupts, or the 8254 and the clock again.
    """

    STATE = ("config", "count", "started", "timer0", "timer1", "timer2")

    def __init__(self, clock: Clock, legacy: Sequence[Line], routed: Sequence[Line],
                 on_legacy: Callable[[bool], None]):
        self.clock = clock
        self.legacy = legacy
        self.routed = routed
        self.on_legacy = on_legacy
        self.inputs = [Line(partial(self._pass, n)) for n in range(LEGACY_TIMERS)]
        self.config = 0
        self.count = 0  # the counter, when it stood or was started
        self.started: int | None = None  # ns of virtual time; None while it stands
        self.timers = [HpetTimer(self, n) for n in range(TIMERS)]
        self.timer0, self.timer1, self.timer2 = self.timers

    def reset(self) -> None:
        for timer in self.timers:
            timer.reset()
        self.count, self.started = 0, None
        self._configure(0)

    def restored(self) -> None:
        self.on_legacy(self.config & LEGACY != 0)
        self.drive()

    def ticks(self) -> int:
        """The main counter, which does not wrap here."""
        if self.started is None:
            return self.count
        return self.count + (self.clock.now() - self.started) // PERIOD

    def time_at(self, tick: int) -> int:
        """ns of virtual time at which the counter, which runs, gets there."""
        assert self.started is not None
        return self.started + (tick - self.count) * PERIOD

    def read(self, offset: int, size: int) -> int:
        register, first = offset & ~7, 8 * (offset & 7)
        if trace_hpet_ram_read:
            trace_hpet_ram_read(offset)
        if register == COUNTER:
            value = self.ticks()
            if trace_hpet_ram_read_reading_counter:
                trace_hpet_ram_read_reading_counter(offset & 7, value)
        else:
            value = self._register(register)
        return value >> first & (1 << 8 * size) - 1

    def _register(self, register: int) -> int:
        if register == CAPABILITIES:
            return PERIOD * FS << PERIOD_SHIFT | BLOCK_ID
        if register == CONFIG:
            return self.config
        if register == STATUS:
            return sum(timer.pending << n for n, timer in enumerate(self.timers))
        number, register = divmod(register - TIMER_FIRST, TIMER_STEP)
        return self.timers[number].read(register) if 0 <= number < TIMERS else 0

    def write(self, offset: int, size: int, value: int) -> None:
        if trace_hpet_ram_write:
            trace_hpet_ram_write(offset, value)
        if size < HALF:
            return
        register, first = offset & ~7, 8 * (offset & 7)
        mask = (1 << 8 * size) - 1 << first & MASK_64
        value <<= first
        if register == CONFIG:
            self._configure(merge(self.config, value, mask & (ENABLE | LEGACY)))
        elif register == STATUS:
            self._clear(value & mask)
        elif register == COUNTER:
            if self.started is None:
                self.count = merge(self.count, value, mask)
        elif register >= TIMER_FIRST:
            number, register = divmod(register - TIMER_FIRST, TIMER_STEP)
            if number < TIMERS:
                self.timers[number].write(register, value, mask)

    def _configure(self, config: int) -> None:
        changed = self.config ^ config
        self.config = config
        if changed & ENABLE:
            self._run(config & ENABLE != 0)
        if changed & LEGACY:
            self.on_legacy(config & LEGACY != 0)
        self.drive()

    def _run(self, on: bool) -> None:
        if on:
            self.started = self.clock.now()
        else:
            self.count, self.started = self.ticks() & MASK_64, None
        for timer in self.timers:
            if on:
                timer.start()
            else:
                timer.stop()

    def _clear(self, bits: int) -> None:
        for n, timer in enumerate(self.timers):
            if bits >> n & 1 and timer.pending:
                timer.asking = False
        self.drive()

    # Lines

    def _pass(self, n: int, level: bool) -> None:
        if not self.config & LEGACY:
            self.legacy[n].set(level)

    def drive(self) -> None:
        """Every output follows its timer, or what comes in."""
        replaced = LEGACY_TIMERS if self.config & LEGACY else 0
        for n, line in enumerate(self.legacy):
            line.set(self.timers[n].asking if replaced else self.inputs[n].level)
        for n, (timer, line) in enumerate(zip(self.timers, self.routed, strict=True)):
            route = (timer.config & ROUTE) >> ROUTE_SHIFT
            line.set(timer.asking and n >= replaced and route == IO_APIC_INPUT)


def merge(old: int, new: int, mask: int) -> int:
    return old & ~mask | new & mask
