"""isa-debug-exit: a port by which a guest ends the emulator, with an exit status of its choice.

Whatever is written, value * 2 + 1 is the status, so that none is 0, which is a power-off's.
Source: QEMU's `-device isa-debug-exit,help`, and its behaviour.
"""
from .chip import Chip
from .system import System


class DebugExit(Chip):
    """Ports that read as 0."""

    def __init__(self, system: System):
        self.system = system

    def read(self, offset: int, size: int) -> int:
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        self.system.exit_request((value << 1 | 1) & 0xff)
