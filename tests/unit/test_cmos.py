import pytest
from pyemu.machine.cmos import FLOPPY_1440K, Disk, preset

MIB, GIB = 1 << 20, 1 << 30


def word(cmos, address):
    return cmos[address] | cmos[address + 1] << 8


@pytest.mark.parametrize(("size", "base", "extended", "above_16m"), [
    (512 << 10, 512, 0, 0), (8 * MIB, 640, 7 << 10, 0), (32 * MIB, 640, 31 << 10, 256),
    (3 * GIB, 640, 0xFFFF, 48896),
])
def test_memory(size, base, extended, above_16m):
    cmos = preset(size)
    assert (word(cmos, 0x15), word(cmos, 0x17), word(cmos, 0x30)) == (base, extended, extended)
    assert word(cmos, 0x34) == above_16m


def test_memory_above_4g_and_processors():
    cmos = preset(3 * GIB, 5 * GIB, cpus=4)
    assert cmos[0x5B] | cmos[0x5C] << 8 | cmos[0x5D] << 16 == 5 * GIB >> 16
    assert cmos[0x5F] == 3


@pytest.mark.parametrize(("boot", "codes"), [("cad", (0x12, 0x30)), ("d", (0x03, 0x00)),
                                             ("ncd", (0x24, 0x30)), ("abcd", (0x11, 0x20))])
def test_boot_order(boot, codes):
    cmos = preset(64 * MIB, boot=boot)
    assert (cmos[0x3D], cmos[0x38]) == codes
    assert preset(64 * MIB, boot=boot, check_floppy=False)[0x38] == codes[1] | 1


def test_an_unknown_boot_device():
    with pytest.raises(ValueError, match="Invalid boot device for PC: 'z'"):
        preset(64 * MIB, boot="cz")


def test_floppies_are_equipment():
    assert [preset(MIB, floppies=types)[0x14] for types in ((), (4,), (4, 2))] == [6, 7, 0x47]
    assert preset(MIB, floppies=(FLOPPY_1440K,))[0x10] == 0x40


def test_disks():
    cmos = preset(MIB, disks=(Disk(1040, 16, 63, 1), None, Disk(20, 2, 17), Disk(9, 9, 9, 3)))
    assert cmos[0x12] == 0xF0 and cmos[0x19] == 47 and 0x1A not in cmos
    assert [cmos[n] for n in range(0x1B, 0x24)] == [0x10, 4, 16, 255, 255, 0xC8, 0x10, 4, 63]
    assert cmos[0x39] == 0b11_00_00_01
