"""Every option: how it is spelled, what it takes, what it does and what the help says."""
from collections.abc import Callable
from typing import NamedTuple

from pyemu.config import UserError
from pyemu.options import chardevs, cpu, devices, display, drives, firmware, machine, network
from pyemu.options.request import Answer, Request

HELP_WORDS = ("help", "?", "trace:help")
USAGE = "usage: pyemu [options] [disk_image]"


class Option(NamedTuple):
    """handle(request, value) takes the argument, or "" where `takes` is empty.

    names: spellings without the dash; takes: what stands for the argument in the help.
    """

    names: tuple[str, ...]
    takes: str
    help: str
    handle: Callable[[Request, str], None]


def setting(attribute: str) -> Callable[[Request, str], None]:
    """The option's argument becomes an attribute of the Config as it is."""
    def handle(request: Request, value: str) -> None:
        setattr(request.config, attribute, value)
    return handle


def switch(attribute: str) -> Callable[[Request, str], None]:
    """The option turns an attribute of the Config on."""
    def handle(request: Request, value: str) -> None:
        setattr(request.config, attribute, True)
    return handle


def show_help(request: Request, value: str) -> None:
    raise Answer(help_text())


def show_version(request: Request, value: str) -> None:
    from pyemu import version  # late: it reads the firmware
    raise Answer(version.text(request.config.firmware_dirs))


def nographic(request: Request, value: str) -> None:
    request.nographic = True
    request.config.graphic = False


def as_it_is(request: Request, value: str) -> None:
    """The option asks for what there is."""


def no_hpet(request: Request, value: str) -> None:
    request.config.hpet = False


def nodefaults(request: Request, value: str) -> None:
    request.nodefaults = True


def appending(attribute: str) -> Callable[[Request, str], None]:
    """The option's argument is one more of a list in the Config."""
    def handle(request: Request, value: str) -> None:
        getattr(request.config, attribute).append(value)
    return handle


def event_names(request: Request) -> str:
    from pyemu.trace import control  # late: it reads all events
    try:
        control.declare(request.config.trace_events)
    except control.TraceError as error:
        raise UserError(error.line.removeprefix("pyemu: ")) from None
    return control.help_text()


def trace(request: Request, text: str) -> None:
    if text in HELP_WORDS:
        raise Answer(event_names(request))
    request.config.trace.append(text)


def plugin(request: Request, text: str) -> None:
    if text in HELP_WORDS:
        from pyemu.plugin import help_text  # late: it brings in the engine
        raise Answer(help_text())
    request.config.plugins.append(text)


def log(request: Request, text: str) -> None:
    if text in HELP_WORDS:
        from pyemu.trace.log import help_text
        raise Answer(event_names(request) if text == "trace:help" else help_text())
    request.config.log.append(text)


GROUPS: dict[str, tuple[Option, ...]] = {
    "Standard": (
        Option(("h", "help"), "", "show this help", show_help),
        Option(("version",), "", "show the version, and those of the translator and the firmware",
               show_version),
        Option(("name",), "NAME", "name of the machine, shown by `info name`", machine.name),
        Option(("M", "machine"), "pc[,accel=tcg][,hpet=on|off]", "the machine: an i440FX PC",
               machine.machine),
        Option(("no-hpet",), "", "without the high precision event timer, as hpet=off", no_hpet),
        Option(("accel",), "tcg", "the CPU is always emulated", machine.accelerator),
        Option(("cpu",), "MODEL[,+FEATURE,-FEATURE,...]",
               "CPU model, qemu64 unless told; `help` lists them", cpu.cpu),
        Option(("smp",), "1", "number of CPUs, which is one", machine.smp),
        Option(("m",), "SIZE", "memory in MiB, or with a suffix K, M or G; 128 unless told",
               machine.memory),
        Option(("device",), "DRIVER[,KEY=VALUE...]", "one more device: e1000 (netdev=, mac=, id=); "
               "virtio-blk-pci (drive=ID of a -drive if=none, serial=); "
               "isa-debug-exit (iobase=, iosize=), by which the guest sets the exit status; "
               "pc-testdev; `help` lists them", devices.device),
        Option(("fw_cfg",), "[name=]NAME,file=FILE|string=TEXT",
               "a file for the guest in the firmware's configuration", firmware.fw_cfg),
        Option(("uuid",), "UUID", "of the machine, in its SMBIOS tables", firmware.uuid),
        Option(("clock",), "host|warp", "time goes as the host's does, or jumps while the guest is "
               "halted and nothing goes in or out, so that waiting is free", machine.clock),
        Option(("icount",), "shift=auto,sleep=off", "the same as -clock warp", machine.icount),
        Option(("rtc",), "base=BASE", "clock of the machine: utc, localtime or a date such as "
               "2006-06-17T16:01:21", machine.rtc),
    ),
    "Disks": (
        *(Option((f"hd{letter}",), "FILE", f"image of IDE hard disk {index}",
                 drives.hard_disk(index)) for index, letter in enumerate("abcd")),
        Option(("cdrom",), "FILE", "image of the CD-ROM in IDE drive 2, which is there and empty "
               "unless told", drives.cdrom),
        Option(("fda",), "FILE", "image of the disk in floppy drive A, which is there and empty "
               "unless told", drives.floppy(0)),
        Option(("fdb",), "FILE", "image of the disk in floppy drive B", drives.floppy(1)),
        Option(("drive",), "file=FILE[,KEY=VALUE...]", "a drive: format=raw|qcow2, "
               "if=ide|floppy|virtio|none, index= or bus= and unit=, media=disk|cdrom, "
               "snapshot=on|off, readonly=on|off, "
               "cache=writeback|writethrough|none|directsync|unsafe, discard=unmap|ignore, "
               "werror=report|ignore|enospc|stop, rerror=report|ignore|stop, id=",
               drives.drive),
        Option(("snapshot",), "", "keep what the guest writes in memory, not in the images",
               switch("snapshot")),
    ),
    "Boot": (
        Option(("boot",), "[order=]DEVICES[,once=DEVICES]",
               "where to boot from: a floppy, c disk, d CD-ROM, n network; once: until the first "
               "reset; menu=on|off, splash-time=MS (how long for the menu), reboot-timeout=MS (to "
               "try anew where nothing boots), strict=on|off", firmware.boot),
        Option(("kernel",), "FILE", "boot this kernel: Linux, multiboot or, with a PVH entry, ELF",
               setting("kernel")),
        Option(("initrd",), "FILE", "with this initial RAM disk; for multiboot, "
               "'FILE ARGUMENTS,FILE ARGUMENTS,...' are modules", setting("initrd")),
        Option(("append",), "TEXT", "and this kernel command line", setting("append")),
        Option(("bios",), "FILE", "the system's firmware, bios-256k.bin unless told; a name is "
               "looked for as -L says", setting("bios")),
        Option(("L",), "DIR", "look for firmware here first; `help` lists the folders",
               machine.firmware_dir),
        Option(("no-reboot",), "", "end when the guest reboots", switch("no_reboot")),
        Option(("no-shutdown",), "", "pause when the guest powers off, instead of ending",
               switch("no_shutdown")),
        Option(("action",), "panic=pause|shutdown|exit-failure|none", "what follows when the guest "
               "reports a panic (-device pvpanic); reboot=reset|shutdown and "
               "shutdown=poweroff|pause, as -no-reboot and -no-shutdown", machine.action),
        Option(("S",), "", "start paused: `cont` in the monitor lets it go",
               switch("start_paused")),
    ),
    "Display and network": (
        Option(("display",), "sdl|curses|vnc=DISPLAY|none", "where to show the screen: in a "
               "window, which is so unless told where there is a desktop, on the terminal (text "
               "modes; Esc is Alt), to VNC's clients or nowhere; "
               "sdl,full-screen=on|off,window-close=on|off", display.display),
        Option(("vnc",), "DISPLAY[,KEY=VALUE...]", "show the screen to VNC's clients: [HOST]:N "
               "(port 5900 + N, of this host only unless HOST is given), unix:PATH or none; "
               "password=on|off, to=LAST, share=allow-exclusive|force-shared|ignore, "
               "connections=MOST, key-delay-ms=MS", display.vnc),
        Option(("full-screen",), "", "start with the window over the full screen",
               switch("full_screen")),
        Option(("nographic",), "", "no screen; COM1 and the monitor share the terminal "
               "(Ctrl-A h for help)", nographic),
        Option(("vga",), "std|none", "the display adapter", machine.vga),
    ),
    "Network": (
        Option(("nic",), "BACKEND[,KEY=VALUE...]|none",
               "a network card (mac=, model=e1000) plugged into BACKEND, as for -netdev; "
               "without any of these options there is one with user networking", network.nic),
        Option(("netdev",), "BACKEND,id=ID[,KEY=VALUE...]",
               "what a card can be plugged into: user (hostfwd=tcp|udp:[HOST]:PORT-[GUEST]:PORT, "
               "guestfwd=tcp:ADDRESS:PORT-cmd:COMMAND, restrict=on, tftp=DIR, bootfile=FILE, "
               "hostname=, net=ADDRESS/BITS, host=, dhcpstart=, dns=, dnssearch=, domainname=, "
               "tftp-server-name=, ipv4=, ipv6=), socket (listen=, connect=, mcast= or "
               "udp=[HOST]:PORT, localaddr=) or tap (ifname=, fd=)",
               network.netdev),
        Option(("object",), "filter-dump,id=ID,netdev=ID,file=FILE",
               "write what passes into a pcap file; maxlen= bytes of each frame, queue=all, rx "
               "(what the guest sends) or tx", network.object_),
        Option(("net",), "nic[,model=e1000][,macaddr=ADDRESS][,netdev=ID]|BACKEND|none",
               "the old way: a card, and what it is plugged into", network.net),
    ),
    "Serial ports and monitor": (
        Option(("serial",), "DEV", "where the next of COM1 to COM4 leads", chardevs.serial),
        Option(("monitor",), "DEV", "where the monitor is, or none", chardevs.monitor),
        Option(("qmp",), "DEV", "where a monitor for programs is, which speaks QMP", chardevs.qmp),
        Option(("qmp-pretty",), "DEV", "the same, with line breaks for the eye",
               chardevs.qmp_pretty),
        Option(("mon",), "[chardev=]ID[,mode=readline|control][,pretty=on]",
               "a monitor on a -chardev, for a human or for programs", chardevs.mon),
        Option(("gdb",), "DEV", "where gdb connects, by `target remote`", chardevs.gdb),
        Option(("s",), "", "the same as -gdb tcp:localhost:1234", chardevs.gdb_here),
        Option(("debugcon",), "DEV", "where the debug port leads", chardevs.debugcon),
        Option(("chardev",), "KIND,id=ID[,KEY=VALUE...]",
               "a device by the name ID: stdio, null, file, pty or socket, with mux=on shared by "
               "several ports and monitors", chardevs.chardev),
        Option(("parallel",), "none", "there is no parallel port", machine.parallel),
        Option(("no-user-config",), "", "as it is anyway: there is no file with settings",
               as_it_is),
        Option(("nodefaults",), "", "only the ports, adapters and monitors that are asked for",
               nodefaults),
    ),
    "Tracing and housekeeping": (
        Option(("trace",), "[enable=]PATTERN|events=FILE|file=FILE",
               "record the events that match; `help` lists them", trace),
        Option(("trace-events",), "FILE", "declare the events of this file, too",
               appending("trace_events")),
        Option(("plugin",), "FILE.py[,ARG=VALUE...]",
               "run Python that watches the machine; `help` lists what there is", plugin),
        Option(("d",), "trace:PATTERN,ITEM,...", "log these as text; `help` lists the items", log),
        Option(("D",), "FILE", "log into this file, instead of to stderr", setting("log_file")),
        Option(("dfilter",), "RANGE,...", "log only code at these addresses: 0x1000..0x1fff or "
               "0x1000+0x1000", setting("log_ranges")),
        Option(("pidfile",), "FILE", "write the process id here", setting("pid_file")),
    ),
}
NOTES = """\
DEV is one of: stdio, mon:stdio (shared with the monitor), file:PATH, null, none,
pty, unix:PATH[,server=on][,wait=off], tcp:HOST:PORT[,server=on][,wait=off],
vc (a console of -display curses), chardev:ID.
The disk_image is that of IDE hard disk 0, as after -hda.
Options mean what they mean to QEMU.
Two dashes are as good as one."""

OPTIONS = {name: option for group in GROUPS.values() for option in group for name in option.names}

# QEMU's other options, so that one of them is not called a misspelling.
NOT_SUPPORTED = """
    numa add-fd set global mem-path mem-prealloc k audio-help audio audiodev
    blockdev mtdblock sd fsdev virtfs iscsi usb usbdevice spice portrait rotate
    win2k-hack no-fd-bootchk no-acpi acpitable smbios tpmdev
    pflash dtb compat singlestep overcommit
    seed enable-kvm xen-domid xen-attach xen-domid-restrict loadvm daemonize
    option-rom watchdog-action echr incoming only-migratable chroot runas sandbox
    readconfig async-teardown msg dump-vmstate enable-sync-profile
    old-param semihosting prom-env
"""


def lookup(word: str) -> Option:
    """The option of an argument that begins with a dash. Raises UserError."""
    name = word.removeprefix("-").removeprefix("-")
    if name in OPTIONS:
        return OPTIONS[name]
    if name in NOT_SUPPORTED.split():
        raise UserError(f"{word}: this option of QEMU is not supported")
    raise UserError(f"{word}: invalid option")


def help_text() -> str:
    """All options in order, one or two lines each."""
    lines = [USAGE]
    for title, options in GROUPS.items():
        lines += ["", f"{title}:"]
        for option in options:
            spelling = ", ".join(f"-{name}" for name in option.names)
            lines += _entry(f"  {spelling} {option.takes}".rstrip(), option.help)
    return "\n".join([*lines, "", NOTES])


def _entry(head: str, text: str, column: int = 26, width: int = 80) -> list[str]:
    """`head` and, from `column` on, `text` in lines of at most `width`."""
    import textwrap
    body = textwrap.wrap(text, width - column)
    first = [head] if len(head) >= column else [head.ljust(column) + body.pop(0)]
    return first + [" " * column + line for line in body]
