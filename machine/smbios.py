"""What `dmidecode` and a guest's "DMI:" line tell of the machine: the SMBIOS tables.

SeaBIOS takes them as two fw_cfg files, the structures and their entry point; it adds the one of the
BIOS, which is itself, and fills in the address and the checksums.
Source: DMTF DSP0134, System Management BIOS Reference Specification, version 2.8; the values are
those of QEMU's `pc`, but for the manufacturer.
"""
import struct

TABLES_FILE, ANCHOR_FILE = "etc/smbios/smbios-tables", "etc/smbios/smbios-anchor"
VERSION = 2, 8
MANUFACTURER, PRODUCT, MACHINE = "PYEMU", "Standard PC (i440FX + PIIX, 1996)", "pc-i440fx-7.2"

# Structures and their handles
SYSTEM, CHASSIS, PROCESSOR, MEMORY_ARRAY, MEMORY_DEVICE, MEMORY_RANGE, BOOT, END = \
    1, 3, 4, 16, 17, 19, 32, 127
HANDLE_STEP = 0x100  # the first handle of a type is the type times this
ARRAY_HANDLE = MEMORY_ARRAY * HANDLE_STEP

OTHER, UNKNOWN, SAFE = 1, 2, 3
POWER_SWITCH = 6  # what woke the system
CENTRAL_PROCESSOR, ENABLED_IN_SOCKET = 3, 0x41
SPEED_MHZ = 2000
NO_CACHE = 0xffff
SYSTEM_BOARD, SYSTEM_MEMORY, MULTI_BIT_ECC = 1, 3, 6
NO_ERROR_HANDLE, UNKNOWN_WIDTH = 0xfffe, 0xffff
DIMM, RAM = 9, 7

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
LARGEST_DIMM = 16 * GIB
LARGEST_ARRAY = 2 << 40  # bytes that the older field tells; above, this mark
IN_EXTENDED_FIELD = 0x8000_0000
RANGE_LIMIT = 4 << 40
RANGE_IN_EXTENDED_FIELD = 0xffff_ffff


def build(ranges: list[tuple[int, int]], processor: tuple[int, int],
          uuid: bytes = bytes(16)) -> dict[str, bytes]:
    """The two fw_cfg files by name.

    ranges: where RAM is, (address, bytes); empty ones are left out.
    processor: EAX and EDX of CPUID's leaf 1.
    """
    ranges = [(start, size) for start, size in ranges if size]
    total = sum(size for _, size in ranges)
    structures = [
        _structure(SYSTEM, 0, struct.pack("<4B16s3B", 1, 2, 3, 0, _mixed_endian(uuid),
                                          POWER_SWITCH, 0, 0), MANUFACTURER, PRODUCT, MACHINE),
        _structure(CHASSIS, 0, struct.pack("<9B9x", 1, OTHER, 2, 0, 0, SAFE, SAFE, SAFE, UNKNOWN),
                   MANUFACTURER, MACHINE),
        _processor(*processor),
        *_memory(total),
        *(_range(number, *each) for number, each in enumerate(ranges)),
        _structure(BOOT, 0, bytes(7)),
        _structure(END, 0, b""),
    ]
    tables = b"".join(structures)
    return {TABLES_FILE: tables,
            ANCHOR_FILE: _anchor(max(map(len, structures)), len(tables), len(structures))}


def _structure(kind: int, number: int, data: bytes, *strings: str) -> bytes:
    head = struct.pack("<BBH", kind, 4 + len(data), kind * HANDLE_STEP + number)
    return head + data + b"".join(text.encode() + b"\0" for text in strings or ("",)) + b"\0"


def _mixed_endian(uuid: bytes) -> bytes:
    """As the specification has it since 2.6: the first three fields little-endian."""
    return uuid[3::-1] + uuid[5:3:-1] + uuid[7:5:-1] + uuid[8:]


def _processor(signature: int, features: int) -> bytes:
    data = struct.pack("<4B2I", 1, CENTRAL_PROCESSOR, OTHER, 2, signature, features)
    data += struct.pack("<2B3H2B", 3, 0, 0, SPEED_MHZ, SPEED_MHZ, ENABLED_IN_SOCKET, OTHER)
    data += struct.pack("<3H3B", NO_CACHE, NO_CACHE, NO_CACHE, 0, 0, 0)
    cores = enabled = threads = 1
    data += struct.pack("<3B2H", cores, enabled, threads, UNKNOWN, OTHER)
    return _structure(PROCESSOR, 0, data, "CPU 0", MANUFACTURER, MACHINE)


def _memory(total: int) -> list[bytes]:
    """The array of memory devices, and these."""
    sizes = [LARGEST_DIMM] * (total // LARGEST_DIMM)
    if total % LARGEST_DIMM:
        sizes.append(total % LARGEST_DIMM)
    small = total < LARGEST_ARRAY
    array = struct.pack("<3BIHHQ", SYSTEM_BOARD, SYSTEM_MEMORY, MULTI_BIT_ECC,
                        total // KIB if small else IN_EXTENDED_FIELD, NO_ERROR_HANDLE, len(sizes),
                        0 if small else total)
    return [_structure(MEMORY_ARRAY, 0, array),
            *(_dimm(number, size) for number, size in enumerate(sizes))]


def _dimm(number: int, size: int) -> bytes:
    data = struct.pack("<5H4B", ARRAY_HANDLE, NO_ERROR_HANDLE, UNKNOWN_WIDTH, UNKNOWN_WIDTH,
                       size // MIB, DIMM, 0, 1, 0)
    data += struct.pack("<B2H", RAM, UNKNOWN, 0) + bytes((2, 0, 0, 0)) + bytes(13)
    return _structure(MEMORY_DEVICE, number, data, f"DIMM {number}", MANUFACTURER)


def _range(number: int, start: int, size: int) -> bytes:
    last = start + size - 1
    if last < RANGE_LIMIT:
        near, far = (start // KIB, last // KIB), (0, 0)
    else:
        near, far = (RANGE_IN_EXTENDED_FIELD,) * 2, (start, last)
    return _structure(MEMORY_RANGE, number, struct.pack("<2IHB2Q", *near, ARRAY_HANDLE, 1, *far))


def _anchor(largest: int, length: int, count: int) -> bytes:
    """The entry point, whose address and checksums are filled in where it is placed."""
    checksum = address = 0
    major, minor = VERSION
    return struct.pack("<4s4BHB5s5sBHIHB", b"_SM_", checksum, 31, major, minor, largest, 0, b"",
                       b"_DMI_", checksum, length, address, count, major << 4 | minor)
