"""An image file around the host's page cache: cache=none and directsync.

The host's system then wants offsets, lengths and addresses in whole blocks of the disk below. What
is asked for in between is read and written with the blocks around it.
Source: open(2), O_DIRECT.
"""
import errno
import mmap
import os

from pyemu.machine.block.base import BlockError
from pyemu.machine.block.raw import RawFile

ALIGNMENTS = (512, 1024, 2048, 4096)  # bytes; which one a disk wants can only be tried
MOST = 1 << 20  # bytes that are moved at once


class DirectFile(RawFile):
    """A RawFile without a cache. It needs no more alignment from those who use it."""

    FLAGS = os.O_DIRECT

    def __init__(self, fd: int, read_only: bool = False):
        super().__init__(fd, read_only)
        self._buffer = mmap.mmap(-1, MOST)  # aligned to a page
        self._view = memoryview(self._buffer)
        self._block = self._alignment()

    def _alignment(self) -> int:
        for block in ALIGNMENTS:
            try:
                os.preadv(self.fd, (self._view[:block],), 0)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
            else:
                return block
        raise BlockError("the disk below wants larger blocks than can be written", errno.EINVAL)

    def _read(self, offset: int, length: int) -> bytes:
        before = offset % self._block
        count = self._fill(offset - before, before + length)
        return bytes(self._view[before:min(count, before + length)])

    def _read_cached(self, offset: int, length: int) -> bytes:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def _write(self, offset: int, data: memoryview) -> int:
        if not self.patient:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        block, view = self._block, self._view
        before = offset % block
        data = data[:MOST - before]
        start, end = offset - before, before + len(data)
        whole = -(-end // block) * block
        if before:
            view[:block] = bytes(block)
            self._fill(start, block)
        if end < whole and (whole > block or not before):
            view[whole - block:whole] = bytes(block)
            os.preadv(self.fd, (view[whole - block:whole],), start + whole - block)
        view[before:end] = data
        written = os.pwritev(self.fd, (view[:whole],), start)
        if start + written > max(self.length, offset + len(data)):
            os.ftruncate(self.fd, max(self.length, offset + len(data)))
        return min(written - before, len(data))

    def _fill(self, start: int, length: int) -> int:
        """Read whole blocks into the buffer; how many bytes there were."""
        whole = min(MOST, -(-length // self._block) * self._block)
        return os.preadv(self.fd, (self._view[:whole],), start)

    def close(self) -> None:
        super().close()
        self._view.release()
        self._buffer.close()
