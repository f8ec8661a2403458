"""Our ACPI tables: read by Intel's compiler, and compared with those of QEMU."""
import shutil
import struct
import subprocess

import pytest
from pyemu.machine.acpi.tables import TABLES_FILE, build

LOW_RAM_END, HPET = 128 << 20, 0xFED0_0000
HEADER = 36  # bytes of every table that name its author


def split(blob):
    """The tables in a fw_cfg file, by signature."""
    tables, at = {}, 0
    while at + 8 <= len(blob) and blob[at:at + 4].strip(b"\0"):
        length, = struct.unpack_from("<I", blob, at + 4)
        tables[blob[at:at + 4].decode()] = blob[at:at + length]
        at += length
    return tables


@pytest.fixture(scope="module")
def ours():
    return split(build(LOW_RAM_END, cpus=1, serials=2, hpet_base=HPET)[TABLES_FILE])


@pytest.fixture
def qemus(qtest):
    """QEMU makes its tables when they are first read, from where the firmware put PMBA."""
    oracle = qtest()
    for register, value in ((0x40, 0x601), (0x80, 1)):
        oracle.outl(0xCF8, 0x8000_0B00 | register)
        oracle.outl(0xCFC, value)

    def read(count):
        return bytes(oracle.inb(0x511) for _ in range(count))

    oracle.outw(0x510, 0x19)  # the directory of fw_cfg
    for _ in range(int.from_bytes(read(4), "big")):
        _, key, _, name = struct.unpack(">IHH56s", read(64))
        if name.rstrip(b"\0").decode() == TABLES_FILE:
            oracle.outw(0x510, key)
            return split(read(8192))
    raise AssertionError("QEMU has no tables")


@pytest.mark.skipif(not shutil.which("iasl"), reason="acpica-tools is not installed")
@pytest.mark.parametrize("signature", ["DSDT", "FACP", "FACS", "APIC", "HPET", "WAET", "RSDT"])
def test_iasl_takes_the_table_apart_and_together_again(ours, signature, tmp_path):
    table = bytearray(ours[signature])
    if signature != "FACS":
        table[9] = -sum(table) & 0xFF
    (tmp_path / "table.dat").write_bytes(table)
    for command in (["-d", "table.dat"], ["-we", "-vr", "table.dsl"]):
        done = subprocess.run(["iasl", *command], cwd=tmp_path, text=True, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0, done.stdout
        complaints = [line for line in done.stdout.splitlines()
                      if line.startswith(("Warning", "Error", "Invalid"))]
        assert complaints == []


def test_the_same_contents_as_qemus(ours, qemus):
    assert list(ours) == list(qemus)
    for signature in ("APIC", "HPET", "WAET", "FACS"):
        assert ours[signature][HEADER:].hex() == qemus[signature][HEADER:].hex()


def test_the_same_fixed_registers_as_qemus(ours, qemus):
    """All but the pointers before and the flags at the end: nothing wakes us from S4."""
    assert ours["FACP"][44:112].hex() == qemus["FACP"][44:112].hex()
    flags = [struct.unpack_from("<I", t["FACP"], 112)[0] for t in (ours, qemus)]
    assert flags[0] == flags[1] & ~(1 << 7)
