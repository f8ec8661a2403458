"""ELF kernels with a PVH entry (`-kernel vmlinux`): started in 32-bit mode without paging.

The segments lie in memory from power-on on, as on a machine that has the kernel in ROM; the option
ROM pvh.bin tells the kernel its command line, initrd and memory map.
Source: Xen, docs/misc/pvh.pandoc and include/public/elfnote.h.
"""
import os
from dataclasses import dataclass
from typing import Any

from . import fw_cfg as key
from .elf import Elf
from .fw_cfg import FwCfg
from .kernel_image import (
    FIRMWARE_TABLES,
    PAGE,
    KernelImage,
    add_command_line,
    add_initrd,
    read_file,
)

NOTE_OWNER, NOTE_PHYS32_ENTRY = b"Xen", 18
HEADER_SIZE = 0x2000  # the part of the file that firmware sees as its setup


@dataclass
class PvhBoot(KernelImage):
    """A kernel that knows where it lies, and what it is told."""

    OPTION_ROM = "pvh.bin"

    elf: Elf
    entry: int
    initrd: bytes
    initrd_address: int
    command_line: bytes  # with the final NUL

    @classmethod
    def read(cls, kernel: str, image: bytes, initrd: str | None, command_line: str,
             ram_below_4g: int) -> "PvhBoot":
        """Raises ValueError, in one line, for what cannot be booted."""
        try:
            elf = Elf(image)
        except ValueError as error:
            raise ValueError(f"could not load kernel '{kernel}': {error}") from None
        entry = _entry(elf)
        if entry is None:
            raise ValueError("Error loading uncompressed kernel without PVH ELF Note")
        top = ram_below_4g - FIRMWARE_TABLES
        if not elf.segments or elf.high > top:
            raise ValueError(f"kernel '{kernel}' is too large for the memory of the machine")
        disk = read_file("initrd", initrd) if initrd else b""
        address = (top - len(disk)) // PAGE * PAGE if disk else 0
        if disk and address < elf.high:
            raise ValueError(f"initrd '{initrd}' is too large: {len(disk)} bytes, "
                             f"there is room for {top - elf.high}")
        return cls(elf, entry, disk, address, os.fsencode(command_line) + b"\0")

    def install(self, fw_cfg: FwCfg) -> None:
        header = bytes(self.elf.image[:HEADER_SIZE])
        fw_cfg.add_i32(key.KERNEL_ENTRY, self.entry)
        add_initrd(fw_cfg, self.initrd_address, self.initrd)
        add_command_line(fw_cfg, self.command_line)
        fw_cfg.add_i32(key.SETUP_SIZE, len(header))
        fw_cfg.add_bytes(key.SETUP_DATA, header)

    def load(self, memory: Any) -> None:
        for segment in self.elf.segments:
            memory.write(segment.physical, segment.data)
            memory.write(segment.physical + len(segment.data),
                         bytes(segment.size - len(segment.data)))


def _entry(elf: Elf) -> int | None:
    """The physical address that the note tells."""
    for owner, kind, description in elf.notes():
        if owner == NOTE_OWNER and kind == NOTE_PHYS32_ENTRY:
            return int.from_bytes(description[:4], "little")
    return None
