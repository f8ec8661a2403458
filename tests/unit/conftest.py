"""Fixtures of the unit tests."""
import pytest
from pyemu.config import ChardevConfig, Config, DriveConfig
from pyemu.monitor.monitor import Monitor
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
