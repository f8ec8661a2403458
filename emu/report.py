"""What the user is told beside what the machine says."""
import sys
from contextlib import suppress


def complain(message: str) -> None:
    """One line on stderr. That nobody can read it any more is no reason to fail."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            print(f"pyemu: {message}", file=sys.stderr, flush=True)
