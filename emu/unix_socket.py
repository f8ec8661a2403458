"""Unix sockets that listen, by their paths."""
import os
import socket
import stat
from contextlib import suppress


def listen(path: str, backlog: int) -> socket.socket:
    """In place of what one who was killed has left; another file stays. Raises OSError."""
    listener = socket.socket(socket.AF_UNIX)
    try:
        if _is_socket(path):
            os.unlink(path)
        listener.bind(path)
        listener.listen(backlog)
    except OSError:
        listener.close()
        raise
    return listener


def remove(path: str) -> None:
    """The path of one that is closed, if it is there still."""
    with suppress(OSError):
        os.unlink(path)


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False
