"""A file that takes what the guest writes; nothing ever comes in."""
import os

from pyemu.chardev.backend import Backend


class File(Backend):
    def open(self) -> None:
        mode = os.O_APPEND if self.config.append else os.O_TRUNC
        self._fd = os.open(self.config.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | mode, 0o666)

    def start(self) -> None:
        self.connect(None, self._fd)

    def close(self) -> None:
        os.close(self._fd)
