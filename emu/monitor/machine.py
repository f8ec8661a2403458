"""Commands that steer the machine: stop, cont, reset, the power button, keys."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyemu.config import UserError
from pyemu.machine import cmos
from pyemu.monitor.command import Command, CommandError
from pyemu.monitor.memory import number
from pyemu.options.chardevs import GDB_PORT

if TYPE_CHECKING:
    from pyemu.monitor.monitor import Monitor

GDB_DEVICE = f"tcp:localhost:{GDB_PORT}"


def stop(monitor: Monitor, arguments: list[str]) -> str:
    monitor.runner.pause()
    return ""


def resume(monitor: Monitor, arguments: list[str]) -> str:
    monitor.runner.resume()
    return ""


def reset(monitor: Monitor, arguments: list[str]) -> str:
    monitor.runner.reset()
    return ""


def power_down(monitor: Monitor, arguments: list[str]) -> str:
    monitor.runner.powerdown()
    return ""


def send_break(monitor: Monitor, arguments: list[str]) -> str:
    if not monitor.chardevs.send_break(arguments[0]):
        raise CommandError(f"Error: Chardev '{arguments[0]}' not found")
    return ""


def nmi(monitor: Monitor, arguments: list[str]) -> str:
    inject_nmi(monitor.runner)
    return ""


def inject_nmi(runner: Any) -> None:
    """Press the button for it, which is at LINT1 of the local APIC."""
    def press() -> None:
        for level in (True, False):
            runner.machine.lapic.lint1(level)

    runner.call(press)


def boot_set(monitor: Monitor, arguments: list[str]) -> str:
    """In the CMOS memory, where SeaBIOS looks when it boots next."""
    order = arguments[0]
    for place, letter in enumerate(order):
        if not "a" <= letter <= "p":
            raise CommandError(f"Invalid boot device '{letter}'")
        if letter in order[:place]:
            raise CommandError(f"Boot device '{letter}' was given twice")
    if len(order) > cmos.MOST_BOOT_DEVICES:
        raise CommandError("Too many boot devices for PC")
    try:
        settings = cmos.boot_settings(order)
    except ValueError as error:
        raise CommandError(str(error)) from None

    monitor.runner.call(lambda: monitor.runner.machine.rtc.change_memory(settings))
    return f"boot device list now set to {order}"


def gdb_server(monitor: Monitor, arguments: list[str]) -> str:
    device = arguments[0] if arguments else GDB_DEVICE
    if device == "none":
        monitor.runner.gdb.close()
        return "Disabled gdbserver"
    try:
        monitor.runner.gdb.open(device)
    except UserError as error:
        raise CommandError(f"{error}\nCould not open gdbserver on device '{device}'") from None
    return f"Waiting for gdb connection on device '{device}'"


def cpu(monitor: Monitor, arguments: list[str]) -> str:
    if number(monitor, arguments[0]):
        raise CommandError("invalid CPU index")
    return ""


COMMANDS = (
    Command("boot_set", "bootdevice", "define new values for the boot device list", boot_set,
            required=1),
    Command("chardev-send-break", "id", "send a break on chardev", send_break, required=1),
    Command("cpu", "index", "set the default CPU", cpu, required=1, kinds="n"),
    Command("gdbserver", "[device]",
            f"start gdbserver on given device (default '{GDB_DEVICE}'), stop with 'none'",
            gdb_server, optional=1),
    Command("nmi", "", "inject an NMI", nmi),
    Command("stop|s", "", "stop emulation", stop),
    Command("cont|c", "", "resume emulation", resume),
    Command("system_reset", "", "reset the system", reset),
    Command("system_powerdown", "", "send system power down event", power_down),
)
