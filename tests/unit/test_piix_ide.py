"""82371SB function 1: who decodes the IDE ports, and when."""
from types import SimpleNamespace

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
    channels = [SimpleNamespace(data=Window(n), command=Window(n + 1), control=Window(n + 2))
                for n in (1, 5)]
    ide = PiixIde(channels, bus_master=Window(9))
    PciBus(ports, None, lambda slot, pin: Line(bool), None).add(ide, 1, 1)
    return ide, ports


def test_identity(rig):
    ide, _ = rig
    assert ide.config_read(0, 4) == 0x7010_8086
    assert ide.config_read(8, 4) == 0x0101_8000
    assert ide.config_read(0x20, 4) == 1


def test_each_channel_needs_its_decode_bit_and_io_space(rig):
    ide, ports = rig
    ide.config_write(0x40, 4, 0x8000_0000)
    assert not ports.table
    ide.config_write(4, 2, 1)
    assert sorted(ports.table) == [*range(0x170, 0x178), 0x376]
    ide.config_write(0x40, 2, 0x8000)
    assert [ports.read(p, 1) for p in (0x1F0, 0x1F1, 0x1F7, 0x3F6, 0x170, 0x177, 0x376)] == [
        0x10, 0x20, 0x26, 0x30, 0x50, 0x66, 0x70]
    ide.config_write(4, 2, 0)
    assert not ports.table


def test_bus_master_is_bar_4(rig):
    ide, ports = rig
    ide.config_write(4, 2, 5)
    ide.config_write(0x20, 4, 0xC080)
    assert (ports.read(0xC080, 1), ports.read(0xC08F, 1)) == (0x90, 0x9F)
    assert ide.config_read(0x20, 4) == 0xC081
