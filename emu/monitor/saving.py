"""Commands that go through a range of memory: memsave, pmemsave, sum."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pyemu.monitor import memory
from pyemu.monitor.command import Command, CommandError, UsageError
from pyemu.monitor.expression import MASK

if TYPE_CHECKING:
    from pyemu.monitor.monitor import Monitor

COPY = 1 << 20  # bytes that are read at a time, so that the guest goes on in between
Reader = Callable[["Monitor", int, int], bytes]


def pieces(monitor: Monitor, read: Reader, start: int, size: int) -> Iterator[bytes]:
    """A range of memory bit by bit. Raises CommandError where no page is."""
    for at in range(0, size, COPY):
        yield read(monitor, start + at & MASK, min(COPY, size - at))


def save(monitor: Monitor, read: Reader, start: int, size: int, file_name: str) -> None:
    """Copy a range into a file, which is made first. Raises CommandError as QEMU words it."""
    try:
        with open(file_name, "wb") as file:
            try:
                for piece in pieces(monitor, read, start, size):
                    file.write(piece)
            except CommandError:
                raise CommandError(
                    f"Invalid addr 0x{start & MASK:016x}/size {size} specified") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise CommandError(f"Could not open '{file_name}': {reason}") from None


def number_32(monitor: Monitor, command: str, word: str) -> int:
    """An expression whose value has 32 bits, with or without a sign."""
    value = memory.number(monitor, word)
    if value >> 32:
        raise UsageError(f"'{command}' has failed: integer is for 32-bit values")
    return value


def save_virtual(monitor: Monitor, arguments: list[str]) -> str:
    return _save(monitor, "memsave", memory.read_virtual, arguments)


def save_physical(monitor: Monitor, arguments: list[str]) -> str:
    return _save(monitor, "pmemsave", memory.read_physical, arguments)


def _save(monitor: Monitor, command: str, read: Reader, arguments: list[str]) -> str:
    start, size = memory.number(monitor, arguments[0]), number_32(monitor, command, arguments[1])
    try:
        save(monitor, read, start, size, arguments[2])
    except CommandError as error:
        raise CommandError(f"Error: {error}") from None
    return ""


def checksum(monitor: Monitor, arguments: list[str]) -> str:
    """That of BSD's sum(1): rotated to the right before each byte is added."""
    start, size = (number_32(monitor, "sum", word) for word in arguments)
    total = 0
    for piece in pieces(monitor, memory.read_physical, start, size):
        for byte in piece:
            total = ((total >> 1 | (total & 1) << 15) + byte) & 0xffff
    return f"{total:05}"


COMMANDS = (
    Command("memsave", "addr size file",
            "save to disk virtual memory dump starting at 'addr' of size 'size'", save_virtual,
            required=3, kinds="nns"),
    Command("pmemsave", "addr size file",
            "save to disk physical memory dump starting at 'addr' of size 'size'",
            save_physical, required=3, kinds="nns"),
    Command("sum", "addr size", "compute the checksum of a memory region", checksum, required=2,
            kinds="nn"),
)
