"""A stream socket, TCP or Unix, as server for one client at a time or as client."""
import socket
from functools import partial

from pyemu import tcp_socket, unix_socket
from pyemu.chardev.backend import Backend
from pyemu.report import complain


class Socket(Backend):
    """What the guest writes while nobody is connected is dropped."""

    _listener: socket.socket | None = None
    _peer: socket.socket | None = None

    @property
    def filename(self) -> str:
        server = ",server=on" if self.config.server else ""
        return f"{'' if self._peer else 'disconnected:'}{self._name()}{server}"

    def open(self) -> None:
        if not self.config.server:
            self._peer = self._connected()
            return
        self._listener = self._listening()
        if self.config.wait:
            complain(f"waiting for connection on: {self.filename}")
            self._peer, _ = self._listener.accept()
        self._listener.setblocking(False)

    def start(self) -> None:
        if self._peer:
            self._use(self._peer)
        else:
            self._listen()

    def stop(self) -> None:
        super().stop()
        if self._listener:
            self.loop.watch(self._listener.fileno())

    def close(self) -> None:
        for end in (self._peer, self._listener):
            if end:
                end.close()
        if self._listener and self.config.kind == "unix":
            unix_socket.remove(self.config.path)

    def on_end_of_input(self) -> None:
        """The peer has said everything: it goes when what it has asked for is answered."""
        super().on_end_of_input()
        peer = self._peer
        written = partial(self.output.when_written, partial(self._lose, peer))
        if self.target:
            self.target.when_done(lambda: self.loop.call(written))
        else:
            written()

    def on_write_error(self, error: OSError) -> None:
        self._lose(self._peer)

    def _lose(self, peer: socket.socket | None) -> None:
        if peer is not self._peer:
            return  # it has gone already
        self.connect(None, None)
        if peer:
            peer.close()
            self._peer = None
        if self._listener and not self.stopped:
            self._listen()

    def _connected(self) -> socket.socket:
        if self.config.kind == "tcp":
            return socket.create_connection((self.config.host or "localhost", self.config.port))
        peer = socket.socket(socket.AF_UNIX)
        peer.connect(self.config.path)
        return peer

    def _listening(self) -> socket.socket:
        if self.config.kind == "tcp":
            return tcp_socket.listen(self.config.host, self.config.port)
        return unix_socket.listen(self.config.path, 1)

    def _listen(self) -> None:
        assert self._listener
        self.loop.watch(self._listener.fileno(), self._on_client)

    def _on_client(self) -> None:
        assert self._listener
        try:
            self._peer, _ = self._listener.accept()
        except OSError:
            return  # it has gone again
        self.loop.watch(self._listener.fileno())
        self._use(self._peer)

    def _use(self, peer: socket.socket) -> None:
        peer.setblocking(False)
        if self.config.kind == "tcp":
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connect(peer.fileno(), peer.fileno())

    def _name(self) -> str:
        if self.config.kind == "unix":
            return f"unix:{self.config.path}"
        return f"tcp:{self.config.host}:{self.config.port}"
