"""fw_cfg: how the machine tells its firmware what it consists of.

A list of items, chosen by a 16-bit key and read byte by byte, or moved by DMA. Items from key 20h
on are files, which the directory (key 19h) lists by name.
Windows: selector and data (`FwCfg`, two ports), DMA address register (`FwCfg.dma`, eight).
Source: QEMU, docs/specs/fw_cfg.txt.
"""
import bisect
import os
import struct
from collections.abc import Callable
from typing import Any

from pyemu.trace.hooks import (
    trace_fw_cfg_add_bytes,
    trace_fw_cfg_add_file,
    trace_fw_cfg_add_i16,
    trace_fw_cfg_add_i32,
    trace_fw_cfg_add_i64,
    trace_fw_cfg_add_string,
    trace_fw_cfg_read,
    trace_fw_cfg_select,
)

from .chip import Chip

# Keys
SIGNATURE, ID, UUID, RAM_SIZE, NOGRAPHIC, NB_CPUS, MACHINE_ID = range(7)
KERNEL_ADDR, KERNEL_SIZE, KERNEL_CMDLINE, INITRD_ADDR, INITRD_SIZE, BOOT_DEVICE = range(7, 13)
NUMA, BOOT_MENU, MAX_CPUS, KERNEL_ENTRY, KERNEL_DATA, INITRD_DATA = range(13, 19)
CMDLINE_ADDR, CMDLINE_SIZE, CMDLINE_DATA, SETUP_ADDR, SETUP_SIZE, SETUP_DATA = range(19, 25)
FILE_DIR = 25
FILE_FIRST, FILE_SLOTS = 0x20, 0x20
WRITE_CHANNEL = 0x4000  # once meant writing, now ignored
ARCH_LOCAL = 0x8000
ACPI_TABLES, SMBIOS_ENTRIES, IRQ0_OVERRIDE, E820_TABLE, HPET = range(ARCH_LOCAL, ARCH_LOCAL + 5)
INVALID = 0xffff

KEY_NAMES = dict(enumerate((
    "signature", "id", "uuid", "ram_size", "nographic", "nb_cpus", "machine_id", "kernel_addr",
    "kernel_size", "kernel_cmdline", "initrd_addr", "initrd_size", "boot_device", "numa",
    "boot_menu", "max_cpus", "kernel_entry", "kernel_data", "initrd_data", "cmdline_addr",
    "cmdline_size", "cmdline_data", "setup_addr", "setup_size", "setup_data", "file_dir")))
KEY_NAMES.update(enumerate(
    ("acpi_tables", "smbios_entries", "irq0_override", "e820_table", "hpet"), ARCH_LOCAL))

FEATURES = 0x3  # ID: the traditional interface, and DMA
NAME_SIZE = 56  # with the final NUL
DIRECTORY_ENTRY = struct.Struct(f">IHH{NAME_SIZE}s")  # size, key, reserved, name

# DMA
DMA_SIGNATURE = b"QEMU CFG"
DMA_REQUEST = struct.Struct(">IIQ")  # control, length, address
DMA_ERROR, DMA_READ, DMA_SKIP, DMA_SELECT, DMA_WRITE = 0x01, 0x02, 0x04, 0x08, 0x10
DMA_LOW = 4  # offset of the half of the address register that starts the transfer
CHUNK = 1 << 20  # bytes of zeros written at a time


class Item:
    """What a key leads to. `data` is fixed, or a bytearray that the guest may write."""

    __slots__ = ("data", "on_select", "on_write")

    def __init__(self, data: Any, on_select: Callable[[], None] | None = None,
                 on_write: Callable[[int, int], None] | None = None):
        self.data = data
        self.on_select = on_select
        self.on_write = on_write


class FwCfg(Chip):
    """The items, the selector and data ports, and, as `dma`, the DMA interface.

    memory: guest-physical memory, for DMA.
    """

    STATE = ("key", "offset", "dma_address", "written")

    def __init__(self, memory: Any):
        self.memory = memory
        self.items: dict[int, Item] = {}
        self.names: list[str] = []  # of the files, sorted; their keys follow from the order
        self.files: dict[str, Item] = {}
        self.written: dict[str, bytearray] = {}  # contents of the files that a guest may write
        self.add_bytes(SIGNATURE, b"QEMU")
        self.add_i32(ID, FEATURES)
        self.add_bytes(FILE_DIR, bytes(4))
        self.dma = FwCfgDma(self)
        self.reset()

    def reset(self) -> None:
        self.dma_address = 0
        self.select(SIGNATURE)

    def restored(self) -> None:
        for name, data in self.written.items():
            self.files[name].data = data
        self._item = self.items.get(self.key)

    # What the machine puts in

    def add_bytes(self, key: int, data: bytes) -> None:
        trace_fw_cfg_add_bytes(key, self.key_name(key), len(data))
        self.items[key] = Item(data)

    def add_i16(self, key: int, value: int) -> None:
        trace_fw_cfg_add_i16(key, self.key_name(key), value)
        self.add_bytes(key, value.to_bytes(2, "little"))

    def add_i32(self, key: int, value: int) -> None:
        trace_fw_cfg_add_i32(key, self.key_name(key), value)
        self.add_bytes(key, value.to_bytes(4, "little"))

    def add_i64(self, key: int, value: int) -> None:
        trace_fw_cfg_add_i64(key, self.key_name(key), value)
        self.add_bytes(key, value.to_bytes(8, "little"))

    def add_string(self, key: int, value: str) -> None:
        """A string with its final NUL."""
        trace_fw_cfg_add_string(key, self.key_name(key), value)
        self.add_bytes(key, os.fsencode(value) + b"\0")

    def add_file(self, name: str, data: bytes, *, writable: bool = False,
                 on_select: Callable[[], None] | None = None,
                 on_write: Callable[[int, int], None] | None = None) -> None:
        """Add a file, or replace one of that name.

        on_select() is called each time the guest chooses it, and may call `add_file` to bring
        it up to date; on_write(offset, length) after the guest has written.
        Raises ValueError if the name is too long or no slot is left.
        """
        if len(name.encode()) >= NAME_SIZE:
            raise ValueError(f"fw_cfg: file name '{name}' is longer than {NAME_SIZE - 1} bytes")
        if name not in self.files:
            if len(self.names) == FILE_SLOTS:
                raise ValueError(f"fw_cfg: no slot left for file '{name}'")
            bisect.insort(self.names, name)
        self.written.pop(name, None)
        if writable:
            self.written[name] = bytearray(data)
        self.files[name] = Item(self.written.get(name, data), on_select, on_write)
        trace_fw_cfg_add_file(self, self.names.index(name), name, len(data))
        self._list_files()

    def file_data(self, name: str) -> Any:
        """The contents of a file as they are now. Raises KeyError if there is none."""
        return self.files[name].data

    def _list_files(self) -> None:
        directory = [len(self.names).to_bytes(4, "big")]
        for key, name in enumerate(self.names, FILE_FIRST):
            item = self.items[key] = self.files[name]
            directory.append(DIRECTORY_ENTRY.pack(len(item.data), key, 0, name.encode()))
        self.items[FILE_DIR] = Item(b"".join(directory))

    @staticmethod
    def key_name(key: int) -> str:
        return KEY_NAMES.get(key, "unknown")

    # What the guest does

    def select(self, key: int) -> None:
        """Choose an item and go to its beginning."""
        key &= ~WRITE_CHANNEL
        item = self.items.get(key)
        if item and item.on_select:
            item.on_select()
            item = self.items[key]  # it may have been replaced
        self.key = key if item else INVALID
        self.offset = 0
        self._item = item
        trace_fw_cfg_select(self, key, self.key_name(key), int(item is not None))

    def read_block(self, limit: int) -> bytes:
        """The next bytes of the item; beyond its end there are zeros."""
        data = self._item.data if self._item else b""
        block = bytes(data[self.offset:self.offset + limit]) or bytes(limit)
        self.offset += len(block)
        if trace_fw_cfg_read:
            for byte in block:
                trace_fw_cfg_read(self, byte)
        return block

    def read(self, offset: int, size: int) -> int:
        """Both ports show the data; the selector itself cannot be read."""
        return self.read_block(1)[0] if size == 1 else 0

    def write(self, offset: int, size: int, value: int) -> None:
        """A word to the first port selects. Data is only written by DMA."""
        if size == 2 and offset == 0:
            self.select(value)


class FwCfgDma:
    """The DMA address register, big-endian: writing its lower half starts the transfer."""

    def __init__(self, fw_cfg: FwCfg):
        self.fw_cfg = fw_cfg

    def read(self, offset: int, size: int) -> int:
        return int.from_bytes(DMA_SIGNATURE[offset:offset + size], "little")

    def write(self, offset: int, size: int, value: int) -> None:
        if size != 4:
            return
        half = int.from_bytes(value.to_bytes(4, "little"), "big")
        if offset == 0:
            self.fw_cfg.dma_address = half << 32
        elif offset == DMA_LOW:
            address, self.fw_cfg.dma_address = self.fw_cfg.dma_address | half, 0
            self._request(address)

    def _request(self, address: int) -> None:
        """Do what the structure at `address` asks, and answer in its control word."""
        memory = self.fw_cfg.memory
        control, length, target = DMA_REQUEST.unpack(memory.read(address, DMA_REQUEST.size))
        if control & DMA_SELECT:
            self.fw_cfg.select(control >> 16)
        error = 0
        if control & DMA_READ:
            self._read(target, length)
        elif control & DMA_WRITE:
            error = 0 if self._write(target, length) else DMA_ERROR
        elif control & DMA_SKIP:
            self.fw_cfg.offset += length
        memory.write(address, error.to_bytes(4, "big"))

    def _read(self, target: int, length: int) -> None:
        fw_cfg = self.fw_cfg
        data = fw_cfg._item.data if fw_cfg._item else b""
        part = bytes(memoryview(data)[fw_cfg.offset:fw_cfg.offset + length])
        fw_cfg.memory.write(target, part)
        fw_cfg.offset += length
        for done in range(len(part), length, CHUNK):
            fw_cfg.memory.write(target + done, bytes(min(CHUNK, length - done)))

    def _write(self, target: int, length: int) -> bool:
        """False if the item cannot be written, or not that far."""
        fw_cfg = self.fw_cfg
        item, offset = fw_cfg._item, fw_cfg.offset
        if item is None or not isinstance(item.data, bytearray) or offset + length > len(item.data):
            return False
        item.data[offset:offset + length] = fw_cfg.memory.read(target, length)
        fw_cfg.offset += length
        if item.on_write:
            item.on_write(offset, length)
        return True
