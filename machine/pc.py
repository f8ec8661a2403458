"""The PC: QEMU's `pc`, an i440FX with a PIIX3, as a bill of materials."""
import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pyemu.machine import cmos, layout
from pyemu.machine.acpi_hotplug import CpuHotplug, PciHotplug
from pyemu.machine.atapi_cdrom import AtapiCdrom
from pyemu.machine.block.drive import Drive
from pyemu.machine.chip import Chip
from pyemu.machine.debug_exit import DebugExit
from pyemu.machine.debugcon import DebugConsole
from pyemu.machine.fdc import Fdc
from pyemu.machine.fdc_commands import Commands
from pyemu.machine.firmware_config import FirmwareConfig
from pyemu.machine.floppy_drive import FloppyDrive
from pyemu.machine.fw_cfg import FwCfg
from pyemu.machine.gsi import Gsi
from pyemu.machine.hpet import TIMERS, Hpet
from pyemu.machine.i440fx import I440fx
from pyemu.machine.i8042 import I8042
from pyemu.machine.i8237 import Dma
from pyemu.machine.i8254 import Pit
from pyemu.machine.i8259 import DualPic
from pyemu.machine.ide import Channel
from pyemu.machine.ide_bmdma import BusMaster
from pyemu.machine.ide_disk import AtaDisk
from pyemu.machine.ioapic import IoApic
from pyemu.machine.kernel_image import KernelImage
from pyemu.machine.lapic import LocalApic
from pyemu.machine.line import Line, WiredOr
from pyemu.machine.mc146818 import Rtc
from pyemu.machine.net.e1000 import E1000
from pyemu.machine.net.peer import Peer
from pyemu.machine.pc_testdev import LINES, PcTestdev
from pyemu.machine.pci import PciBus
from pyemu.machine.piix3 import ROUTABLE, Piix3
from pyemu.machine.piix4_pm import Piix4Pm
from pyemu.machine.piix_ide import PiixIde
from pyemu.machine.port92 import Port92
from pyemu.machine.post import Post
from pyemu.machine.ps2_keyboard import Keyboard
from pyemu.machine.ps2_mouse import Mouse
from pyemu.machine.pvpanic import PvPanic
from pyemu.machine.uart import Uart
from pyemu.machine.vga import Vga
from pyemu.machine.vga_pci import VgaPci
from pyemu.machine.virtio_blk import VirtioBlk


@dataclass
class Parts:
    """What goes onto the board: back ends are open, firmware is loaded.

    drives: all drives by name. ide: primary master and slave, secondary master and slave;
    floppies: A and B; None: absent. virtio_disks: each with its serial number.
    serials: character devices of COM1 to COM4; None: absent. nics: of each its MAC address, its
    option ROM and the peer it is plugged into. vga_rom: None: no display adapter.
    debug_console: character device or None.
    epoch: Unix seconds that the RTC shows at power-on. cmos: bytes by address. boot_orders: what
    replaces the order there at power-on and at the resets that follow, one after the other.
    kernel: to be booted instead of a disk, by the option ROM among the firmware's files.
    hpet: have the high precision event timer.
    testdev: have the device for test programs. debug_exits: first port and number of each.
    pvpanics: port and events of each.
    """

    ram: mmap.mmap
    bios: bytes
    vga_rom: bytes | None
    drives: Mapping[str, Drive]
    ide: Sequence[Drive | None]
    floppies: Sequence[Drive | None]
    virtio_disks: Sequence[tuple[Drive, str]]
    serials: Sequence[Any]
    nics: Sequence[tuple[bytes, bytes | None, Peer]]
    debug_console: Any
    epoch: int
    cmos: Mapping[int, int]
    boot_orders: Sequence[str]
    firmware: FirmwareConfig
    kernel: KernelImage | None = None
    hpet: bool = True
    testdev: bool = False
    debug_exits: Sequence[tuple[int, int]] = ()
    pvpanics: Sequence[tuple[int, int]] = ()


class Pc(Chip):
    """The board with everything on it; `reset()` gives the power-on state.

    cpu: set_intr, set_nmi, set_a20, on_acknowledge and what is in `lapic.Processor`.
    system: see `machine.system`.
    """

    def __init__(self, cpu: Any, clock: Any, ports: Any, memory: Any, system: Any, parts: Parts):
        self.drives = parts.drives
        self.boot_orders = list(parts.boot_orders)
        self.memory = memory
        _lay_out_memory(memory, parts)

        # Interrupt controllers
        self.pic = DualPic(on_intr=lambda level: self.lapic.pic_intr(level))
        self.lapic = LocalApic(
            clock, on_intr=cpu.set_intr, pic_acknowledge=self.pic.acknowledge, on_nmi=cpu.set_nmi,
            on_init=lambda: system.reset_request("guest-reset"),
            on_eoi=lambda vector: self.ioapic.eoi(vector), processor=cpu)
        self.ioapic = IoApic(self.lapic.receive)
        cpu.on_acknowledge = self.lapic.acknowledge
        self.gsi = Gsi(self.pic, self.ioapic)
        wires = {n: WiredOr(self.gsi.line(n)) for n in layout.ISA_IRQS}

        def irq(n: int) -> Line:
            return wires[n].input()  # a PIRQ may be routed to any, whoever else drives it

        memory.map_mmio(layout.IO_APIC, layout.APIC_SIZE, self.ioapic, "ioapic")
        memory.map_mmio(layout.LOCAL_APIC, layout.APIC_SIZE, self.lapic, "lapic")
        ports.map(*layout.PIC_MASTER, self.pic.master)
        ports.map(*layout.PIC_SLAVE, self.pic.slave)
        ports.map(*layout.ELCR, self.pic.elcr)

        # Time
        ticking = [irq(layout.IRQ_TIMER), irq(layout.IRQ_RTC)]
        self.hpet: Hpet | None = None
        if parts.hpet:
            wire = WiredOr(self.gsi.line(layout.GSI_HPET))
            self.hpet = Hpet(clock, ticking, [wire.input() for _ in range(TIMERS)],
                             on_legacy=lambda on: self.pit.connect(not on))
            memory.map_mmio(layout.HPET, layout.HPET_SIZE, self.hpet, "hpet")
            ticking = self.hpet.inputs
        self.pit = ports.map(*layout.PIT, Pit(clock, ticking[0]))
        ports.map(*layout.PORT_61, self.pit.port61)
        self.rtc = ports.map(*layout.RTC, Rtc(clock, ticking[1], parts.epoch, parts.cmos,
                                              system.rtc_change))

        # Keyboard and mouse, A20, serial ports, consoles
        self.keyboard, self.mouse = Keyboard(), Mouse()
        self.i8042 = I8042(clock, irq(layout.IRQ_KEYBOARD), irq(layout.IRQ_MOUSE), self.keyboard,
                           self.mouse, cpu.set_a20, system.reset_request)
        ports.map(*layout.I8042_DATA, self.i8042.data)
        ports.map(*layout.I8042_COMMAND, self.i8042.command)
        self.port92 = ports.map(*layout.PORT_92, Port92(cpu.set_a20, system.reset_request))
        self.serials = [
            ports.map(*where, Uart(clock, irq(number), chardev))
            for where, number, chardev in zip(
                layout.SERIALS, layout.IRQ_SERIALS, parts.serials, strict=False)
            if chardev]
        self.post = ports.map(*layout.POST, Post())
        self.debug_consoles = [
            ports.map(*where, DebugConsole(parts.debug_console))
            for where in layout.DEBUG_CONSOLES if parts.debug_console]

        # PCI
        self.piix3 = Piix3({n: irq(n) for n in ROUTABLE}, system)
        self.pci = PciBus(ports, memory, self.piix3.line, self.piix3.reset_control)
        ports.map(*layout.PCI_ADDRESS, self.pci.address, width=4)
        ports.map(*layout.PCI_DATA, self.pci.data, width=4)
        self.pci.add(I440fx(memory, len(parts.ram)), layout.SLOT_HOST)
        self.pci.add(self.piix3, layout.SLOT_PIIX3)

        # Floppy disks
        self.dma = Dma(memory)
        ports.map(*layout.DMA_FIRST, self.dma.first)
        ports.map(*layout.DMA_SECOND, self.dma.second)
        self.fdc = Fdc(irq(layout.IRQ_FDC), self.dma.channels[layout.DMA_FDC],
                       [FloppyDrive(drive) if drive else None for drive in parts.floppies],
                       Commands)
        ports.map(*layout.DMA_PAGES, self.dma.pages)
        ports.map(*layout.FDC, self.fdc)
        ports.map(*layout.FDC_DIR, self.fdc.direction)

        # Disks
        self.channels = [
            Channel(irq(layout.IRQ_IDE[n]), clock, _plug_ide(parts, 2 * n),
                    _plug_ide(parts, 2 * n + 1), base=layout.IDE_DATA[n][0])
            for n in range(2)]
        for n, channel in enumerate(self.channels):
            ports.map(*layout.IDE_DATA[n], channel.data, width=4)
            ports.map(*layout.IDE_COMMAND[n], channel.command)
            ports.map(*layout.IDE_CONTROL[n], channel.control)
        self.bus_master = BusMaster(self.channels[0], self.channels[1], memory)
        self.pci.add(PiixIde(self.bus_master), layout.SLOT_PIIX3, layout.FUNCTION_IDE)

        # Power management
        self.pm = Piix4Pm(clock, irq(layout.IRQ_SCI), system, serials=len(self.serials))
        self.pci.add(self.pm, layout.SLOT_PIIX3, layout.FUNCTION_PM)
        ports.map(*layout.APM, self.pm.apm)
        ports.map(*layout.GPE0, self.pm.gpe0)
        ports.map(*layout.PCI_HOTPLUG, PciHotplug(), width=4)
        ports.map(*layout.CPU_HOTPLUG, CpuHotplug())
        self.power_button = self.pm.power_button

        # Firmware's questions
        self.fw_cfg = ports.map(*layout.FW_CFG, FwCfg(memory), width=2)
        ports.map(*layout.FW_CFG_DMA, self.fw_cfg.dma, width=4)
        parts.firmware.install(self.fw_cfg)
        self.kernel = parts.kernel
        if self.kernel:
            self.kernel.install(self.fw_cfg)

        # Display and network
        self.vga = _plug_vga(self.pci, clock, ports, memory, parts.vga_rom)
        self.nics = [self.pci.add(E1000(clock, memory, *nic), layout.SLOT_NIC + n)
                     for n, nic in enumerate(parts.nics)]

        # Disks on PCI
        self.virtio_disks = [
            self.pci.add(VirtioBlk(memory, drive.medium, serial), layout.SLOT_NIC + n)
            for n, (drive, serial) in enumerate(parts.virtio_disks, len(self.nics))]

        # For programs that test the machine
        lines = {n: irq(n) if n in wires else self.gsi.line(n)
                 for n in range(LINES) if n != layout.IRQ_CASCADE}
        self.testdev = _plug_testdev(ports, memory, lines) if parts.testdev else None
        for base, count in parts.debug_exits:
            ports.map(base, count, DebugExit(system), width=4)
        for base, events in parts.pvpanics:
            ports.map(base, 1, PvPanic(system, events))

        self.chips: dict[str, Chip] = {
            "pic": self.pic, "lapic": self.lapic, "ioapic": self.ioapic, "pit": self.pit,
            "rtc": self.rtc, "keyboard": self.keyboard, "mouse": self.mouse,
            "i8042": self.i8042, "port92": self.port92, "post": self.post,
            "fw_cfg": self.fw_cfg, "dma": self.dma, "fdc": self.fdc,
            "bus_master": self.bus_master,
            **{f"serial{n}": uart for n, uart in enumerate(self.serials)},
            **{f"ide{n}": channel for n, channel in enumerate(self.channels)},
            **({"hpet": self.hpet} if self.hpet else {}),
            **({"vga": self.vga} if self.vga else {}),
            **({"testdev": self.testdev} if self.testdev else {}),
            "pci": self.pci,
            **{f"pci.{devfn:02x}": device for devfn, device in self.pci.devices.items()},
        }

    def reset(self) -> None:
        for chip in self.chips.values():
            chip.reset()
        if self.boot_orders:
            self.rtc.change_memory(cmos.boot_settings(self.boot_orders.pop(0)))
        if self.kernel:
            self.kernel.load(self.memory)

    def save(self) -> dict[str, Any]:
        return {"version": self.VERSION,
                **{name: chip.save() for name, chip in self.chips.items()}}

    def load(self, state: dict[str, Any]) -> None:
        for name, chip in self.chips.items():
            chip.load(state[name])


def _lay_out_memory(memory: Any, parts: Parts) -> None:
    """RAM around the window of the display, the BIOS below 4 GiB and, by PAM, below 1 MiB."""
    ram = memoryview(parts.ram)
    low, high = layout.split_ram(len(ram))
    memory.map_ram(0, ram[:layout.VGA_WINDOW], "ram-low")
    memory.map_ram(layout.MIB, ram[layout.MIB:low], "ram-below-4g")
    if high:
        memory.map_ram(layout.HIGH_RAM, ram[low:], "ram-above-4g")
    memory.map_rom(layout.HIGH_RAM - len(parts.bios), parts.bios, "bios")

    low_bios = parts.bios[-layout.LOW_BIOS_SIZE:]
    below_1m = low_bios.rjust(layout.MIB - layout.PAM_BASE, b"\xFF")
    for base, size in layout.PAM_SEGMENTS:
        offset = base - layout.PAM_BASE
        memory.add_pam(base, ram[base:base + size], below_1m[offset:offset + size])


def _plug_vga(pci: PciBus, clock: Any, ports: Any, memory: Any, rom: bytes | None) -> Vga | None:
    if rom is None:
        return None
    vram = mmap.mmap(-1, layout.VIDEO_RAM_SIZE)
    vga = Vga(clock, vram)
    window = memory.map_mmio(layout.VGA_WINDOW, layout.VGA_WINDOW_SIZE, vga, "vga-lowmem")
    vga.memory.show = partial(memory.show, window)
    ports.map(*layout.VGA, vga.ports, width=2)
    ports.map(*layout.VGA_MONO, vga.mono_ports, width=2)
    ports.map(*layout.DISPI, vga.dispi.ports, width=2)
    pci.add(VgaPci(vram, vga.ports, vga.dispi, rom), layout.SLOT_VGA)
    return vga


def _plug_testdev(ports: Any, memory: Any, lines: Mapping[int, Line]) -> PcTestdev:
    device = PcTestdev(lines)
    ports.map(*layout.TESTDEV, device.ports, width=4)
    ports.map(*layout.TESTDEV_FLUSH, device.flush, width=4)
    ports.map(*layout.TESTDEV_BYTES, device.ports, width=4)
    ports.map(*layout.TESTDEV_LINES, device.lines)
    memory.map_mmio(layout.TESTDEV_MEMORY, layout.TESTDEV_MEMORY_SIZE, device.memory, "testdev")
    return device


def _plug_ide(parts: Parts, number: int) -> AtaDisk | AtapiCdrom | None:
    drive = parts.ide[number]
    serial = f"QM{number + 1:05}"
    if drive is None:
        return None
    return AtapiCdrom(drive, serial) if drive.cdrom else AtaDisk(drive.medium, serial)
