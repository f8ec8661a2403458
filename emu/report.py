"""What the user is told beside what the machine says."""
import sys
from contextlib import suppress

_held: list[str] | None = None  # while the terminal shows something else


def complain(message: str) -> None:
    """One line on stderr. That nobody can read it any more is no reason to fail."""
    if _held is not None:
        _held.append(message)
    elif sys.stderr is not None:
        with suppress(OSError, ValueError):
            print(f"pyemu: {message}", file=sys.stderr, flush=True)


def hold() -> None:
    """Keep what there is to complain of until `release`, if it would go to a terminal."""
    global _held
    if sys.stderr is not None and sys.stderr.isatty():
        _held = []


def release() -> None:
    global _held
    held, _held = _held or (), None
    for message in held:
        complain(message)
