"""Intel PIIX4 (82371AB) function 3: ACPI power management, SMBus and APM ports.

Windows: PMBA + 00h-3Fh and SMBBA + 00h-0Fh, which the guest places; and two that the board
places: the APM ports B2h-B3h (`apm`) and the GPE0 block that QEMU has at AFE0h (`gpe0`).
Source: Intel 82371AB datasheet (290562), sections 7.1, 7.2 and 11; ACPI 6.5, section 4.8.
"""
from typing import Any

from pyemu.clock import Clock
from pyemu.machine.line import Line, WiredOr
from pyemu.machine.pci import STATUS, PciDevice
from pyemu.machine.pci_bar import IoBar
from pyemu.machine.pm_timer import PmTimer
from pyemu.machine.smbus import PORTS as SMBUS_PORTS
from pyemu.machine.smbus import SmBus
from pyemu.trace.hooks import (
    trace_apm_io_read,
    trace_apm_io_write,
    trace_piix4_gpe_readb,
    trace_piix4_gpe_writeb,
    trace_piix4_pm_event,
    trace_piix4_pm_sleep,
)

IDS = (0x8086, 0x7113)
BRIDGE_OTHER = 0x068000
REVISION = 3
INTA = 1

# Configuration registers
PMBA = 0x40
DEVACTB = 0x58
DEVRESC, DEVRESG, DEVRESH = 0x5F, 0x63, 0x67  # tell the guest which ISA devices there are
PMREGMISC = 0x80
SMBBA = 0x90
SMBHSTCFG = 0xD2

STATUS_POWER_ON = 0x0280  # medium DEVSEL timing, fast back-to-back
IO_SPACE = 0x01           # in PMBA and SMBBA
PMBA_MASK = 0xFFC0
PMIOSE = 0x01             # in PMREGMISC
SMBBA_MASK = 0xFFF0
SMBBA_POWER_ON = 0xB100
SMB_HST_EN = 0x01         # in SMBHSTCFG
SMB_IRQ9 = 0x08           # in SMBHSTCFG: interrupts on IRQ 9, not as SMI
APMC_EN = 1 << 25         # in DEVACTB: "SMM is set up", which makes SeaBIOS leave it alone
PARALLEL, NO_PARALLEL, FLOPPY = 0x90, 0x10, 0x60
SERIAL_1, SERIAL_2 = 0x08, 0x90

# Registers at PMBA. The SMI and throttling registers from 0Ch on are not decoded.
PM1_STS, PM1_EN, PM1_CNT, PM1_END, PMTMR = 0x0, 0x2, 0x4, 0x6, 0x8
PM_PORTS = 64

# PM1_STS and PM1_EN
TMR, GBL, PWRBTN, RTC = 0x0001, 0x0020, 0x0100, 0x0400
EVENTS = TMR | GBL | PWRBTN | RTC

# PM1_CNT
SCI_EN, BM_RLD, SLP_TYP, SLP_EN = 0x0001, 0x0002, 0x1C00, 0x2000
SLP_TYP_SHIFT = 10
SOFT_OFF, SUSPEND_TO_DISK = 0, 2  # sleep types, as the DSDT names them

# Commands written to APMC, as the FADT names them
ACPI_ENABLE, ACPI_DISABLE = 0xF1, 0xF0

GPE0_PORTS = 4  # two bytes of status, then two of enable bits


def ones(size: int) -> int:
    """What ports that nobody decodes read as."""
    return (1 << 8 * size) - 1


class _PmIo:
    """The ports at PMBA. Any part of a register may be accessed, by up to four bytes."""

    def __init__(self, chip: "Piix4Pm"):
        self.chip = chip

    def read(self, offset: int, size: int) -> int:
        chip = self.chip
        if PMTMR <= offset < PMTMR + 4:
            return chip.pm_timer.read(offset - PMTMR, size)
        if offset + size > PM1_END:
            return ones(size)
        registers = chip.status() | chip.enabled << 8 * PM1_EN | chip.control << 8 * PM1_CNT
        return registers >> 8 * offset & ones(size)

    def write(self, offset: int, size: int, value: int) -> None:
        chip = self.chip
        for byte in value.to_bytes(size, "little"):
            shift = 8 * (offset & 1)
            keep, bits = ~(0xFF << shift), byte << shift
            if offset < PM1_EN:
                chip.acknowledge(bits)
            elif offset < PM1_CNT:
                chip.enable(chip.enabled & keep | bits)
            elif offset < PM1_END:
                chip.set_control(chip.control & keep | bits)
            offset += 1


class _Gpe0:
    """The general-purpose events: nothing raises one, so only the enable bits ever change."""

    ENABLE = GPE0_PORTS // 2

    def __init__(self, chip: "Piix4Pm"):
        self.chip = chip

    def read(self, offset: int, size: int) -> int:
        value = self.chip.gpe_enabled[offset - self.ENABLE] if offset >= self.ENABLE else 0
        trace_piix4_gpe_readb(offset, size, value)
        return value

    def write(self, offset: int, size: int, value: int) -> None:
        trace_piix4_gpe_writeb(offset, size, value)
        if offset >= self.ENABLE:
            self.chip.gpe_enabled[offset - self.ENABLE] = value


class _Apm:
    """APMC, which commands the firmware, and APMS, a scratch register beside it."""

    def __init__(self, chip: "Piix4Pm"):
        self.chip = chip

    def read(self, offset: int, size: int) -> int:
        value = self.chip.apm_registers[offset]
        trace_apm_io_read(offset, value)
        return value

    def write(self, offset: int, size: int, value: int) -> None:
        trace_apm_io_write(offset, value)
        self.chip.apm_registers[offset] = value
        if offset == 0:
            self.chip.command(value)


class Piix4Pm(PciDevice):
    """sci: IRQ 9. system: is asked to shut down. serials: how many serial ports the board has."""

    STATE = (*PciDevice.STATE, "apm_registers", "control", "enabled", "gpe_enabled", "pressed")

    def __init__(self, clock: Clock, sci: Line, system: Any, *, serials: int = 1,
                 parallel: bool = False):
        super().__init__("PIIX4_PM", IDS, BRIDGE_OTHER, revision=REVISION, pin=INTA)
        self.system = system
        shared = WiredOr(sci)
        self._sci = shared.input()
        self._smbus_irq = shared.input()
        self.pm_timer = PmTimer(clock, on_carry=self._update_sci)
        self.smbus = SmBus(irq=Line(lambda level: self._update_smbus_irq()))
        self.pm_io, self.gpe0, self.apm = _PmIo(self), _Gpe0(self), _Apm(self)
        self._power_on()

        self.set_default(STATUS, 2, STATUS_POWER_ON)
        self.set_default(PMBA, 4, IO_SPACE)
        self.set_writable(PMBA, 4, PMBA_MASK)
        self.set_default(DEVACTB, 4, APMC_EN)
        self.set_default(DEVRESC, 1, PARALLEL if parallel else NO_PARALLEL)
        self.set_default(DEVRESG, 1, FLOPPY)
        self.set_default(DEVRESH, 1, (0, SERIAL_1, SERIAL_1 | SERIAL_2)[min(serials, 2)])
        self.set_default(SMBBA, 4, SMBBA_POWER_ON | IO_SPACE)
        self.set_writable(SMBBA, 4, SMBBA_MASK)
        self.set_default(SMBHSTCFG, 1, SMB_HST_EN | SMB_IRQ9)
        self.config[:] = self.defaults
        self.add_window(IoBar(self.pm_io, PM_PORTS, width=4), self._pm_base)
        self.add_window(IoBar(self.smbus, SMBUS_PORTS), self._smbus_base)

    def _power_on(self) -> None:
        self.pressed = 0  # the sticky bits of PM1_STS that do not follow from the timer
        self.enabled = 0
        self.control = 0
        self.gpe_enabled = bytearray(GPE0_PORTS // 2)
        self.apm_registers = bytearray(2)

    def reset(self) -> None:
        self._power_on()
        self.pm_timer.reset()
        self.smbus.reset()
        super().reset()

    def restored(self) -> None:
        super().restored()
        self._update_sci()
        self._update_smbus_irq()

    def save(self) -> dict[str, Any]:
        return {**super().save(), "pm_timer": self.pm_timer.save(), "smbus": self.smbus.save()}

    def load(self, state: dict[str, Any]) -> None:
        self.pm_timer.load(state["pm_timer"])
        self.smbus.load(state["smbus"])
        super().load(state)

    def power_button(self) -> None:
        """Somebody presses the power button: the guest is told, and may switch off."""
        self.pressed |= PWRBTN
        trace_piix4_pm_event(PWRBTN)
        self._update_sci()

    # PM1 registers

    def status(self) -> int:
        """PM1_STS."""
        return self.pressed | (TMR if self.pm_timer.carried() else 0)

    def acknowledge(self, bits: int) -> None:
        self.pressed &= ~bits
        if bits & TMR:
            self.pm_timer.clear()
        self._update_sci()

    def enable(self, bits: int) -> None:
        self.enabled = bits & EVENTS
        self.pm_timer.watch(bool(bits & TMR))
        self._update_sci()

    def set_control(self, value: int) -> None:
        self.control = value & (SCI_EN | BM_RLD | SLP_TYP)
        if value & SLP_EN:
            self._sleep((value & SLP_TYP) >> SLP_TYP_SHIFT)
        self._update_sci()

    def command(self, value: int) -> None:
        """What the SMI handler of a real PC would do for a command in APMC."""
        if value == ACPI_ENABLE:
            self.set_control(self.control | SCI_EN)
        elif value == ACPI_DISABLE:
            self.set_control(self.control & ~SCI_EN)

    def _sleep(self, sleep_type: int) -> None:
        """Switch off. A guest that sleeps on disk has saved itself; other sleeps do not exist."""
        trace_piix4_pm_sleep(sleep_type)
        if sleep_type in (SOFT_OFF, SUSPEND_TO_DISK):
            self.system.shutdown_request("guest-shutdown")

    # Interrupts and windows

    def _update_sci(self) -> None:
        """Events are SCIs in ACPI mode only; in legacy mode they are SMIs, which nobody handles."""
        self._sci.set(bool(self.control & SCI_EN and self.status() & self.enabled))

    def _update_smbus_irq(self) -> None:
        self._smbus_irq.set(self.smbus.irq.level and bool(self.config[SMBHSTCFG] & SMB_IRQ9))

    def config_written(self, register: int, size: int) -> None:
        self._update_smbus_irq()

    def _pm_base(self) -> int | None:
        enabled = self.config[PMREGMISC] & PMIOSE
        return self.register(PMBA, 2) & PMBA_MASK if enabled else None

    def _smbus_base(self) -> int | None:
        enabled = self.config[SMBHSTCFG] & SMB_HST_EN
        return self.register(SMBBA, 2) & SMBBA_MASK if enabled else None
