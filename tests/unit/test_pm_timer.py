"""ACPI 6.5, 4.8.3.3: the power management timer."""
import pytest
from pyemu.machine.pm_timer import PmTimer


@pytest.fixture
def rig(clock):
    carries = []
    return clock, PmTimer(clock, lambda: carries.append(clock.now())), carries


def test_counts_3579545_times_a_second_and_wraps_at_24_bits(rig):
    clock, timer, _ = rig
    clock.advance(seconds=1)
    assert timer.read(0, 4) == 3_579_545
    assert timer.read(1, 1) == 3_579_545 >> 8
    clock.advance(seconds=9)
    assert timer.read(0, 4) == 35_795_450 % (1 << 24)


def test_bit_23_changes_every_2_34_seconds(rig):
    clock, timer, carries = rig
    timer.watch(True)
    for _ in range(4):
        clock.advance(seconds=2.5)
        timer.clear()
    assert [round(t / 1e9, 3) for t in carries] == [2.343, 4.687, 7.03, 9.374]


def test_the_carry_stays_until_cleared(rig):
    clock, timer, carries = rig
    clock.advance(seconds=2.3)
    assert not timer.carried()
    clock.advance(seconds=3)
    assert timer.carried()
    timer.clear()
    assert not timer.carried()
    clock.advance(seconds=2)
    assert timer.carried() and carries == []


def test_unwatched_it_arms_nothing(rig):
    clock, timer, _ = rig
    assert clock.next_deadline() is None
    timer.watch(True)
    assert clock.next_deadline() is not None
    timer.watch(False)
    assert clock.next_deadline() is None


def test_state_keeps_a_watched_carry(rig):
    clock, timer, carries = rig
    timer.watch(True)
    state = timer.save()
    timer.reset()
    timer.load(state)
    clock.advance(seconds=3)
    assert len(carries) == 1
