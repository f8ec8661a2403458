"""What is on the PCI bus, as QMP tells it and as `info pci` shows it, in QEMU's layout."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyemu.machine import pci
from pyemu.machine.pci_bar import BAR_IO, BAR_PREFETCHABLE
from pyemu.monitor.command import Command

if TYPE_CHECKING:
    from pyemu.config import Config
    from pyemu.monitor.monitor import Monitor

CLASSES = {  # class and subclass
    0x0101: "IDE controller", 0x0200: "Ethernet controller", 0x0300: "VGA controller",
    0x0600: "Host bridge", 0x0601: "ISA bridge", 0x0680: "Bridge",
}
UNMAPPED = -1
ADDRESSES = (1 << 64) - 1


def described(machine: Any, config: Config) -> list[dict[str, Any]]:
    """A PciDeviceInfo of QMP for each function. On the vCPU's thread."""
    names = {device.devfn: nic.id for device, nic in zip(machine.nics, config.nics, strict=True)}
    names |= {device.devfn: disk.id for device, disk in zip(
        machine.virtio_disks, config.virtio_disks, strict=True)}
    return [_function(device, names.get(devfn, ""))
            for devfn, device in sorted(machine.pci.devices.items())]


def _function(device: pci.PciDevice, name: str) -> dict[str, Any]:
    register = device.register
    number = register(pci.CLASS_CODE, 3) >> 8
    return {
        "bus": 0, "slot": device.slot, "function": device.function, "qdev_id": name,
        "class_info": {"class": number,
                       **({"desc": CLASSES[number]} if number in CLASSES else {})},
        "id": {"vendor": register(pci.VENDOR_ID, 2), "device": register(pci.DEVICE_ID, 2),
               "subsystem-vendor": register(pci.SUBSYSTEM_VENDOR_ID, 2),
               "subsystem": register(pci.SUBSYSTEM_ID, 2)},
        "irq_pin": device.pin,
        **({"irq": register(pci.INTERRUPT_LINE, 1)} if device.pin else {}),
        "regions": [_region(window) for window in device.windows if window.number is not None],
    }


def _region(window: Any) -> dict[str, Any]:
    flags = window.bar.flags
    region = {"bar": window.number, "size": window.bar.size,
              "address": UNMAPPED if window.base is None else window.base}
    if flags & BAR_IO:
        return {**region, "type": "io"}
    return {**region, "type": "memory", "prefetch": bool(flags & BAR_PREFETCHABLE),
            "mem_type_64": False}


def class_name(function: dict[str, Any]) -> str:
    about = function["class_info"]
    return about.get("desc", f"Class {about['class']:04x}")


def bounds(region: dict[str, Any]) -> tuple[int, int]:
    """The first and the last address, modulo 2^64 as QEMU counts where nothing is mapped."""
    start = region["address"] & ADDRESSES
    return start, start + region["size"] - 1 & ADDRESSES


def show(monitor: Monitor, arguments: list[str]) -> str:
    runner = monitor.runner
    functions = runner.call(lambda: described(runner.machine, monitor.config))
    return "\n".join(line for function in functions for line in _lines(function))


def _lines(function: dict[str, Any]) -> list[str]:
    ids = function["id"]
    lines = [f"  Bus {function['bus']:2}, device {function['slot']:3}, "
             f"function {function['function']}:",
             f"    {class_name(function)}: PCI device {ids['vendor']:04x}:{ids['device']:04x}",
             f"      PCI subsystem {ids['subsystem-vendor']:04x}:{ids['subsystem']:04x}"]
    if function["irq_pin"]:
        pin = "ABCD"[function["irq_pin"] - 1]
        lines.append(f"      IRQ {function['irq']}, pin {pin}")
    for region in function["regions"]:
        start, end = bounds(region)
        head = f"      BAR{region['bar']}: "
        if region["type"] == "io":
            lines.append(f"{head}I/O at 0x{start:04x} [0x{end:04x}].")
        else:
            prefetchable = "prefetchable " if region["prefetch"] else ""
            lines.append(f"{head}32 bit {prefetchable}memory at 0x{start:08x} [0x{end:08x}].")
    return [*lines, f'      id "{function["qdev_id"]}"']


INFO = (Command("pci", "", "show PCI info", show),)
