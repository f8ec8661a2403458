"""`-device DRIVER,KEY=VALUE,...`: what can be plugged in besides disks."""
from collections.abc import Callable
from typing import NamedTuple

from pyemu.config import DebugExitConfig, IsaDeviceConfig, UserError
from pyemu.options import drives, keyvalue, network
from pyemu.options.request import Answer, Request

PORTS = 1 << 16
DEBUG_EXIT_BASE, DEBUG_EXIT_SIZE = 0x501, 2
PVPANIC_PORT, PVPANIC_EVENTS = 0x505, 3
MOST_PORTS = 0x1000  # of isa-debug-exit


class Driver(NamedTuple):
    """group: under which the help lists it; about: what the help says of it."""

    group: str
    about: str
    handle: Callable[[Request, str], None]


def device(request: Request, text: str) -> None:
    if text in ("help", "?"):
        raise Answer(_listing())
    driver, *parts = keyvalue.split(text)
    name = driver.removeprefix("driver=")
    if name not in DRIVERS:
        raise UserError(f"'{name}' is not a valid device model name")
    ident = network.identifier(dict(part.split("=", 1) for part in parts if "=" in part))
    if ident in request.device_ids:
        raise UserError(f"Duplicate ID '{ident}' for device")
    DRIVERS[name].handle(request, text)
    if ident:
        request.device_ids.add(ident)


def _listing() -> str:
    groups: dict[str, list[str]] = {}
    for name, driver in DRIVERS.items():
        groups.setdefault(driver.group, []).append(f'name "{name}", {driver.about}')
    return "\n\n".join("\n".join([f"{group} devices:", *lines]) for group, lines in groups.items())


def _debug_exit(request: Request, text: str) -> None:
    values = keyvalue.parse(text, ("driver", "iobase", "iosize", "id"), implied="driver")
    base = keyvalue.number(values, "iobase", DEBUG_EXIT_BASE)
    count = keyvalue.number(values, "iosize", DEBUG_EXIT_SIZE)
    if not (0 <= base < PORTS and 0 < count <= MOST_PORTS and base + count <= PORTS):
        raise UserError(f"there are no {count} ports from {base:#x} on")
    request.config.debug_exits.append(DebugExitConfig(f"-device {text}", base, count))
    _note(request, values, iobase=base, iosize=count)


def _testdev(request: Request, text: str) -> None:
    values = keyvalue.parse(text, ("driver", "id"), implied="driver")
    request.config.testdev = True
    _note(request, values)


def _pvpanic(request: Request, text: str) -> None:
    values = keyvalue.parse(text, ("driver", "ioport", "events", "id"), implied="driver")
    port = keyvalue.number(values, "ioport", PVPANIC_PORT)
    events = keyvalue.number(values, "events", PVPANIC_EVENTS)
    if not 0 <= port < PORTS:
        raise UserError(f"there is no port {port:#x}")
    if not 0 <= events <= PVPANIC_EVENTS:
        raise UserError(f"events={events}: expected 0 to {PVPANIC_EVENTS}")
    request.config.pvpanics.append((port, events))
    _note(request, values, ioport=port, events=events)


def _note(request: Request, values: dict[str, str], **properties: int) -> None:
    request.config.isa_devices.append(
        IsaDeviceConfig(values["driver"], values.get("id", ""), properties))


DRIVERS = {
    "virtio-blk-pci": Driver("Storage", "bus PCI", drives.virtio_disk),
    "e1000": Driver("Network", 'bus PCI, desc "Intel Gigabit Ethernet"', network.card),
    "isa-debug-exit": Driver("Misc", "bus ISA", _debug_exit),
    "pc-testdev": Driver("Misc", "bus ISA", _testdev),
    "pvpanic": Driver("Misc", "bus ISA", _pvpanic),
}
