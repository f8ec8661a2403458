"""The ACPI tables of the PC, and the script by which the firmware places them.

SeaBIOS takes three fw_cfg files: the tables, the root pointer, and commands that say where to put
both, which addresses in them to adjust and which checksums to fill in.
Source: ACPI 6.5, section 5.2; QEMU docs/specs/fw_cfg.txt and the command format of SeaBIOS
(romfile_loader).
"""
import struct
from collections.abc import Iterable

from pyemu.machine import hpet
from pyemu.machine.acpi import dsdt

OEM_ID, OEM_TABLE_ID = b"PYEMU ", b"PYEMUPC "
CREATOR_ID = b"PYEM"

HEADER = struct.Struct("<4sIBB6s8sI4sI")  # signature ... creator revision
CHECKSUM = 9      # offset of the checksum in a table
FACS_ALIGN = 64
ROOM = 0x20000  # that QEMU leaves to its tables: guests find as much memory here as there
RSDP_CHECKSUM, RSDP_RSDT = 8, 16
FADT_FACS, FADT_DSDT = 36, 40

TABLES_FILE, RSDP_FILE, LOADER_FILE = "etc/acpi/tables", "etc/acpi/rsdp", "etc/table-loader"

# FADT
SCI_INTERRUPT = 9
SMI_COMMAND, ACPI_ENABLE, ACPI_DISABLE = 0xB2, 0xF1, 0xF0
PM_BASE = 0x600  # where SeaBIOS puts PMBA
PM1_EVENT, PM1_CONTROL, PM_TIMER = PM_BASE, PM_BASE + 4, PM_BASE + 8
GPE0, GPE0_LENGTH = 0xAFE0, 4
NO_C2_C3 = 0xFFF
CENTURY = 0x32  # in CMOS
# WBINVD works, C1 works, no sleep button, the PM timer is the clock to use
FADT_FLAGS = 1 << 0 | 1 << 2 | 1 << 5 | 1 << 15

# MADT
LOCAL_APIC, IO_APIC = 0xFEE0_0000, 0xFEC0_0000
HAS_8259 = 1
LEVEL_HIGH = 0x0D
PCI_INTERRUPTS = (5, 9, 10, 11)
ALL_PROCESSORS = 0xFF

PM_TIMER_GOOD = 2  # WAET: one read gives the right value

# Loader commands
COMMAND_SIZE = 128
ALLOCATE, ADD_POINTER, ADD_CHECKSUM = 1, 2, 3
ZONE_HIGH, ZONE_FSEG = 1, 2


def build(low_ram_end: int, cpus: int = 1, serials: int = 1,
          panic_port: int | None = None, hpet_base: int | None = None) -> dict[str, bytes]:
    """The three fw_cfg files by name.

    low_ram_end: the address where RAM below 4 GiB ends. serials: 0 to 2 serial ports.
    panic_port, hpet_base: where the guest is to find pvpanic and the HPET, if there are these.
    """
    blob = bytearray()
    loader = [_allocate(RSDP_FILE, 16, ZONE_FSEG), _allocate(TABLES_FILE, FACS_ALIGN, ZONE_HIGH)]

    def add(table: bytes, pointers: Iterable[int] = ()) -> int:
        """Append a table in which the offsets `pointers` refer to others; returns where it is."""
        start = len(blob)
        blob.extend(table)
        loader.extend(_add_pointer(TABLES_FILE, start + offset) for offset in pointers)
        loader.append(_add_checksum(TABLES_FILE, start + CHECKSUM, start, len(table)))
        return start

    blob += _facs()  # first, as it alone needs alignment; it has no checksum
    dsdt_at = add(_table(b"DSDT", 1, dsdt.body(low_ram_end, serials, panic_port, hpet_base)))
    roots = (
        add(_fadt(facs=0, dsdt=dsdt_at), pointers=(FADT_FACS, FADT_DSDT)),
        add(_madt(cpus)),
        *([] if hpet_base is None else [add(_hpet(hpet_base))]),
        add(_table(b"WAET", 1, struct.pack("<I", PM_TIMER_GOOD))),
    )
    rsdt = _table(b"RSDT", 1, struct.pack(f"<{len(roots)}I", *roots))
    rsdt_at = add(rsdt, pointers=range(HEADER.size, len(rsdt), 4))

    rsdp = struct.pack("<8sB6sBI", b"RSD PTR ", 0, OEM_ID, 0, rsdt_at)
    loader += [_add_pointer(RSDP_FILE, RSDP_RSDT),
               _add_checksum(RSDP_FILE, RSDP_CHECKSUM, 0, len(rsdp))]
    blob += bytes(-len(blob) % ROOM)
    return {TABLES_FILE: bytes(blob), RSDP_FILE: rsdp, LOADER_FILE: b"".join(loader)}


def _table(signature: bytes, revision: int, body: bytes) -> bytes:
    """With a checksum of 0, for the loader to fill in."""
    return HEADER.pack(signature, HEADER.size + len(body), revision, 0, OEM_ID, OEM_TABLE_ID, 1,
                       CREATOR_ID, 1) + body


def _facs() -> bytes:
    return struct.pack("<4sI", b"FACS", 64).ljust(64, b"\0")


def _fadt(facs: int, dsdt: int) -> bytes:
    """Revision 1, as QEMU has for this board: everything it says fits."""
    return _table(b"FACP", 1, struct.pack(
        "<II BBHIBBBB 8I 8B 4H 5B HBI",
        facs, dsdt,
        1, 0, SCI_INTERRUPT, SMI_COMMAND, ACPI_ENABLE, ACPI_DISABLE, 0, 0,
        PM1_EVENT, 0, PM1_CONTROL, 0, 0, PM_TIMER, GPE0, 0,
        4, 2, 0, 4, GPE0_LENGTH, 0, 0, 0,
        NO_C2_C3, NO_C2_C3, 0, 0,
        0, 0, 0, 0, CENTURY,
        0, 0, FADT_FLAGS))


def _madt(cpus: int) -> bytes:
    processors = (struct.pack("<BBBBI", 0, 8, n, n, 1) for n in range(cpus))
    io_apic = struct.pack("<BBBBII", 1, 12, 0, 0, IO_APIC, 0)
    pit = struct.pack("<BBBBIH", 2, 10, 0, 0, 2, 0)  # ISA 0 is input 2, with its ISA polarity
    pci = (struct.pack("<BBBBIH", 2, 10, 0, n, n, LEVEL_HIGH) for n in PCI_INTERRUPTS)
    nmi = struct.pack("<BBBHB", 4, 6, ALL_PROCESSORS, 0, 1)  # on LINT1
    return _table(b"APIC", 1, struct.pack("<II", LOCAL_APIC, HAS_8259) + b"".join(
        (*processors, io_apic, pit, *pci, nmi)))


def _hpet(base: int) -> bytes:
    memory_space = struct.pack("<4BQ", 0, 0, 0, 0, base)
    return _table(b"HPET", 1, struct.pack("<I12sBHB", hpet.BLOCK_ID, memory_space, 0, 0, 0))


# Loader commands; file names are 56 bytes

def _allocate(file: str, align: int, zone: int) -> bytes:
    return struct.pack("<I56sIB", ALLOCATE, file.encode(), align, zone).ljust(COMMAND_SIZE, b"\0")


def _add_pointer(file: str, offset: int) -> bytes:
    """Add to the four bytes there the address of the tables."""
    return struct.pack("<I56s56sIB", ADD_POINTER, file.encode(), TABLES_FILE.encode(), offset,
                       4).ljust(COMMAND_SIZE, b"\0")


def _add_checksum(file: str, at: int, start: int, length: int) -> bytes:
    return struct.pack("<I56sIII", ADD_CHECKSUM, file.encode(), at, start,
                       length).ljust(COMMAND_SIZE, b"\0")
