"""What is common to the kernels that `-kernel` boots, whatever protocol they are booted by.

Their parts go into fw_cfg, from where an option ROM, chosen by the protocol, moves them to their
addresses and starts the kernel. Firmware finds that ROM as a file and, first in the boot order, as
a boot device.
"""
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from . import fw_cfg as key
from .fw_cfg import FwCfg

PAGE = 0x1000
FIRMWARE_TABLES = 0x40000  # SeaBIOS keeps its tables in so much of the top of memory
ROM_FOLDER = "genroms"


class KernelImage(ABC):
    """A kernel ready to start."""

    OPTION_ROM: ClassVar[str]

    @property
    def rom_file(self) -> str:
        """What the option ROM is called in fw_cfg."""
        return f"{ROM_FOLDER}/{self.OPTION_ROM}"

    @property
    def boot_path(self) -> str:
        """What it is called in the boot order."""
        return f"/rom@{self.rom_file}"

    @abstractmethod
    def install(self, fw_cfg: FwCfg) -> None:
        """Hand the parts to the option ROM. The board adds that, as the file `rom_file`."""

    def load(self, memory: Any) -> None:
        """Put into memory what lies there from power-on on: nothing, for most."""


def add_kernel(fw_cfg: FwCfg, address: int, data: bytes) -> None:
    fw_cfg.add_i32(key.KERNEL_ADDR, address)
    fw_cfg.add_i32(key.KERNEL_SIZE, len(data))
    fw_cfg.add_bytes(key.KERNEL_DATA, data)


def add_initrd(fw_cfg: FwCfg, address: int, data: bytes) -> None:
    fw_cfg.add_i32(key.INITRD_ADDR, address)
    fw_cfg.add_i32(key.INITRD_SIZE, len(data))
    fw_cfg.add_bytes(key.INITRD_DATA, data)


def add_command_line(fw_cfg: FwCfg, text: bytes) -> None:
    """text: with its final NUL."""
    fw_cfg.add_i32(key.CMDLINE_SIZE, len(text))
    fw_cfg.add_string(key.CMDLINE_DATA, os.fsdecode(text[:-1]))


def read_file(what: str, path: str) -> bytes:
    """Raises ValueError, in one line, for what cannot be read."""
    file = Path(path)
    if file.exists() and not (file.is_file() or file.is_dir()):  # it might never end
        raise ValueError(f"could not load {what} '{path}': not a regular file")
    try:
        return file.read_bytes()
    except OSError as error:
        raise ValueError(f"could not load {what} '{path}': {error.strerror}") from error
