"""Direct boot of Linux (`-kernel -initrd -append`): the boot loader's half of the x86 protocol.

The setup header is filled in here; the parts go into fw_cfg, from where the option ROM
linuxboot_dma.bin moves them to their addresses and starts the kernel.
Source: Linux, Documentation/arch/x86/boot.rst.
"""
import os
import re
from dataclasses import dataclass
from pathlib import Path

from . import fw_cfg as key
from .fw_cfg import FwCfg

OPTION_ROM = "linuxboot_dma.bin"
ROM_FILE = f"genroms/{OPTION_ROM}"  # its name in fw_cfg
BOOT_PATH = f"/rom@{ROM_FILE}"  # its name in the boot order

# Where the parts go
SETUP_ADDR, COMMAND_LINE_ADDR, KERNEL_ADDR = 0x10000, 0x20000, 0x100000
PAGE = 0x1000
FIRMWARE_TABLES = 0x40000  # SeaBIOS keeps its tables in so much of the top of memory

# The setup header: offsets in the file
SETUP_SECTORS, VIDEO_MODE, BOOT_FLAG, MAGIC, VERSION = 0x1f1, 0x1fa, 0x1fe, 0x202, 0x206
LOADER_TYPE, LOAD_FLAGS, INITRD_ADDRESS, INITRD_SIZE = 0x210, 0x211, 0x218, 0x21c
HEAP_END, COMMAND_LINE, INITRD_MAX, EXTRA_FLAGS = 0x224, 0x228, 0x22c, 0x236
COMMAND_LINE_SIZE, HEADER_END = 0x238, 0x268

BOOT_SIGNATURE, HEADER_MAGIC = 0xaa55, b"HdrS"
SECTOR, DEFAULT_SETUP_SECTORS = 512, 4
LOADER_IS_QEMU = 0xb0  # of the assigned loader types the one whose firmware interface this is
LOADED_HIGH, CAN_USE_HEAP = 0x01, 0x80  # LOAD_FLAGS
CAN_LOAD_ABOVE_4G = 0x02  # EXTRA_FLAGS: nor does INITRD_MAX count then
STACK_SIZE = 0x200  # above the heap

# Versions of the protocol
NEEDED, HAS_INITRD_MAX, HAS_COMMAND_LINE_SIZE, HAS_EXTRA_FLAGS = 0x202, 0x203, 0x206, 0x20c
OLD_INITRD_MAX, OLD_COMMAND_LINE_SIZE = 0x37ffffff, 255

VIDEO_MODES = {"normal": 0xffff, "ext": 0xfffe, "ask": 0xfffd}
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@dataclass
class LinuxBoot:
    """A kernel ready to start: its setup part with the header filled in, and the rest."""

    setup: bytes
    kernel: bytes
    initrd: bytes
    initrd_address: int
    command_line: bytes  # with the final NUL

    @classmethod
    def read(cls, kernel: str, initrd: str | None, command_line: str,
             ram_below_4g: int) -> "LinuxBoot":
        """Load the files. Raises ValueError, in one line, for what cannot be booted."""
        image = _read_file("kernel", kernel)
        disk = _read_file("initrd", initrd) if initrd else b""
        version = _check(kernel, image)
        setup_size = (image[SETUP_SECTORS] or DEFAULT_SETUP_SECTORS) * SECTOR + SECTOR
        setup = bytearray(image[:setup_size])
        payload = image[setup_size:]
        text = os.fsencode(command_line) + b"\0"
        limit = _get(image, COMMAND_LINE_SIZE, 4) if version >= HAS_COMMAND_LINE_SIZE \
            else OLD_COMMAND_LINE_SIZE
        if len(text) - 1 > limit:
            raise ValueError(f"-append: {len(text) - 1} bytes, the kernel takes {limit}")
        top = min(ram_below_4g - FIRMWARE_TABLES, _memory_limit(command_line))
        if KERNEL_ADDR + len(payload) > top:
            raise ValueError(f"kernel '{kernel}' is too large for the memory of the machine")
        address = 0
        if disk:
            top = min(top, _initrd_max(image, version) + 1)
            address = (top - len(disk)) // PAGE * PAGE
            room = top - KERNEL_ADDR - len(payload)
            if address < KERNEL_ADDR + len(payload):
                raise ValueError(
                    f"initrd '{initrd}' is too large: {len(disk)} bytes, there is room for {room}")
        _put(setup, LOADER_TYPE, 1, LOADER_IS_QEMU)
        _put(setup, LOAD_FLAGS, 1, image[LOAD_FLAGS] | CAN_USE_HEAP)
        _put(setup, HEAP_END, 2, COMMAND_LINE_ADDR - SETUP_ADDR - STACK_SIZE)
        _put(setup, COMMAND_LINE, 4, COMMAND_LINE_ADDR)
        _put(setup, INITRD_ADDRESS, 4, address)
        _put(setup, INITRD_SIZE, 4, len(disk))
        if (mode := _video_mode(command_line)) is not None:
            _put(setup, VIDEO_MODE, 2, mode)
        return cls(bytes(setup), payload, disk, address, text)

    def install(self, fw_cfg: FwCfg) -> None:
        """Hand the parts to the option ROM. The board adds that, as the file `ROM_FILE`."""
        fw_cfg.add_i32(key.KERNEL_ADDR, KERNEL_ADDR)
        fw_cfg.add_i32(key.KERNEL_SIZE, len(self.kernel))
        fw_cfg.add_bytes(key.KERNEL_DATA, self.kernel)
        fw_cfg.add_i32(key.INITRD_ADDR, self.initrd_address)
        fw_cfg.add_i32(key.INITRD_SIZE, len(self.initrd))
        fw_cfg.add_bytes(key.INITRD_DATA, self.initrd)
        fw_cfg.add_i32(key.CMDLINE_ADDR, COMMAND_LINE_ADDR)
        fw_cfg.add_i32(key.CMDLINE_SIZE, len(self.command_line))
        fw_cfg.add_bytes(key.CMDLINE_DATA, self.command_line)
        fw_cfg.add_i32(key.SETUP_ADDR, SETUP_ADDR)
        fw_cfg.add_i32(key.SETUP_SIZE, len(self.setup))
        fw_cfg.add_bytes(key.SETUP_DATA, self.setup)


def _read_file(what: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"could not load {what} '{path}': {error.strerror}") from error


def _check(path: str, image: bytes) -> int:
    """The protocol version of a kernel that can be booted."""
    if (len(image) < HEADER_END or _get(image, BOOT_FLAG, 2) != BOOT_SIGNATURE
            or image[MAGIC:MAGIC + len(HEADER_MAGIC)] != HEADER_MAGIC):
        raise ValueError(f"could not load kernel '{path}': not a Linux bzImage")
    version = _get(image, VERSION, 2)
    if version < NEEDED or not image[LOAD_FLAGS] & LOADED_HIGH:
        raise ValueError(f"could not load kernel '{path}': boot protocol "
                         f"{version >> 8}.{version & 0xff:02}, need a bzImage of 2.02 or newer")
    return version


def _initrd_max(image: bytes, version: int) -> int:
    """The highest address that the last byte of the initrd may have, below 4 GiB."""
    if version >= HAS_EXTRA_FLAGS and _get(image, EXTRA_FLAGS, 2) & CAN_LOAD_ABOVE_4G:
        return (1 << 32) - 1
    return _get(image, INITRD_MAX, 4) if version >= HAS_INITRD_MAX else OLD_INITRD_MAX


def _memory_limit(command_line: str) -> int:
    """What `mem=` leaves to the kernel, which must find the initrd in it."""
    limits = re.findall(r"(?:^|\s)mem=(0x[0-9a-f]+|\d+)([KMG]?)(?=\s|$)", command_line, re.I)
    return int(limits[-1][0], 0) * UNITS[limits[-1][1].upper()] if limits else 1 << 64


def _video_mode(command_line: str) -> int | None:
    """What `vga=` asks for; the kernel leaves this option to the loader."""
    modes = re.findall(r"(?:^|\s)vga=(normal|ext|ask|0x[0-9a-f]+|\d+)(?=\s|$)", command_line, re.I)
    if not modes:
        return None
    mode = modes[-1].lower()
    return VIDEO_MODES[mode] if mode in VIDEO_MODES else int(mode, 0) & 0xffff


def _get(image: bytes, offset: int, size: int) -> int:
    return int.from_bytes(image[offset:offset + size], "little")


def _put(setup: bytearray, offset: int, size: int, value: int) -> None:
    setup[offset:offset + size] = value.to_bytes(size, "little")
