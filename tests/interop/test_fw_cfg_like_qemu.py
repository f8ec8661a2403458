"""What our fw_cfg shows to firmware, beside what QEMU's does for the same machine."""
import struct

import pytest
from pyemu.machine import fw_cfg as key
from pyemu.machine import layout, smbios
from pyemu.machine.firmware_config import FirmwareConfig
from pyemu.machine.fw_cfg import FwCfg

PORT, DMA = 0x510, 0x514
RESERVED = 2  # e820 type; QEMU lists AMD's HyperTransport hole beyond 1 TiB, a PC of ours has none


class Ours:
    """Our device behind the same three words as the oracle."""

    def __init__(self, device):
        self.device = device

    def outw(self, port, value):
        self.device.write(port - PORT, 2, value)

    def inb(self, port):
        return self.device.read(port - PORT, 1)

    def inl(self, port):
        return self.device.dma.read(port - DMA, 4)


def fetch(machine, item, length):
    machine.outw(PORT, item)
    return bytes(machine.inb(PORT + 1) for _ in range(length))


def files(machine):
    (count,) = struct.unpack(">I", fetch(machine, key.FILE_DIR, 4))
    raw = fetch(machine, key.FILE_DIR, 4 + 64 * count)[4:]
    entries = struct.iter_unpack(">IHH56s", raw)
    return {name.rstrip(b"\0").decode(): (item, size) for size, item, _, name in entries}


def ram_ranges(e820):
    return [entry for entry in struct.iter_unpack("<QQI", e820) if entry[2] != RESERVED]


def test_items_and_files(qtest):
    oracle = qtest("-m", "5G", "-smp", "2", "-boot",
                   "strict=on,menu=on,splash-time=3000,reboot-timeout=5000",
                   "-device", "e1000,bootindex=1,addr=2")
    device = FwCfg(memory=None)
    FirmwareConfig(
        ram_below_4g=3 << 30, ram_above_4g=2 << 30, cpus=2, max_cpus=2, boot_menu=True,
        menu_wait_ms=3000, hpet_base=layout.HPET, reboot_timeout_ms=5000, boot_strict=True,
        boot_order=["/pci@i0cf8/ethernet@2/ethernet-phy@0"]).install(device)
    ours = Ours(device)
    for item, length in ((key.SIGNATURE, 6), (key.ID, 4), (key.UUID, 16), (key.RAM_SIZE, 8),
                         (key.NOGRAPHIC, 2), (key.NB_CPUS, 2), (key.MAX_CPUS, 2), (key.NUMA, 24),
                         (key.BOOT_MENU, 2), (key.IRQ0_OVERRIDE, 4), (key.HPET, 130),
                         (0x1234, 4)):
        assert fetch(ours, item, length) == fetch(oracle, item, length), key.FwCfg.key_name(item)
    assert ours.inl(DMA) == oracle.inl(DMA) and ours.inl(DMA + 4) == oracle.inl(DMA + 4)
    here, there = files(ours), files(oracle)
    for name in ("bootorder", "etc/boot-fail-wait", "etc/boot-menu-wait"):
        assert fetch(ours, *here[name]) == fetch(oracle, *there[name]), name
    assert ram_ranges(fetch(ours, *here["etc/e820"])) == \
        ram_ranges(fetch(oracle, *there["etc/e820"]))
    assert list(there) == sorted(there), "and so does ours list its files"


def test_no_hpet(qtest):
    device = FwCfg(memory=None)
    FirmwareConfig(ram_below_4g=1 << 27).install(device)
    assert fetch(Ours(device), key.HPET, 130) == fetch(qtest("-no-hpet"), key.HPET, 130)


@pytest.mark.parametrize("mib", [128, 3584, 5000, 16 << 10, 20 << 10])
def test_smbios(qtest, monkeypatch, mib):
    oracle = qtest("-m", str(mib))
    there = files(oracle)
    qemu64 = 0x60fb1, 0x78bfbfd  # CPUID's leaf 1 there
    low, high = layout.split_ram(mib << 20)
    monkeypatch.setattr(smbios, "MANUFACTURER", "QEMU")
    for name, data in smbios.build([(0, low), (layout.HIGH_RAM, high)], qemu64).items():
        assert data == fetch(oracle, *there[name]), name
