"""A back end of the network without a guest: frames go in and come out as a card would see them."""
import time
from collections import deque
from queue import Empty, Queue

from pyemu.chardev.loop import IoLoop
from pyemu.config import Config, NicConfig
from pyemu.net.registry import Netdevs
from pyemu.runstate import RunState

LOOPBACK = "127.0.0.1"
TIMEOUT = 10


class Clock:
    now = staticmethod(time.monotonic_ns)


class Machine:
    """What a Runner does with posted functions, by hand."""

    def __init__(self):
        self.state = RunState.RUNNING
        self.on_state = []
        self.clock = Clock()
        self.posted = Queue()
        self.post = self.posted.put


class Card:
    def __init__(self, room=1 << 30):
        self.frames, self.room = deque(), room

    def receive(self, frames):
        while frames and self.room:
            self.frames.append(frames.popleft())
            self.room -= 1


class Net:
    """One back end with a card on it."""

    def __init__(self, netdev, dumps=()):
        self.machine, self.card = Machine(), Card()
        self.loop = IoLoop(on_crash=self.crash)
        self.crashes = []
        config = Config(netdevs=[netdev], nics=[NicConfig("-nic", netdev.id)], dumps=list(dumps))
        self.netdevs = Netdevs(config, self.loop, self.machine)
        self.peer = self.netdevs.peer(netdev.id)
        self.peer.connect(self.card)
        self.loop.start()
        self.netdevs.start()

    def crash(self, error):
        self.crashes.append(error)

    def close(self):
        self.netdevs.close()
        self.loop.stop()
        assert not self.crashes

    def send(self, *frames):
        self.peer.send(list(frames))

    def frame(self, wanted=lambda frame: True, timeout=TIMEOUT):
        """The next frame for the card that is wanted."""
        end = time.monotonic() + timeout
        while True:
            while self.card.frames:
                frame = self.card.frames.popleft()
                if wanted(frame):
                    return frame
            try:
                self.machine.posted.get(timeout=max(0.01, end - time.monotonic()))()
            except Empty:
                raise AssertionError("no frame came") from None
