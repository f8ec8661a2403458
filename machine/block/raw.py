"""A raw image: a file or a host block device whose bytes are the bytes of the disk."""
import errno
import fcntl
import os
import stat

from pyemu.machine.block.base import DATA, SECTOR, ZERO_DATA, BlockDevice, BlockError, Data, Extent
from pyemu.machine.block.hostfile import KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE, fallocate
from pyemu.machine.block.probe import probe
from pyemu.trace.hooks import (
    trace_bdrv_co_preadv_part,
    trace_bdrv_co_pwritev_part,
    trace_file_flush_fdatasync_failed,
)


class RawFile(BlockDevice):
    """An open file. What lies past its end reads as zeros; a write there makes it longer.

    size: the length rounded up to whole sectors. unsafe: `flush` is left to the host's system.
    guarded: nobody has said that it is raw. A guest that wrote the header of another format into
    its first sector would choose what the next start takes it for, and with a backing file read
    any file of the host. Such writes fail, as the warning at the start says.
    """

    FLAGS = 0  # of open(2)
    path = ""  # by which it was opened

    def __init__(self, fd: int, read_only: bool = False):
        """Takes over `fd`. Raises OSError if it cannot seek."""
        self.fd = fd
        self.read_only = read_only
        self.unsafe = self.guarded = False
        self.lost = 0  # errno of a flush that failed
        self.length = os.lseek(fd, 0, os.SEEK_END)
        self.size = -(-self.length // SECTOR) * SECTOR

    @classmethod
    def open(cls, path: str, read_only: bool = False) -> "RawFile":
        """Open `path`. Raises BlockError for what is no image, or cannot be opened."""
        flags = (os.O_RDONLY if read_only else os.O_RDWR) | cls.FLAGS
        try:
            # O_NONBLOCK: a FIFO is to be refused, not waited for.
            fd = os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            number = getattr(error, "errno", None) or errno.EINVAL
            if cls.FLAGS & os.O_DIRECT and number == errno.EINVAL:
                reason = "filesystem does not support O_DIRECT"
            raise BlockError(f"Could not open '{path}': {reason}", number) from None
        try:
            mode = os.fstat(fd).st_mode
            if stat.S_ISDIR(mode):
                raise BlockError(f"Could not open '{path}': Is a directory", errno.EISDIR)
            if not stat.S_ISREG(mode) and not stat.S_ISBLK(mode):
                raise BlockError(
                    f"Could not open '{path}': neither a regular file nor a block device",
                    errno.EINVAL)
            fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) & ~os.O_NONBLOCK)
            file = cls(fd, read_only)
            file.path = path
            return file
        except BlockError:
            os.close(fd)
            raise
        except OSError as error:
            os.close(fd)
            raise BlockError(f"Could not open '{path}': {error.strerror}",
                             error.errno or errno.EIO) from None

    def read(self, offset: int, length: int) -> bytes:
        if trace_bdrv_co_preadv_part:
            trace_bdrv_co_preadv_part(self, offset, length, 0)
        if not self.patient:
            return self._read_cached(offset, length)
        data = self._read(offset, length)
        while len(data) < length:
            more = self._read(offset + len(data), length - len(data))
            if not more:
                return data.ljust(length, b"\0")
            data += more
        return data

    def _read(self, offset: int, length: int) -> bytes:
        """Some of these bytes, at least one unless the file has ended."""
        return os.pread(self.fd, length, offset)

    def _write(self, offset: int, data: memoryview) -> int:
        """Write some of `data`: how many bytes."""
        return os.pwrite(self.fd, data, offset)

    def _read_cached(self, offset: int, length: int) -> bytes:
        """Raises BlockingIOError if the host would have to read it from its disk."""
        buffer = bytearray(length)
        try:
            count = os.preadv(self.fd, (buffer,), offset, os.RWF_NOWAIT)
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:  # the host's file system cannot say
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from None
            raise
        if count < length and offset + count < self.length:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return bytes(buffer)

    def write(self, offset: int, data: Data) -> None:
        if trace_bdrv_co_pwritev_part:
            trace_bdrv_co_pwritev_part(self, offset, len(data), 0)
        if self.read_only:
            raise BlockError(os.strerror(errno.EROFS), errno.EROFS)
        if self.guarded and offset < SECTOR:
            self._guard(offset, data)
        rest = memoryview(data)
        while rest:
            written = self._write(offset, rest)
            offset += written
            rest = rest[written:]
            self.length = max(self.length, offset)  # at once: the next write may fail

    def write_zeroes(self, offset: int, length: int, unmap: bool = True) -> None:
        """A hole where the host's file system has them, else written zeros."""
        if self.read_only:
            raise BlockError(os.strerror(errno.EROFS), errno.EROFS)
        inside = max(0, min(length, self.length - offset))
        mode = PUNCH_HOLE if unmap else ZERO_RANGE
        if inside and not self._fallocate(mode | KEEP_SIZE, offset, inside):
            super().write_zeroes(offset, inside)
        if length > inside:
            os.ftruncate(self.fd, offset + length)
            self.length = offset + length

    def discard(self, offset: int, length: int) -> None:
        if not self.read_only:
            self._fallocate(PUNCH_HOLE | KEEP_SIZE, offset, length)

    def extent(self, offset: int, end: int) -> Extent:
        if offset >= self.length:
            return Extent(end - offset, ZERO_DATA, offset)
        try:
            data = os.lseek(self.fd, offset, os.SEEK_DATA)
            if data > offset:
                return Extent(min(data, end) - offset, ZERO_DATA, offset)
            return Extent(min(os.lseek(self.fd, offset, os.SEEK_HOLE), end) - offset, DATA, offset)
        except OSError as error:
            # No data follow, or the host's file system does not say.
            return Extent(end - offset, ZERO_DATA if error.errno == errno.ENXIO else DATA, offset)

    def allocated(self) -> int:
        """Bytes that it takes up on the host's disk."""
        return os.fstat(self.fd).st_blocks * SECTOR

    def resize(self, size: int) -> None:
        if self.read_only:
            raise BlockError(os.strerror(errno.EROFS), errno.EROFS)
        os.ftruncate(self.fd, size)
        self.length = size
        self.size = -(-size // SECTOR) * SECTOR

    def flush(self) -> None:
        if self.read_only or self.unsafe:
            return
        if not self.patient:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        if self.lost:
            raise OSError(self.lost, os.strerror(self.lost))
        try:
            os.fdatasync(self.fd)
        except OSError as error:
            # What the host could not write it has forgotten: no later flush can make it good.
            self.lost = error.errno or errno.EIO
            trace_file_flush_fdatasync_failed(error.errno)
            raise

    def _fallocate(self, mode: int, offset: int, length: int) -> bool:
        """False if the host's file system cannot do that."""
        try:
            fallocate(self.fd, mode, offset, length)
        except OSError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENODEV):
                return False
            raise
        return True

    def _guard(self, offset: int, data: Data) -> None:
        if probe(self.read(0, offset) + bytes(data[:SECTOR])) != "raw":
            raise BlockError("the first sector of an image probed as raw cannot become the header"
                             " of another format: name it with format=raw", errno.EPERM)

    def close(self) -> None:
        os.close(self.fd)
