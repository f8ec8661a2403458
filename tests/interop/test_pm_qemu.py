"""The ports of power management and hotplug against QEMU's, after power-on and after writes."""
import random

import pytest
from pyemu.clock import Clock
from pyemu.machine.acpi_hotplug import CpuHotplug, PciHotplug
from pyemu.machine.line import Line
from pyemu.machine.pci import PciBus
from pyemu.machine.piix4_pm import Piix4Pm
from pyemu.ports import Ports

PM, GPE0, PCI_HOTPLUG, CPU_HOTPLUG, APM = 0x600, 0xAFE0, 0xAE00, 0xAF00, 0xB2
PM1_EN, PM1_CNT = PM + 2, PM + 4
REMOVABLE = range(PCI_HOTPLUG + 0x0C, PCI_HOTPLUG + 0x10)  # nothing is, in ours
EVENTS, CONTROL, SLP_EN = 0x0521, 0x1C03, 0x2000  # bits there are: QEMU keeps all


@pytest.fixture
def qemu(qtest):
    oracle = qtest()
    for register, value in ((0x40, PM | 1), (0x80, 1)):
        oracle.outl(0xCF8, 0x8000_0B00 | register)
        oracle.outl(0xCFC, value)
    return oracle


@pytest.fixture
def pyemu():
    ports = Ports()
    pm = Piix4Pm(Clock(), Line(lambda level: None), system=None)
    PciBus(ports, None, lambda slot, pin: Line(bool), None).add(pm, 1, 3)
    pm.config_write(0x40, 4, PM | 1)
    pm.config_write(0x80, 1, 1)
    ports.map(APM, 2, pm.apm)
    ports.map(GPE0, 4, pm.gpe0)
    ports.map(PCI_HOTPLUG, PciHotplug.COUNT, PciHotplug(), width=4)
    ports.map(CPU_HOTPLUG, CpuHotplug.COUNT, CpuHotplug(cpus=1))
    return ports


def test_what_ports_read_after_power_on(qemu, pyemu):
    pm = [*range(PM + 2, PM + 6), *range(PM + 0x0C, PM + 0x40)]  # less what the timer changes
    others = [*range(GPE0, GPE0 + 4), APM, APM + 1,
              *range(PCI_HOTPLUG, PCI_HOTPLUG + PciHotplug.COUNT),
              *range(CPU_HOTPLUG, CPU_HOTPLUG + CpuHotplug.COUNT)]
    for port in pm + others:
        if port not in REMOVABLE:
            assert (hex(port), pyemu.read(port, 1)) == (hex(port), qemu.inb(port))


@pytest.mark.parametrize("seed", range(3))
def test_writes(qemu, pyemu, seed):
    dice = random.Random(seed)
    for _ in range(200):
        # QEMU ignores writes to the upper byte of a PM1 register, so those are words
        port, size = dice.choice(((PM1_EN, 2), (PM1_CNT, 2), (GPE0, 1), (GPE0 + 2, 1), (APM, 1),
                                  (APM + 1, 1)))
        value = dice.randrange(1 << 8 * size) & ~SLP_EN
        if port == APM and dice.random() < 0.5:
            value = dice.choice((0xF0, 0xF1))
        pyemu.write(port, size, value)
        (qemu.outb if size == 1 else qemu.outw)(port, value)
        for register, mask in ((PM1_EN, EVENTS), (PM1_CNT, CONTROL), (APM, 0xFFFF)):
            assert pyemu.read(register, 2) == qemu.inw(register) & mask
        for register in range(GPE0, GPE0 + 4):
            assert pyemu.read(register, 1) == qemu.inb(register)
