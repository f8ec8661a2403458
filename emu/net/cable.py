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
SIZE_LIMIT = 8 << 20  # bytes that may wait either way, likewise


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
        self._sizes: deque[int] = deque()  # of frames for the card, with some that it has taken
        self._waiting = 0  # bytes: their sum
        self._full = 0  # frames that waited when they were too many, else 0
        self._sending = self._arriving = False
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
        if self._sent - self._transmitted < SIZE_LIMIT:
            self._outgoing.extend(frames)
            size = sum(map(len, frames))
            trace_net_from_guest(len(frames), size)
            self._sent += size
        if not self._sending:
            self._sending = True
            self.loop.call(self._transmit)

    def offer(self) -> None:
        if self.machine.state is not RunState.RUNNING or not self._nic:
            return
        if self._incoming:
            self._nic.receive(self._incoming)
        if self._full and len(self._incoming) <= self._full // 2:
            self._full = 0
            self.loop.call(lambda: self.on_room())

    def _arrive(self) -> None:
        self._arriving = False
        self.offer()

    # --- on the I/O thread ---

    def room(self) -> int:
        """How many frames may come; if none, the back end had better stop reading until on_room."""
        waiting = len(self._incoming)
        while len(self._sizes) > waiting:
            self._waiting -= self._sizes.popleft()
        if waiting < LIMIT and self._waiting < SIZE_LIMIT:
            self._full = 0
            return LIMIT - waiting
        self._full = waiting
        self._announce()  # perhaps the card has taken them just now
        return 0

    def deliver(self, frames: list[bytes]) -> None:
        """Frames for the card."""
        if not frames:
            return
        self._delivered += len(frames)
        for dump in self.dumps:
            for frame in frames:
                dump.to_guest(frame)
        room = self.room()
        for frame in frames[room:]:
            trace_net_dropped(len(frame))
        del frames[room:]
        if trace_net_to_guest:
            for frame in frames:
                trace_net_to_guest(len(frame))
        sizes = [*map(len, frames)]
        self._sizes.extend(sizes)
        self._waiting += sum(sizes)
        self._incoming.extend(frames)
        self._announce()

    def _announce(self) -> None:
        """Have the card offered what waits."""
        if not self._arriving:
            self._arriving = True
            self.machine.post(self._arrive)

    def _transmit(self) -> None:
        self._sending = False
        outgoing = self._outgoing
        frames = [outgoing.popleft() for _ in range(len(outgoing))]
        self._transmitted += sum(map(len, frames))
        for dump in self.dumps:
            for frame in frames:
                dump.from_guest(frame)
        self.transmit(frames)
