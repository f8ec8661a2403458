"""82371SB function 1: its identity and the bus master's ports."""
import pytest
from pyemu.machine.line import Line
from pyemu.machine.pci import PciBus
from pyemu.machine.piix_ide import PiixIde
from pyemu.ports import Ports


class Window:
    def __init__(self, mark):
        self.mark = mark

    def read(self, offset, size):
        return self.mark << 4 | offset


@pytest.fixture
def rig():
    ports = Ports()
    ide = PiixIde(bus_master=Window(9))
    PciBus(ports, None, lambda slot, pin: Line(bool), None).add(ide, 1, 1)
    return ide, ports


def test_identity(rig):
    ide, _ = rig
    assert ide.config_read(0, 4) == 0x7010_8086
    assert ide.config_read(8, 4) == 0x0101_8000
    assert ide.config_read(0x20, 4) == 1


def test_bus_master_is_bar_4(rig):
    ide, ports = rig
    ide.config_write(4, 2, 5)
    ide.config_write(0x20, 4, 0xC080)
    assert (ports.read(0xC080, 1), ports.read(0xC08F, 1)) == (0x90, 0x9F)
    assert ide.config_read(0x20, 4) == 0xC081
