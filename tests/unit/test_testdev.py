"""The devices for programs that test the machine, and `-device`, which plugs them in."""
from types import SimpleNamespace

import pytest
from pyemu.config import UserError
from pyemu.machine.debug_exit import DebugExit
from pyemu.machine.line import Line
from pyemu.machine.pc_testdev import PcTestdev
from pyemu.monitor import tree
from pyemu.options import parse
from pyemu.ports import Ports


class System:
    def __init__(self):
        self.exits = []
        self.exit_request = self.exits.append


@pytest.mark.parametrize(("value", "status"), [(0, 1), (0x10, 0x21), (0x80, 1), (0xffffffff, 255)])
def test_debug_exit(value, status):
    system, ports = System(), Ports()
    ports.map(0xf4, 4, DebugExit(system), width=4)
    ports.write(0xf4, 4, value)
    assert system.exits == [status] and ports.read(0xf4, 4) == 0


def test_testdev_register_and_memory():
    device = PcTestdev({})
    for window in (device.ports, device.memory):
        window.write(0, 4, 0x11223344)
        window.write(1, 1, 0x55)
        window.write(2, 2, 0x6677)
        window.write(1, 2, 0x8888)  # not aligned
        assert [window.read(0, size) for size in (1, 2, 4)] == [0x44, 0x5544, 0x66775544]
        assert window.read(3, 1) == 0x66 and window.read(1, 2) == 0
    other = PcTestdev({})
    other.load(device.save())
    assert other.ports.read(0, 4) == other.memory.read(0, 4) == 0x66775544


def test_testdev_lines():
    changes = []
    device = PcTestdev({5: Line(changes.append)})
    for value in (1, 1, 0x80, 0, 1):
        device.lines.write(5, 1, value)
        device.lines.write(6, 1, value)
    assert changes == [True, False, True] and device.lines.read(5, 1) == 0


def test_device_option():
    devices = ("pc-testdev", "isa-debug-exit", "isa-debug-exit,iobase=0xf4,iosize=0x04")
    config = parse([*(word for device in devices for word in ("-device", device)),
                    "-display", "none"])
    assert config.testdev
    assert [(each.base, each.count) for each in config.debug_exits] == [(0x501, 2), (0xf4, 4)]


def test_the_device_tree_shows_ids_and_properties():
    config = parse(["-device", "pvpanic,id=a", "-device", "isa-debug-exit,iobase=0xf4,id=b",
                    "-device", "pc-testdev,id=c", "-display", "none"])
    runner = SimpleNamespace(ports=SimpleNamespace(table={}), machine=SimpleNamespace(serials=[]))
    lines = [line for device in tree._isa(runner, config) for line in device]
    assert lines[:8] == [
        'dev: pc-testdev, id "c"',
        'dev: isa-debug-exit, id "b"', "  iobase = 244 (0xf4)", "  iosize = 2 (0x2)",
        'dev: pvpanic, id "a"', "  ioport = 1285 (0x505)", "  events = 3 (0x3)",
        'dev: port92, id ""']


@pytest.mark.parametrize(("first", "second"), [
    ("pvpanic", "isa-debug-exit"), ("e1000", "pvpanic"), ("e1000", "e1000")])
def test_no_two_devices_have_one_id(first, second):
    with pytest.raises(UserError, match=f"-device {second},id=x: Duplicate ID 'x' for device"):
        parse(["-device", f"{first},id=x", "-device", f"{second},id=x", "-display", "none"])


@pytest.mark.parametrize(("option", "message"), [
    ("nosuch", "-device nosuch: 'nosuch' is not a valid device model name"),
    ("isa-debug-exit,port=1", "-device isa-debug-exit,port=1: Invalid parameter 'port'"),
    ("isa-debug-exit,iobase=x", "Parameter 'iobase' expects a number"),
    ("isa-debug-exit,iobase=0x10000", "there are no 2 ports from 0x10000 on"),
    ("isa-debug-exit,iosize=0", "there are no 0 ports from 0x501 on"),
    ("pc-testdev,iobase=1", "Invalid parameter 'iobase'"),
])
def test_device_option_that_is_wrong(option, message):
    with pytest.raises(UserError, match=message):
        parse(["-device", option])
