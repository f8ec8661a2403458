"""The I/O thread: waits for descriptors, times and calls from other threads, for all back ends.

Its callbacks are short and never block, so that the guest seldom waits for the interpreter.
"""
import heapq
import itertools
import os
import queue
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TypeVar, cast

Callback = Callable[[], None]
T = TypeVar("T")
PATIENCE = 5.0  # seconds for an answer from the thread, which never waits itself


class IoLoop:
    """`call` and `later` may be used from any thread, `watch` on the loop or before it starts.

    on_crash(error) is called when a callback fails, which ends the thread.
    """

    def __init__(self, on_crash: Callable[[Exception], None], name: str = "io") -> None:
        self.on_crash = on_crash
        self._selector = selectors.PollSelector()  # poll, as epoll refuses plain files
        self._watched: dict[int, tuple[Callback | None, Callback | None]] = {}
        self._calls: deque[Callback] = deque()
        self._timers: list[tuple[float, int, Callback]] = []
        self._order = itertools.count()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._asleep = False  # and needs the bell to look at its calls
        self.stirs = 0  # grows with all that is done, or is to be done, here
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.watch(self._bell, self._on_bell)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Finish what was called before and end the thread."""
        if self._thread.is_alive():
            self.call(self._stop)
            self._thread.join()
            self._selector.close()
            os.close(self._bell)

    def here(self) -> bool:
        """True on the I/O thread itself."""
        return threading.current_thread() is self._thread

    def running(self) -> bool:
        return self._thread.is_alive()

    def call(self, function: Callback) -> None:
        """Run `function` on the I/O thread, soon."""
        self.stirs += 1
        self._calls.append(function)
        if self._asleep:
            self._asleep = False
            os.eventfd_write(self._bell, 1)

    def ask(self, function: Callable[[], T]) -> T:
        """Run `function` on the I/O thread; return its result, raise what it raises."""
        if self.here() or not self.running():
            return function()
        outcome: queue.SimpleQueue[tuple[T | None, Exception | None]] = queue.SimpleQueue()

        def run() -> None:
            try:
                outcome.put((function(), None))
            except Exception as error:
                outcome.put((None, error))

        self.call(run)
        try:
            value, error = outcome.get(timeout=PATIENCE)
        except queue.Empty:
            raise RuntimeError("the machine has ended") from None
        if error is not None:
            raise error
        return cast(T, value)

    def later(self, seconds: float, function: Callback) -> None:
        """Run `function` on the I/O thread, in that many seconds."""
        entry = (time.monotonic() + seconds, next(self._order), function)
        self.call(lambda: heapq.heappush(self._timers, entry))

    def watch(self, fd: int, readable: Callback | None = None,
              writable: Callback | None = None) -> None:
        """Call back while `fd` is ready; with neither callback, stop watching it."""
        events = (selectors.EVENT_READ if readable else 0) | (
            selectors.EVENT_WRITE if writable else 0)
        if fd in self._watched:
            self._selector.unregister(fd)
            del self._watched[fd]
        if events:
            self._selector.register(fd, events)
            self._watched[fd] = readable, writable

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._turn()
        except Exception as error:
            self.on_crash(error)

    def _turn(self) -> None:
        """Wait for something to do and do it."""
        self._asleep = True
        timeout = 0.0 if self._calls else None
        if self._timers and not self._calls:
            timeout = max(0.0, self._timers[0][0] - time.monotonic())
        ready = self._selector.select(timeout)
        self._asleep = False
        for key, events in ready:
            for place, event in enumerate((selectors.EVENT_READ, selectors.EVENT_WRITE)):
                # Looked up late: a callback before may have ended the watch.
                callback = self._watched.get(key.fd, (None, None))[place]
                if events & event and callback:
                    self.stirs += 1
                    callback()
        while self._calls:
            self._calls.popleft()()
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()

    def _on_bell(self) -> None:
        os.eventfd_read(self._bell)

    def _stop(self) -> None:
        self._stopping = True
