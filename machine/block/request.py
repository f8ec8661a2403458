"""What a controller asks of an image: requests that end when they end.

    self.request = Read(offset, length, done)
    self.backend.start(self.request)

`done(data, error)` is called once on the vCPU's thread, perhaps before `start` returns; data are
what was read, else None. error is the OSError that the guest is to see, or None.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from pyemu.machine.block.base import Data

if TYPE_CHECKING:
    from pyemu.machine.block.backend import Backend

Done = Callable[[bytes, OSError | None], None]


class Request:
    """offset, length: in bytes; both 0 for a flush."""

    __slots__ = ("cancelled", "done", "error", "length", "offset", "started")

    kind: ClassVar[str]  # the name it has in the statistics
    writes: ClassVar[bool] = True  # a failure is a matter of werror, not of rerror

    def __init__(self, offset: int, length: int, done: Done):
        self.offset = offset
        self.length = length
        self.done = done
        self.started = 0  # ns of the host's clock
        self.cancelled = False
        self.error: OSError | None = None

    def cancel(self) -> None:
        """Not to hear of it any more. What is written already or waits in line stays written."""
        self.cancelled = True

    def perform(self, image: Backend) -> bytes:
        """Do it, on whatever thread. Raises OSError."""
        raise AssertionError(f"{self} is no whole request")

    def nothing(self) -> bytes:
        """What it is to have brought if its failure is ignored."""
        return b""


class Read(Request):
    __slots__ = ()
    kind, writes = "rd", False

    def perform(self, image: Backend) -> bytes:
        return image.read(self.offset, self.length)

    def nothing(self) -> bytes:
        return bytes(self.length)


class Write(Request):
    """through: it is on stable storage when it ends."""

    __slots__ = ("data", "through")
    kind = "wr"

    def __init__(self, offset: int, data: Data, done: Done, through: bool = False):
        super().__init__(offset, len(data), done)
        self.data = data
        self.through = through

    def perform(self, image: Backend) -> bytes:
        image.write(self.offset, self.data)
        if self.through:
            image.flush()
        return b""


class WriteZeroes(Request):
    __slots__ = ("unmap",)
    kind = "wr"

    def __init__(self, offset: int, length: int, done: Done, unmap: bool = False):
        super().__init__(offset, length, done)
        self.unmap = unmap

    def perform(self, image: Backend) -> bytes:
        image.write_zeroes(self.offset, self.length, self.unmap)
        return b""


class Discard(Request):
    __slots__ = ()
    kind = "unmap"

    def perform(self, image: Backend) -> bytes:
        image.discard(self.offset, self.length)
        return b""


class Flush(Request):
    __slots__ = ()
    kind = "flush"

    def __init__(self, done: Done):
        super().__init__(0, 0, done)

    def perform(self, image: Backend) -> bytes:
        image.flush()
        return b""
