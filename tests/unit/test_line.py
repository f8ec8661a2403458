"""Lines: levels, and several drivers of one."""
from pyemu.machine.line import Line, WiredOr


def test_wired_or_is_held_by_any_of_its_inputs():
    seen = []
    shared = WiredOr(Line(seen.append))
    one, other = shared.input(), shared.input()
    one.set(True)
    other.set(True)
    one.set(False)
    assert seen == [True]
    other.set(False)
    other.set(False)
    assert seen == [True, False]
