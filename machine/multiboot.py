"""Multiboot kernels (`-kernel`), with modules (`-initrd`): the boot loader's half of version 1.

Kernel, modules and the lists that tell of them are one block, which the option ROM puts where the
kernel is to lie; it adds the memory map, for which it asks the BIOS.
Source: Multiboot Specification 0.6.96, sections 3.1 (header) and 3.3 (information).
"""
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from . import fw_cfg as key
from .elf import MACHINE_X86_64, MAGIC, Elf
from .fw_cfg import FwCfg
from .kernel_image import FIRMWARE_TABLES, PAGE, KernelImage, add_initrd, add_kernel, read_file

SEARCHED = 8192  # bytes of the file in which the header must begin

# The header
HEADER_MAGIC, HEADER_STEP = 0x1badb002, 4
HEADER = struct.Struct("<III")  # magic, flags, checksum
ADDRESSES = struct.Struct("<12xIIIII")  # header, load, load end, bss end and entry address
HAS_ADDRESSES = 0x00010000  # flag: load by these, whatever format the file has

# The information: where it lies, its fields, what is valid of it
MEMORY_MAP, INFORMATION = 0x9000, 0x9500  # the option ROM writes the map
INFORMATION_SIZE = 88
FLAGS, BOOT_DEVICE, COMMAND_LINE, MODULE_COUNT, MODULES = 0, 12, 16, 20, 24
MEMORY_MAP_ADDRESS, LOADER_NAME = 48, 64
HAS_MEMORY, HAS_BOOT_DEVICE, HAS_COMMAND_LINE, HAS_MODULES = 0x01, 0x02, 0x04, 0x08
HAS_MEMORY_MAP, HAS_LOADER_NAME = 0x40, 0x200
FIRST_HARD_DISK = 0x8000ffff  # any partition
LOADER = b"qemu\0"
TOO_HIGH = "the memory of the machine ends below its end"
MODULE = struct.Struct("<IIII")  # start, end, its command line, 0


@dataclass
class Load:
    """What of the file goes to which address, where to start, how much room it all takes."""

    address: int
    data: bytes
    size: int
    entry: int


@dataclass
class Multiboot(KernelImage):
    """address: of `block`, the kernel with all that follows it."""

    OPTION_ROM = "multiboot_dma.bin"

    address: int
    entry: int
    block: bytes
    information: bytes

    @staticmethod
    def recognizes(image: bytes) -> bool:
        return _find_header(image) is not None

    @classmethod
    def read(cls, kernel: str, image: bytes, initrd: str | None, command_line: str,
             ram_below_4g: int) -> "Multiboot":
        """Raises ValueError, in one line, for what cannot be booted."""
        top = ram_below_4g - FIRMWARE_TABLES
        try:
            load = _load(image, top)
        except ValueError as error:
            raise ValueError(f"could not load kernel '{kernel}': {error}") from None
        block = _padded(load.data.ljust(load.size, b"\0"))
        lines = _split(initrd) if initrd else []
        texts = [os.fsencode(line) + b"\0" for line in lines]
        texts.append(os.fsencode(f"{kernel} {command_line}") + b"\0")
        table = len(block)
        strings = table + MODULE.size * len(lines)
        modules_at = strings + sum(map(len, texts)) + len(LOADER)
        contents = [read_file("module", line.partition(" ")[0]) for line in lines]
        at = _up(modules_at)
        for text, data in zip(texts, contents, strict=False):
            block += MODULE.pack(load.address + at, load.address + at + len(data),
                                 load.address + strings, 0)
            strings += len(text)
            at += _up(len(data))
        block = _padded(block + b"".join(texts) + LOADER) + b"".join(map(_padded, contents))
        if load.address + len(block) > top:
            raise ValueError(f"kernel '{kernel}' is too large for the memory of the machine")
        information = bytearray(INFORMATION_SIZE)
        for field, value in (
                (FLAGS, HAS_MEMORY | HAS_BOOT_DEVICE | HAS_COMMAND_LINE | HAS_MODULES
                 | HAS_MEMORY_MAP | HAS_LOADER_NAME),
                (BOOT_DEVICE, FIRST_HARD_DISK), (COMMAND_LINE, load.address + strings),
                (MODULE_COUNT, len(lines)), (MODULES, load.address + table),
                (MEMORY_MAP_ADDRESS, MEMORY_MAP),
                (LOADER_NAME, load.address + modules_at - len(LOADER))):
            struct.pack_into("<I", information, field, value)
        return cls(load.address, load.entry, block, bytes(information))

    def install(self, fw_cfg: FwCfg) -> None:
        fw_cfg.add_i32(key.KERNEL_ENTRY, self.entry)
        add_kernel(fw_cfg, self.address, self.block)
        add_initrd(fw_cfg, INFORMATION, self.information)


def _find_header(image: bytes) -> int | None:
    for at in range(0, min(SEARCHED, len(image) - HEADER.size + 1), HEADER_STEP):
        fields = HEADER.unpack_from(image, at)
        if fields[0] == HEADER_MAGIC and sum(fields) & 0xffffffff == 0:
            return at
    return None


def _load(image: bytes, top: int) -> Load:
    """top: the end of memory. An ELF file says itself what the header would."""
    return _load_elf(image, top) if image.startswith(MAGIC) else _load_flat(image, top)


def _load_elf(image: bytes, top: int) -> Load:
    elf = Elf(image)
    if elf.machine == MACHINE_X86_64:
        raise ValueError("Cannot load x86-64 image, give a 32bit one.")
    if not elf.segments:
        raise ValueError("the ELF file has nothing to load")
    if elf.high > top:
        raise ValueError(TOO_HIGH)
    low = elf.low
    data = bytearray(elf.high - low)
    for segment in elf.segments:
        start = segment.physical - low
        data[start:start + len(segment.data)] = segment.data
    return Load(low, bytes(data), len(data), elf.entry)


def _load_flat(image: bytes, top: int) -> Load:
    header = _find_header(image)
    assert header is not None
    _, flags, _ = HEADER.unpack_from(image, header)
    if not flags & HAS_ADDRESSES:
        raise ValueError("neither an ELF file nor does its multiboot header tell addresses")
    if header + ADDRESSES.size > len(image):
        raise ValueError("the multiboot header is cut short")
    header_address, address, end, bss_end, entry = ADDRESSES.unpack_from(image, header)
    if address > header_address:
        raise ValueError("invalid load_addr address")
    start = header - (header_address - address)
    if start < 0:
        raise ValueError("invalid header_addr address")
    if end and end < address:
        raise ValueError("invalid load_end_addr address")
    length = end - address if end else len(image) - start
    if bss_end and bss_end < address + length:
        raise ValueError("invalid bss_end_addr address")
    if start + length > len(image):
        raise ValueError("the file ends before load_end_addr")
    size = bss_end - address if bss_end else length
    if address + size > top:
        raise ValueError(TOO_HIGH)
    return Load(address, image[start:start + length], size, entry)


def _split(modules: str) -> Sequence[str]:
    """`-initrd` lists modules by commas, each a file and what is to be told to it; `,,` is one."""
    return [part.replace("\0", ",") for part in modules.replace(",,", "\0").split(",")]


def _up(size: int) -> int:
    return -(-size // PAGE) * PAGE


def _padded(data: bytes) -> bytes:
    return data.ljust(_up(len(data)), b"\0")
