"""Intel PIIX3 (82371SB) function 1: the PCI side of two IDE channels and their bus master.

The bus master is BAR4, sixteen ports, eight for each channel. The channels themselves answer at the
compatibility addresses whatever IDETIM and COMMAND say, as QEMU's do: OVMF and Bochs' BIOS never
switch them on.
Source: Intel 82371SB datasheet (290550), sections 2.3 and 2.6.
"""
from typing import Any

from pyemu.machine.pci import STATUS, PciDevice
from pyemu.machine.pci_bar import IoBar

IDS = (0x8086, 0x7010)
IDE_BUS_MASTER = 0x010180  # compatibility mode only, capable of bus mastering
STATUS_POWER_ON = 0x0280

BUS_MASTER_BAR = 4
BUS_MASTER_PORTS = 16


class PiixIde(PciDevice):
    """bus_master: the port device of BAR4, which takes accesses of up to 4 bytes."""

    def __init__(self, bus_master: Any):
        super().__init__("piix3-ide", IDS, IDE_BUS_MASTER, bars={
            BUS_MASTER_BAR: IoBar(bus_master, BUS_MASTER_PORTS, width=4)})
        self.set_default(STATUS, 2, STATUS_POWER_ON)
        self.config[:] = self.defaults
