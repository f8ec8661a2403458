"""One client: its socket, what it says and what it gets, on the VNC thread.

It is read while what it does has reached the machine, and sent the next update when it has asked
for it and taken all before: so however slow it is, at most one update waits for it.
"""
from __future__ import annotations

import socket
import struct
from collections.abc import Generator
from typing import TYPE_CHECKING

from pyemu.report import complain
from pyemu.trace.hooks import (
    trace_vnc_client_connect,
    trace_vnc_client_disconnect_finish,
    trace_vnc_client_disconnect_start,
    trace_vnc_client_eof,
    trace_vnc_client_io_error,
    trace_vnc_msg_client_set_desktop_size,
)
from pyemu.vnc import listen, protocol
from pyemu.vnc.hands import Hands
from pyemu.vnc.handshake import Refused, greet
from pyemu.vnc.pixels import FormatError, PixelFormat
from pyemu.vnc.view import View

if TYPE_CHECKING:
    from pyemu.vnc.server import Server

READ_SIZE = 1024  # bytes
LONGEST_TEXT = 1 << 20  # bytes of the client's clipboard
BREATH = 0.02  # seconds until a client is read on when too many keys wait

Conversation = Generator[int, bytes, None]


class Client:
    """address: as QMP tells it. shared: None until it is let in, then whether it bears others."""

    def __init__(self, server: Server, connection: socket.socket):
        self.server = server
        self.connection = connection
        self.address = listen.describe(connection.family, connection.getpeername())
        self.shared: bool | None = None
        self.view = View(server.canvas)
        self.hands = Hands(server.runner, server.keys)
        self.closed = False
        self._outgoing = memoryview(b"")
        self._incoming = bytearray()
        self._reading = True
        self._acted = False  # on the keyboard or the mouse, since it was last read
        self._conversation = self._converse()
        self._handlers = {
            protocol.SET_PIXEL_FORMAT: self._set_pixel_format,
            protocol.SET_ENCODINGS: self._set_encodings,
            protocol.UPDATE_REQUEST: self._update_request,
            protocol.KEY: self._key,
            protocol.POINTER: self._pointer,
            protocol.CUT_TEXT: self._cut_text,
            protocol.SET_DESKTOP_SIZE: self._set_desktop_size,
            protocol.QEMU: self._qemu,
        }

    def start(self) -> None:
        trace_vnc_client_connect(self, self.connection)
        self.connection.setblocking(False)
        if self.connection.family != socket.AF_UNIX:
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wanted = next(self._conversation)
        self._flush()

    @property
    def ready(self) -> bool:
        """It has asked for an update and taken all that it was sent."""
        return (self.shared is not None and not self.closed and not self._outgoing
                and self.view.wanted)

    def show(self) -> None:
        """The canvas is up to date: send what is new to a client that asked and has taken all."""
        if self.shared is None or self.closed or self._outgoing:
            return
        try:
            self._send(self.view.news() or self.view.update())
        except Exception as error:
            self._fail(error)

    def close(self) -> None:
        """Let it go. Again is harmless."""
        if self.closed:
            return
        trace_vnc_client_disconnect_start(self, self.connection)
        self.closed = True
        self.server.loop.watch(self.connection.fileno())
        self.connection.close()
        self.hands.let_go()
        self.server.forget(self)
        trace_vnc_client_disconnect_finish(self, self.connection)

    def _fail(self, error: Exception) -> None:
        """A fault of ours is to cost nobody but this client anything."""
        complain(f"internal error: vnc: {type(error).__name__}: {error}")
        self.close()

    # The socket

    def _watch(self) -> None:
        if not self.closed:
            self.server.loop.watch(self.connection.fileno(),
                                   self._on_readable if self._reading else None,
                                   self._flush if self._outgoing else None)

    def _on_readable(self) -> None:
        try:
            data = self.connection.recv(READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            trace_vnc_client_io_error(self, self.connection, error.strerror or "")
            data = b""
        if not data:
            trace_vnc_client_eof(self, self.connection)
            self.close()
            return
        self.feed(data)
        if self.closed:
            return
        if self._acted:
            self._acted = False
            self._reading = False
            self.server.runner.post(lambda: self.server.loop.call(self._read_on))
        self._flush()

    def _read_on(self) -> None:
        """What the client did has been done to the machine."""
        if self.server.keys.full and not self.closed:
            self.server.loop.later(BREATH, self._read_on)
        else:
            self._reading = True
            self._watch()

    def feed(self, data: bytes) -> None:
        """Go on with the conversation."""
        self._incoming += data
        at = 0
        try:
            while not self.closed and len(self._incoming) - at >= self._wanted:
                message = bytes(self._incoming[at:at + self._wanted])
                at += self._wanted
                self._wanted = self._conversation.send(message)
        except (Refused, FormatError):
            self._flush()
            self.close()
        except Exception as error:
            self._fail(error)
        del self._incoming[:at]

    def _send(self, data: bytes) -> None:
        """More than an update at a time is never on its way, but what greets is short."""
        if data:
            self._outgoing = memoryview(bytes(self._outgoing) + data if self._outgoing else data)
            self._flush()

    def _flush(self) -> None:
        """Write what the socket takes; when that is all, look for more."""
        while self._outgoing and not self.closed:
            try:
                count = self.connection.send(self._outgoing)
            except BlockingIOError:
                break
            except OSError as error:
                trace_vnc_client_io_error(self, self.connection, error.strerror or "")
                self.close()
                return
            self._outgoing = self._outgoing[count:]
        if not self._outgoing and self.shared is not None and not self.closed:
            news = self.view.news()
            if news:
                self._send(news)
                return
            if self.view.wanted:
                self.server.look()
        self._watch()

    # What it says

    def _converse(self) -> Conversation:
        shared = yield from greet(self, self._send, self.server.security)
        self.server.admit(self, shared)
        self.view = View(self.server.canvas)
        name = self.server.name.encode("utf-8", "surrogateescape")
        self._send(protocol.SERVER_INIT.pack(*self.view.canvas.size, self.view.format.pack(),
                                             len(name)) + name)
        self.shared = shared
        while True:
            kind, = yield 1
            if kind not in self._handlers:
                raise Refused(f"message {kind}")
            yield from self._handlers[kind]()

    def _set_pixel_format(self) -> Conversation:
        data = yield protocol.PIXEL_FORMAT_PADDING + protocol.PIXEL_FORMAT_SIZE
        self.view.set_format(PixelFormat.parse(data[protocol.PIXEL_FORMAT_PADDING:]))

    def _set_encodings(self) -> Conversation:
        count, = protocol.ENCODINGS.unpack((yield protocol.ENCODINGS.size))
        data = (yield 4 * count) if count else b""
        self.view.set_encodings([number for number, in struct.iter_unpack(">i", data)])
        self.hands.relative = self.view.relative

    def _update_request(self) -> Conversation:
        incremental, *area = protocol.REQUEST.unpack((yield protocol.REQUEST.size))
        self.view.want(bool(incremental), *area)

    def _key(self) -> Conversation:
        down, symbol = protocol.KEY_EVENT.unpack((yield protocol.KEY_EVENT.size))
        self._acted = True
        self.hands.key(symbol, bool(down))

    def _pointer(self) -> Conversation:
        buttons, x, y = protocol.POINTER_EVENT.unpack((yield protocol.POINTER_EVENT.size))
        self._acted = True
        self.hands.pointer(buttons, x, y)

    def _cut_text(self) -> Conversation:
        """The guest has no clipboard: it is thrown away as it comes."""
        left, = protocol.TEXT_LENGTH.unpack((yield protocol.TEXT_LENGTH.size))
        if left > LONGEST_TEXT:
            raise Refused(f"a text of {left} bytes")
        while left:
            left -= len((yield min(left, READ_SIZE)))

    def _set_desktop_size(self) -> Conversation:
        width, height, screens = protocol.DESKTOP_SIZE_REQUEST.unpack(
            (yield protocol.DESKTOP_SIZE_REQUEST.size))
        if screens:
            yield screens * protocol.SCREEN_SIZE
        trace_vnc_msg_client_set_desktop_size(self, self.connection, width, height, screens)
        self.view.refuse_size()

    def _qemu(self) -> Conversation:
        kind, = yield 1
        if kind != protocol.QEMU_KEY:
            raise Refused(f"QEMU's message {kind}")
        down, symbol, number = protocol.EXTENDED_KEY_EVENT.unpack(
            (yield protocol.EXTENDED_KEY_EVENT.size))
        self._acted = True
        self.hands.key_number(symbol, number, bool(down))

