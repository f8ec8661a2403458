"""A pseudo-terminal: the user connects by opening its name, e.g. with `screen /dev/pts/3`."""
import os
import select
import tty

from pyemu.chardev.backend import Backend

LOOK_AGAIN = 0.5  # seconds between looks for somebody who has opened it


class Pty(Backend):
    """What the guest writes while nobody has the other side open is dropped."""

    def open(self) -> None:
        self._master, slave = os.openpty()
        self.name = os.ttyname(slave)
        tty.setraw(slave)
        os.set_blocking(self._master, False)
        os.close(slave)
        print(f"char device redirected to {self.name} (label {self.config.id})", flush=True)

    @property
    def filename(self) -> str:
        return f"pty:{self.name}"

    def start(self) -> None:
        self._look()

    def close(self) -> None:
        os.close(self._master)

    def on_end_of_input(self) -> None:
        self.connect(None, None)
        self.loop.later(LOOK_AGAIN, self._look)

    def on_write_error(self, error: OSError) -> None:
        self.on_end_of_input()

    def _look(self) -> None:
        if self.stopped:
            return
        poll = select.poll()
        poll.register(self._master, select.POLLIN)
        if any(event & select.POLLHUP for _, event in poll.poll(0)):
            self.loop.later(LOOK_AGAIN, self._look)
        else:
            self.connect(self._master, self._master)
