"""The user's terminal: raw while the guest has it, always given back as it was."""
import os
import termios
from contextlib import suppress

IFLAG, OFLAG, CFLAG, LFLAG, _, _, CC = range(7)  # places in what tcgetattr returns


class Terminal:
    """Raw mode for the descriptor `fd`. Without a terminal there, nothing happens.

    signals: Ctrl-C and Ctrl-Z keep their meaning instead of going to the guest.
    """

    def __init__(self, fd: int, signals: bool):
        self.fd = fd
        self.signals = signals
        self._saved: list | None = None

    def enter(self) -> None:
        """Go raw. In the background this waits for the next call, as it would stop the process."""
        with suppress(OSError, termios.error):  # it may be no terminal
            if self._saved is None and os.tcgetpgrp(self.fd) == os.getpgrp():
                saved = termios.tcgetattr(self.fd)
                termios.tcsetattr(self.fd, termios.TCSANOW, self._raw(saved))
                self._saved = saved

    def leave(self) -> None:
        """Give the terminal back as it was before `enter`."""
        saved, self._saved = self._saved, None
        if saved is not None:
            with suppress(termios.error):  # it may have gone
                termios.tcsetattr(self.fd, termios.TCSANOW, saved)

    def _raw(self, attributes: list) -> list:
        raw = [*attributes[:CC], list(attributes[CC])]
        raw[IFLAG] &= ~(termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP
                        | termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON)
        raw[OFLAG] |= termios.OPOST  # a line feed still returns the carriage
        raw[CFLAG] = raw[CFLAG] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
        raw[LFLAG] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.IEXTEN)
        if not self.signals:
            raw[LFLAG] &= ~termios.ISIG
        raw[CC][termios.VMIN] = 1
        raw[CC][termios.VTIME] = 0
        return raw
