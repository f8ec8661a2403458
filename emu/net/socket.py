"""A wire to other emulators: frames in a TCP stream, each after its length, or as multicast UDP.

The length is a 32-bit number in the network's byte order, as QEMU has it; a datagram is a frame.
"""
import socket
import struct
from collections import deque
from contextlib import suppress

from pyemu import tcp_socket
from pyemu.config import SocketNetConfig
from pyemu.net.backend import Backend

HEADER = struct.Struct(">I")
MAX_FRAME = 68 * 1024  # bytes; a stream that claims more is not QEMU's
READ_SIZE = 1 << 16
PENDING_LIMIT = 1 << 20  # bytes that may wait for the other side; what comes then is lost
ANY, LOOPBACK_HOST = "", "127.0.0.1"
BATCH = 64  # datagrams read in one go


class Stream(Backend):
    """listen= serves one client at a time; connect= tries once, when the machine is built."""

    config: SocketNetConfig

    def open(self) -> None:
        self._listener: socket.socket | None = None
        self._peer: socket.socket | None = None
        self._received = bytearray()
        self._pending: deque[bytes] = deque()
        self._pending_size = 0
        self._paused = False
        where = (self.config.host or (ANY if self.config.mode == "listen" else LOOPBACK_HOST),
                 self.config.port)
        if self.config.mode == "listen":
            self._listener = tcp_socket.listen(*where)
            self._listener.setblocking(False)
        else:
            self._peer = socket.create_connection(where)

    def start(self) -> None:
        if self._peer:
            self._use(self._peer)
        self._listen()

    def close(self) -> None:
        for end in (self._peer, self._listener):
            if end:
                self.loop.watch(end.fileno())
                end.close()

    def resume(self) -> None:
        self._paused = False
        self._cut()
        self._watch()

    def transmit(self, frames: list[bytes]) -> None:
        if not self._peer or self._pending_size > PENDING_LIMIT:
            return
        for frame in frames:
            self._pending.append(HEADER.pack(len(frame)) + frame)
            self._pending_size += HEADER.size + len(frame)
        self._flush()

    def _listen(self) -> None:
        if self._listener:
            self.loop.watch(self._listener.fileno(), self._on_client if not self._peer else None)

    def _on_client(self) -> None:
        assert self._listener
        try:
            peer, _ = self._listener.accept()
        except OSError:
            return  # it has gone again
        self._use(peer)
        self._listen()

    def _use(self, peer: socket.socket) -> None:
        peer.setblocking(False)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._peer = peer
        self._watch()

    def _lose(self) -> None:
        """The other side has gone, and what was to go there or has half come from there."""
        if self._peer:
            self.loop.watch(self._peer.fileno())
            self._peer.close()
            self._peer = None
        self._received.clear()
        self._pending.clear()
        self._pending_size = 0
        self._listen()

    def _watch(self) -> None:
        if self._peer:
            self.loop.watch(self._peer.fileno(), None if self._paused else self._on_readable,
                            self._flush if self._pending else None)

    def _flush(self) -> None:
        while self._peer and self._pending:
            data = b"".join(self._pending)
            try:
                sent = self._peer.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                self._lose()
                return
            self._pending.clear()
            self._pending_size = len(data) - sent
            if sent < len(data):
                self._pending.append(data[sent:])
                break
        self._watch()

    def _on_readable(self) -> None:
        assert self._peer
        try:
            data = self._peer.recv(READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lose()
            return
        self._received += data
        self._cut()
        self._watch()

    def _cut(self) -> None:
        """Hand over what is whole, as far as there is room."""
        while room := self.cable.room():
            frames = self._frames(room)
            if not frames:
                return
            self.cable.deliver(frames)
        self._paused = True

    def _frames(self, limit: int) -> list[bytes]:
        """At most so many whole frames of what was received."""
        received, at = self._received, 0
        frames: list[bytes] = []
        while len(frames) < limit and len(received) - at >= HEADER.size:
            (length,) = HEADER.unpack_from(received, at)
            if length > MAX_FRAME:
                self._lose()
                break
            if len(received) - at - HEADER.size < length:
                break
            at += HEADER.size + length
            frames.append(bytes(received[at - length:at]))
        del received[:at]
        return frames


class Datagrams(Backend):
    """udp=: a frame is a datagram; what comes to our address is for us, whoever sent it."""

    config: SocketNetConfig

    def open(self) -> None:
        config = self.config
        self._socket = self._out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((config.local, config.local_port))
        self._to = (socket.gethostbyname(config.host or LOOPBACK_HOST), config.port)
        self._socket.setblocking(False)

    def start(self) -> None:
        self.loop.watch(self._socket.fileno(), self._on_readable)

    def close(self) -> None:
        self.loop.watch(self._socket.fileno())
        self._socket.close()

    def resume(self) -> None:
        self.start()

    def transmit(self, frames: list[bytes]) -> None:
        for frame in frames:
            with suppress(OSError):  # the host's network is down, or full: lost, as on a wire
                self._out.sendto(frame, self._to)

    def _on_readable(self) -> None:
        room = min(BATCH, self.cable.room())
        if not room:
            self.loop.watch(self._socket.fileno())
        frames = []
        with suppress(OSError):
            for _ in range(room):
                frame, sender = self._socket.recvfrom(MAX_FRAME)
                if self._wanted(sender):
                    frames.append(frame)
        self.cable.deliver(frames)

    def _wanted(self, sender: tuple[str, int]) -> bool:
        return True


class Multicast(Datagrams):
    """Everybody who has joined the group hears every frame, but not those he sent himself."""

    def open(self) -> None:
        config = self.config
        self._socket = here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        here.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        here.bind((config.host, config.port))
        interface = socket.inet_aton(config.local or "0.0.0.0")
        here.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                        socket.inet_aton(config.host) + interface)
        self._out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        if config.local:
            self._out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, interface)
        self._to = (config.host, config.port)
        self._out.connect(self._to)
        self._own = self._out.getsockname()
        for end in (here, self._out):
            end.setblocking(False)

    def close(self) -> None:
        super().close()
        self._out.close()

    def _wanted(self, sender: tuple[str, int]) -> bool:
        return sender != self._own
