"""The one owner of time: virtual nanoseconds since power-on, and timers with deadlines.

Chips ask `Clock.now` and arm `Timer`s; they never sleep, poll or read the host's clock.
Callbacks run on the vCPU thread, in order of deadline.
"""
import heapq
import itertools
import time
from collections.abc import Callable

from pyemu.trace.hooks import trace_clock_timer_arm, trace_clock_timer_fire

SECOND = 1_000_000_000  # ns
MOST_ENTRIES = 1000  # in the queue before those that are out of date are taken out


class Timer:
    """One deadline and what to call when it has come. Made by `Clock.timer`."""

    __slots__ = ("callback", "clock", "deadline", "name")

    def __init__(self, clock: "Clock", callback: Callable[[], None], name: str):
        self.clock = clock
        self.callback = callback
        self.name = name
        self.deadline: int | None = None

    def at(self, deadline: int) -> None:
        """Arm, or arm anew, for `deadline` (ns of virtual time). One in the past fires next."""
        self.deadline = deadline
        self.clock.enqueue(self)

    def cancel(self) -> None:
        self.deadline = None


class Clock:
    """Virtual time, which stands still while the machine is paused.

    source: a function that returns monotonic nanoseconds.
    on_earlier(deadline): called when the next deadline has moved forward.
    on_jump(offset): called when virtual time has become the source's time less another offset.
    """

    def __init__(self, source: Callable[[], int] = time.monotonic_ns):
        self.source = source
        self.on_earlier: Callable[[int], None] = lambda deadline: None
        self._offset = source()
        self.on_jump: Callable[[int], None] = lambda offset: None
        self._paused_at: int | None = 0
        self._queue: list[tuple[int, int, Timer]] = []
        self._order = itertools.count()

    def now(self) -> int:
        """Virtual time in nanoseconds."""
        if self._paused_at is not None:
            return self._paused_at
        return self.source() - self._offset

    def host_time(self, deadline: int) -> int:
        """The source's time at which virtual time will be `deadline` if the clock goes on."""
        return deadline + self._offset

    def pause(self) -> None:
        if self._paused_at is None:
            self._paused_at = self.now()

    def resume(self) -> None:
        if self._paused_at is not None:
            self._offset = self.source() - self._paused_at
            self._paused_at = None
            self.on_jump(self._offset)

    def jump(self, time: int) -> None:
        """Go on from a later time, at once."""
        self._offset -= time - self.now()
        self.on_jump(self._offset)

    def timer(self, callback: Callable[[], None], name: str = "") -> Timer:
        """A disarmed timer; `name` is what its trace events show."""
        return Timer(self, callback, name or getattr(callback, "__qualname__", "timer"))

    def enqueue(self, timer: Timer) -> None:
        deadline = timer.deadline
        assert deadline is not None
        if trace_clock_timer_arm:
            trace_clock_timer_arm(timer.name, deadline)
        queue = self._queue
        earlier = not queue or deadline < queue[0][0]
        if len(queue) > MOST_ENTRIES:  # a guest can arm far deadlines in an endless loop
            latest = {entry[2]: entry for entry in sorted(queue) if entry[2].deadline == entry[0]}
            queue[:] = sorted(latest.values())
        heapq.heappush(queue, (deadline, next(self._order), timer))
        if earlier:
            self.on_earlier(deadline)

    def next_deadline(self) -> int | None:
        """Virtual time of the next armed timer, or None."""
        queue = self._queue
        while queue:
            deadline, _, timer = queue[0]
            if timer.deadline == deadline:
                return deadline
            heapq.heappop(queue)  # cancelled or armed anew since
        return None

    def run_due(self) -> None:
        """Call back every timer whose deadline has come by now. What is armed meanwhile for later
        waits for the next call, so that the guest always has its turn."""
        now = self.now()
        while (deadline := self.next_deadline()) is not None and deadline <= now:
            _, _, timer = heapq.heappop(self._queue)
            timer.deadline = None
            if trace_clock_timer_fire:
                trace_clock_timer_fire(timer.name, deadline, self.now() - deadline)
            timer.callback()
