"""pvpanic: a port by which a guest says that its kernel has panicked.

Reading tells which events the device takes, writing reports them. Linux finds it by the ACPI
identifier QEMU0001 (drivers/misc/pvpanic). Source: QEMU docs/specs/pvpanic.txt.
"""
from pyemu.trace.hooks import trace_pvpanic_write
from pyemu.trace.log import guest_errors

from .chip import Chip
from .system import System

PANICKED, CRASHLOADED = 0x01, 0x02
EVENTS = PANICKED | CRASHLOADED


class PvPanic(Chip):
    """One port; `events` are those it takes."""

    def __init__(self, system: System, events: int = EVENTS):
        self.system = system
        self.events = events

    def read(self, offset: int, size: int) -> int:
        return self.events

    def write(self, offset: int, size: int, value: int) -> None:
        trace_pvpanic_write(value)
        if value & ~EVENTS and guest_errors:
            guest_errors(f"pvpanic: unknown event {value:#x}.")
        value &= self.events
        if value & PANICKED:
            self.system.guest_panicked()
        elif value & CRASHLOADED:
            self.system.guest_crashloaded()
