"""Linux kernels (`-kernel`), and what boots as they do: the boot loader's half of the x86 protocol.

The setup header is filled in here; the option ROM moves the parts to their addresses.
Source: Linux, Documentation/arch/x86/boot.rst.
"""
import os
import re
from dataclasses import dataclass

from . import fw_cfg as key
from .fw_cfg import FwCfg
from .kernel_image import (
    FIRMWARE_TABLES,
    PAGE,
    KernelImage,
    add_command_line,
    add_initrd,
    add_kernel,
    read_file,
)

# Where the parts go: setup, command line, kernel. The first kernels end their setup by OLD_END.
SETUP_ADDR, COMMAND_LINE_ADDR, KERNEL_ADDR = 0x10000, 0x20000, 0x100000
OLD_SETUP_ADDR, OLD_END, LOW_KERNEL_ADDR = 0x90000, 0x9a000, 0x10000

# The setup header: offsets in the file
OLD_COMMAND_LINE, SETUP_SECTORS, VIDEO_MODE, BOOT_FLAG = 0x20, 0x1f1, 0x1fa, 0x1fe
MAGIC, VERSION = 0x202, 0x206
LOADER_TYPE, LOAD_FLAGS, INITRD_ADDRESS, INITRD_SIZE = 0x210, 0x211, 0x218, 0x21c
HEAP_END, COMMAND_LINE, INITRD_MAX, EXTRA_FLAGS = 0x224, 0x228, 0x22c, 0x236
COMMAND_LINE_SIZE, HEADER_END = 0x238, 0x268

BOOT_SIGNATURE, HEADER_MAGIC = 0xaa55, b"HdrS"
OLD_COMMAND_LINE_MAGIC = 0xa33f
SECTOR, DEFAULT_SETUP_SECTORS = 512, 4
LOADER_IS_QEMU = 0xb0  # of the assigned loader types the one whose firmware interface this is
LOADED_HIGH, CAN_USE_HEAP = 0x01, 0x80  # LOAD_FLAGS
CAN_LOAD_ABOVE_4G = 0x02  # EXTRA_FLAGS: nor does INITRD_MAX count then
STACK_SIZE = 0x200  # above the heap

# Versions of the protocol
HAS_INITRD, HAS_HEAP, HAS_COMMAND_LINE = 0x200, 0x201, 0x202
HAS_INITRD_MAX, HAS_COMMAND_LINE_SIZE, HAS_EXTRA_FLAGS = 0x203, 0x206, 0x20c
OLD_INITRD_MAX, OLD_COMMAND_LINE_SIZE = 0x37ffffff, 255

VIDEO_MODES = {"normal": 0xffff, "ext": 0xfffe, "ask": 0xfffd}
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@dataclass
class LinuxBoot(KernelImage):
    """A kernel ready to start: its setup part with the header filled in, and the rest."""

    OPTION_ROM = "linuxboot_dma.bin"

    setup: bytearray
    setup_address: int
    kernel: bytes
    kernel_address: int
    initrd: bytes
    initrd_address: int
    command_line: bytes  # with the final NUL
    command_line_address: int

    @staticmethod
    def recognizes(image: bytes) -> bool:
        return image[MAGIC:MAGIC + len(HEADER_MAGIC)] == HEADER_MAGIC

    @classmethod
    def read(cls, kernel: str, image: bytes, initrd: str | None, command_line: str,
             ram_below_4g: int) -> "LinuxBoot":
        """Raises ValueError, in one line, for what cannot be booted."""
        if len(image) < HEADER_END or _get(image, BOOT_FLAG, 2) != BOOT_SIGNATURE:
            raise ValueError(f"could not load kernel '{kernel}': neither a Linux kernel nor "
                             "a multiboot or ELF one")
        version = _get(image, VERSION, 2) if cls.recognizes(image) else 0
        disk = read_file("initrd", initrd) if initrd else b""
        if disk and version < HAS_INITRD:
            raise ValueError(f"kernel '{kernel}' is too old to load a RAM disk")
        text = os.fsencode(command_line) + b"\0"
        limit = _get(image, COMMAND_LINE_SIZE, 4) if version >= HAS_COMMAND_LINE_SIZE \
            else OLD_COMMAND_LINE_SIZE
        if len(text) - 1 > limit:
            raise ValueError(f"-append: {len(text) - 1} bytes, the kernel takes {limit}")
        setup_size = (image[SETUP_SECTORS] or DEFAULT_SETUP_SECTORS) * SECTOR + SECTOR
        setup, payload = bytearray(image[:setup_size]), image[setup_size:]
        high = version >= HAS_INITRD and image[LOAD_FLAGS] & LOADED_HIGH
        address = KERNEL_ADDR if high else LOW_KERNEL_ADDR
        setup_address, text_address = SETUP_ADDR, COMMAND_LINE_ADDR
        if not high or version < HAS_COMMAND_LINE:
            setup_address, text_address = OLD_SETUP_ADDR, (OLD_END - len(text)) & ~15
        top = min(ram_below_4g - FIRMWARE_TABLES, _memory_limit(command_line))
        end = address + len(payload)
        if end > (top if high else setup_address):
            raise ValueError(f"kernel '{kernel}' is too large for the memory of the machine")
        initrd_address = 0
        if disk:
            top = min(top, _initrd_max(image, version) + 1)
            initrd_address = (top - len(disk)) // PAGE * PAGE
            if initrd_address < max(end, KERNEL_ADDR):
                raise ValueError(f"initrd '{initrd}' is too large: {len(disk)} bytes, "
                                 f"there is room for {top - max(end, KERNEL_ADDR)}")
        linux = cls(setup, setup_address, payload, address, disk, initrd_address,
                    text, text_address)
        linux._fill_in_header(version, _video_mode(command_line))
        return linux

    def _fill_in_header(self, version: int, video_mode: int | None) -> None:
        setup, room = self.setup, self.command_line_address - self.setup_address
        if version >= HAS_INITRD:
            _put(setup, LOADER_TYPE, 1, LOADER_IS_QEMU)
            _put(setup, INITRD_ADDRESS, 4, self.initrd_address)
            _put(setup, INITRD_SIZE, 4, len(self.initrd))
        if version >= HAS_HEAP:
            _put(setup, LOAD_FLAGS, 1, setup[LOAD_FLAGS] | CAN_USE_HEAP)
            _put(setup, HEAP_END, 2, room - STACK_SIZE)
        if version >= HAS_COMMAND_LINE:
            _put(setup, COMMAND_LINE, 4, self.command_line_address)
        else:
            _put(setup, OLD_COMMAND_LINE, 2, OLD_COMMAND_LINE_MAGIC)
            _put(setup, OLD_COMMAND_LINE + 2, 2, room)
        if video_mode is not None:
            _put(setup, VIDEO_MODE, 2, video_mode)

    def install(self, fw_cfg: FwCfg) -> None:
        add_kernel(fw_cfg, self.kernel_address, self.kernel)
        add_initrd(fw_cfg, self.initrd_address, self.initrd)
        fw_cfg.add_i32(key.CMDLINE_ADDR, self.command_line_address)
        add_command_line(fw_cfg, self.command_line)
        fw_cfg.add_i32(key.SETUP_ADDR, self.setup_address)
        fw_cfg.add_i32(key.SETUP_SIZE, len(self.setup))
        fw_cfg.add_bytes(key.SETUP_DATA, bytes(self.setup))


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


def _get(image: bytes | bytearray, offset: int, size: int) -> int:
    return int.from_bytes(image[offset:offset + size], "little")


def _put(setup: bytearray, offset: int, size: int, value: int) -> None:
    setup[offset:offset + size] = value.to_bytes(size, "little")
