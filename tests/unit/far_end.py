"""The other end of the one character device of a session or a debugger's server."""
from pyemu.chardev.frontend import FrontEnd


class FarEnd:
    """As much of `Chardevs` as attaches it. sent: the bytes that came and have not been taken;
    waiting: what was posted."""

    def __init__(self):
        self.sent = b""
        self.waiting = []

    def attach(self, ident, post):
        front_end = FrontEnd(self._take if ident else lambda data: None, self.waiting.append)
        if ident:
            self.front_end = front_end
        return front_end

    def _take(self, data):
        self.sent += data
