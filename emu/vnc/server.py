"""A VNC server: who is connected, what they see, and when it is looked at.

The screen is looked at only while a client waits for an update. Nobody waits for anybody: the
vCPU's thread is asked for the registers, and the answer starts the drawing.
"""
from __future__ import annotations

import socket
import time
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
from pyemu import unix_socket
from pyemu.chardev.loop import IoLoop
from pyemu.config import Config, VncConfig
from pyemu.display.input import Pace
from pyemu.display.renderer import Renderer
from pyemu.display.snapshot import Snapshot
from pyemu.trace.hooks import trace_vnc_auth_init, trace_vnc_server_dpy_recreate
from pyemu.vnc.auth import Security
from pyemu.vnc.canvas import Canvas
from pyemu.vnc.client import Client
from pyemu.vnc.hands import KeyQueue
from pyemu.vnc.handshake import Refused
from pyemu.vnc.listen import describe, listen

REFRESH = 0.03  # seconds between two looks
DEPTH = 32  # bits a pixel of the canvas


class Server:
    """Listens at once, raising UserError; `start` before the thread of `loop` runs.

    All but the constructor, `about` and the attributes of `security` is for that thread.

    runner: `post(function)`, `tell(event, data)`, `clock`, `state` and `machine` with `vga`,
    `keyboard` and `mouse`.
    """

    def __init__(self, runner: Any, config: Config, vnc: VncConfig, loop: IoLoop):
        self.runner = runner
        self.config = vnc
        self.loop = loop
        self.name = f"pyemu ({config.name})" if config.name else "pyemu"
        self.security = Security(vnc.password)
        self.keys = KeyQueue(loop, Pace(runner), vnc.key_delay)
        self.canvas = Canvas()
        vga = runner.machine.vga
        self._renderer = Renderer(vga.vram) if vga else None
        self._clients: list[Client] = []
        self._arriving: list[Client] = []  # greeted when the canvas is up to date
        self._looking = False
        self._listeners = listen(vnc)
        self._addresses = [describe(listener.family, listener.getsockname())
                           for listener in self._listeners]
        if vnc.announce and self._listeners:
            place = self._addresses[0]
            print(f"VNC server running on {place['host']}:{place['service']}", flush=True)
        trace_vnc_auth_init(self, False, self.security.kind, 0)

    def start(self) -> None:
        for listener in self._listeners:
            listener.setblocking(False)
            self.loop.watch(listener.fileno(), partial(self._on_client, listener))

    def close(self) -> None:
        """When the thread has ended."""
        for client in self._clients:
            client.connection.close()
        for listener in self._listeners:
            listener.close()
            if listener.family == socket.AF_UNIX:
                unix_socket.remove(self.config.path)

    # From monitors, on their threads

    def about(self) -> dict[str, Any]:
        """id, auth, servers and clients, in QMP's words."""
        return {
            "id": self.config.id, "auth": self.security.name,
            "server": [self._server(place) for place in self._addresses],
            "clients": [client.address for client in tuple(self._clients)],
        }

    def set_password(self, password: str) -> bool:
        """False if no password is asked for."""
        self.security.password = password.encode("utf-8", "surrogateescape")
        return self.config.password

    def set_expiry(self, seconds: float | None) -> None:
        """When the password loses its force, since 1970; None: never."""
        self.security.expires = seconds

    # Clients

    def admit(self, client: Client, shared: bool) -> None:
        """A client is let in that bears others, or does not. Raises Refused."""
        policy = self.config.share
        others = [other for other in self._clients if other.shared is not None]
        if policy == "force-shared" and not shared:
            raise Refused("it does not share")
        if policy == "allow-exclusive":
            if shared and any(not other.shared for other in others):
                raise Refused("another client does not share")
            for other in others if not shared else ():
                other.close()
        self._tell("VNC_INITIALIZED", client)

    def forget(self, client: Client) -> None:
        """It has been closed."""
        self._clients.remove(client)
        self._tell("VNC_DISCONNECTED", client)

    def _on_client(self, listener: socket.socket) -> None:
        with suppress(OSError):  # it has gone again
            self.welcome(listener.accept()[0])

    def welcome(self, connection: socket.socket) -> None:
        """A client has connected."""
        client = Client(self, connection)
        self._clients.append(client)
        self._tell("VNC_CONNECTED", client)
        waiting = [other for other in self._clients if other.shared is None]
        if len(waiting) > self.config.connections:
            waiting[0].close()
        self._arriving.append(client)
        self.look()

    def _tell(self, event: str, client: Client) -> None:
        place = self._server(self._addresses[0]) if self._addresses else {}
        self.runner.tell(event, {"server": place, "client": client.address})

    def _server(self, place: dict[str, Any]) -> dict[str, Any]:
        return {"auth": self.security.name, **place}

    # The screen

    def look(self) -> None:
        """Bring the canvas up to date, soon, and show it to whom it may concern."""
        if not self._looking:
            self._looking = True
            self.runner.post(self._take_snapshot)

    def _take_snapshot(self) -> None:
        """On the vCPU's thread."""
        vga = self.runner.machine.vga
        snapshot = Snapshot.of(vga, self.runner.clock.now()) if vga else None
        self.loop.call(lambda: self._draw(snapshot))

    def _draw(self, snapshot: Snapshot | None) -> None:
        size = self.canvas.size
        if self._renderer and snapshot:
            lines = self._renderer.update(snapshot)
            tiles = self.canvas.take(self._renderer.picture, lines)
            self._mark(tiles)
        if self.canvas.size != size:
            trace_vnc_server_dpy_recreate(self, *self.canvas.size, DEPTH)
        arriving, self._arriving = self._arriving, []
        for client in arriving:
            if not client.closed:
                client.start()
        for client in tuple(self._clients):
            client.show()
        self.loop.later(REFRESH, self._look_again)

    def _mark(self, tiles: np.ndarray) -> None:
        if tiles.any():
            for client in self._clients:
                client.view.mark(tiles)

    def _look_again(self) -> None:
        self._looking = False
        if self._arriving or any(client.ready for client in self._clients):
            self.look()


def seconds_of(text: str) -> float | None:
    """When a password is to expire: "now", "never", "+SECONDS" or seconds since 1970.

    Raises ValueError.
    """
    if text == "never":
        return None
    if text == "now":
        return 0.0
    if text.startswith("+"):
        return time.time() + int(text[1:])
    return float(int(text))
