"""Signals from outside: the emulator ends in good order, the terminal follows a stop and resume.

They are taken on the I/O thread, by way of a pipe, as the main thread may be deep in the guest.
"""
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from pyemu.chardev.loop import IoLoop
from pyemu.report import complain

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STOPPING = (signal.SIGTSTP, signal.SIGCONT)
SAME = 1.0  # seconds in which a signal is still the one before: timeout(1) sends it twice


class Signals:
    """on_end(): asked to end; on_stop(), on_resume(): about to be stopped, and going again.

    install() and restore() belong to the main thread, before the loop starts and after it ends.
    """

    def __init__(self, loop: IoLoop, on_end: Callable[[], None], on_stop: Callable[[], None],
                 on_resume: Callable[[], None]):
        self._loop = loop
        self._on_end = on_end
        self._on_stop = on_stop
        self._on_resume = on_resume
        self._asked: float | None = None  # when to end
        self._saved: dict[int, Any] = {}

    def install(self) -> None:
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in (*ENDING, *STOPPING):
            handler = signal.getsignal(number)
            if handler is not signal.SIG_IGN:  # as nohup wants it
                self._saved[number] = signal.signal(number, lambda number, frame: None)
        self._loop.watch(self._reader, self._on_signal)

    def restore(self) -> None:
        """Once asked to end, the process is not killed by a second signal on its last steps."""
        for number, handler in self._saved.items():
            ending = self._asked is not None and number in ENDING
            signal.signal(number, signal.SIG_IGN if ending else handler)
        signal.set_wakeup_fd(self._wakeup)
        self._saved.clear()
        os.close(self._reader)
        os.close(self._writer)

    def _on_signal(self) -> None:
        for number in os.read(self._reader, 64):
            if number in ENDING:
                self._end(number)
            elif number == signal.SIGTSTP:
                self._on_stop()
                os.kill(os.getpid(), signal.SIGSTOP)
            elif number == signal.SIGCONT:
                self._on_resume()

    def _end(self, number: int) -> None:
        if self._asked is None:
            self._asked = time.monotonic()
            complain(f"terminating on signal {number}")
            self._on_end()
        elif time.monotonic() - self._asked > SAME:  # the machine does not come to an end by itself
            self._on_stop()
            os._exit(128 + number)
