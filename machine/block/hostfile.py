"""Calls of the host's system for files that Python has no name for. They release the GIL."""
import ctypes
import os

KEEP_SIZE = 1
PUNCH_HOLE = 2
ZERO_RANGE = 16

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


def fallocate(fd: int, mode: int, offset: int, length: int) -> None:
    """fallocate(2). Raises OSError."""
    if _libc.fallocate(fd, mode, offset, length):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
