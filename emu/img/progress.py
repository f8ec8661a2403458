"""How far long work is: in QEMU's form with -p, and on a terminal if it takes long."""
import sys
import time

DELAY = 1.0  # seconds before a terminal is shown it without -p
INTERVAL = 0.1  # seconds between two lines


class Progress:
    """Call `update` with the part that is done, from 0 to 1, and `end` at the end."""

    def __init__(self, wanted: bool, quiet: bool = False):
        self.always = wanted and not quiet
        self.possible = self.always or (sys.stdout.isatty() and not quiet)
        self.next = time.monotonic() + (0 if self.always else DELAY)
        self.shown = False
        self.update(0)

    def update(self, part: float) -> None:
        if self.possible and time.monotonic() >= self.next:
            self._show(part)

    def end(self) -> None:
        if self.always or self.shown:
            self._show(1)
            print()

    def _show(self, part: float) -> None:
        print(f"    ({part * 100:.2f}/100%)", end="\r", flush=True)
        self.shown = True
        self.next = time.monotonic() + INTERVAL
