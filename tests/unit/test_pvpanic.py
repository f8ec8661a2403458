"""pvpanic: which of its bits do what, and how the options name it."""
import pytest
from pyemu.config import UserError
from pyemu.machine.acpi import dsdt
from pyemu.machine.pvpanic import PvPanic
from pyemu.options import parse


class System:
    def __init__(self):
        self.seen = []

    def guest_panicked(self):
        self.seen.append("panicked")

    def guest_crashloaded(self):
        self.seen.append("crashloaded")


@pytest.mark.parametrize(("events", "value", "seen"), [
    (3, 1, ["panicked"]), (3, 2, ["crashloaded"]), (3, 3, ["panicked"]), (3, 0xfc, []),
    (1, 2, []), (2, 3, ["crashloaded"]), (0, 0xff, [])])
def test_it_takes_the_events_it_offers(events, value, seen):
    system = System()
    device = PvPanic(system, events)
    assert device.read(0, 1) == events
    device.write(0, 1, value)
    assert system.seen == seen


def test_the_option():
    config = parse(["-display", "none", "-device", "pvpanic",
                    "-device", "pvpanic,ioport=0x600,events=1"])
    assert config.pvpanics == [(0x505, 3), (0x600, 1)]
    assert config.panic_action == "shutdown"
    config = parse(["-display", "none", "-action", "panic=pause,reboot=shutdown,shutdown=pause"])
    assert (config.panic_action, config.no_reboot, config.no_shutdown) == ("pause", True, True)


@pytest.mark.parametrize(("arguments", "message"), [
    (["-device", "pvpanic,ioport=0x10000"], "there is no port 0x10000"),
    (["-device", "pvpanic,events=9"], "events=9: expected 0 to 3"),
    (["-action", "panic=scream"], "Parameter 'panic' does not accept value 'scream'"),
    (["-action", "fire=x"], "Invalid parameter 'fire'")])
def test_what_is_wrong_with_it_is_told(arguments, message):
    with pytest.raises(UserError, match=message):
        parse(["-display", "none", *arguments])


def test_guests_find_it_by_acpi():
    assert b"QEMU0001" in dsdt.body(1 << 27, 1, panic_port=0x505)
    assert b"QEMU0001" not in dsdt.body(1 << 27, 1)
