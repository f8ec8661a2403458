"""Registers that must say "nothing was plugged", or Linux unplugs its disks."""
from pyemu.machine.acpi_hotplug import CpuHotplug, PciHotplug


def test_no_slot_was_plugged_or_can_be():
    chip = PciHotplug()
    chip.write(0x10, 4, 1)
    chip.write(0x08, 4, 0xFFFF_FFFF)
    assert {chip.read(offset, 4) for offset in range(0, PciHotplug.COUNT, 4)} == {0}


def test_a_bit_for_each_processor():
    chip = CpuHotplug(cpus=9)
    chip.write(0, 1, 0)
    assert [chip.read(offset, 1) for offset in range(3)] == [0xFF, 1, 0]
    assert chip.read(0, 4) == 0x1FF
