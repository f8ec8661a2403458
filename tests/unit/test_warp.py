"""Time jumps while the guest is halted, but not while an answer from outside may come."""
import pytest
from pyemu.clock import Clock
from pyemu.config import UserError
from pyemu.options import parse
from pyemu.warp import LONELY, Warp

SECOND = 1_000_000_000
HOLD = 1000


class Host:
    """A machine whose guest has a timer at 5 s, and the clock of its host."""

    def __init__(self):
        self.time = 10
        self.bytes = 0
        self.clock = Clock(source=lambda: self.time)
        self.clock.resume()
        self.fired = []
        self.timer = self.clock.timer(lambda: self.fired.append(self.clock.now()))
        self.busy = False
        self.warp = Warp(self.clock, lambda: self.busy, source=lambda: self.time)
        self.warp.watch(lambda: self.bytes, HOLD)


@pytest.fixture
def host():
    return Host()


def test_time_jumps_to_the_next_deadline(host):
    offsets = []
    host.clock.on_jump = offsets.append
    host.timer.at(5 * SECOND)
    assert host.warp.jump() == host.time and host.clock.now() == 5 * SECOND
    assert offsets == [host.time - 5 * SECOND]
    host.clock.run_due()
    assert host.fired == [5 * SECOND]
    assert host.warp.jump() is None  # no timer is armed
    host.time += 7
    assert host.clock.now() == 5 * SECOND + 7


def test_a_deadline_that_has_come_is_no_jump(host):
    host.timer.at(5)
    host.time += 20
    before = host.clock.now()
    assert host.warp.jump() == host.clock.host_time(5) and host.clock.now() == before


def test_an_answer_is_waited_for(host):
    host.timer.at(5 * SECOND)
    host.bytes += 1
    assert host.warp.jump() == host.time + HOLD and host.clock.now() == 0
    host.time += HOLD - 1
    assert host.warp.jump() == host.time + 1
    host.bytes += 1  # the answer, which has an answer
    assert host.warp.jump() == host.time + HOLD
    host.time += HOLD
    host.warp.jump()
    assert host.clock.now() == 5 * SECOND


def test_a_deadline_before_the_end_of_the_wait_is_kept(host):
    host.timer.at(HOLD // 2)
    host.bytes += 1
    assert host.warp.jump() == host.clock.host_time(HOLD // 2)


def test_a_busy_disk_is_waited_for(host):
    host.busy = True
    host.timer.at(5 * SECOND)
    assert host.warp.jump() == host.clock.host_time(5 * SECOND) and host.clock.now() == 0
    host.busy = False
    host.warp.jump()
    assert host.clock.now() == 5 * SECOND


def test_a_machine_left_alone_goes_as_the_hosts_clock(host):
    host.timer.at(LONELY - 1)
    host.warp.jump()
    host.clock.run_due()
    host.timer.at(LONELY + 1)
    assert host.warp.jump() == host.clock.host_time(LONELY + 1)
    assert host.clock.now() == LONELY - 1
    host.timer.at(LONELY + SECOND)
    host.bytes += 1  # somebody is here again
    host.warp.jump()
    host.time += HOLD
    host.warp.jump()
    assert host.clock.now() == LONELY + SECOND


@pytest.mark.parametrize("options", [
    "-clock warp", "-icount shift=auto,sleep=off", "-icount auto,sleep=off",
    "-icount auto,nosleep"])
def test_options(options):
    assert parse([*options.split(), "-display", "none", "-monitor", "stdio"]).warp


@pytest.mark.parametrize("options", [
    "-clock fast", "-icount 3", "-icount shift=auto", "-icount auto,sleep=on", "-icount sleep=off",
    "-icount shift=auto,sleep=off,rr=record"])
def test_options_that_are_wrong(options):
    with pytest.raises(UserError, match=f"^{options}: (unknown clock|only shift=auto)"):
        parse(options.split())
