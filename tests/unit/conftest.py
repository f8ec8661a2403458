"""Fixtures of the unit tests."""
import pytest
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
