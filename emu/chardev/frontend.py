"""The machine's side of a character device: what a serial port or a monitor holds.

Bytes that come in wait here, on the I/O thread's side, until the owner reads them on its own.
"""
import threading
from collections.abc import Callable

INPUT_LIMIT = 64 * 1024  # bytes that may wait; beyond, the back end stops reading


def _nothing(*args: object) -> None:
    pass


class FrontEnd:
    """write(data) hands bytes to the back end; post(function) runs one on the owner's thread.

    The owner sets `on_readable()`, called by way of `post` when there is something to read, and
    if it cares `on_break()` (the user sent a break), `on_open()` (somebody is at the other end
    from now on), `on_close()` (they have gone) and `on_focus(gained)` (what they type comes here,
    or no longer).
    """

    def __init__(self, write: Callable[[bytes], None], post: Callable[[Callable], None]):
        self.write = write
        self.on_readable: Callable[[], None] = _nothing
        self.on_break: Callable[[], None] = _nothing
        self.on_open: Callable[[], None] = _nothing
        self.on_close: Callable[[], None] = _nothing
        self.on_focus: Callable[[bool], None] = _nothing
        self.on_room: Callable[[], None] = _nothing  # the back end's: reads made room again
        self._post = post
        self._lock = threading.Lock()
        self._input = bytearray()
        self._posted = False
        self._full = False

    def read(self, limit: int) -> bytes:
        """At most `limit` of the bytes that have come in; b"" if there are none."""
        if not self._input:
            return b""
        with self._lock:
            data = bytes(self._input[:limit])
            del self._input[:limit]
            made_room = self._full and len(self._input) < INPUT_LIMIT // 2
            if made_room:
                self._full = False
        if made_room:
            self.on_room()
        return data

    def room(self) -> int:
        """Bytes that `receive` will take."""
        with self._lock:
            room = INPUT_LIMIT - len(self._input)
            self._full = room <= 0
        return room

    def receive(self, data: bytes) -> None:
        """From the back end, on the I/O thread."""
        with self._lock:
            self._input += data
            post = not self._posted
            self._posted = True
        if post:
            self._post(self._readable)

    def send_break(self) -> None:
        self._post(lambda: self.on_break())

    def opened(self, focus: bool = True) -> None:
        self._post(lambda: self.on_open())
        if focus:
            self.set_focus(True)

    def when_done(self, function: Callable[[], None]) -> None:
        """Call `function` on the owner's thread after what it makes of the input so far."""
        self._post(function)

    def closed(self) -> None:
        self._post(lambda: self.on_close())

    def set_focus(self, gained: bool) -> None:
        self._post(lambda: self.on_focus(gained))

    def _readable(self) -> None:
        self._posted = False
        self.on_readable()
