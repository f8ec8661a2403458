"""A bar on the terminal for what takes longer than a second."""
import sys
import time
from collections.abc import Iterator

from pyemu.trace.reader import Record, TraceReader

PATIENCE = 1.0  # seconds before the bar appears
WIDTH = 40


class Progress:
    """How far something is; total: what `at` comes to in the end."""

    def __init__(self, total: int):
        self.total = max(total, 1)
        self.start = self.last = time.monotonic()
        self.shown = False

    def at(self, done: int) -> None:
        now = time.monotonic()
        if not sys.stderr.isatty() or now - self.start < PATIENCE or now - self.last < 0.1:
            return
        self.last, self.shown = now, True
        filled = min(WIDTH, WIDTH * done // self.total)
        print(f"\r[{'#' * filled}{'.' * (WIDTH - filled)}] {100 * done // self.total:3d} %",
              end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self.shown:
            print("\r" + " " * (WIDTH + 10) + "\r", end="", file=sys.stderr, flush=True)


def records(reader: TraceReader, every: int = 4096) -> Iterator[Record]:
    """The records one by one with a progress bar."""
    progress = Progress(len(reader))
    try:
        for number, record in enumerate(reader):
            if number % every == 0:
                progress.at(reader.position)
            yield record
    finally:
        progress.end()
