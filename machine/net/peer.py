"""What a network card is plugged into, as the card sees it."""
from collections import deque
from typing import Protocol


class Nic(Protocol):
    """What a peer sees of a card, on the vCPU thread.

    receive(frames) takes from the left of the queue what there is room for; the rest may stay
    until the card calls the peer's `offer`. Frames carry no frame check sequence.
    """

    def receive(self, frames: deque[bytes]) -> None: ...


class Peer(Protocol):
    """The other end of the cable. `plugged` says whether there is one: it gives a link."""

    plugged: bool

    @property
    def takes_large(self) -> bool:
        """Whether it takes TCP in packets of up to 64 KiB, which no wire would carry. The card then
        need not cut what the guest leaves to it to cut."""

    def connect(self, nic: Nic) -> None:
        """Called once by the card."""

    def send(self, frames: list[bytes]) -> None:
        """Frames from the card, on the vCPU thread. Never blocks."""

    def offer(self) -> None:
        """The card has room: what waits may be offered again."""


class Unplugged:
    """Nobody: no link, and what is sent is lost."""

    plugged = takes_large = False

    def connect(self, nic: Nic) -> None:
        pass

    def send(self, frames: list[bytes]) -> None:
        pass

    def offer(self) -> None:
        pass
