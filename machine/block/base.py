"""What every block device offers, and how it fails."""
import errno
from abc import ABC, abstractmethod
from typing import NamedTuple

SECTOR = 512  # bytes, the unit of sizes and of requests from controllers

ZEROS = 1 << 20  # bytes, the most that are written at once where zeros must be written

Data = bytes | bytearray | memoryview


class BlockError(OSError):
    """An image or a request that is refused; `str()` is one line for the user."""

    def __init__(self, text: str, number: int = errno.EIO):
        super().__init__(number, text)

    def __str__(self) -> str:
        return str(self.strerror)


# What an extent of a device is: ABSENT is for the backing file to say, else it reads as zeros;
# HOLE are data of which the host's file system knows that nobody has written them yet.
DATA, ZERO_DATA, ABSENT, HOLE = range(4)


class Extent(NamedTuple):
    """`length` bytes of one kind; `place` is their offset in the file, if they are one piece."""

    length: int
    kind: int
    place: int | None


class BlockDevice(ABC):
    """A row of bytes that can be read and mostly be written.

    Offsets and lengths are bytes. Who asks stays within `size`. All methods raise OSError.
    """

    size: int
    read_only: bool
    write_cache = True  # what is written may wait for a flush
    patient = True  # else what would wait for the host's disk raises BlockingIOError
    backing: "BlockDevice | None" = None  # where absent bytes are

    def extent(self, offset: int, end: int) -> Extent:
        """What is at `offset`, not going beyond `end`."""
        return Extent(end - offset, DATA, None)

    @abstractmethod
    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes."""

    @abstractmethod
    def write(self, offset: int, data: Data) -> None:
        """Store all of `data`; it is safe from a power cut after the next `flush()`."""

    def write_zeroes(self, offset: int, length: int, unmap: bool = True) -> None:
        """Make these bytes zeros. unmap: they need not keep their room on the host's disk."""
        while length:
            count = min(length, ZEROS)
            self.write(offset, bytes(count))
            offset, length = offset + count, length - count

    def flush(self) -> None:
        """Return when everything written is on stable storage."""

    def discard(self, offset: int, length: int) -> None:
        """Take the advice that nobody needs these bytes; whoever cannot use it ignores it."""

    def resize(self, size: int) -> None:
        """Cut the end off, or append zeros."""
        raise BlockError("it cannot be resized", errno.EOPNOTSUPP)

    def close(self) -> None:
        """Give up files and memory. The device cannot be used after it."""
