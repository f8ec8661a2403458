"""Warp (`-clock warp`): while the guest is halted, time jumps to the next deadline.

Only while nothing can come from outside: not while a disk is busy, nor for a moment of the host's
time after bytes or frames went in or out, in which an answer is to be expected. And a machine that
has been left alone for long, at a login perhaps, is no longer hurried: it would keep the host busy.
"""
import time
from collections.abc import Callable

from pyemu.clock import SECOND, Clock
from pyemu.trace.hooks import trace_warp_jump

ANSWER = 50_000_000  # ns in which who reads the console answers, such as a test
NETWORK_ANSWER = SECOND  # in which a server somewhere does
LONELY = 3600 * SECOND  # of virtual time, after which the guest has been left alone


class Sign:
    """count() changes when something goes in or out; then time is not to jump for `hold` ns."""

    def __init__(self, count: Callable[[], int], hold: int):
        self.count = count
        self.hold = hold
        self.seen = count()
        self.held_until = 0


class Warp:
    """Asked by the runner whenever the guest is halted.

    watch(count, hold) adds a sign of life; busy() says whether an answer is sure to come.
    source: the host's monotonic nanoseconds.
    """

    def __init__(self, clock: Clock, busy: Callable[[], bool],
                 source: Callable[[], int] = time.monotonic_ns):
        self.clock = clock
        self.busy = busy
        self.source = source
        self._signs: list[Sign] = []
        self._last_sign = 0  # virtual time

    def watch(self, count: Callable[[], int], hold: int) -> None:
        self._signs.append(Sign(count, hold))

    def jump(self) -> int | None:
        """Jump if nothing forbids it; the host's time at which the runner is to look again."""
        deadline = self.clock.next_deadline()
        if deadline is None:
            return None
        due = self.clock.host_time(deadline)
        held_until = self._held_until()
        if held_until > self.source():
            return min(due, held_until)
        now = self.clock.now()
        if now < deadline < self._last_sign + LONELY and not self.busy():
            if trace_warp_jump:
                trace_warp_jump(now, deadline)
            self.clock.jump(deadline)
            return self.clock.host_time(deadline)
        return due

    def _held_until(self) -> int:
        for sign in self._signs:
            count = sign.count()
            if count != sign.seen:
                sign.seen = count
                sign.held_until = self.source() + sign.hold
                self._last_sign = self.clock.now()
        return max((sign.held_until for sign in self._signs), default=0)
