"""`info`: what the machine and the emulator are like now."""
from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from pyemu import __version__
from pyemu.monitor import (
    blockstats,
    devices,
    interrupts,
    maps,
    network,
    paging,
    registers,
    screen,
    tree,
    vnc,
)
from pyemu.monitor.command import Command, CommandError, find, names
from pyemu.monitor.memory import number
from pyemu.monitor.tracing import vcpu_number
from pyemu.trace import commands as trace_commands

if TYPE_CHECKING:
    from pyemu.config import DriveConfig
    from pyemu.machine.block.drive import Drive
    from pyemu.monitor.monitor import Monitor

CACHE_MODES = {"none": "writeback, direct", "directsync": "writethrough, direct",
               "unsafe": "writeback, ignore flushes"}


def info(monitor: Monitor, arguments: list[str]) -> str:
    if not arguments:
        return listing()
    subcommand = find(SUBCOMMANDS, arguments[0])
    if subcommand is None:
        raise CommandError(f"unknown command: 'info {' '.join(arguments)}'")
    return subcommand.carry_out(monitor, arguments[1:])


def listing() -> str:
    """What can be asked for."""
    return "\n".join(command.help_line("info ") for command in SUBCOMMANDS)


def complete(monitor: Monitor, words: list[str]) -> list[str]:
    if len(words) == 1:
        return names(SUBCOMMANDS)
    subcommand = find(SUBCOMMANDS, words[0])
    return subcommand.complete(monitor, words[1:]) if subcommand else []


def block(monitor: Monitor, arguments: list[str]) -> str:
    drives = [drive for drive in monitor.config.drives if arguments in ([], [drive.name])]
    if arguments and not drives:
        raise CommandError(f"Device '{arguments[0]}' not found")
    return "\n\n".join(_drive(drive, monitor.runner.machine.drives[drive.name]) for drive in drives)


def _drive(config: DriveConfig, drive: Drive) -> str:
    image = drive.medium
    what = "[not inserted]"
    if image:
        what = f"{config.file} ({image.format}{', read-only' * image.read_only})"
    lines = [f"{config.name}: {what}"]
    if config.place:
        lines.append(f"    Attached to:      {config.place}")
    if drive.io_status != "ok":
        lines.append(f"    I/O status:       {drive.io_status}")
    if drive.removable:
        lines.append(f"    Removable device: {'' if drive.locked else 'not '}locked, "
                     f"tray {'open' if drive.tray_open else 'closed'}")
    if image:
        lines.append(f"    Cache mode:       {CACHE_MODES.get(config.cache, config.cache)}")
    if config.snapshot:
        lines.append("    Snapshot:         writes stay in memory")
    return "\n".join(lines)


def chardev(monitor: Monitor, arguments: list[str]) -> str:
    return "\n".join(f"{label}: filename={name}" for label, name in monitor.chardevs.describe())


def history(monitor: Monitor, arguments: list[str]) -> str:
    return "\n".join(f"{number}: '{line}'" for number, line in enumerate(monitor.editor.history))


def name(monitor: Monitor, arguments: list[str]) -> str:
    return monitor.config.name


def cpus(monitor: Monitor, arguments: list[str]) -> str:
    return f"* CPU #0: thread_id={monitor.runner.thread_id}"


def kvm(monitor: Monitor, arguments: list[str]) -> str:
    return "kvm support: disabled"


def memory_size(monitor: Monitor, arguments: list[str]) -> str:
    return f"base memory: {monitor.config.ram_bytes}\nplugged memory: 0"


def numa(monitor: Monitor, arguments: list[str]) -> str:
    return "0 nodes"


def uuid(monitor: Monitor, arguments: list[str]) -> str:
    return str(UUID(bytes=monitor.config.uuid))


def show_registers(monitor: Monitor, arguments: list[str]) -> str:
    runner = monitor.runner
    if arguments and arguments != ["-a"] and (index := number(monitor, arguments[0])):
        return f"CPU#{index} not available"
    return "\nCPU#0\n" + runner.call(lambda: registers.text(runner.cpu))


def status(monitor: Monitor, arguments: list[str]) -> str:
    state = monitor.runner.status()
    if state in ("running", "paused"):
        return f"VM status: {state}"
    return f"VM status: paused ({state})"


def trace_events(monitor: Monitor, arguments: list[str]) -> str:
    pattern, *word = arguments or ["*"]
    vcpu = vcpu_number(monitor, "trace-events", word[0]) if word else None
    return trace_commands.info_trace_events(pattern, vcpu)


def version(monitor: Monitor, arguments: list[str]) -> str:
    return __version__


SUBCOMMANDS = tuple(sorted((
    *devices.INFO, *interrupts.INFO, *maps.INFO, *network.INFO, *paging.INFO, *tree.INFO,
    Command("block", "[device]", "show info of one block device or all block devices", block,
            optional=1, complete=lambda monitor, words: [
                drive.name for drive in monitor.config.drives]),
    Command("blockstats", "", "show block device statistics", blockstats.info),
    Command("chardev", "", "show the character devices", chardev),
    Command("cpus", "", "show infos for each CPU", cpus),
    Command("history", "", "show the command line history", history),
    Command("kvm", "", "show KVM information", kvm),
    Command("memory_size_summary", "", "show the amount of initially allocated and present "
            "hotpluggable (if enabled) memory in bytes.", memory_size),
    Command("mice", "", "show which guest mouse is receiving events", screen.mice),
    Command("name", "", "show the current VM name", name),
    Command("numa", "", "show NUMA information", numa),
    Command("registers", "[-a|vcpu]", "show the cpu registers (-a: show register info for all "
            "cpus; vcpu: specific vCPU to query; show the current CPU's registers if no argument "
            "is specified)", show_registers, optional=1),
    Command("status", "", "show the current VM status (running|paused)", status),
    Command("trace-events", "[name] [vcpu]",
            "show available trace-events & their state (name: event name pattern; vcpu: vCPU to "
            "query, default is any)", trace_events, optional=2,
            complete=lambda monitor, words: trace_commands.complete(
                ["info", "trace-events", *words])),
    Command("uuid", "", "show the current VM UUID", uuid),
    Command("version", "", "show the version of pyemu", version),
    Command("vnc", "", "show the vnc server status", vnc.info),
), key=lambda command: command.names))
COMMANDS = (
    Command("info", "[subcommand]", "show various information about the system state", info,
            optional=4, complete=complete),  # with all that one of them takes and a word too many
)
