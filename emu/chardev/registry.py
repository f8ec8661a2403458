"""All character devices of a run, opened as the user named them, and the thread they live on."""
import atexit
from collections.abc import Callable
from typing import Any

from pyemu.chardev.backend import Backend
from pyemu.chardev.file import File
from pyemu.chardev.frontend import FrontEnd
from pyemu.chardev.loop import IoLoop
from pyemu.chardev.mux import Mux
from pyemu.chardev.null import Null
from pyemu.chardev.pty import Pty
from pyemu.chardev.signals import Signals
from pyemu.chardev.socket import Socket
from pyemu.chardev.stdio import Stdio
from pyemu.chardev.vc import Vc
from pyemu.config import ChardevConfig, UserError
from pyemu.report import complain

KINDS: dict[str, type[Backend]] = {
    "stdio": Stdio, "file": File, "null": Null, "pty": Pty, "unix": Socket, "tcp": Socket,
    "vc": Vc,
}


class Chardevs:
    """Opens the devices at once, raising UserError; `start` lets bytes flow; `close` ends it.

    on_quit(status, cause) is called on the I/O thread with the exit status when the user asks to
    end, by Ctrl-A x or a signal; on_commit() for Ctrl-A s, which is not there without it.
    """

    def __init__(self, configs: list[ChardevConfig], on_quit: Callable[[int, str], None],
                 on_commit: Callable[[], None] | None = None):
        self.loop = IoLoop(self._on_crash)
        self._on_quit = on_quit
        self._on_commit = on_commit
        self._signals = Signals(self.loop, self._on_signal, self._leave_terminal,
                                self._enter_terminal)
        self._backends: dict[str, Backend] = {}
        self._opened: list[Backend] = []
        self.displays: list[Any] = []  # on the terminal, each with leave() and enter()
        self._started = False
        self._closed = False
        try:
            for config in configs:
                backend = KINDS[config.kind](config, self.loop)
                self._backends[config.id] = backend
                self._open(backend)
        except BaseException:
            self.close()
            raise

    def attach(self, ident: str | None, post: Callable[[Callable], None]) -> FrontEnd:
        """A front end of the device `ident`, or of nobody if that is None.

        post(function) is to run the function on the thread that reads and writes.
        """
        if ident is None:
            return FrontEnd(lambda data: None, post)
        backend = self._backends[ident]
        if backend.config.mux:
            if backend.target is None:
                backend.target = Mux(backend.output.write, self._quit, self._on_commit)
            assert isinstance(backend.target, Mux)
            front_end = backend.target.attach(post)
        else:
            backend.target = front_end = FrontEnd(backend.output.write, post)
        front_end.on_room = backend.resume
        return front_end

    def start(self) -> None:
        """On the main thread: take over the signals and the terminal and let bytes flow."""
        self._started = True
        atexit.register(self.close)
        self._signals.install()
        for backend in self._opened:
            backend.start()
        self.loop.start()

    def add(self, config: ChardevConfig) -> None:
        """Open one more while the machine runs, for `attach` and then `begin`. Raises UserError."""
        backend = KINDS[config.kind](config, self.loop)
        self._open(backend)
        self._backends[config.id] = backend

    def begin(self, ident: str) -> None:
        """Let bytes flow through one that was added."""
        self.loop.ask(self._backends[ident].start)

    def remove(self, ident: str) -> None:
        """Close one that nobody is attached to any more."""
        backend = self._backends.pop(ident)
        self._opened.remove(backend)
        self.loop.ask(backend.stop)
        backend.close()

    def send_break(self, ident: str) -> bool:
        """As if it came in by the device; False if there is none of that name."""
        backend = self._backends.get(ident)
        if backend and backend.target:
            backend.target.send_break()
        return backend is not None

    def release_writers(self) -> None:
        """Let nobody wait for a slow reader any more: the machine is about to end."""
        for backend in self._opened:
            backend.output.release()

    def close(self) -> None:
        """On the main thread: write what is left, give everything back. Again is harmless."""
        if self._closed:
            return
        self._closed = True
        if self._started:
            atexit.unregister(self.close)
            if self.loop.running():
                for backend in self._opened:
                    backend.output.drain()
            self.loop.stop()
            self._signals.restore()
        for backend in self._opened:
            backend.close()

    def vcs(self) -> list[Vc]:
        """The consoles, in the order in which the user named them."""
        return [backend for backend in self._opened if isinstance(backend, Vc)]

    def describe(self) -> list[tuple[str, str]]:
        """Label and file name of each, for `info chardev`."""
        rows = []
        for ident, backend in sorted(self._backends.copy().items()):
            if backend.config.mux:
                rows.append((ident, "mux"))
                ident += "-base"
            rows.append((ident, backend.filename))
        return rows

    def _open(self, backend: Backend) -> None:
        source = backend.config.source
        try:
            backend.open()
        except OSError as error:
            name = backend.config.path or f"{backend.config.host}:{backend.config.port}"
            raise UserError(
                f"{source}: Could not open '{name}': {error.strerror or error}") from None
        self._opened.append(backend)

    def _on_crash(self, error: Exception) -> None:
        complain(f"internal error: {type(error).__name__}: {error}")
        self._quit(1, "host-error")

    def _on_signal(self) -> None:
        self._quit(cause="host-signal")

    def _quit(self, status: int = 0, cause: str = "host-ui") -> None:
        self.release_writers()
        self._on_quit(status, cause)

    def _terminals(self):
        return [*self.displays, *(
            backend.terminal for backend in self._opened if isinstance(backend, Stdio))]

    def _leave_terminal(self) -> None:
        for terminal in self._terminals():
            terminal.leave()

    def _enter_terminal(self) -> None:
        for terminal in self._terminals():
            terminal.enter()
