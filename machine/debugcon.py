"""Debug console: a port whose writes go to a character device.

SeaBIOS and OVMF write their log to port 402h after they have read its signature; Bochs has the
same at port E9h. Source: Bochs documentation, "port_e9_hack"; SeaBIOS docs/Debugging.md.
"""
from typing import Any

from pyemu.trace.hooks import trace_debugcon_write

from .chip import Chip

SIGNATURE = 0xe9
BYTES = tuple(bytes((value,)) for value in range(256))


class DebugConsole(Chip):
    """One port, readback `SIGNATURE`."""

    def __init__(self, chardev: Any):
        self.chardev = chardev

    def read(self, offset: int, size: int) -> int:
        return SIGNATURE

    def write(self, offset: int, size: int, value: int) -> None:
        if trace_debugcon_write:
            trace_debugcon_write(value)
        self.chardev.write(BYTES[value])

    def write_block(self, data: bytes) -> int:
        """`rep outsb`: the whole string at once."""
        if trace_debugcon_write:
            for value in data:
                trace_debugcon_write(value)
        self.chardev.write(bytes(data))
        return len(data)
