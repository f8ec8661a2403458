"""Timers: whoever arms them, and however often, is called back, and costs no more than he must."""
from pyemu.clock import MOST_ENTRIES, Clock


def test_timers_are_called_in_order_of_deadline(clock):
    called = []
    for deadline in (30, 10, 20):
        clock.timer(lambda deadline=deadline: called.append(deadline)).at(deadline)
    clock.advance(25)
    assert called == [10, 20]
    clock.advance(25)
    assert called == [10, 20, 30]


def test_a_timer_that_is_armed_again_and_again_fires_once_at_the_latest_deadline(clock):
    """A guest may do nothing else: the queue must not grow."""
    called = []
    other = clock.timer(lambda: called.append("other"))
    other.at(500)
    timer = clock.timer(lambda: called.append(clock.now()))
    for n in range(20 * MOST_ENTRIES):
        timer.at(1000 + n % 7)
        assert len(clock._queue) <= MOST_ENTRIES + 1
    clock.advance(10_000)
    assert called == ["other", 1000 + (20 * MOST_ENTRIES - 1) % 7]


def test_a_timer_that_is_always_due_leaves_the_guest_its_turn():
    time = 0

    def source():
        nonlocal time
        time += 10
        return time

    clock = Clock(source)
    clock.resume()
    calls = []

    def callback():
        calls.append(clock.now())
        timer.at(clock.now() + 1)

    timer = clock.timer(callback)
    timer.at(0)
    clock.run_due()
    assert len(calls) == 1
    clock.run_due()
    assert len(calls) == 2
