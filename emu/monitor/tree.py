"""`info qtree`: which device is on which bus, in QEMU's layout, with the properties it has here."""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from pyemu.machine import hpet, ioapic, layout
from pyemu.monitor.command import Command
from pyemu.monitor.devices import bounds, class_name, described

if TYPE_CHECKING:
    from pyemu.config import Config
    from pyemu.monitor.monitor import Monitor

Lines = Iterable[str]


def show(monitor: Monitor, arguments: list[str]) -> str:
    runner = monitor.runner
    return runner.call(lambda: "\n".join(_system_bus(runner, monitor.config)))


def _bus(name: str, kind: str, devices: Iterable[Lines]) -> Iterator[str]:
    yield f"bus: {name}"
    yield f"  type {kind}"
    for device in devices:
        yield from _indented(device)


def _device(name: str, properties: Lines = (), buses: Iterable[Lines] = (),
            ident: str = "") -> Iterator[str]:
    yield f'dev: {name}, id "{ident}"'
    yield from _indented(properties)
    for bus in buses:
        yield from _indented(bus)


def _indented(lines: Lines) -> Iterator[str]:
    return (f"  {line}" for line in lines)


def _properties(**values: int | str) -> list[str]:
    return [f'{name} = "{value}"' if isinstance(value, str) else f"{name} = {value} ({value:#x})"
            for name, value in values.items()]


def _mmio(base: int, size: int) -> str:
    return f"mmio {base:016x}/{size:016x}"


def _system_bus(runner: Any, config: Config) -> Iterator[str]:
    return _bus("main-system-bus", "System", [
        _device("ps2-mouse"), _device("ps2-kbd"),
        *([_device("hpet", [*_properties(timers=hpet.TIMERS), "msi = false",
                            *_properties(**{"hpet-intcap": 1 << hpet.IO_APIC_INPUT}),
                            _mmio(layout.HPET, hpet.SIZE)])] if runner.machine.hpet else []),
        _device("ioapic", [f'gpio-in "" {ioapic.PINS}',
                           *_properties(version=ioapic.VERSION_VALUE & 0xff),
                           _mmio(layout.IO_APIC, layout.APIC_SIZE)]),
        _device("i440FX-pcihost", buses=[_bus("pci.0", "PCI", (
            _function(runner, config, function)
            for function in described(runner.machine, config)))]),
        _device("fw_cfg_io"),
    ])


def _function(runner: Any, config: Config, function: dict[str, Any]) -> Iterator[str]:
    machine = runner.machine
    slot, number, ids = function["slot"], function["function"], function["id"]
    device = machine.pci.devices[slot << 3 | number]
    lines = [f"addr = {slot:02x}.{number}",
             f"class {class_name(function)}, addr {function['bus']:02x}:{slot:02x}.{number}, "
             f"pci id {ids['vendor']:04x}:{ids['device']:04x} "
             f"(sub {ids['subsystem-vendor']:04x}:{ids['subsystem']:04x})"]
    for region in function["regions"]:
        start, end = bounds(region)
        kind = "i/o" if region["type"] == "io" else "mem"
        lines.append(f"bar {region['bar']}: {kind} at {start:#x} [{end:#x}]")
    buses: list[Lines] = []
    if device in machine.nics:
        nic = config.nics[machine.nics.index(device)]
        lines = [*_properties(mac=device.mac.hex(":"), netdev=nic.netdev or ""), *lines]
    elif device is machine.piix3:
        buses = [_bus("isa.0", "ISA", _isa(runner, config))]
    elif (slot, number) == (layout.SLOT_PIIX3, layout.FUNCTION_IDE):
        buses = [_bus(f"ide.{n}", "IDE", [
            _ide_drive(config, 2 * n + unit, drive)
            for unit, drive in enumerate(channel.drives) if drive])
            for n, channel in enumerate(machine.channels)]
    return _device(device.name, lines, buses, function["qdev_id"])


def _ide_drive(config: Config, index: int, device: Any) -> Iterator[str]:
    drive = next(drive for drive in config.drives
                 if (drive.interface, drive.index) == ("ide", index))
    return _device("ide-cd" if drive.media == "cdrom" else "ide-hd", _properties(
        drive=drive.name, ver=device.firmware, serial=device.serial, model=device.model,
        unit=index % 2))


def _isa(runner: Any, config: Config) -> Iterator[Lines]:
    for added in reversed(config.isa_devices):
        yield _device(added.driver, _properties(**added.properties), ident=added.id)
    ports = {id(device): base for base, _, device in runner.ports.table.values()}
    yield _device("port92")
    yield _device("i8042", [*_properties(**{"kbd-irq": layout.IRQ_KEYBOARD,
                                            "mouse-irq": layout.IRQ_MOUSE})])
    for uart in runner.machine.serials:
        number = layout.SERIALS.index((ports[id(uart)], layout.SERIALS[0][1]))
        yield _device("isa-serial", _properties(
            index=number, iobase=ports[id(uart)], irq=layout.IRQ_SERIALS[number]))
    yield _device("isa-pcspk", _properties(iobase=layout.PORT_61[0]))
    yield _device("isa-pit", _properties(iobase=layout.PIT[0]))
    yield _device("mc146818rtc", _properties(iobase=layout.RTC[0], irq=layout.IRQ_RTC))
    for (port, _), elcr in ((layout.PIC_SLAVE, 1), (layout.PIC_MASTER, 0)):
        yield _device("isa-i8259", _properties(iobase=port, elcr_addr=layout.ELCR[0] + elcr))


INFO = (Command("qtree", "", "show device tree", show),)
