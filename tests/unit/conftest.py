"""Fixtures of the unit tests."""
import pytest
from pyemu.config import ChardevConfig, Config, DriveConfig
from pyemu.monitor.monitor import Monitor
from pyemu.trace import control, hooks, log
from pyemu.trace.log import LogOptions
from pyemu.trace.tracefile import TraceFile
from unit.monitor_host import FakeChardevs, FakeRunner
from unit.net_backend import Net


@pytest.fixture
def net():
    """net(netdev, dumps) starts a back end and puts a card on it: a `Net`."""
    opened = []

    def start(netdev, dumps=()):
        opened.append(Net(netdev, dumps))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


@pytest.fixture
def monitor(clock):
    """A monitor of a machine with one disk, whose answers `execute` returns."""
    config = Config(name="box", drives=[DriveConfig("a.img", 0, "-hda a.img", snapshot=True)],
                    chardevs=[ChardevConfig("m", "null", "")])
    return Monitor(FakeRunner(clock), config, FakeChardevs(), "m")


@pytest.fixture
def tracing(tmp_path, monkeypatch):
    """In a folder of its own, with no trace and no log before or after the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(control, "file", TraceFile())
    yield
    control.close()
    for item in log.items.values():
        item.on, item.on_change = False, None
    log.start(LogOptions())
    log.choose("none")
    log.close()
    for hook in hooks.hooks.values():
        hook.enabled = hook.logged = False
        hook.filter, hook.listeners = None, ()
