"""Locks that keep two users of an image apart, on the byte ranges that QEMU uses.

Each byte stands for something that one may do with an image. A read lock on one of the first range
says that we do it; on one of the second, that we let nobody else do it. Nobody looks at the bytes
themselves. Locks belong to the open file, so they end with it.
Source: "Image locking" in QEMU's manual; fcntl(2), open file description locks.
"""
import errno
import fcntl
import os
import struct

from pyemu.machine.block.base import BlockError

DOING = 100  # first byte of what is done
REFUSING = 200  # first byte of what nobody else may do

CONSISTENT_READ, WRITE, RESIZE = 0, 1, 3
NAMES = {CONSISTENT_READ: "consistent read", WRITE: "write", RESIZE: "resize"}

FLOCK = struct.Struct("@hhqqi4x")  # struct flock: type, whence, start, length, pid


def lock_image(fd: int, path: str, format: str, read_only: bool) -> None:
    """Say what is done with an image. Raises BlockError if another user is in the way.

    Users of an image are all who have opened it, in this process too.
    """
    resizes = format != "raw"
    doing = [CONSISTENT_READ] if read_only else [CONSISTENT_READ, WRITE, *[RESIZE] * resizes]
    refusing = [WRITE, *[RESIZE] * resizes]
    try:
        for base, actions in (DOING, doing), (REFUSING, refusing):
            for action in actions:
                _flock(fd, fcntl.F_OFD_SETLK, fcntl.F_RDLCK, base + action)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOLCK, errno.EOPNOTSUPP):
            return  # the host's file system has no locks
        raise BlockError(f"Failed to lock '{path}': {os.strerror(error.errno or 0)}",
                         error.errno or errno.EAGAIN) from None
    for action in doing:
        if _is_locked(fd, REFUSING + action):
            raise _in_use(f'"{NAMES[action]}"', path)
    for action in refusing:
        if _is_locked(fd, DOING + action):
            raise _in_use(f'shared "{NAMES[action]}"', path)


def _is_locked(fd: int, byte: int) -> bool:
    """Whether another open file has a lock there."""
    kind, *_ = FLOCK.unpack(_flock(fd, fcntl.F_OFD_GETLK, fcntl.F_WRLCK, byte))
    return bool(kind != fcntl.F_UNLCK)


def _flock(fd: int, command: int, kind: int, byte: int) -> bytes:
    return fcntl.fcntl(fd, command, FLOCK.pack(kind, os.SEEK_SET, byte, 1, 0))


def _in_use(what: str, path: str) -> BlockError:
    return BlockError(f"Failed to get {what} lock\nIs another process using the image [{path}]?",
                      errno.EAGAIN)
