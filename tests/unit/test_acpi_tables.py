"""ACPI 6.5, 5.2: the tables as the guest finds them once the firmware has placed them."""
import struct

import pytest
from pyemu.machine.acpi.tables import build

BASE = 0x7FE0000
TABLES, RSDP, LOADER = "etc/acpi/tables", "etc/acpi/rsdp", "etc/table-loader"


def text(data):
    return data.split(b"\0")[0].decode()


def place(files):
    """What SeaBIOS does with the loader script; returns the tables and the root pointer."""
    memory = {name: bytearray(files[name]) for name in (TABLES, RSDP)}
    allocated = {}
    script = files[LOADER]
    assert len(script) % 128 == 0
    for at in range(0, len(script), 128):
        command, file = struct.unpack_from("<I56s", script, at)
        data = memory[text(file)]
        if command == 1:
            allocated[text(file)] = struct.unpack_from("<IB", script, at + 60)
        elif command == 2:
            source, offset, size = struct.unpack_from("<56sIB", script, at + 60)
            assert text(source) == TABLES and size == 4
            value, = struct.unpack_from("<I", data, offset)
            struct.pack_into("<I", data, offset, value + BASE)
        elif command == 3:
            offset, start, length = struct.unpack_from("<III", script, at + 60)
            data[offset] = 0
            data[offset] = -sum(data[start:start + length]) & 0xFF
        else:
            pytest.fail(f"unknown command {command}")
    assert allocated == {RSDP: (16, 2), TABLES: (64, 1)}
    return memory[TABLES], memory[RSDP]


class Placed:
    def __init__(self, **arguments):
        self.blob, self.rsdp = place(build(**{"low_ram_end": 128 << 20, **arguments}))
        rsdt = self.at(struct.unpack_from("<I", self.rsdp, 16)[0])
        self.tables = {t[:4]: t for t in map(self.at, struct.unpack_from(
            f"<{(len(rsdt) - 36) // 4}I", rsdt, 36))}
        fadt = self.tables[b"FACP"]
        self.facs, self.dsdt = map(self.at, struct.unpack_from("<II", fadt, 36))
        self.all = [rsdt, self.dsdt, *self.tables.values()]

    def at(self, address):
        start = address - BASE
        length, = struct.unpack_from("<I", self.blob, start + 4)
        return bytes(self.blob[start:start + length])


@pytest.fixture(scope="module")
def placed():
    return Placed()


def test_everything_is_reached_from_the_root_and_sums_to_0(placed):
    assert placed.rsdp[:8] == b"RSD PTR " and sum(placed.rsdp) & 0xFF == 0
    assert [t[:4] for t in placed.all] == [b"RSDT", b"DSDT", b"FACP", b"APIC", b"WAET"]
    assert [sum(t) & 0xFF for t in placed.all] == [0] * 5
    assert len(placed.facs) == 64 and placed.facs[:4] == b"FACS"
    assert len(placed.blob) == 0x20000 and not any(placed.blob[64 + sum(map(len, placed.all)):])


def test_hpet():
    placed = Placed(hpet_base=0xFED00000)
    table = placed.tables[b"HPET"]
    assert [t[:4] for t in placed.all][2:] == [b"FACP", b"APIC", b"HPET", b"WAET"]
    assert sum(table) & 0xFF == 0
    assert struct.unpack_from("<IIQBHB", table, 36) == (0x8086A201, 0, 0xFED00000, 0, 0, 0)
    assert b"HPET" in placed.dsdt and b"HPET" not in Placed().dsdt


def test_fadt_names_the_registers_of_the_piix4(placed):
    fadt = placed.tables[b"FACP"]
    assert len(fadt) == 116 and fadt[8] == 1
    sci, smi, enable, disable = struct.unpack_from("<HIBB", fadt, 46)
    assert (sci, smi, enable, disable) == (9, 0xB2, 0xF1, 0xF0)
    event, _, control, _, _, timer, gpe0, _ = struct.unpack_from("<8I", fadt, 56)
    assert (event, control, timer, gpe0) == (0x600, 0x604, 0x608, 0xAFE0)
    assert tuple(fadt[88:93]) == (4, 2, 0, 4, 4)


@pytest.mark.parametrize("cpus", [1, 4])
def test_madt_has_each_processor_and_the_level_interrupts(cpus):
    madt = Placed(cpus=cpus).tables[b"APIC"]
    entries, at = [], 44
    while at < len(madt):
        entries.append(madt[at:at + madt[at + 1]])
        at += madt[at + 1]
    assert [e[3] for e in entries if e[0] == 0] == list(range(cpus))
    assert [struct.unpack_from("<BIH", e, 3) for e in entries if e[0] == 2] == [
        (0, 2, 0), (5, 5, 13), (9, 9, 13), (10, 10, 13), (11, 11, 13)]
    assert [e for e in entries if e[0] == 1] == [struct.pack("<BBBBII", 1, 12, 0, 0, 0xFEC00000, 0)]
    assert entries[-1] == bytes((4, 6, 0xFF, 0, 0, 1))


def test_pci_memory_begins_where_ram_ends():
    for low_ram_end in (128 << 20, 0xE000_0000):
        dsdt = Placed(low_ram_end=low_ram_end).dsdt
        window = struct.pack("<4I", low_ram_end, 0xFEBF_FFFF, 0, 0xFEC0_0000 - low_ram_end)
        assert window in dsdt


@pytest.mark.parametrize("serials", [0, 1, 2])
def test_only_the_serial_ports_that_exist(serials):
    dsdt = Placed(serials=serials).dsdt
    assert [name in dsdt for name in (b"COM1", b"COM2")] == [serials > 0, serials > 1]


def test_routing_of_every_slot_and_pin_follows_the_piix3(placed):
    from pyemu.machine.line import Line
    from pyemu.machine.piix3 import Piix3
    bridge = Piix3([Line(lambda level: None) for _ in range(16)], None)
    bridge.config_write(0x60, 4, 0x0B0A0504)
    prt = placed.dsdt[placed.dsdt.index(b"_PRT"):]
    for slot in range(1, 32):
        for pin in range(4):
            line = bridge.line(slot, pin + 1)
            line.set(True)
            irq = next(n for n, i in bridge._irqs.items() if i.level)
            line.set(False)
            link = f"LNK{'ABCD'[(4, 5, 10, 11).index(irq)]}" if (slot, pin) != (1, 0) else "LNKS"
            address = struct.pack("<BI", 0x0C, slot << 16 | 0xFFFF)
            number = bytes((pin,)) if pin < 2 else bytes((0x0A, pin))
            assert address + number + b"\\\x2e_SB_" + link.encode() in prt
