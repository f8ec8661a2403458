"""Firmware: found by name along a search path, as QEMU finds it. None of it is part of pyemu."""
import os
from collections.abc import Sequence
from pathlib import Path

# Where Debian's packages install firmware, in the order in which QEMU looks
DEBIAN_FOLDERS = (
    Path("/usr/share/qemu"),
    Path("/usr/share/seabios"),
    Path("/usr/lib/ipxe/qemu"),
    Path("/usr/share/misc"),
)

# The Debian package that installs a file
PACKAGES = {
    "bios-256k.bin": "seabios",
    "bios.bin": "seabios",
    "vgabios-stdvga.bin": "seabios",
    "kvmvapic.bin": "qemu-system-data",
    "linuxboot_dma.bin": "qemu-system-data",
    "multiboot_dma.bin": "qemu-system-data",
    "pvh.bin": "qemu-system-data",
    "efi-e1000.rom": "ipxe-qemu",
    "pxe-e1000.rom": "ipxe-qemu",
}


BIOS_UNIT = 64 << 10  # a system BIOS is a multiple of this
BIOS_MOST = 16 << 20  # which there is room for below 4 GiB


class RomError(Exception):
    """Firmware that cannot be used. The message is one line for the user."""


class RomNotFound(RomError):
    """Says which file, where it was looked for, and the package that has it."""

    def __init__(self, name: str, folders: Sequence[Path]):
        package = PACKAGES.get(name)
        hint = f"; install Debian's package {package}" if package else ""
        places = ", ".join(map(str, folders))
        super().__init__(f"could not find firmware '{name}' in {places}{hint}")
        self.reason = f"not found in {places}{hint}"


def folders(search_path: Sequence[str] = ()) -> list[Path]:
    """The folders that are looked in: those of the user's `-L` options, then Debian's."""
    return [*map(Path, search_path), *DEBIAN_FOLDERS]


def locate(name: str, search_path: Sequence[str] = ()) -> Path:
    """The path of the firmware `name`, which may be a path itself. Raises `RomNotFound`."""
    places = folders(search_path)
    for path in (Path(name), *(folder / name for folder in places)):
        if path.is_file() and os.access(path, os.R_OK):
            return path
    raise RomNotFound(name, places)


def find(name: str, search_path: Sequence[str] = ()) -> Path:
    """As `locate()`, for a machine: traced."""
    from pyemu.trace.hooks import trace_load_file  # late: -version does without
    path = locate(name, search_path)
    trace_load_file(name, str(path))
    return path


def load(name: str, search_path: Sequence[str] = ()) -> bytes:
    """The contents of the firmware `name`. Raises `RomError`."""
    path = find(name, search_path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise RomError(f"{path}: {error.strerror}") from error


def load_optional(name: str, search_path: Sequence[str] = ()) -> bytes | None:
    """As `load()`, but None where the firmware is not installed."""
    try:
        return load(name, search_path)
    except RomNotFound:
        return None


def load_bios(name: str, search_path: Sequence[str] = ()) -> bytes:
    """The system BIOS. It is looked up twice, for its size and to load it, as QEMU does.

    Raises `RomError`, also when the size is not a multiple of 64 KiB.
    """
    try:
        size = find(name, search_path).stat().st_size
    except RomNotFound as error:
        raise RomError(f"could not load PC BIOS '{name}': {error.reason}") from None
    if size % BIOS_UNIT or not 0 < size <= BIOS_MOST:
        raise RomError(f"could not load PC BIOS '{name}': {size} bytes, not a multiple of 64 KiB "
                       f"up to {BIOS_MOST >> 20} MiB")
    return load(name, search_path)
