"""8254 programmable interval timer, and port 61h, which gates its third counter.

Four ports: three counters and the control word. Counter 0 drives an interrupt line, 1 once
paced the memory refresh, 2 is the speaker's. Nothing counts here: what a counter would show is
computed from the time, and only counter 0 has a timer, for the rising edges of its OUT.
Sources: 8254 datasheet (231164-005); 82371FB/SB (290550) on port 61h, NMI status and control.
"""
from pyemu.clock import SECOND, Clock
from pyemu.machine.chip import Chip
from pyemu.machine.line import Line
from pyemu.trace.hooks import (
    trace_pit_irq,
    trace_pit_latch,
    trace_pit_mode,
    trace_pit_port61_read,
    trace_pit_port61_write,
    trace_pit_read,
    trace_pit_set_count,
)

FREQUENCY = 1_193_182  # Hz
CONTROL = 3  # port offset of the control word
SPEAKER = 2  # the counter whose gate and OUT are at port 61h

# Control word
SELECT_SHIFT = 6  # counter 0-2, or read-back
READ_BACK = 3
READ_BACK_NO_COUNT = 0x20
READ_BACK_NO_STATUS = 0x10
READ_BACK_FIRST = 0x02  # one bit a counter from here
ACCESS_SHIFT = 4
ACCESS_MASK = 3
LATCH, LOW, HIGH, BOTH = range(4)
MODE_SHIFT = 1
MODE_MASK = 7
BCD = 0x01

# Status byte: the control word's low six bits and these
STATUS_CONTROL = 0x3F
STATUS_NULL = 0x40
STATUS_OUT = 0x80

# Modes. 6 and 7 are 2 and 3 too.
TERMINAL_COUNT, ONE_SHOT, RATE, SQUARE, SOFTWARE_STROBE, HARDWARE_STROBE = range(6)
MODES = (TERMINAL_COUNT, ONE_SHOT, RATE, SQUARE, SOFTWARE_STROBE, HARDWARE_STROBE, RATE, SQUARE)
PERIODIC = (RATE, SQUARE)
TRIGGERED = (ONE_SHOT, HARDWARE_STROBE)  # started by a rising gate, not by writing a count
POWER_ON = BOTH << ACCESS_SHIFT | SQUARE << MODE_SHIFT

# No guest can serve interrupts faster than this; edges between are left out, not put off.
CLOSEST_EDGES = 24  # ticks, 20 us

# Edges that the host was late for come all the same, if not by too much: guests count them while
# they wait for something else, and panic ("IO-APIC + timer doesn't work!") when many are missing.
CATCH_UP = 8  # times as fast as they should have come
MOST_LATE = FREQUENCY  # ticks

# Port 61h
GATE_2 = 0x01
PORT61_WRITABLE = 0x0F  # the gate, and speaker data, SERR# and IOCHK# enable, which are just kept
REFRESH_TOGGLE = 0x10
REFRESH_TICKS = 18  # 15 us
OUT_2 = 0x20


def ticks_at(ns: int) -> int:
    """Whole ticks of FREQUENCY in so many ns of virtual time."""
    return ns * FREQUENCY // SECOND


def ns_at(ticks: int) -> int:
    """The first ns of virtual time that belongs to that tick."""
    return -(-ticks * SECOND // FREQUENCY)


def from_bcd(value: int) -> int:
    return sum((value >> 4 * digit & 15) * 10**digit for digit in range(4))


def to_bcd(value: int) -> int:
    return sum(value // 10**digit % 10 << 4 * digit for digit in range(4))


class Counter(Chip):
    """One of the three. All times are ticks since virtual time 0."""

    STATE = ("control", "gate", "count", "next_count", "started", "elapsed", "reload",
             "null", "low_byte", "read_high", "latched", "status")

    def __init__(self, gate: bool):
        self.gate = gate
        self.started: int | None = None  # when `elapsed` was 0; None while the counter stands
        self.elapsed = 0  # ticks counted, while it stands
        self.reload: tuple[int, int] | None = None  # when next_count goes in; `started` from then
        self.low_byte: int | None = None  # the first written of a count of two bytes
        self.latched: int | None = None
        self.status: int | None = None
        self.configure(POWER_ON)

    def configure(self, control: int) -> None:
        """A control word: stand until a count is written, OUT at the mode's first level."""
        self.control = control & STATUS_CONTROL
        self.access = control >> ACCESS_SHIFT & ACCESS_MASK
        self.mode = MODES[control >> MODE_SHIFT & MODE_MASK]
        self.modulus = 10_000 if control & BCD else 0x10000
        self.count = self.next_count = 0  # none
        self.started = self.reload = self.low_byte = self.latched = self.status = None
        self.elapsed = 0
        self.null = True  # the count written last is not in the counter yet
        self.read_high = False

    def restored(self) -> None:
        self.access = self.control >> ACCESS_SHIFT & ACCESS_MASK
        self.mode = MODES[self.control >> MODE_SHIFT & MODE_MASK]
        self.modulus = 10_000 if self.control & BCD else 0x10000

    def write(self, tick: int, value: int) -> bool:
        """A byte of the count. Whether OUT or its future may have changed."""
        if self.access == BOTH:
            if self.low_byte is None:
                self.low_byte = value
                if self.mode == TERMINAL_COUNT:  # the first byte stops it and takes OUT low
                    self.count, self.started = 0, None
                return self.mode == TERMINAL_COUNT
            value = self.low_byte | value << 8
            self.low_byte = None
        elif self.access == HIGH:
            value <<= 8
        self._set_count(tick, value)
        return True

    def _set_count(self, tick: int, value: int) -> None:
        self._follow(tick)
        self.next_count = (from_bcd(value) if self.control & BCD else value) or self.modulus
        self.null = True
        if self.mode in TRIGGERED:
            return
        if self.mode in PERIODIC and self.count and self.started is not None:
            self.reload = self._cycle_end(tick)
        else:
            self._start(tick)

    def _cycle_end(self, tick: int) -> tuple[int, int]:
        """Where a count written in mid-cycle goes in: the end of the period or half-period."""
        passed = self.elapsed_at(tick) % self.count
        begin = max(tick, self.started or 0) - passed
        half = (self.count + 1) // 2
        if self.mode == SQUARE and passed < half:
            return begin + half, begin + half - (self.next_count + 1) // 2
        return begin + self.count, begin + self.count

    def _start(self, tick: int) -> None:
        """The count goes into the counter with the next tick."""
        self.count = self.next_count
        self.reload = None
        self.null = False
        self.elapsed = 0
        self.started = tick + 1 if self.gate or self.mode in TRIGGERED else None

    def _follow(self, tick: int) -> None:
        """Do the reload that has come due since."""
        if self.reload is not None and tick >= self.reload[0]:
            self.count = self.next_count
            self.started = self.reload[1]
            self.reload = None
            self.null = False

    def set_gate(self, tick: int, level: bool) -> None:
        if level == self.gate:
            return
        self._follow(tick)
        self.gate = level
        if self.mode in TRIGGERED:
            if level and self.next_count:
                self._start(tick)
        elif not level:
            self.elapsed, self.started, self.reload = self.elapsed_at(tick), None, None
        elif self.mode in PERIODIC:
            if self.next_count:
                self._start(tick)
        elif self.count:
            self.started = tick - self.elapsed

    def elapsed_at(self, tick: int) -> int:
        return self.elapsed if self.started is None else max(tick - self.started, 0)

    def out(self, tick: int) -> bool:
        """The level of OUT."""
        self._follow(tick)
        elapsed = self.elapsed_at(tick)
        if self.mode == TERMINAL_COUNT:
            return 0 < self.count <= elapsed
        if not self.count or (self.mode in PERIODIC and not self.gate):
            return True
        if self.mode == ONE_SHOT:
            return elapsed >= self.count
        if self.mode == RATE:
            return elapsed % self.count != self.count - 1
        if self.mode == SQUARE:
            return elapsed % self.count < (self.count + 1) // 2
        return elapsed != self.count  # the strobes: low for one tick

    def value(self, tick: int) -> int:
        """What the counter shows, in its own number format."""
        self._follow(tick)
        if not self.count:
            return 0
        elapsed = self.elapsed_at(tick)
        if self.mode in PERIODIC:
            elapsed %= self.count
        value = self.count - elapsed
        if self.mode == SQUARE:  # two at a time, an odd count less one, twice a period
            value = self.count - self.count % 2 - 2 * (elapsed % ((self.count + 1) // 2))
        value %= self.modulus
        return to_bcd(value) if self.control & BCD else value

    def next_rise(self, tick: int) -> int | None:
        """The next tick with which OUT goes high (again), if it will by itself."""
        self._follow(tick)
        if self.started is None or not self.count:
            return None
        if self.mode not in PERIODIC:
            strobe = self.mode in (SOFTWARE_STROBE, HARDWARE_STROBE)
            rise = self.started + self.count + strobe
            return rise if rise > tick else None
        count = self.count
        rise = self.started + (self.elapsed_at(tick) // count + 1) * count
        if self.reload is not None and self.reload[0] <= rise:
            count = self.next_count
            rise, started = self.reload
            if rise != started:  # from the middle of the old period to the end of the new one
                rise = started + count
        if count == 1:  # not allowed by the datasheet: OUT stands still
            return None
        missing = tick + CLOSEST_EDGES - rise
        return rise + max(0, -(-missing // count)) * count

    def latch_count(self, tick: int) -> None:
        """Hold the value until it is read; a second latch before that does nothing."""
        if self.latched is None:
            self.latched = self.value(tick)
            self.read_high = False

    def latch_status(self, tick: int) -> None:
        if self.status is None:
            self.status = (self.control | (STATUS_OUT if self.out(tick) else 0)
                           | (STATUS_NULL if self.null else 0))

    def read(self, tick: int) -> int:
        """The next byte: of the latched status, of the latched count, or of the count."""
        if self.status is not None:
            status, self.status = self.status, None
            return status
        value = self.value(tick) if self.latched is None else self.latched
        high = self.read_high if self.access == BOTH else self.access == HIGH
        if self.access == BOTH:
            self.read_high = not high
        if high or self.access != BOTH:
            self.latched = None
        return value >> 8 if high else value & 0xFF


class Pit(Chip):
    """The chip, the window of its four ports. `port61` is the window of the one at 61h.

    irq: follows counter 0's OUT. In the periodic modes it falls and rises at the rising edge:
    nothing on a PC minds how long it was low before.
    connected: whether anybody listens; if not, nobody is woken for an edge.
    """

    STATE = ("counter0", "counter1", "counter2", "port61", "rise", "connected")

    def __init__(self, clock: Clock, irq: Line):
        self.clock = clock
        self.irq = irq
        self.timer = clock.timer(self._rise, "pit")
        self.counter0 = Counter(gate=True)
        self.counter1 = Counter(gate=True)
        self.counter2 = Counter(gate=False)
        self.counters = (self.counter0, self.counter1, self.counter2)
        self.port61 = Port61(self)
        self.rise: int | None = None  # tick of the edge that the timer waits for
        self.connected = True
        self.reset()

    def reset(self) -> None:
        """As firmware has always left it: mode 3 and the longest period, the speaker silent."""
        for counter in self.counters:
            counter.configure(POWER_ON)
        self.counter2.gate = False
        for counter in self.counters:
            for _ in range(2):
                counter.write(self.tick(), 0)
        self.port61.reset()
        self._drive()

    def restored(self) -> None:
        self.irq.set(self.counter0.out(self.tick()))
        self._arm()

    def connect(self, on: bool) -> None:
        self.connected = on
        self._drive()

    def tick(self) -> int:
        return ticks_at(self.clock.now())

    def read(self, offset: int, size: int) -> int:
        value = 0 if offset == CONTROL else self.counters[offset].read(self.tick())
        if trace_pit_read:
            trace_pit_read(offset, value)
        return value

    def write(self, offset: int, size: int, value: int) -> None:
        if offset == CONTROL:
            self._control(value)
            return
        counter = self.counters[offset]
        if counter.write(self.tick(), value):
            if trace_pit_set_count:
                trace_pit_set_count(offset, counter.next_count)
            if offset == 0:
                self._drive()

    def _control(self, value: int) -> None:
        select = value >> SELECT_SHIFT
        if select == READ_BACK:
            for n, counter in enumerate(self.counters):
                if value & READ_BACK_FIRST << n:
                    self._latch(n, counter, not value & READ_BACK_NO_COUNT,
                                not value & READ_BACK_NO_STATUS)
        elif value >> ACCESS_SHIFT & ACCESS_MASK == LATCH:
            self._latch(select, self.counters[select], True, False)
        else:
            counter = self.counters[select]
            counter.configure(value)
            if trace_pit_mode:
                trace_pit_mode(select, counter.mode, counter.access, value & BCD)
            if select == 0:
                self._drive()

    def _latch(self, n: int, counter: Counter, count: bool, status: bool) -> None:
        tick = self.tick()
        if trace_pit_latch:
            trace_pit_latch(n, count, status)
        if count:
            counter.latch_count(tick)
        if status:
            counter.latch_status(tick)

    def _drive(self) -> None:
        """Counter 0 has been programmed."""
        tick = self.tick()
        self.irq.set(self.counter0.out(tick))
        self.rise = self.counter0.next_rise(tick)
        self._arm()

    def _rise(self) -> None:
        tick = self.tick()
        assert self.rise is not None
        if trace_pit_irq:
            trace_pit_irq(self.rise)
        if self.counter0.mode != TERMINAL_COUNT:
            self.irq.set(False)
        self.irq.set(True)
        self.rise = self.counter0.next_rise(max(self.rise, tick - MOST_LATE))
        self._arm(tick + self.counter0.count // CATCH_UP)

    def _arm(self, earliest: int = 0) -> None:
        """Await the next edge, if there is one, until `earliest` (ticks) at least."""
        if self.rise is None or not self.connected:
            self.timer.cancel()
        else:
            self.timer.at(ns_at(max(self.rise, earliest)))


class Port61(Chip):
    """NMI status and control: the window of one port. Bit 0 is the gate of counter 2."""

    STATE = ("kept",)

    def __init__(self, pit: Pit):
        self.pit = pit
        self.kept = 0

    def reset(self) -> None:
        self.kept = 0

    def read(self, offset: int, size: int) -> int:
        tick = self.pit.tick()
        value = (self.kept
                 | (REFRESH_TOGGLE if tick // REFRESH_TICKS & 1 else 0)
                 | (OUT_2 if self.pit.counter2.out(tick) else 0))
        if trace_pit_port61_read:
            trace_pit_port61_read(value)
        return value

    def write(self, offset: int, size: int, value: int) -> None:
        if trace_pit_port61_write:
            trace_pit_port61_write(value)
        self.kept = value & PORT61_WRITABLE
        self.pit.counter2.set_gate(self.pit.tick(), bool(value & GATE_2))
