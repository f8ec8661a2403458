"""What the user asked for: one `Config`, made by the command line and read by the runner.

Plain data: nothing is opened or checked against the host here. `source` fields hold the option as
it was typed ("-hda disk.img"), which is how messages about it begin.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

from pyemu.cpu_features import CpuChanges

if TYPE_CHECKING:
    from datetime import datetime

MIB = 1 << 20
DEFAULT_RAM = 128 * MIB
DEFAULT_CPU = "qemu64"
USER_NETWORK = IPv4Network("10.0.2.0/24")
HUB = "hub0"  # the netdev where the card and the back end of -net meet
DISPLAYS = ("none", "sdl", "curses", "vnc")  # what -display takes


class UserError(Exception):
    """Something the user can mend; the text is shown as one line after `pyemu: `.

    A message about an option begins with the option: `-hda nosuch.img: Could not open ...`.
    """


@dataclass
class DriveConfig:
    """One drive, what is in it and where it is plugged in."""

    file: str  # "": no medium
    index: int  # of ide 0 to 3: primary master and slave, secondary master and slave
    source: str
    format: str | None = None  # "raw" or "qcow2"; None: probe
    interface: str = "ide"  # or "floppy", "virtio", "none": for a device that names it
    media: str = "disk"  # or "cdrom"
    snapshot: bool = False  # keep writes in memory
    read_only: bool = False
    cache: str = "writeback"  # or another of cache_modes.CACHES
    discard: bool = False  # what the guest needs no more gives its room back to the host
    werror: str = "enospc"  # what a failure to write leads to: report, ignore, enospc, stop
    rerror: str = "report"  # or "ignore", "stop"
    id: str = ""
    device: str = ""  # that it is plugged into, if that is on PCI

    @property
    def name(self) -> str:
        """What `info block` calls it."""
        if self.id:
            return self.id
        if self.interface != "ide":
            return f"{self.interface}{self.index}"
        return f"ide{self.index // 2}-{'cd' if self.media == 'cdrom' else 'hd'}{self.index % 2}"

    @property
    def qdev(self) -> str:
        """What QMP calls the device."""
        return f"/machine/unattached/{self.name}"

    @property
    def has_io_status(self) -> bool:
        """Whether it shows what has paused the machine: some failures of it do."""
        return self.interface != "floppy" and (
            self.werror in ("enospc", "stop") or self.rerror == "stop")

    @property
    def place(self) -> str:
        """Where it is plugged in, in words."""
        if self.device:
            return self.device
        if self.interface == "none":
            return ""
        if self.interface == "floppy":
            return f"floppy drive {'AB'[self.index]}"
        channel, unit = divmod(self.index, 2)
        return f"IDE {('primary', 'secondary')[channel]} {('master', 'slave')[unit]}"


@dataclass
class VirtioBlkConfig:
    """One disk on PCI."""

    source: str
    drive: str  # its name
    serial: str = ""
    id: str = ""


@dataclass
class ChardevConfig:
    """One character device of the host; serial ports and monitors refer to it by `id`."""

    id: str
    kind: str  # "stdio", "file", "null", "pty", "vc", "unix", "tcp"
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
class VncConfig:
    """One server of the screen. Without a path and a port it listens nowhere."""

    id: str
    source: str
    path: str = ""  # of a Unix socket
    host: str = ""
    port: int | None = None
    last_port: int = 0  # of those to be tried from `port` on
    announce: bool = False  # say which one it became
    password: bool = False
    share: str = "allow-exclusive"  # or "force-shared", "ignore": what a client may ask for
    connections: int = 32  # that may be in the making
    key_delay: float = 0.01  # seconds between two keys


@dataclass
class HostForward:
    """A port of the host that leads to one of the guest."""

    text: str  # as it was typed
    udp: bool
    host_address: str  # "": every address of the host
    host_port: int
    guest_address: str  # "": the first that DHCP hands out
    guest_port: int


@dataclass
class GuestForward:
    """An address that the guest can connect to, and the command of the host that then answers."""

    text: str  # as it was typed
    address: str  # "": the fourth of the network
    port: int
    command: str


@dataclass
class NetdevConfig:
    """What a network card may be plugged into, by the name that cards and filters use."""

    id: str
    source: str


@dataclass
class UserNetConfig(NetdevConfig):
    """A network of its own inside the emulator, with a way out through the host's sockets."""

    network: IPv4Network = USER_NETWORK
    host: IPv4Address = USER_NETWORK[2]  # the host, as the guest sees it
    dhcp_start: IPv4Address = USER_NETWORK[15]
    dns: IPv4Address = USER_NETWORK[3]
    ipv4: bool = True
    ipv6: bool = True
    restrict: bool = False  # no way out but by what is forwarded
    hostname: str = ""  # that DHCP gives the guest
    domain: str = ""
    dns_search: list[str] = field(default_factory=list)
    tftp: str = ""  # directory to be read by TFTP
    tftp_server: str = ""  # name that DHCP announces
    bootfile: str = ""
    forwards: list[HostForward] = field(default_factory=list)
    guest_forwards: list[GuestForward] = field(default_factory=list)

    kind = "user"

    def describe(self) -> str:
        restrict = "on" if self.restrict else "off"
        return f"net={self.network.network_address},restrict={restrict}"


@dataclass
class SocketNetConfig(NetdevConfig):
    """A stream or datagrams to another emulator, or a group of them on a multicast address."""

    mode: str = "listen"  # or "connect", "mcast" or "udp"
    host: str = ""
    port: int = 0
    local: str = ""  # of "mcast": address of the interface; of "udp": our own
    local_port: int = 0

    kind = "socket"

    def describe(self) -> str:
        if self.mode == "udp":
            return f"socket: udp={self.local}:{self.local_port}/{self.host}:{self.port}"
        return f"socket: {self.mode}={self.host}:{self.port}"


@dataclass
class TapConfig(NetdevConfig):
    """An interface of the host's kernel, by name or as a descriptor that is open already."""

    ifname: str = ""  # "": as the kernel names it
    fd: int | None = None

    kind = "tap"

    def describe(self) -> str:
        return (f"fd={self.fd}" if self.fd is not None
                else f"ifname={self.ifname},script=no,downscript=no")


@dataclass
class NicConfig:
    """One network card."""

    source: str
    netdev: str | None = None  # id of what it is plugged into; None: nothing
    mac: bytes | None = None  # None: the next of the usual ones
    id: str = ""
    model: str = "e1000"


@dataclass
class DebugExitConfig:
    """Ports by which the guest ends the emulator with an exit status."""

    source: str
    base: int
    count: int


@dataclass
class IsaDeviceConfig:
    """What monitors show of a device that -device has put on the ISA bus."""

    driver: str
    id: str
    properties: dict[str, int] = field(default_factory=dict)


@dataclass
class DumpConfig:
    """A file that gets a copy of each frame."""

    id: str
    netdev: str
    file: str
    source: str
    maxlen: int = 65536  # bytes of each frame
    queue: str = "all"  # or "rx", what the guest sends, or "tx", what it gets


@dataclass
class FirmwareFileConfig:
    """What the guest finds in fw_cfg: the text, or what is in a file."""

    source: str
    text: str | None = None
    file: str | None = None


@dataclass
class Config:
    """The whole machine and how to run it."""

    name: str = ""
    ram_bytes: int = DEFAULT_RAM
    cpu_model: str = DEFAULT_CPU
    cpu_changes: CpuChanges | None = None
    drives: list[DriveConfig] = field(default_factory=list)
    virtio_disks: list[VirtioBlkConfig] = field(default_factory=list)
    boot_order: str = "cad"  # a floppy, c disk, d CD-ROM, n network
    boot_once: str | None = None  # the order until the first reset
    boot_menu: bool = False
    boot_strict: bool = False  # try nothing but what is named
    boot_wait_ms: int | None = None  # for the menu
    reboot_timeout_ms: int | None = None  # until all is tried anew; None: never
    fw_cfg_files: dict[str, FirmwareFileConfig] = field(default_factory=dict)  # by name
    uuid: bytes = bytes(16)
    firmware_dirs: list[str] = field(default_factory=list)  # searched before the usual places
    bios: str = "bios-256k.bin"  # the system's firmware, by name

    kernel: str | None = None  # Linux boot protocol, instead of booting from a disk
    initrd: str | None = None
    append: str = ""

    vga: str | None = "std"  # None: no display adapter
    nics: list[NicConfig] = field(default_factory=list)
    netdevs: list[UserNetConfig | SocketNetConfig | TapConfig] = field(default_factory=list)
    dumps: list[DumpConfig] = field(default_factory=list)
    hpet: bool = True  # the high precision event timer
    testdev: bool = False  # the device for programs that test the machine
    debug_exits: list[DebugExitConfig] = field(default_factory=list)
    pvpanics: list[tuple[int, int]] = field(default_factory=list)  # port and events of each
    isa_devices: list[IsaDeviceConfig] = field(default_factory=list)  # these three, in order
    panic_action: str = "shutdown"  # or pause, exit-failure, none
    display: str = "none"
    vnc: list[VncConfig] = field(default_factory=list)
    full_screen: bool = False
    window_close: bool = True  # closing the window ends the emulator
    graphic: bool = True  # False: firmware and guest are to use the serial console (-nographic)

    chardevs: list[ChardevConfig] = field(default_factory=list)
    serials: list[str | None] = field(default_factory=list)  # chardev of COM1 to COM4
    monitors: list[str] = field(default_factory=list)  # chardev of each monitor
    qmp: list[QmpConfig] = field(default_factory=list)
    gdb: str | None = None  # chardev of the debugger's server
    debugcon: str | None = None  # chardev of the debug port

    snapshot: bool = False  # drives that do not say otherwise keep their writes in memory
    no_reboot: bool = False  # a guest reset ends the emulator
    no_shutdown: bool = False  # a guest power-off pauses the machine
    rtc_base: str | datetime = "utc"  # "utc", "localtime" or the date to start from
    warp: bool = False  # time jumps while the guest is halted
    start_paused: bool = False
    trace: list[str] = field(default_factory=list)  # arguments of -trace, in order
    trace_events: list[str] = field(default_factory=list)  # files that declare more events
    plugins: list[str] = field(default_factory=list)  # arguments of -plugin, in order
    log: list[str] = field(default_factory=list)  # arguments of -d, in order
    log_file: str | None = None
    log_ranges: str = ""  # argument of -dfilter
    pid_file: str | None = None
