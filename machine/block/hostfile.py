"""Calls of the host's system that Python has no name for. They release the GIL."""
import ctypes
import os

KEEP_SIZE = 1
PUNCH_HOLE = 2
ZERO_RANGE = 16

# What mallopt(3) sets; glibc gives larger pieces, and more at the end, back to the host.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


def fallocate(fd: int, mode: int, offset: int, length: int) -> None:
    """fallocate(2). Raises OSError."""
    if _libc.fallocate(fd, mode, offset, length):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def keep_memory(length: int) -> None:
    """Let memory that is freed, up to so many bytes, be there for the next use at once.

    Else every buffer of a megabyte is new to the host, which clears it page by page.
    """
    if hasattr(_libc, "mallopt"):  # of glibc
        _libc.mallopt(MMAP_THRESHOLD, length)
        _libc.mallopt(TRIM_THRESHOLD, length)
