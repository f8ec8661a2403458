"""Bytes on their way out: gathered for a few milliseconds, then written in one go.

A guest writes its console byte by byte; a write(2) for each would cost more than the bytes. What
the reader does not take is kept, up to a limit; then whoever writes waits, so nothing is lost.
"""
import os
import stat
import threading
from collections.abc import Callable

from pyemu.chardev.loop import IoLoop

LIMIT = 1 << 20  # bytes that may wait
GATHER = 0.004  # seconds between the first byte and its write(2)
BLOCKING_CHUNK = 4096  # bytes that a blocking pipe or terminal takes at once if it polls writable
PATIENCE = 2.0  # seconds without progress after which drain() gives up on the reader


class Output:
    """Writes to the descriptor given by `connect`; while there is none, bytes are dropped.

    blocked: the descriptor takes no more; `flush` is to be called once it is writable.
    on_blocked(): `blocked` has changed. on_error(OSError): the descriptor failed and is let go.
    Both are called on the I/O thread.
    """

    def __init__(self, loop: IoLoop, on_blocked: Callable[[], None],
                 on_error: Callable[[OSError], None]):
        self.blocked = False
        self._loop = loop
        self._on_blocked = on_blocked
        self._on_error = on_error
        self._progress = threading.Condition()
        self._gathered = bytearray()
        self._sending = memoryview(b"")
        self._fd: int | None = None
        self._chunk = LIMIT
        self._patient = True
        self._on_written: Callable[[], None] | None = None

    def connect(self, fd: int | None) -> None:
        """Use another descriptor, or none. On the I/O thread, or before the loop runs."""
        with self._progress:
            self._fd = fd
            self._on_written = None
            self.blocked = False
            if fd is None:
                self._gathered.clear()
                self._sending = memoryview(b"")
                self._progress.notify_all()
            elif os.get_blocking(fd) and not stat.S_ISREG(os.fstat(fd).st_mode):
                self._chunk = BLOCKING_CHUNK
            else:
                self._chunk = LIMIT

    def write(self, data: bytes) -> None:
        """From any thread. Waits while the buffer is full, but never on the I/O thread."""
        with self._progress:
            if self._fd is None:
                return
            if self._pending() >= LIMIT and self._patient and not self._loop.here():
                self._progress.wait_for(lambda: self._pending() < LIMIT or not self._patient)
            idle = not self._gathered
            self._gathered += data
        if idle:
            self._loop.later(GATHER, self._on_gathered)

    def flush(self) -> None:
        """Write what the descriptor takes. On the I/O thread."""
        while self._fd is not None:
            if not self._sending:
                with self._progress:
                    self._sending = memoryview(bytes(self._gathered))
                    self._gathered.clear()
                if not self._sending:
                    break
            try:
                count = os.write(self._fd, self._sending[:self._chunk])
            except BlockingIOError:
                count = 0
            except OSError as error:
                self.connect(None)
                self._on_error(error)
                return
            with self._progress:
                self._sending = self._sending[count:]
                self._progress.notify_all()
            if self._sending and count < LIMIT:
                self._set_blocked(True)
                return
        self._set_blocked(False)
        if self._on_written:
            function, self._on_written = self._on_written, None
            function()

    def when_written(self, function: Callable[[], None]) -> None:
        """Call `function` as soon as nothing waits, if the descriptor stays. On the I/O thread."""
        self._on_written = function
        self._on_gathered()

    def release(self) -> None:
        """Let nobody wait any more: from now on the buffer grows beyond its limit."""
        with self._progress:
            self._patient = False
            self._progress.notify_all()

    def drain(self) -> None:
        """Wait until everything is written, or the reader has taken nothing for a while."""
        self._loop.call(self._on_gathered)
        with self._progress:
            before = self._pending()
            while before:
                self._progress.wait(PATIENCE)
                now = self._pending()
                if now >= before:
                    break
                before = now

    def _pending(self) -> int:
        return len(self._gathered) + len(self._sending)

    def _on_gathered(self) -> None:
        if not self.blocked:
            self.flush()

    def _set_blocked(self, blocked: bool) -> None:
        if blocked != self.blocked:
            self.blocked = blocked
            self._on_blocked()
