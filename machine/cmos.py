"""What the set-up program of a PC leaves in the CMOS memory: sizes, drives, boot order.

Source: SeaBIOS, src/hw/rtc.h, for who reads what; the layout is IBM's (PC AT Technical
Reference, section 5) where it is below 0x34.
"""
from collections.abc import Sequence
from dataclasses import dataclass

FLOPPY_TYPES = 0x10  # drive A in the high half
DISK_TYPES = 0x12  # first disk in the high half
EQUIPMENT = 0x14
BASE_KIB = 0x15  # KiB below 640 K, 2 bytes
EXTENDED_KIB = 0x17  # KiB above 1 M, 2 bytes
DISK_TYPES_EXTENDED = 0x19  # one byte a disk
DISK_PARAMETERS = (0x1B, 0x24)  # 9 bytes a disk
EXTENDED_KIB_FOUND = 0x30  # the same as at 0x17, as the self-test measured it
ABOVE_16M = 0x34  # units of 64 KiB from 16 M to the PCI hole, 2 bytes
BOOT_3 = 0x38  # third boot device in the high half; bit 0: no check of a floppy's signature
DISK_TRANSLATION = 0x39  # 2 bits a disk
BOOT_1_2 = 0x3D  # first boot device in the low half, second in the high half
ABOVE_4G = 0x5B  # units of 64 KiB, 3 bytes
OTHER_CPUS = 0x5F  # processors less one

KIB, MIB = 1 << 10, 1 << 20
UNIT = 64 * KIB

EQUIPMENT_FLOPPIES = 0x01  # and their number less one from bit 6
EQUIPMENT_FLOPPIES_SHIFT = 6
EQUIPMENT_FPU = 0x02
EQUIPMENT_PS2_MOUSE = 0x04

BOOT_CODES = {"a": 1, "b": 1, "c": 2, "d": 3, "n": 4}  # as the letters of -boot order=
MOST_BOOT_DEVICES = 3
NO_SIGNATURE_CHECK = 0x01

DISK_USER_TYPE = 47
DISK_TYPE_EXTENDED = 0xF
DISK_CONTROL = 0xC0
DISK_MANY_HEADS = 0x08

FLOPPY_360K, FLOPPY_1200K, FLOPPY_720K, FLOPPY_1440K, FLOPPY_2880K = range(1, 6)


TRANSLATE_NONE, TRANSLATE_LBA, TRANSLATE_LARGE, TRANSLATE_REVISED_LARGE = range(4)


@dataclass(frozen=True)
class Disk:
    """Geometry of an ATA disk as the BIOS is to be told.

    translation: one of the TRANSLATE constants.
    """

    cylinders: int
    heads: int
    sectors: int
    translation: int = 0


def preset(below_4g: int, above_4g: int = 0, *, cpus: int = 1, boot: str = "cad",
           floppies: Sequence[int] = (), disks: Sequence[Disk | None] = (),
           check_floppy: bool = True) -> dict[int, int]:
    """CMOS bytes by address, for `Rtc`.

    below_4g, above_4g: bytes of RAM. boot: up to three letters of BOOT_CODES, first to last.
    floppies: drive types, A first, as FLOPPY_1440K, 0 for none. disks: the four ATA disks by
    (channel, unit), None where there is none. Raises ValueError for another boot letter.
    """
    cmos: dict[int, int] = {}

    def put(address: int, size: int, value: int) -> None:
        value = min(value, (1 << 8 * size) - 1)
        for n, byte in enumerate(value.to_bytes(size, "little")):
            cmos[address + n] = byte

    put(BASE_KIB, 2, min(below_4g // KIB, 640))
    put(EXTENDED_KIB, 2, max(below_4g - MIB, 0) // KIB)
    put(EXTENDED_KIB_FOUND, 2, max(below_4g - MIB, 0) // KIB)
    put(ABOVE_16M, 2, max(below_4g - 16 * MIB, 0) // UNIT)
    put(ABOVE_4G, 3, above_4g // UNIT)
    put(OTHER_CPUS, 1, cpus - 1)

    cmos |= {address: value for address, (_, value) in boot_settings(boot[:3]).items()}
    cmos[BOOT_3] |= 0 if check_floppy else NO_SIGNATURE_CHECK

    type_a, type_b = (*floppies, 0, 0)[:2]
    cmos[FLOPPY_TYPES] = type_a << 4 | type_b
    cmos[EQUIPMENT] = EQUIPMENT_FPU | EQUIPMENT_PS2_MOUSE
    if number := sum(map(bool, floppies)):
        cmos[EQUIPMENT] |= EQUIPMENT_FLOPPIES | number - 1 << EQUIPMENT_FLOPPIES_SHIFT

    cmos[DISK_TYPES] = cmos[DISK_TRANSLATION] = 0
    for n, disk in enumerate(disks):
        if disk is None:
            continue
        cmos[DISK_TRANSLATION] |= disk.translation << 2 * n
        if n < len(DISK_PARAMETERS):
            cmos[DISK_TYPES] |= DISK_TYPE_EXTENDED << (0 if n else 4)
            cmos[DISK_TYPES_EXTENDED + n] = DISK_USER_TYPE
            put_disk(cmos, DISK_PARAMETERS[n], disk)
    return cmos


def boot_settings(order: str) -> dict[int, tuple[int, int]]:
    """By address, which bits hold the order of at most three boot devices, and how they are set.

    Raises ValueError for another letter than those of BOOT_CODES.
    """
    first, second, third = (boot_code(letter) for letter in order.ljust(MOST_BOOT_DEVICES))
    return {BOOT_1_2: (0xFF, first | second << 4), BOOT_3: (0xF0, third << 4)}


def boot_code(letter: str) -> int:
    """SeaBIOS' number of a boot device; 0 for a blank. Raises ValueError for other letters."""
    if letter == " ":
        return 0
    if letter not in BOOT_CODES:
        raise ValueError(f"Invalid boot device for PC: '{letter}'")
    return BOOT_CODES[letter]


def put_disk(cmos: dict[int, int], address: int, disk: Disk) -> None:
    """The nine bytes of a disk of user type: cylinders, heads, write precompensation (none),
    control, landing zone, sectors.
    """
    low, high = disk.cylinders & 0xFF, disk.cylinders >> 8 & 0xFF
    control = DISK_CONTROL | (DISK_MANY_HEADS if disk.heads > 8 else 0)
    parameters = (low, high, disk.heads, 0xFF, 0xFF, control, low, high, disk.sectors)
    cmos.update(zip(range(address, address + len(parameters)), parameters, strict=True))
