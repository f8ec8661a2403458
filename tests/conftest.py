"""Fixtures that all tests share."""
import pytest
from pyemu.clock import Clock


class FakeClock(Clock):
    """A clock that goes only when told, calling timers back in order as it passes them."""

    def __init__(self):
        self.time = 0
        super().__init__(source=lambda: self.time)
        self.resume()

    def advance(self, ns=0, *, us=0, ms=0, seconds=0):
        """Let that much virtual time pass."""
        end = self.time + ns + round(us * 1e3 + ms * 1e6 + seconds * 1e9)
        while (deadline := self.next_deadline()) is not None and deadline <= end:
            self.time = max(self.time, deadline)
            self.run_due()
        self.time = end


@pytest.fixture
def clock():
    return FakeClock()


def pytest_addoption(parser):
    parser.addoption("--programs", type=int, default=100, metavar="N",
                     help="how many random programs run on the CPU (5000 for a long run)")
    parser.addoption("--guests", type=int, default=4, metavar="N",
                     help="how many hostile guests run on the whole machine (1000 for a long run)")
    parser.addoption("--messages", type=int, default=3000, metavar="N",
                     help="how many messages each protocol is fuzzed with (100000 for a long run)")
    parser.addoption("--sequences", type=int, default=200, metavar="N",
                     help="how many random sequences of operations are done on disk images")
    parser.addoption("--soak-boots", type=int, default=2, metavar="N",
                     help="how many boots in a row (200 for a long run)")
    parser.addoption("--soak-minutes", type=float, default=0.4, metavar="N",
                     help="how long a guest is under load (60 for a long run)")
    parser.addoption("--network-mib", type=int, default=20, metavar="N",
                     help="how many MiB guests copy over TCP each way (200 for a long run)")


@pytest.fixture
def messages(pytestconfig):
    return pytestconfig.getoption("--messages")


@pytest.fixture
def sequences(pytestconfig):
    return pytestconfig.getoption("--sequences")
