"""`info mtree`, `info roms`: what answers at which address. The map is flat already."""
from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from pyemu.machine import layout
from pyemu.monitor.command import Command, UsageError

if TYPE_CHECKING:
    from pyemu.monitor.monitor import Monitor

MEMORY_END, PORTS_END = 1 << 64, 1 << 16
PORT_NAMES = {  # of what the board has at fixed ports, as QEMU calls it
    layout.PIC_MASTER: "pic", layout.PIC_SLAVE: "pic", layout.PIT: "pit", layout.ELCR: "elcr",
    layout.PORT_61: "pcspk", layout.I8042_DATA: "i8042-data", layout.I8042_COMMAND: "i8042-cmd",
    layout.RTC: "rtc", layout.POST: "ioport80", layout.PORT_92: "port92", layout.APM: "apm-io",
    layout.FW_CFG: "fwcfg", layout.FW_CFG_DMA: "fwcfg.dma", layout.VGA_MONO: "vga",
    layout.VGA: "vga", layout.DISPI: "vbe", layout.PCI_ADDRESS: "pci-conf-idx",
    layout.PCI_DATA: "pci-conf-data", layout.PCI_HOTPLUG: "acpi-pci-hotplug",
    layout.CPU_HOTPLUG: "acpi-cpu-hotplug", layout.GPE0: "acpi-gpe0",
    **dict.fromkeys(layout.SERIALS, "serial"), **dict.fromkeys(layout.DEBUG_CONSOLES, "debugcon"),
}


class Place(NamedTuple):
    """What answers from `start` to `end`, exclusive."""

    start: int
    end: int
    kind: str  # "ram", "rom" or "i/o"
    name: str

    def line(self) -> str:
        return f"{self.start:016x}-{self.end - 1:016x} (prio 0, {self.kind}): {self.name}"


def memory_places(runner: Any) -> Iterator[Place]:
    for region in runner.memory.regions:
        if region.kind != "gap":
            kind = "i/o" if region.kind == "mmio" else region.kind
            yield Place(region.base, region.end, kind, region.name)


def port_places(runner: Any) -> Iterator[Place]:
    """Neighbouring ports of one device in one line."""
    functions = {window.base: device.name for device in runner.machine.pci.devices.values()
                 for window in device.windows if window.base is not None}
    fixed = {base: name for (base, _), name in PORT_NAMES.items()}
    place: Place | None = None
    for port, (base, _, _) in sorted(runner.ports.table.items()):
        name = fixed.get(base) or functions.get(base) or ""
        if place and place.end == port and place.name == name:
            place = place._replace(end=port + 1)
        else:
            if place:
                yield place
            place = Place(port, port + 1, "i/o", name)
    if place:
        yield place


def with_gaps(places: Iterator[Place], name: str, end: int) -> Iterator[Place]:
    """And what is left to the container between them."""
    at = 0
    for place in places:
        if at < place.start:
            yield Place(at, place.start, "i/o", f"{name} @{at:016x}" if at else name)
        yield place
        at = place.end
    if at < end:
        yield Place(at, end, "i/o", f"{name} @{at:016x}" if at else name)


def tree(monitor: Monitor, arguments: list[str]) -> str:
    if arguments not in ([], ["-f"]):
        raise UsageError(f"mtree: unsupported option {arguments[0]}")
    runner = monitor.runner
    memory, ports = runner.call(lambda: (list(memory_places(runner)), list(port_places(runner))))
    if arguments:
        return "\n\n".join((_flat(0, "memory", "system", iter(memory)),
                            _flat(1, "I/O", "io", with_gaps(iter(ports), "io", PORTS_END))))
    return "\n\n".join((_space("memory", Place(0, MEMORY_END, "i/o", "system"), memory),
                        _space("I/O", Place(0, PORTS_END, "i/o", "io"), ports)))


def _space(name: str, root: Place, places: list[Place]) -> str:
    return "\n".join([f"address-space: {name}", f"  {root.line()}",
                      *(f"    {place.line()}" for place in places)])


def _flat(number: int, name: str, root: str, places: Iterator[Place]) -> str:
    return "\n".join([f"FlatView #{number}", f' AS "{name}", root: {root}',
                      f" Root memory region: {root}", *(f"  {place.line()}" for place in places)])


def roms(monitor: Monitor, arguments: list[str]) -> str:
    """Option ROMs that firmware loads, ROM in the map, and the tables it is given."""
    runner = monitor.runner
    files = runner.machine.fw_cfg.files
    lines = [f'fw={name} size=0x{len(item.data):06x} name="{name.rpartition("/")[2]}"'
             for name, item in sorted(files.items()) if name.startswith("genroms/")]
    regions = runner.call(lambda: list(runner.memory.regions))
    lines += [f'addr={region.base:016x} size=0x{region.end - region.base:06x} mem=rom '
              f'name="{region.name}"'
              for region in regions if region.kind == "rom" and region.base >= layout.MIB]
    lines += [f'/rom@{name} size=0x{len(item.data):06x} name="{name}"'
              for name, item in sorted(files.items()) if name.startswith("etc/acpi/")]
    return "\n".join(lines)


INFO = (
    Command("mtree", "[-f]", "show memory tree (-f: dump flat view for address spaces)", tree,
            optional=1),
    Command("roms", "", "show roms", roms),
)
