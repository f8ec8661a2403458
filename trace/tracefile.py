"""The trace file, and the ring file beside it. Format: docs/tracing.md.

A file belongs to one process: it is locked, so that another one cannot cut it off meanwhile.
"""
import contextlib
import fcntl
import os
import stat

from pyemu.trace import _ring, hooks
from pyemu.trace.options import DEFAULT_SIZE, TraceError
from pyemu.trace.reader import FILE_HEADER, HEADER_ID, MAGIC, MAPPING, TYPE_MAPPING, VERSION
from pyemu.trace.ringfile import RING_SUFFIX


class TraceFile:
    """The trace file and the ring file beside it, from the first record to the last."""

    def __init__(self) -> None:
        self.path = f"trace-{os.getpid()}"
        self.size = DEFAULT_SIZE
        self.overwrite = False
        self.wait = False
        self.starts_off = False  # recording waits for a trigger
        self.on = False
        self.fd = -1
        self.owner = 0  # the process that records; a forked child does not
        self.ring_path: str | None = None

    def open(self) -> None:
        """Create the file and record into it. Raises TraceError."""
        self.fd, offset = self._create(self.path)
        ring_path = self._ring_path_of(self.path)
        try:
            _ring.open(self.fd, offset, ring_path, self.size, self.overwrite, self.wait)
        except OSError as error:
            os.close(self.fd)
            self.fd = -1
            if ring_path is not None:
                with contextlib.suppress(OSError):
                    os.unlink(ring_path)
            raise TraceError(f"{ring_path or 'trace ring'}: {error.strerror}") from None
        self.ring_path, self.owner = ring_path, os.getpid()
        self.on = True
        if self.starts_off:
            self.suspend()

    def _create(self, path: str) -> tuple[int, int]:
        """An open trace file and where its next record goes."""
        fd = -1
        try:
            try:
                fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            except OSError:  # a pipe or a terminal need not be readable
                fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            if is_regular(fd):
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.ftruncate(fd, 0)
            data = file_header()
            while data:
                data = data[os.write(fd, data):]
            return fd, os.lseek(fd, 0, os.SEEK_CUR) if is_regular(fd) else 0
        except OSError as error:
            if fd >= 0:
                os.close(fd)
            reason = ("a process is recording into it" if isinstance(error, BlockingIOError)
                      else error.strerror)
            raise TraceError(f"could not open trace file '{path}': {reason}") from None

    def _ring_path_of(self, path: str) -> str | None:
        """Beside the trace file; in memory if that is a device or a pipe."""
        return path + RING_SUFFIX if os.path.isfile(path) else None

    def pause(self) -> None:
        """Write out what there is and record no more until `resume`."""
        if self.on:
            self.suspend()
            self.flush()

    def suspend(self) -> None:
        """Record no more until `resume`."""
        self.on = False
        _ring.record(False)

    def resume(self) -> None:
        """Go on where `pause` left off; opens the file the first time."""
        if self.fd < 0:
            self.open()
        elif not self.on:
            self.on = True
            _ring.record(True)

    def flush(self) -> None:
        """Everything recorded by now is in the file afterwards. Raises TraceError."""
        try:
            if self.overwrite:
                _ring.dump()
            else:
                _ring.flush()
        except OSError as error:
            raise TraceError(f"{self.path}: {error.strerror}") from None

    def set(self, path: str) -> None:
        """Go on in another file. Raises TraceError, and then nothing has changed."""
        if self.fd < 0:
            self.path = path
            return
        fd, offset = self._create(path)
        with contextlib.suppress(OSError):  # the old file's trouble is not the new one's
            if self.overwrite:
                _ring.dump()
            _ring.set_file(fd, offset)
        os.close(self.fd)
        self.fd, self.path = fd, path
        if self.ring_path is not None:
            ring_path = path + RING_SUFFIX
            with contextlib.suppress(OSError):  # on another file system: stays where it is
                os.rename(self.ring_path, ring_path)
                self.ring_path = ring_path

    def close(self) -> None:
        """Write everything out and remove the ring file. Raises TraceError."""
        if self.fd < 0 or self.owner != os.getpid():
            return
        self.on = False
        problem = None
        try:
            self.flush()
        except TraceError as error:
            problem = error
            if not self.overwrite:
                numbers = _ring.numbers()
                problem = TraceError(f"{error}; {numbers['dropped']} events were dropped and "
                                     f"{numbers['pending']} bytes of others are lost")
        with contextlib.suppress(OSError):
            _ring.close()
        os.close(self.fd)
        self.fd = -1
        if self.ring_path is not None:
            with contextlib.suppress(OSError):
                os.unlink(self.ring_path)
            self.ring_path = None
        if problem is not None:
            raise problem


def is_regular(fd: int) -> bool:
    return stat.S_ISREG(os.fstat(fd).st_mode)


def file_header() -> bytes:
    """What a trace file begins with: the header, and the names of all events."""
    parts = [FILE_HEADER.pack(HEADER_ID, MAGIC, VERSION)]
    for name, hook in hooks.hooks.items():
        encoded = name.encode()
        parts.append(MAPPING.pack(TYPE_MAPPING, hook.id, len(encoded)) + encoded)
    return b"".join(parts)
