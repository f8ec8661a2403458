"""From a `Config` to a running machine, and back to an exit status."""
import calendar
import itertools
import mmap
import os
import struct
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime

from pyemu import roms
from pyemu.backtrace import backtrace
from pyemu.chardev.registry import Chardevs
from pyemu.config import Config, UserError
from pyemu.cpulog import CpuLog
from pyemu.drives import Drives
from pyemu.engine.cpu import Cpu, EngineError
from pyemu.gdbstub.server import DebugServer
from pyemu.machine import cmos, direct_boot, layout, smbios
from pyemu.machine.acpi import tables
from pyemu.machine.block.drive import Drive
from pyemu.machine.firmware_config import OWN_FILES, FirmwareConfig
from pyemu.machine.floppy_drive import format_of
from pyemu.machine.ide_identify import default_geometry
from pyemu.machine.kernel_image import KernelImage, read_file
from pyemu.machine.net.peer import Peer
from pyemu.machine.pc import Parts, Pc
from pyemu.monitor import registers
from pyemu.monitor.monitor import Monitor
from pyemu.monitor.qmp.session import Session
from pyemu.net.registry import Netdevs
from pyemu.plugin import Plugins
from pyemu.report import complain
from pyemu.runner import Runner
from pyemu.trace import control, log
from pyemu.warp import ANSWER, NETWORK_ANSWER, Warp

AMD = struct.unpack("<3I", b"AuthenticAMD")  # as CPUID has it in EBX, EDX, ECX

HIGH_DENSITY = 21  # sectors in a track, at most
MAC_ADDRESS = 0x5254_0012_3456  # of the first card
SWITCH_INTERVAL = 0.0005  # seconds for which another thread may keep the guest waiting at a port


def run(config: Config) -> int:
    """Build the machine, run it to its end, return the exit status. Raises UserError."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    try:
        with ExitStack() as resources:
            return _run(config, resources)
    except (EngineError, roms.RomError) as error:
        raise UserError(str(error)) from error


def _run(config: Config, resources: ExitStack) -> int:
    runner = Runner(Cpu(config.cpu_model, config.cpu_changes), no_reboot=config.no_reboot,
                    no_shutdown=config.no_shutdown, panic_action=config.panic_action)
    control.actions.update(
        pause=runner.pause,
        registers=lambda: runner.at_once(
            lambda: log.say(f"CPU#0\n{registers.text(runner.cpu)}")),
        backtrace=lambda: runner.at_once(
            lambda: log.say(backtrace(runner.cpu, runner.memory))))
    CpuLog(runner)
    plugins = Plugins(config.plugins, runner)
    resources.callback(plugins.finish)  # the last of all: the terminal is the user's again
    chardevs = Chardevs(config.chardevs, on_quit=runner.quit,
                        on_commit=lambda: runner.post(lambda: _commit(runner)))
    resources.callback(chardevs.close)
    netdevs = Netdevs(config, chardevs.loop, runner)
    resources.callback(netdevs.close)
    runner.netdevs = netdevs
    parts = _gather(config, runner, chardevs, netdevs, resources)
    if config.warp:
        runner.warp = _warp(runner, chardevs, netdevs, parts)
    try:
        runner.machine = Pc(runner.cpu, runner.clock, runner.ports, runner.memory, runner, parts)
    except ValueError as error:  # two want the same ports
        raise UserError(str(error)) from None
    monitors = [Monitor(runner, config, chardevs, ident) for ident in config.monitors]
    sessions = [Session(runner, config, chardevs, qmp.chardev, qmp.pretty) for qmp in config.qmp]
    runner.gdb = DebugServer(runner, config, chardevs)
    for monitor in monitors:
        monitor.start()
    for session in sessions:
        session.start()
    main_loop = _open_display(config, runner, chardevs, resources)
    start_vnc = _open_vnc(config, runner, resources)
    chardevs.start()
    netdevs.start()
    start_vnc()
    plugins.started = True
    runner.start(paused=config.start_paused)
    main_loop()
    chardevs.release_writers()
    runner.join()
    for server in (*sessions, runner.gdb):
        server.finish()
    if runner.error is not None:
        raise runner.error
    return runner.exit_status or 0


def _warp(runner: Runner, chardevs: Chardevs, netdevs: Netdevs, parts: Parts) -> Warp:
    def busy() -> bool:
        return any(drive.medium is not None and drive.medium.busy
                   for drive in parts.drives.values())

    warp = Warp(runner.clock, busy)
    warp.watch(lambda: chardevs.loop.stirs, ANSWER)
    warp.watch(netdevs.traffic, NETWORK_ANSWER)
    return warp


def _commit(runner: Runner) -> None:
    """Ctrl-A s: what -snapshot has kept goes into the images."""
    for error in runner.machine.drives.commit_all():
        complain(f"commit: {error.strerror}")


def _open_display(config: Config, runner: Runner, chardevs: Chardevs,
                  resources: ExitStack) -> Callable[[], object]:
    """What the main thread is to do while the machine runs: show it, or wait for its end."""
    if config.display == "sdl":
        return _open_window(config, runner, resources)
    if config.display == "curses":
        return _open_terminal(runner, chardevs, resources)
    return runner.wait


def _open_window(config: Config, runner: Runner, resources: ExitStack) -> Callable[[], None]:
    from pyemu.display.sdl import SdlError, SdlWindow  # late: SDL need not be there
    try:
        window = SdlWindow(runner, config)
    except SdlError as error:
        raise UserError(
            f"{error}; -display none and -nographic run the machine without a window") from None
    resources.callback(window.close)
    return window.run


def _open_terminal(runner: Runner, chardevs: Chardevs,
                   resources: ExitStack) -> Callable[[], None]:
    from pyemu.display.terminal import TerminalError, TerminalScreen
    try:
        screen = TerminalScreen(runner, chardevs.vcs())
    except TerminalError as error:
        raise UserError(f"-display curses: {error}") from None
    resources.callback(screen.leave)
    chardevs.displays.append(screen)
    return screen.run


def _open_vnc(config: Config, runner: Runner, resources: ExitStack) -> Callable[[], None]:
    """What lets clients in, once the machine is about to start."""
    if not config.vnc:
        return lambda: None
    from pyemu.vnc.registry import Servers  # late: it brings in numpy

    def on_crash(error: Exception) -> None:
        complain(f"internal error: vnc: {type(error).__name__}: {error}")
        runner.quit(1, "host-error")

    servers = Servers(runner, config, on_crash)
    resources.callback(servers.close)
    runner.vnc = servers.servers
    return servers.start


def _gather(config: Config, runner: Runner, chardevs: Chardevs, netdevs: Netdevs,
            resources: ExitStack) -> Parts:
    """Open and load everything that goes onto the board."""
    bios = roms.load_bios(config.bios, config.firmware_dirs)
    vapic = roms.load_optional("kvmvapic.bin", config.firmware_dirs)
    vga_rom = roms.load("vgabios-stdvga.bin", config.firmware_dirs) if config.vga else None
    drives = Drives(config, runner, resources)
    ide = [drives.at("ide", place) for place in range(layout.IDE_DRIVES)]
    floppies = [drives.at("floppy", n) for n in range(layout.FLOPPY_DRIVES)]
    virtio_disks = [(drives[disk.drive], disk.serial) for disk in config.virtio_disks]
    serials = [name and chardevs.attach(name, runner.post) for name in config.serials]
    nics = _nics(config, netdevs)
    debug_console = config.debugcon and chardevs.attach(config.debugcon, runner.post)
    low_ram, high_ram = layout.split_ram(config.ram_bytes)

    hpet_base = layout.HPET if config.hpet else None
    files = tables.build(low_ram, serials=sum(map(bool, serials)),
                         panic_port=config.pvpanics[0][0] if config.pvpanics else None,
                         hpet_base=hpet_base)
    signature, *_, features = runner.cpu.cpuid(1)
    files |= smbios.build([(0, low_ram), (layout.HIGH_RAM, high_ram)], (signature, features),
                          config.uuid)
    if vapic:
        files["genroms/kvmvapic.bin"] = vapic
    boot_order = []
    kernel = _load_kernel(config, low_ram)
    if kernel:
        files[kernel.rom_file] = roms.load(kernel.OPTION_ROM, config.firmware_dirs)
        boot_order = [kernel.boot_path]
    _add_files(config, files)
    firmware = FirmwareConfig(low_ram, high_ram, uuid=config.uuid, files=files,
                              boot_order=boot_order, boot_strict=config.boot_strict,
                              boot_menu=config.boot_menu, menu_wait_ms=config.boot_wait_ms,
                              reboot_timeout_ms=config.reboot_timeout_ms, graphic=config.graphic,
                              hpet_base=hpet_base, hypertransport=_has_hypertransport(runner.cpu))
    settings = cmos.preset(low_ram, high_ram, boot=config.boot_order,
                           floppies=[_floppy_type(drive) for drive in floppies],
                           disks=[_geometry(drive) for drive in ide])
    boot_orders = [config.boot_once, config.boot_order] if config.boot_once else []
    return Parts(ram=_allocate_ram(config.ram_bytes), bios=bios, vga_rom=vga_rom, drives=drives,
                 ide=ide, floppies=floppies, virtio_disks=virtio_disks, serials=serials, nics=nics,
                 debug_console=debug_console, epoch=_epoch(config), cmos=settings,
                 boot_orders=boot_orders,
                 firmware=firmware, kernel=kernel, hpet=config.hpet, testdev=config.testdev,
                 debug_exits=[(each.base, each.count) for each in config.debug_exits],
                 pvpanics=config.pvpanics)


def _has_hypertransport(cpu: Cpu) -> bool:
    """AMD's processors with 40 address bits or more."""
    _, ebx, ecx, edx = cpu.cpuid(0)
    address_bits = cpu.cpuid(0x80000008)[0] & 0xff
    return (ebx, edx, ecx) == AMD and address_bits >= 40


def _add_files(config: Config, files: dict[str, bytes]) -> None:
    """Those of -fw_cfg."""
    for name, wanted in config.fw_cfg_files.items():
        if name in files or name in OWN_FILES:
            raise UserError(f"{wanted.source}: duplicate fw_cfg file name: {name}")
        try:
            files[name] = (os.fsencode(wanted.text or "") if wanted.file is None
                           else read_file("firmware file", wanted.file))
        except ValueError as error:
            raise UserError(f"{wanted.source}: {error}") from None


def _nics(config: Config, netdevs: Netdevs) -> list[tuple[bytes, bytes | None, Peer]]:
    """Each card, with the next of QEMU's addresses where the user did not give one."""
    rom = roms.load("efi-e1000.rom", config.firmware_dirs) if config.nics else None
    taken = {nic.mac for nic in config.nics}
    free = (mac for n in itertools.count()
            if (mac := (MAC_ADDRESS + n).to_bytes(6, "big")) not in taken)
    for nic in config.nics:
        nic.mac = nic.mac or next(free)
    return [(nic.mac or b"", rom, netdevs.peer(nic.netdev)) for nic in config.nics]


def _load_kernel(config: Config, low_ram: int) -> KernelImage | None:
    if config.kernel is None:
        return None
    try:
        return direct_boot.read(config.kernel, config.initrd, config.append, low_ram)
    except ValueError as error:
        raise UserError(str(error)) from None


def _allocate_ram(size: int) -> mmap.mmap:
    try:
        return mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except (OSError, OverflowError, ValueError):
        raise UserError(
            f"cannot set up guest memory 'pc.ram' of {size >> 20} MiB: Cannot allocate memory"
        ) from None


def _geometry(drive: Drive | None) -> cmos.Disk | None:
    """What the BIOS is to make of a disk's cylinders, heads and sectors, as QEMU chooses it."""
    if drive is None or drive.cdrom:
        return None
    geometry = default_geometry(drive.medium.size // 512)
    if geometry.cylinders <= 1024:
        translation = cmos.TRANSLATE_NONE
    elif geometry.cylinders * geometry.heads <= 131072:
        translation = cmos.TRANSLATE_LARGE
    else:
        translation = cmos.TRANSLATE_LBA
    return cmos.Disk(*geometry, translation)


def _floppy_type(drive: Drive | None) -> int:
    """What kind of drive the BIOS is to expect: one that reads what is in it; 0: none."""
    if drive is None:
        return 0
    if drive.medium is None:
        return cmos.FLOPPY_2880K
    disk = format_of(drive.medium.size)
    if disk.inches_525:
        return cmos.FLOPPY_1200K
    return cmos.FLOPPY_2880K if disk.sectors > HIGH_DENSITY else cmos.FLOPPY_1440K


def _epoch(config: Config) -> int:
    if isinstance(config.rtc_base, datetime):
        return calendar.timegm(config.rtc_base.timetuple())
    if config.rtc_base == "localtime":
        return calendar.timegm(time.localtime())
    return int(time.time())
