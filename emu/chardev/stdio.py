"""The terminal, pipe or file on stdin and stdout."""
import os
import stat

from pyemu.chardev.backend import Backend
from pyemu.chardev.loop import IoLoop
from pyemu.chardev.terminal import Terminal
from pyemu.config import ChardevConfig

STDIN, STDOUT = 0, 1


class Stdio(Backend):
    """Input ends quietly, and so does output nobody reads: the machine goes on."""

    def __init__(self, config: ChardevConfig, loop: IoLoop):
        super().__init__(config, loop)
        self.terminal = Terminal(STDIN, config.signals)
        self._out = STDOUT

    def open(self) -> None:
        self._out = _own_description(STDOUT)

    def start(self) -> None:
        self.terminal.enter()
        self.connect(STDIN, self._out)

    def close(self) -> None:
        self.terminal.leave()
        if self._out != STDOUT:
            os.close(self._out)

    def on_write_error(self, error: OSError) -> None:
        pass


def _own_description(fd: int) -> int:
    """A non-blocking descriptor for the same pipe or terminal, or `fd` itself.

    Switching `fd` would switch it for the shell and everybody else who shares it.
    """
    if not os.isatty(fd) and not stat.S_ISFIFO(os.fstat(fd).st_mode):
        return fd
    try:
        return os.open(f"/proc/self/fd/{fd}",
                       os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return fd
