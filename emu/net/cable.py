"""Between a network card, on the vCPU's thread, and its back end, on the I/O thread.

Frames cross in batches: the first of a batch wakes the other side, the rest go with it.
"""
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyemu.chardev.loop import IoLoop
from pyemu.net.dump import Dump
from pyemu.runstate import RunState
from pyemu.trace.hooks import trace_net_dropped, trace_net_from_guest, trace_net_to_guest

if TYPE_CHECKING:
    from pyemu.machine.net.peer import Nic

LIMIT = 4096  # frames that may wait for the card; what comes then is lost, as on a wire
SEND_LIMIT = 8 << 20  # bytes that may wait for the back end, likewise


class Cable:
    """The card's `Peer`.

    machine: post(function), state and on_state, as a `Runner` has them.
    transmit(frames), set by the back end, is called on the I/O thread with what the card sent, and
    on_room() when frames that it could not take any more are gone. merges, likewise, is whether it
    would only put TCP's segments together again.
    """

    plugged = True

    def __init__(self, loop: IoLoop, machine: Any):
        self.loop = loop
        self.machine = machine
        self.transmit: Callable[[list[bytes]], None] = lambda frames: None
        self.on_room: Callable[[], None] = lambda: None
        self.merges = False
        self.dumps: list[Dump] = []
        self._nic: Nic | None = None
        self._outgoing: deque[bytes] = deque()
        self._incoming: deque[bytes] = deque()
        self._sent = self._transmitted = 0  # bytes; each is counted by one thread alone
        self._delivered = 0  # frames
        self._sending = self._arriving = self._full = False
        machine.on_state.append(lambda state: self.offer())

    # --- on the vCPU's thread ---

    @property
    def takes_large(self) -> bool:
        """A dump shows what a wire carries."""
        return self.merges and not self.dumps

    @property
    def traffic(self) -> int:
        return self._sent + self._delivered

    def connect(self, nic: "Nic") -> None:
        self._nic = nic

    def send(self, frames: list[bytes]) -> None:
        if self._sent - self._transmitted < SEND_LIMIT:
            self._outgoing.extend(frames)
            size = sum(map(len, frames))
            trace_net_from_guest(len(frames), size)
            self._sent += size
        if not self._sending:
            self._sending = True
            self.loop.call(self._transmit)

    def offer(self) -> None:
        if not self._incoming or self.machine.state is not RunState.RUNNING or not self._nic:
            return
        self._nic.receive(self._incoming)
        if self._full and len(self._incoming) < LIMIT // 2:
            self._full = False
            self.loop.call(lambda: self.on_room())

    def _arrive(self) -> None:
        self._arriving = False
        self.offer()

    # --- on the I/O thread ---

    def full(self) -> bool:
        """Whether the back end had better stop reading until on_room()."""
        self._full = True  # before it looks: the card may make room at any moment
        if len(self._incoming) < LIMIT:
            self._full = False
        return self._full

    def deliver(self, frame: bytes) -> None:
        """A frame for the card."""
        self._delivered += 1
        for dump in self.dumps:
            dump.to_guest(frame)
        if len(self._incoming) < LIMIT:
            trace_net_to_guest(len(frame))
            self._incoming.append(frame)
        else:
            trace_net_dropped(len(frame))
        if not self._arriving:
            self._arriving = True
            # After what else there is to do, to which more frames will come.
            self.loop.call(lambda: self.machine.post(self._arrive))

    def _transmit(self) -> None:
        self._sending = False
        outgoing = self._outgoing
        frames = [outgoing.popleft() for _ in range(len(outgoing))]
        self._transmitted += sum(map(len, frames))
        for dump in self.dumps:
            for frame in frames:
                dump.from_guest(frame)
        self.transmit(frames)
