"""The hotplug registers that QEMU's PC has for ACPI, on a machine where nothing is ever plugged.

SeaBIOS' own tables know them. To leave them unclaimed is no way out: all ones there read as
"these slots were just unplugged", and Linux removes the disks.
Source: QEMU docs/specs/acpi_pci_hotplug.txt and docs/specs/acpi_cpu_hotplug.txt.
"""
from pyemu.trace.hooks import (
    trace_acpi_pci_down_read,
    trace_acpi_pci_ej_write,
    trace_acpi_pci_features_read,
    trace_acpi_pci_rmv_read,
    trace_acpi_pci_sel_read,
    trace_acpi_pci_sel_write,
    trace_acpi_pci_up_read,
)

NOTHING = 0  # no slot inserted, ejected or ejectable; no optional feature


class PciHotplug:
    """24 ports (AE00h), doublewords: up, down, features and eject, removable, bus selector."""

    COUNT = 0x18
    UP, DOWN, EJECT, REMOVABLE, SELECT = 0x00, 0x04, 0x08, 0x0C, 0x10

    READ_EVENTS = {
        UP: trace_acpi_pci_up_read,
        DOWN: trace_acpi_pci_down_read,
        EJECT: trace_acpi_pci_features_read,
        REMOVABLE: trace_acpi_pci_rmv_read,
        SELECT: trace_acpi_pci_sel_read,
    }

    def read(self, offset: int, size: int) -> int:
        event = self.READ_EVENTS.get(offset)
        if event:
            event(NOTHING)
        return NOTHING

    def write(self, offset: int, size: int, value: int) -> None:
        if offset == self.EJECT:
            trace_acpi_pci_ej_write(offset, value)
        elif offset == self.SELECT:
            trace_acpi_pci_sel_write(offset, value)


class CpuHotplug:
    """32 ports (AF00h): one bit for each processor that is there."""

    COUNT = 32

    def __init__(self, cpus: int = 1):
        self.present = (1 << cpus) - 1

    def read(self, offset: int, size: int) -> int:
        return self.present >> 8 * offset & (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        """The bitmap is read-only."""
