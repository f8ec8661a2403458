"""GRUB 2 for the BIOS, put by ourselves where grub-install would put it.

The boot sector loads the first sector of the core image, which loads the rest of it by a list of
blocks at its end. Both sectors are told here where the core image is: right behind the boot
sector, in the gap before the first partition.
Source: GRUB 2.06, include/grub/i386/pc/boot.h, include/grub/offsets.h.
"""
import struct
from pathlib import Path
from tempfile import TemporaryDirectory

from pyemu.images.disk import FIRST_SECTOR, SECTOR
from pyemu.images.host import BuildError, installed, run

FOLDER = Path("/usr/lib/grub/i386-pc")
# All there is of GRUB: what is not in the core image cannot be loaded later.
MODULES = ("biosdisk", "part_msdos", "ext2", "normal", "linux", "echo", "ls", "cat", "reboot",
           "halt")
PREFIX = "(,msdos1)/boot/grub"  # of the disk GRUB was loaded from

CORE_SECTOR = 1
KERNEL_SECTOR_OFFSET = 0x5C  # in boot.img: where the core image is, 64 bits
BLOCK_LIST = struct.Struct("<QHH")  # first sector, number of sectors, segment to load to
BLOCK_LIST_OFFSET = SECTOR - BLOCK_LIST.size  # in the core image
LOAD_SEGMENT = 0x820


def boot_sector() -> bytes:
    """boot.img, told where the core image is."""
    sector = bytearray(installed(FOLDER / "boot.img", "grub-pc-bin"))
    struct.pack_into("<Q", sector, KERNEL_SECTOR_OFFSET, CORE_SECTOR)
    return bytes(sector)


def core_image() -> bytes:
    """The core image in whole sectors, told where its second sector is."""
    with TemporaryDirectory() as folder:
        core = Path(folder, "core.img")
        run("grub-mkimage", "--format", "i386-pc", "--directory", FOLDER, "--prefix", PREFIX,
            "--output", core, *MODULES)
        return with_block_list(core.read_bytes())


def with_block_list(core: bytes) -> bytes:
    """`core` in whole sectors, with the list of its blocks at the end of the first.

    Raises BuildError if it is too long for the gap before the first partition.
    """
    sectors = -(-len(core) // SECTOR)
    if CORE_SECTOR + sectors > FIRST_SECTOR:
        raise BuildError(f"GRUB's core image has {sectors} sectors, the gap {FIRST_SECTOR - 1}")
    padded = bytearray(core.ljust(sectors * SECTOR, b"\0"))
    BLOCK_LIST.pack_into(padded, BLOCK_LIST_OFFSET, CORE_SECTOR + 1, sectors - 1, LOAD_SEGMENT)
    return bytes(padded)
