"""What a PC tells its firmware by fw_cfg: memory, processors, boot order, tables.

Everything is as SeaBIOS and EDK II read it. Source: QEMU, docs/specs/fw_cfg.txt; SeaBIOS,
docs/Runtime_config.md; ACPI 6.5, section 15 (address range types).
"""
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from . import fw_cfg as key
from .fw_cfg import FwCfg
from .hpet import BLOCK_ID

GIB = 1 << 30
E820_ENTRY = struct.Struct("<QQI")  # address, length, type
E820_RAM, E820_RESERVED = 1, 2
HYPERTRANSPORT = 0xfd_0000_0000, 0x3_0000_0000  # AMD's processors route it elsewhere
E820, FAIL_WAIT, MENU_WAIT, SYSTEM_STATES, BOOT_ORDER = OWN_FILES = (
    "etc/e820", "etc/boot-fail-wait", "etc/boot-menu-wait", "etc/system-states", "bootorder")
FAIL_FOREVER = 0xffffffff  # FAIL_WAIT: do not try again

# HPETs: how many, and of each of eight its block, its address, least ticks and page protection
HPET_COUNT, HPET_ENTRY, HPETS = struct.Struct("<B"), struct.Struct("<IQHB"), 8
NO_HPET = 0xff

# SYSTEM_STATES: one byte for each of S0 to S5, its SLP_TYP with this bit if it can be entered
STATE_OFFERED = 0x80


@dataclass
class FirmwareConfig:
    """The answers to what firmware asks. `install` puts them into a FwCfg.

    ram_below_4g, ram_above_4g: bytes of RAM from address 0, and from 4 GiB on.
    hypertransport: the processor keeps a range of addresses for itself.
    boot_order: device paths in Open Firmware's form, most wanted first, such as
        "/rom@genroms/linuxboot_dma.bin"; see `Config.boot` of the command line.
    boot_strict: give up after these instead of trying the rest.
    boot_menu: wait for a key that opens the boot menu; menu_wait_ms: how long.
    reboot_timeout_ms: try anew this long after no device could be booted; None never does.
    hpet_base: address of the HPET; None: there is none.
    sleep_types: SLP_TYP of the sleep states that the tables offer.
    files: more files by name: ACPI tables and their loader script, option ROMs, `-fw_cfg`.
    """

    ram_below_4g: int
    ram_above_4g: int = 0
    hypertransport: bool = False
    cpus: int = 1
    max_cpus: int = 1
    uuid: bytes = bytes(16)
    graphic: bool = True
    boot_order: Iterable[str] = ()
    boot_strict: bool = False
    boot_menu: bool = False
    menu_wait_ms: int | None = None
    reboot_timeout_ms: int | None = None
    hpet_base: int | None = None
    sleep_types: Mapping[int, int] = field(default_factory=lambda: {0: 0, 5: 0})
    files: Mapping[str, bytes] = field(default_factory=dict)

    def install(self, fw_cfg: FwCfg) -> None:
        """Raises ValueError for a file whose name is too long, or if there are too many."""
        fw_cfg.add_bytes(key.UUID, self.uuid)
        fw_cfg.add_i16(key.NOGRAPHIC, not self.graphic)
        fw_cfg.add_i16(key.BOOT_MENU, self.boot_menu)
        fw_cfg.add_i16(key.NB_CPUS, self.cpus)
        fw_cfg.add_i16(key.MAX_CPUS, self.max_cpus)
        fw_cfg.add_i64(key.RAM_SIZE, self.ram_below_4g + self.ram_above_4g)
        fw_cfg.add_bytes(key.ACPI_TABLES, b"")
        fw_cfg.add_i32(key.IRQ0_OVERRIDE, 1)  # the PIT is on input 2 of the I/O APIC
        fw_cfg.add_bytes(key.HPET, self._hpets())
        # No nodes, then the node of each processor: none.
        fw_cfg.add_bytes(key.NUMA, bytes(8 * (1 + self.max_cpus)))
        fw_cfg.add_file(E820, self._e820())
        fw_cfg.add_file(FAIL_WAIT, self._boot_fail_wait())
        if self.menu_wait_ms is not None:
            fw_cfg.add_file(MENU_WAIT, self.menu_wait_ms.to_bytes(2, "little"))
        fw_cfg.add_file(SYSTEM_STATES, self._system_states())
        fw_cfg.add_file(BOOT_ORDER, self._boot_order())
        for name, data in self.files.items():
            fw_cfg.add_file(name, data)

    def _hpets(self) -> bytes:
        size = HPET_COUNT.size + HPETS * HPET_ENTRY.size
        if self.hpet_base is None:
            return HPET_COUNT.pack(NO_HPET).ljust(size, b"\0")
        entry = HPET_ENTRY.pack(BLOCK_ID, self.hpet_base, 0, 0)
        return (HPET_COUNT.pack(1) + entry).ljust(size, b"\0")

    def _e820(self) -> bytes:
        ranges = E820_ENTRY.pack(*HYPERTRANSPORT, E820_RESERVED) if self.hypertransport else b""
        ranges += E820_ENTRY.pack(0, self.ram_below_4g, E820_RAM)
        if self.ram_above_4g:
            ranges += E820_ENTRY.pack(4 * GIB, self.ram_above_4g, E820_RAM)
        return ranges

    def _boot_fail_wait(self) -> bytes:
        wait = FAIL_FOREVER if self.reboot_timeout_ms is None else self.reboot_timeout_ms
        return wait.to_bytes(4, "little")

    def _system_states(self) -> bytes:
        states = bytearray(6)
        for state, sleep_type in self.sleep_types.items():
            states[state] = STATE_OFFERED | sleep_type
        return bytes(states)

    def _boot_order(self) -> bytes:
        paths = [*self.boot_order, *(["HALT"] if self.boot_strict else [])]
        return "\n".join(paths).encode() + b"\0" if paths else b""
