"""What the user asked for: one `Config`, made by the command line and read by the runner.

Plain data: nothing is opened or checked against the host here. `source` fields hold the option as
it was typed ("-hda disk.img"), which is how messages about it begin.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

MIB = 1 << 20
DEFAULT_RAM = 128 * MIB
DEFAULT_CPU = "qemu64"
DISPLAYS = ("none",)  # what -display takes


class UserError(Exception):
    """Something the user can mend; the text is shown as one line after `pyemu: `.

    A message about an option begins with the option: `-hda nosuch.img: Could not open ...`.
    """


@dataclass
class DriveConfig:
    """One disk and where it is plugged in."""

    file: str
    index: int  # 0 to 3: primary master and slave, secondary master and slave
    source: str
    format: str | None = None  # "raw" or "qcow2"; None: probe
    interface: str = "ide"
    snapshot: bool = False  # keep writes in memory
    read_only: bool = False
    cache: str = "writeback"  # or "writethrough", "unsafe"
    discard: bool = False  # what the guest needs no more gives its room back to the host
    werror: str = "enospc"  # what a failure to write leads to: report, ignore, enospc, stop
    rerror: str = "report"  # or "ignore", "stop"
    id: str = ""

    @property
    def name(self) -> str:
        """What `info block` calls it."""
        return self.id or f"ide{self.index // 2}-hd{self.index % 2}"


@dataclass
class ChardevConfig:
    """One character device of the host; serial ports and monitors refer to it by `id`."""

    id: str
    kind: str  # "stdio", "file", "null", "pty", "unix", "tcp"
    source: str
    path: str = ""  # of "file" and "unix"
    host: str = ""  # of "tcp"
    port: int = 0  # of "tcp"
    server: bool = False  # of "unix" and "tcp": listen instead of connecting
    wait: bool = True  # a server waits for its first client before the machine starts
    append: bool = False  # of "file"
    mux: bool = False  # several front ends share it, switched by Ctrl-A c
    signals: bool = True  # of "stdio": Ctrl-C ends the emulator instead of going to the guest


@dataclass
class QmpConfig:
    """One monitor for programs."""

    chardev: str
    pretty: bool = False  # with line breaks and indents


@dataclass
class Config:
    """The whole machine and how to run it."""

    name: str = ""
    ram_bytes: int = DEFAULT_RAM
    cpu_model: str = DEFAULT_CPU
    drives: list[DriveConfig] = field(default_factory=list)
    boot_order: str = "cad"  # a floppy, c disk, d CD-ROM, n network
    boot_menu: bool = False
    firmware_dirs: list[str] = field(default_factory=list)  # searched before the usual places

    kernel: str | None = None  # Linux boot protocol, instead of booting from a disk
    initrd: str | None = None
    append: str = ""

    vga: str | None = "std"  # None: no display adapter
    nic: str | None = "e1000"  # None: no network adapter
    display: str = "none"
    graphic: bool = True  # False: firmware and guest are to use the serial console (-nographic)

    chardevs: list[ChardevConfig] = field(default_factory=list)
    serials: list[str | None] = field(default_factory=list)  # chardev of COM1 to COM4
    monitors: list[str] = field(default_factory=list)  # chardev of each monitor
    qmp: list[QmpConfig] = field(default_factory=list)
    debugcon: str | None = None  # chardev of the debug port

    snapshot: bool = False  # drives that do not say otherwise keep their writes in memory
    no_reboot: bool = False  # a guest reset ends the emulator
    no_shutdown: bool = False  # a guest power-off pauses the machine
    rtc_base: str | datetime = "utc"  # "utc", "localtime" or the date to start from
    start_paused: bool = False
    trace: list[str] = field(default_factory=list)  # arguments of -trace, in order
    log: list[str] = field(default_factory=list)  # arguments of -d, in order
    log_file: str | None = None
    pid_file: str | None = None
