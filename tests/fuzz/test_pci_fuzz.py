"""Whatever a guest writes into configuration space: nothing raises, nothing overlaps, the state
can be saved and brought back."""
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyemu.clock import Clock
from pyemu.machine.i440fx import I440fx
from pyemu.machine.line import Line
from pyemu.machine.net.e1000 import E1000
from pyemu.machine.net.peer import Unplugged
from pyemu.machine.pci import PciBus
from pyemu.machine.piix3 import Piix3
from pyemu.machine.piix4_pm import Piix4Pm
from pyemu.machine.piix_ide import PiixIde
from pyemu.machine.vga_pci import VgaPci
from pyemu.ports import Ports
from unit.pci_memory import Memory

RAM = 0x1000_0000
HOST_PORTS = range(0xCF8, 0xD00)


class BoardMemory(Memory):
    def set_pam(self, base, size, read, write):
        pass


class GuestMemory:
    """Wherever DMA goes there are the same few descriptors, and writes are lost."""

    def read(self, address, length):
        return (b"\x00\x10\0\0\0\0\0\0\x40\0\0\xff\0\x03\x12\x34" * (length // 16 + 1))[:length]

    def write(self, address, data):
        pass


class Loop:
    """A cable that comes back to where it began."""

    plugged = True
    takes_large = False

    def connect(self, nic):
        self.nic = nic

    def send(self, frames):
        self.nic.receive(deque(frames))

    def offer(self):
        pass


class Anything:
    """Any register block, and any reset or shutdown request."""

    def read(self, offset, size):
        return 0

    def write(self, offset, size, value):
        pass

    def request(self, cause):
        pass

    reset_request = shutdown_request = request


class Channel:
    data, command, control = Anything(), Anything(), Anything()


VRAM = bytearray(16 << 20)


class Machine:
    def __init__(self):
        self.ports, self.memory = Ports(), BoardMemory(RAM)
        irqs = [Line(lambda level: None) for _ in range(16)]
        piix3 = Piix3(irqs, Anything())
        self.bus = PciBus(self.ports, self.memory, piix3.line, piix3.reset_control)
        self.bus.add(I440fx(self.memory, RAM), 0)
        self.bus.add(piix3, 1, 0)
        self.bus.add(PiixIde(Anything()), 1, 1)
        self.bus.add(Piix4Pm(Clock(), irqs[9], Anything()), 1, 3)
        self.bus.add(VgaPci(VRAM, Anything(), Anything(), bytes(40000)), 2)
        self.bus.add(E1000(Clock(), None, bytes(6), bytes(200000), Unplugged()), 3)
        self.ports.map(HOST_PORTS[0], 4, self.bus.address, width=4)
        self.ports.map(HOST_PORTS[4], 4, self.bus.data, width=4)
        for device in self.bus.devices.values():
            device.reset()

    def mapped(self):
        return sorted(self.ports.table), sorted(self.memory.regions.items())


# Registers that matter come up often, and so do values that enable or collide
writes = st.lists(st.tuples(
    st.sampled_from([0x00, 0x08, 0x09, 0x0B, 0x10, 0x18, 0x20]),
    st.one_of(st.sampled_from([0x04, 0x10, 0x14, 0x18, 0x20, 0x30, 0x40, 0x58, 0x60, 0x80, 0x90]),
              st.integers(0, 0xFF)),
    st.sampled_from([1, 2, 4]),
    st.one_of(st.sampled_from([0, 1, 3, 7, 0xC000, 0xCF8, 0x1F0, 0xE000_0000, 0xFD00_0000,
                               0xE000_0001, 0xFFFF_FFFF, 0x8000_8000]),
              st.integers(0, 0xFFFF_FFFF))), max_size=60)


def check(machine):
    ports, regions = machine.mapped()
    expected = set(HOST_PORTS)
    for device in machine.bus.devices.values():
        for window in device.windows:
            assert window.base in (None, window.wanted())
            if window.base is not None and window.bar.limit == 0xFFFF:
                expected |= set(range(window.base, window.base + window.bar.size))
    assert set(ports) == expected
    assert len(regions) == sum(w.base is not None and w.bar.limit > 0xFFFF
                               for d in machine.bus.devices.values() for w in d.windows)


@settings(max_examples=150, deadline=None)
@given(writes)
def test_configuration_writes(sequence):
    machine = Machine()
    for devfn, register, size, value in sequence:
        machine.ports.write(0xCF8, 4, 1 << 31 | devfn << 8 | register & 0xFC)
        port = 0xCFC + (register & 3)
        machine.ports.write(port, size, value & (1 << 8 * size) - 1)
        assert 0 <= machine.ports.read(port, size) < 1 << 8 * size
    check(machine)

    states = {devfn: device.save() for devfn, device in machine.bus.devices.items()}
    restored = Machine()
    for devfn, device in restored.bus.devices.items():
        device.load(states[devfn])
    check(restored)
    for device in restored.bus.devices.values():
        device.reset()
    assert restored.mapped() == Machine().mapped()


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 0x1FFFF), st.sampled_from([1, 2, 4]),
                          st.integers(0, 0xFFFF_FFFF)), max_size=80))
def test_nic_registers(sequence):
    nic = E1000(Clock(), GuestMemory(), bytes(6), None, Loop())
    nic.config_write(4, 2, 7)
    for offset, size, value in sequence:
        offset &= 0x1FF if value & 1 else 0x1FFFF  # the registers that do something come first
        nic.write(offset & -size, size, value & (1 << 8 * size) - 1)
        assert 0 <= nic.read(offset & -size, size) < 1 << 8 * size


@pytest.mark.parametrize("size", [1, 2, 4])
def test_power_management_ports(size):
    chip = Piix4Pm(Clock(), Line(lambda level: None), Anything())
    for window in (chip.pm_io, chip.smbus):
        for offset in range(0, 64, size):
            for value in (0, 0x1111_1111, 0xFFFF_FFFF):
                window.write(offset, size, value & (1 << 8 * size) - 1)
                assert window.read(offset, size) >= 0
