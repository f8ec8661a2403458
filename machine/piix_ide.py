"""Intel PIIX3 (82371SB) function 1: the PCI side of two IDE channels and their bus master.

The channels answer at the compatibility addresses while IDETIM and COMMAND let them; the bus
master is BAR4, sixteen ports, eight for each channel.
Source: Intel 82371SB datasheet (290550), sections 2.3 and 2.6.
"""
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from pyemu.machine.pci import COMMAND, STATUS, PciDevice
from pyemu.machine.pci_bar import COMMAND_IO, IoBar

IDS = (0x8086, 0x7010)
IDE_BUS_MASTER = 0x010180  # compatibility mode only, capable of bus mastering
STATUS_POWER_ON = 0x0280

BUS_MASTER_BAR = 4
BUS_MASTER_PORTS = 16

IDETIM = (0x40, 0x42)  # one for each channel
IDE_DECODE = 0x8000

# The compatibility addresses: command block and control block of each channel
BLOCKS = ((0x1F0, 0x3F6), (0x170, 0x376))
DATA_PORTS, COMMAND_PORTS, CONTROL_PORTS = 1, 7, 1


class Channel(Protocol):
    """The port windows of a channel: data, the seven registers that follow it, and control."""

    data: Any
    command: Any
    control: Any


class PiixIde(PciDevice):
    """bus_master: the port device of BAR4, which takes accesses of up to 4 bytes."""

    def __init__(self, channels: Sequence[Channel], bus_master: Any):
        super().__init__("piix3-ide", IDS, IDE_BUS_MASTER, bars={
            BUS_MASTER_BAR: IoBar(bus_master, BUS_MASTER_PORTS, width=4)})
        self.set_default(STATUS, 2, STATUS_POWER_ON)
        self.config[:] = self.defaults
        for channel, idetim, (block, control) in zip(channels, IDETIM, BLOCKS, strict=True):
            self.add_window(IoBar(channel.data, DATA_PORTS, width=4), self._at(idetim, block))
            self.add_window(IoBar(channel.command, COMMAND_PORTS),
                            self._at(idetim, block + DATA_PORTS))
            self.add_window(IoBar(channel.control, CONTROL_PORTS), self._at(idetim, control))

    def _at(self, idetim: int, port: int) -> Callable[[], int | None]:
        """`port` while the channel is decoded."""
        def where() -> int | None:
            decoded = self.register(idetim, 2) & IDE_DECODE
            return port if decoded and self.register(COMMAND, 2) & COMMAND_IO else None
        return where
