"""The host's side of a character device: reads one descriptor, writes one, on the I/O thread."""
import os
from collections.abc import Callable
from typing import Protocol

from pyemu.chardev.loop import IoLoop
from pyemu.chardev.output import Output
from pyemu.config import ChardevConfig
from pyemu.report import complain

READ_SIZE = 4096  # bytes


class Target(Protocol):
    """Where input goes: a FrontEnd, or the Mux before several."""

    def opened(self) -> None: ...
    def closed(self) -> None: ...
    def when_done(self, function: Callable[[], None]) -> None: ...
    def send_break(self) -> None: ...
    def room(self) -> int: ...
    def receive(self, data: bytes) -> None: ...


class Backend:
    """One kind of device derives from this and says in `open` what there is to read and write.

    open() comes first, raising OSError or UserError; then start(), after which the I/O thread
    calls; close() comes last, when that thread has ended.
    """

    def __init__(self, config: ChardevConfig, loop: IoLoop):
        self.config = config
        self.loop = loop
        self.target: Target | None = None
        self.output = Output(loop, self._watch, self._lose_sink)
        self.source: int | None = None
        self.sink: int | None = None
        self.stopped = False
        self._in_use = False
        self._paused = False

    @property
    def filename(self) -> str:
        """What `info chardev` shows."""
        return self.config.kind

    def open(self) -> None:
        """Acquire what the user named."""

    def start(self) -> None:
        """Begin to read and write."""

    def stop(self) -> None:
        """Read and write no more, while the loop goes on. On the I/O thread."""
        self.stopped = True
        self.connect(None, None)

    def close(self) -> None:
        """Give back what `open` acquired."""

    def connect(self, source: int | None, sink: int | None) -> None:
        """Read from and write to these descriptors from now on; None: neither."""
        before, self._in_use = self._in_use, source is not None or sink is not None
        for fd in (self.source, self.sink):
            if fd is not None:
                self.loop.watch(fd)
        self.source, self.sink = source, sink
        self._paused = False
        self.output.connect(sink)
        self._watch()
        if self.target and self._in_use:
            self.target.opened()
        elif self.target and before:
            self.target.closed()

    def resume(self) -> None:
        """The target has room again. From any thread."""
        self.loop.call(self._resume)

    def on_end_of_input(self) -> None:
        """Nothing more will come: stop reading. A kind that can reconnect does more."""
        if self.source is not None:
            self.loop.watch(self.source)
        self.source = None
        self._watch()

    def on_write_error(self, error: OSError) -> None:
        """The output is lost from now on, which the user should know."""
        complain(f"{self.config.source}: {error.strerror}")

    def _lose_sink(self, error: OSError) -> None:
        sink, self.sink = self.sink, None
        if sink is not None and sink != self.source:
            self.loop.watch(sink)
        self._watch()
        self.on_write_error(error)

    def _resume(self) -> None:
        self._paused = False
        self._watch()

    def _watch(self) -> None:
        writable = self.output.flush if self.output.blocked else None
        readable = self._on_readable if not self._paused else None
        if self.source is not None:
            same = self.source == self.sink
            self.loop.watch(self.source, readable, writable if same else None)
        if self.sink is not None and self.sink != self.source:
            self.loop.watch(self.sink, None, writable)

    def _on_readable(self) -> None:
        assert self.source is not None
        room = self.target.room() if self.target else READ_SIZE
        if room <= 0:
            self._paused = True
            self._watch()
            return
        try:
            data = os.read(self.source, min(room, READ_SIZE))
        except BlockingIOError:
            return
        except OSError:  # the other end of a terminal or a connection has gone
            data = b""
        if not data:
            self.on_end_of_input()
        elif self.target:
            self.target.receive(data)
