"""PCI: configuration space, base address registers, and access to both by mechanism 1.

`PciDevice` is what every function derives from, `PciBus` is bus 0 with the two ports of the host
bridge: CONFIG_ADDRESS (CF8h) and CONFIG_DATA (CFCh).
Source: PCI Local Bus Specification 3.0, sections 3.2.2.3.2 (mechanism 1), 6.1 and 6.2.
"""
from collections.abc import Callable
from typing import Any, ClassVar

from pyemu.machine.chip import Chip
from pyemu.machine.line import Line
from pyemu.machine.pci_bar import COMMAND_IO, COMMAND_MEMORY, Bar, Window
from pyemu.trace.hooks import (
    trace_pci_bar_refused,
    trace_pci_cfg_read,
    trace_pci_cfg_write,
    trace_pci_update_mappings_add,
    trace_pci_update_mappings_del,
)

CONFIG_SIZE = 256

# Registers of the type 00h header
VENDOR_ID = 0x00
DEVICE_ID = 0x02
COMMAND = 0x04
STATUS = 0x06
REVISION_ID = 0x08
CLASS_CODE = 0x09
CACHE_LINE_SIZE = 0x0C
HEADER_TYPE = 0x0E
BAR0 = 0x10
SUBSYSTEM_VENDOR_ID = 0x2C
SUBSYSTEM_ID = 0x2E
ROM_BASE = 0x30
INTERRUPT_LINE = 0x3C
INTERRUPT_PIN = 0x3D
DEVICE_SPECIFIC = 0x40

COMMAND_MASTER = 0x004
COMMAND_SERR = 0x100
COMMAND_INTX_DISABLE = 0x400
COMMAND_WRITABLE = (
    COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER | COMMAND_SERR | COMMAND_INTX_DISABLE)

STATUS_INTX = 0x0008
STATUS_ERRORS = 0xF900  # written with ones to clear
MULTI_FUNCTION = 0x80  # in HEADER_TYPE
ROM_ENABLE = 0x01  # in ROM_BASE

ROM_BAR = 6  # the number QEMU gives the expansion ROM

# Subsystem by which drivers know a virtual machine (Red Hat, Inc., "QEMU Virtual Machine")
SUBSYSTEM = (0x1AF4, 0x1100)

# CONFIG_ADDRESS
ENABLE = 1 << 31
BUS_SHIFT, DEVFN_SHIFT = 16, 8


class PciDevice(Chip):
    """One function: 256 bytes of configuration space with what they do.

    name: as trace events show it. ids: vendor and device. class_code: 24 bits, with the
    programming interface in the lowest. pin: 1-4 for INTA-INTD, 0 for none. bars: from the number
    of the register to what it decodes, `ROM_BAR` for the expansion ROM.

    `intx` is the interrupt pin, for the function to drive.
    """

    STATE: ClassVar[tuple[str, ...]] = ("config",)

    def __init__(self, name: str, ids: tuple[int, int], class_code: int, *, revision: int = 0,
                 pin: int = 0, bars: dict[int, Bar] | None = None):
        self.name = name
        self.bus: PciBus | None = None
        self.slot = self.function = 0
        self.pin = pin
        self.intx = Line(lambda level: self._update_intx())
        self._route = Line(lambda level: None)
        self.defaults = bytearray(CONFIG_SIZE)
        self.writable = bytearray(CONFIG_SIZE)
        self.clearable = bytearray(CONFIG_SIZE)
        self.windows: list[Window] = []

        vendor, device = ids
        self.set_default(VENDOR_ID, 2, vendor)
        self.set_default(DEVICE_ID, 2, device)
        self.set_default(REVISION_ID, 1, revision)
        self.set_default(CLASS_CODE, 3, class_code)
        self.set_default(SUBSYSTEM_VENDOR_ID, 2, SUBSYSTEM[0])
        self.set_default(SUBSYSTEM_ID, 2, SUBSYSTEM[1])
        self.set_default(INTERRUPT_PIN, 1, pin)
        self.set_writable(COMMAND, 2, COMMAND_WRITABLE)
        self.set_writable(CACHE_LINE_SIZE, 1, 0xFF)
        self.set_writable(INTERRUPT_LINE, 1, 0xFF)
        self.clearable[STATUS:STATUS + 2] = STATUS_ERRORS.to_bytes(2, "little")
        self.writable[DEVICE_SPECIFIC:] = b"\xff" * (CONFIG_SIZE - DEVICE_SPECIFIC)
        for number, bar in sorted((bars or {}).items()):
            self._declare_bar(number, bar)
        self.config = bytearray(self.defaults)

    def set_default(self, register: int, size: int, value: int) -> None:
        """Set the power-on value of a register."""
        self.defaults[register:register + size] = value.to_bytes(size, "little")

    def set_writable(self, register: int, size: int, mask: int) -> None:
        """Say which bits of a register software can change."""
        self.writable[register:register + size] = mask.to_bytes(size, "little")

    def add_window(self, bar: Bar, where: Callable[[], int | None]) -> None:
        """Decode a region placed by registers other than a BAR: `where()` reads them."""
        self.windows.append(Window(None, bar, where))

    def _declare_bar(self, number: int, bar: Bar) -> None:
        register = ROM_BASE if number == ROM_BAR else BAR0 + 4 * number
        fixed = bar.size - 1
        self.set_default(register, 4, bar.flags)
        enable = ROM_ENABLE if number == ROM_BAR else 0
        self.set_writable(register, 4, ~fixed & 0xFFFF_FFFF | enable)

        def where() -> int | None:
            value = self.register(register, 4)
            if not self.register(COMMAND, 2) & bar.space or value & enable != enable:
                return None
            return value & ~fixed

        self.windows.append(Window(number, bar, where))

    # What the rest of the machine uses

    @property
    def devfn(self) -> int:
        """Slot and function in one number, as in CONFIG_ADDRESS."""
        return self.slot << 3 | self.function

    @property
    def bus_master(self) -> bool:
        """Whether the guest lets the function read and write memory by itself."""
        return bool(self.register(COMMAND, 2) & COMMAND_MASTER)

    def register(self, register: int, size: int) -> int:
        """The value of a configuration register of `size` bytes."""
        return int.from_bytes(self.config[register:register + size], "little")

    def attach(self, bus: "PciBus", slot: int, function: int) -> None:
        """Called by `PciBus.add`."""
        self.bus, self.slot, self.function = bus, slot, function
        if self.pin:
            self._route = bus.route(slot, self.pin)

    def reset(self) -> None:
        self.config[:] = self.defaults
        self.intx.set(False)
        self.restored()

    def restored(self) -> None:
        self.update_mappings()
        self._update_intx()

    # What the guest does

    def config_read(self, register: int, size: int) -> int:
        return self.register(register, size)

    def config_write(self, register: int, size: int, value: int) -> None:
        config = self.config
        for i in range(register, min(register + size, CONFIG_SIZE)):
            new = value & 0xFF
            value >>= 8
            config[i] = (config[i] & ~self.writable[i] | new & self.writable[i]) & ~(
                new & self.clearable[i])
        self.config_written(register, size)
        self.update_mappings()
        if register <= COMMAND + 1:
            self._update_intx()

    def config_written(self, register: int, size: int) -> None:
        """For functions whose registers do more than hold a value."""

    def update_mappings(self) -> None:
        """Bring what is mapped in line with the registers."""
        bus = self.bus
        if bus is None:
            return
        moved = False
        for window in self.windows:
            if window.base is not None and window.base != window.wanted():
                bus.unmap(self, window)
                moved = True
        for window in self.windows:
            if window.base is None and (base := window.wanted()) is not None:
                bus.map(self, window, base)
        if moved:
            bus.retry()

    def _update_intx(self) -> None:
        if self.intx.level:
            self.config[STATUS] |= STATUS_INTX
        else:
            self.config[STATUS] &= ~STATUS_INTX
        disabled = self.register(COMMAND, 2) & COMMAND_INTX_DISABLE
        self._route.set(self.intx.level and not disabled)


class _ConfigAddress:
    """CF8h-CFBh. Only a whole doubleword reaches CONFIG_ADDRESS: the byte in it at CF9h is the
    reset control register of the south bridge."""

    RESET_CONTROL = 1

    def __init__(self, bus: "PciBus", reset_control: Any):
        self.bus = bus
        self.reset_control = reset_control

    def read(self, offset: int, size: int) -> int:
        if size == 4:
            return self.bus.config_address
        if offset == self.RESET_CONTROL and size == 1:
            return self.reset_control.read(0, 1)
        return (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        if size == 4:
            self.bus.config_address = value
        elif offset == self.RESET_CONTROL and size == 1:
            self.reset_control.write(0, 1, value)


class _ConfigData:
    """CFCh-CFFh: the register that CONFIG_ADDRESS points at, by byte, word or doubleword."""

    def __init__(self, bus: "PciBus"):
        self.bus = bus

    def read(self, offset: int, size: int) -> int:
        device, register = self.bus.target(offset)
        if device is None:
            return (1 << 8 * size) - 1
        value = device.config_read(register, size)
        if trace_pci_cfg_read:
            trace_pci_cfg_read(device.name, 0, device.slot, device.function, register, value)
        return value

    def write(self, offset: int, size: int, value: int) -> None:
        device, register = self.bus.target(offset)
        if device is None:
            return
        if trace_pci_cfg_write:
            trace_pci_cfg_write(device.name, 0, device.slot, device.function, register, value)
        device.config_write(register, size, value)


class PciBus(Chip):
    """Bus 0. `address` and `data` are its windows, each for four ports, at most 4 bytes wide.

    route(slot, pin): the line that pin 1-4 of the slot drives.
    reset_control: the one-port device in the midst of CONFIG_ADDRESS.
    """

    STATE = ("config_address",)

    def __init__(self, ports: Any, memory: Any, route: Callable[[int, int], Line],
                 reset_control: Any):
        self.ports = ports
        self.memory = memory
        self.route = route
        self.address = _ConfigAddress(self, reset_control)
        self.data = _ConfigData(self)
        self.devices: dict[int, PciDevice] = {}
        self._refused: list[tuple[PciDevice, Window]] = []
        self.config_address = 0

    def reset(self) -> None:
        self.config_address = 0

    def add(self, device: PciDevice, slot: int, function: int = 0) -> PciDevice:
        """Put the function there and return it. Raises ValueError if something is there."""
        devfn = slot << 3 | function
        if devfn in self.devices:
            raise ValueError(f"PCI {slot:02x}.{function} is already {self.devices[devfn].name}")
        self.devices[devfn] = device
        device.attach(self, slot, function)
        first = self.devices.get(slot << 3)
        if first and any(slot << 3 | n in self.devices for n in range(1, 8)):
            first.defaults[HEADER_TYPE] |= MULTI_FUNCTION
            first.config[HEADER_TYPE] |= MULTI_FUNCTION
        return device

    def target(self, offset: int) -> tuple[PciDevice | None, int]:
        """The function and the register that CONFIG_ADDRESS and an offset in CONFIG_DATA mean."""
        address = self.config_address
        register = address & 0xFC | offset
        if not address & ENABLE or address >> BUS_SHIFT & 0xFF:
            return None, register
        return self.devices.get(address >> DEVFN_SHIFT & 0xFF), register

    def map(self, device: PciDevice, window: Window, base: int) -> None:
        """Map the window. Where something else is already, it stays unmapped until that goes."""
        try:
            window.mapping = window.bar.map(self, base)
        except ValueError:
            trace_pci_bar_refused(device.name, 0, device.slot, device.function,
                                  -1 if window.number is None else window.number,
                                  base, window.bar.size)
            if (device, window) not in self._refused:
                self._refused.append((device, window))
            return
        window.base = base
        if window.number is not None:
            trace_pci_update_mappings_add(device.name, 0, device.slot, device.function,
                                          window.number, base, window.bar.size)

    def unmap(self, device: PciDevice, window: Window) -> None:
        window.bar.unmap(self, window.mapping)
        if window.number is not None:
            trace_pci_update_mappings_del(device.name, 0, device.slot, device.function,
                                          window.number, window.base, window.bar.size)
        window.base = window.mapping = None

    def retry(self) -> None:
        """Something was unmapped: map what could not be until now."""
        refused, self._refused = self._refused, []
        for device, window in refused:
            if window.base is None and (base := window.wanted()) is not None:
                self.map(device, window, base)
