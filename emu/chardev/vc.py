"""A console on the display, beside the guest's screen."""
import socket

from pyemu.chardev.backend import Backend


class Vc(Backend):
    """display_end: a socket from which the display reads what is printed, and writes keys to."""

    def open(self) -> None:
        self._ours, self.display_end = socket.socketpair()
        for end in (self._ours, self.display_end):
            end.setblocking(False)

    def start(self) -> None:
        self.connect(self._ours.fileno(), self._ours.fileno())

    def close(self) -> None:
        self._ours.close()
        self.display_end.close()

    def on_write_error(self, error: OSError) -> None:
        """The display has gone: so does what is printed."""
