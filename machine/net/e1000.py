"""Intel 82540EM gigabit Ethernet controller, with its cable unplugged.

BAR0 is 128 KiB of registers, BAR1 eight ports that reach the same registers by index and value
(64 are decoded). Everything drivers do to find the card, read its address and wait for a link
works; there is no link yet, so nothing is sent or received.
Source: Intel 8254x software developer's manual (317453), chapters 4 (PCI), 5 (EEPROM), 8
(transceiver) and 13 (registers).
"""
from array import array
from collections.abc import Callable
from typing import Any

from pyemu.machine.net.eeprom import Eeprom, contents
from pyemu.machine.net.phy import Phy
from pyemu.machine.pci import ROM_BAR, PciDevice
from pyemu.machine.pci_bar import Bar, IoBar, MmioBar, RomBar
from pyemu.trace.hooks import trace_e1000_irq, trace_e1000_read, trace_e1000_write

IDS = (0x8086, 0x100E)
ETHERNET = 0x020000
REVISION = 3
INTA = 1
MMIO_SIZE = 0x20000
IO_PORTS = 64

# Registers
CTRL, CTRL_COPY, STATUS, EECD, EERD, CTRL_EXT = 0x0000, 0x0004, 0x0008, 0x0010, 0x0014, 0x0018
MDIC, FCAL, FCAH, FCT, VET = 0x0020, 0x0028, 0x002C, 0x0030, 0x0038
ICR, ITR, ICS, IMS, IMC = 0x00C0, 0x00C4, 0x00C8, 0x00D0, 0x00D8
RCTL, FCTTV, TXCW, TCTL, TIPG, AIFS = 0x0100, 0x0170, 0x0178, 0x0400, 0x0410, 0x0458
LEDCTL, PBA = 0x0E00, 0x1000
FCRTL, FCRTH = 0x2160, 0x2168
RDBAL, RDBAH, RDLEN, RDH, RDT, RDTR = 0x2800, 0x2804, 0x2808, 0x2810, 0x2818, 0x2820
RXDCTL, RADV, RSRPD = 0x2828, 0x282C, 0x2C00
TXDMAC, TDBAL, TDBAH, TDLEN, TDH, TDT = 0x3000, 0x3800, 0x3804, 0x3808, 0x3810, 0x3818
TIDV, TXDCTL, TADV, TSPMT = 0x3820, 0x3828, 0x382C, 0x3830
RXCSUM, MTA, RAL0, RAH0, VFTA = 0x5000, 0x5200, 0x5400, 0x5404, 0x5600
WUC, WUFC, WUS, IPAV, MANC = 0x5800, 0x5808, 0x5810, 0x5838, 0x5820

# CTRL
CTRL_RST, CTRL_PHY_RST = 1 << 26, 1 << 31
CTRL_WRITABLE = 0x5BFC_1BE9
# STATUS: full duplex, 1000 Mbit/s detected, transmit clock running; LU (2) is missing
STATUS_LINK_DOWN = 0x0000_0781
# EECD
EE_SK, EE_CS, EE_DI, EE_DO, EE_REQ, EE_GNT, EE_PRES = 1, 2, 4, 8, 0x40, 0x80, 0x100
EECD_WRITABLE = EE_SK | EE_CS | EE_DI | EE_REQ | 0x30
# EERD
EERD_START, EERD_DONE, EERD_ADDRESS_SHIFT, EERD_DATA_SHIFT = 0x01, 0x10, 8, 16
# MDIC
MDIC_DATA, MDIC_REGISTER_SHIFT, MDIC_PHY_SHIFT, MDIC_OP_SHIFT = 0xFFFF, 16, 21, 26
MDIC_WRITE, MDIC_READ = 1, 2
MDIC_READY, MDIC_INTERRUPT, MDIC_ERROR = 1 << 28, 1 << 29, 1 << 30
PHY_ADDRESS = 1
# Causes in ICR, ICS, IMS, IMC
MDAC = 1 << 9
CAUSES = 0x0001_FFFF
RAH_VALID = 1 << 31

POWER_ON = {
    CTRL: 0x0014_0240,  # SWDPIN0 and 2, 1000 Mbit/s, set link up
    VET: 0x0000_8100,
    LEDCTL: 0x0000_0602,
    PBA: 0x0010_0030,   # 48 KiB for reception, 16 for transmission
    MANC: 0x0022_2300,
}

# Registers that hold what is written: offset, how many, the bits they have
PLAIN = (
    (CTRL_EXT, 1, 0x00FF_FFFF), (FCAL, 1, 0xFFFF_FFFF), (FCAH, 1, 0xFFFF), (FCT, 1, 0xFFFF),
    (VET, 1, 0xFFFF_FFFF), (ITR, 1, 0xFFFF), (RCTL, 1, 0xFFFF_FFFF), (FCTTV, 1, 0xFFFF),
    (TXCW, 1, 0xFFFF_FFFF), (TCTL, 1, 0xFFFF_FFFF), (TIPG, 1, 0x3FFF_FFFF), (AIFS, 1, 0xFFFF),
    (LEDCTL, 1, 0xFFFF_FFFF), (PBA, 1, 0xFFFF_FFFF), (FCRTL, 1, 0xFFFF_FFFF),
    (FCRTH, 1, 0xFFFF_FFFF),
    (RDBAL, 1, 0xFFFF_FFF0), (RDBAH, 1, 0xFFFF_FFFF), (RDLEN, 1, 0xF_FF80), (RDH, 1, 0xFFFF),
    (RDT, 1, 0xFFFF), (RDTR, 1, 0xFFFF), (RXDCTL, 1, 0xFFFF_FFFF), (RADV, 1, 0xFFFF),
    (RSRPD, 1, 0xFFF),
    (TXDMAC, 1, 1), (TDBAL, 1, 0xFFFF_FFF0), (TDBAH, 1, 0xFFFF_FFFF), (TDLEN, 1, 0xF_FF80),
    (TDH, 1, 0xFFFF), (TDT, 1, 0xFFFF), (TIDV, 1, 0xFFFF), (TXDCTL, 1, 0xFFFF_FFFF),
    (TADV, 1, 0xFFFF), (TSPMT, 1, 0xFFFF_FFFF),
    (RXCSUM, 1, 0x7FF), (MTA, 128, 0xFFFF_FFFF), (RAL0, 32, 0xFFFF_FFFF), (VFTA, 128, 0xFFFF_FFFF),
    (WUC, 1, 0xFFFF_FFFF), (WUFC, 1, 0xFFFF_FFFF), (WUS, 1, 0xFFFF_FFFF), (IPAV, 1, 0xFFFF_FFFF),
    (MANC, 1, 0xFFFF_FFFF),
)

# What the EEPROM says besides the address
EEPROM_WORDS = {
    0x03: 0x0000,  # compatibility
    0x08: 0x3000, 0x09: 0x1000,  # part number
    0x0A: 0x6403,  # initialization control 1, with the signature that makes it valid
    0x0B: IDS[1], 0x0C: IDS[0],  # subsystem
    0x0D: IDS[1], 0x0E: IDS[0],
    0x0F: 0x3040,  # initialization control 2
    0x20: 0x1008,  # software-defined pins
    0x21: 0x0000,  # flash
    0x22: 0x0F04,  # LEDs
}


class _IoWindow:
    """BAR1: IOADDR at 0 names a register, IODATA at 4 is it."""

    IOADDR, IODATA = 0, 4

    def __init__(self, chip: "E1000"):
        self.chip = chip

    def read(self, offset: int, size: int) -> int:
        if offset == self.IOADDR:
            return self.chip.io_address
        if offset == self.IODATA and self.chip.io_address < MMIO_SIZE:
            return self.chip.read(self.chip.io_address & ~3, size)
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        if size != 4:
            return
        if offset == self.IOADDR:
            self.chip.io_address = value
        elif offset == self.IODATA and self.chip.io_address < MMIO_SIZE:
            self.chip.write(self.chip.io_address & ~3, size, value)


class E1000(PciDevice):
    """mac: the 6 bytes of its address. rom: the option ROM, or None."""

    STATE = (*PciDevice.STATE, "io_address", "registers")

    def __init__(self, mac: bytes, rom: bytes | None):
        bars: dict[int, Bar] = {
            0: MmioBar(self, MMIO_SIZE, "e1000-mmio"),
            1: IoBar(_IoWindow(self), IO_PORTS, width=4),
        }
        if rom:
            bars[ROM_BAR] = RomBar(rom, "e1000.rom")
        super().__init__("e1000", IDS, ETHERNET, revision=REVISION, pin=INTA, bars=bars)
        self.mac = mac
        self.eeprom = Eeprom(contents(mac, EEPROM_WORDS))
        self.phy = Phy()
        self.registers = array("I", bytes(MMIO_SIZE))
        self.io_address = 0
        self._masks = {offset + 4 * i: mask for offset, count, mask in PLAIN for i in range(count)}
        self._readers: dict[int, Callable[[], int]] = {ICR: self._read_icr}
        self._writers: dict[int, Callable[[int], None]] = {
            CTRL: self._write_ctrl, CTRL_COPY: self._write_ctrl, EECD: self._write_eecd,
            EERD: self._write_eerd, MDIC: self._write_mdic, ICR: self._write_icr,
            ICS: self._write_ics, IMS: self._write_ims, IMC: self._write_imc,
        }
        self._reset_registers()

    def reset(self) -> None:
        self.eeprom.reset()
        self.phy.reset()
        self.io_address = 0
        self._reset_registers()
        super().reset()

    def restored(self) -> None:
        super().restored()
        self._update_irq()

    def save(self) -> dict[str, Any]:
        return {**super().save(), "eeprom": self.eeprom.save(), "phy": self.phy.save()}

    def load(self, state: dict[str, Any]) -> None:
        self.eeprom.load(state["eeprom"])
        self.phy.load(state["phy"])
        super().load(state)

    def _reset_registers(self) -> None:
        """What CTRL.RST does: the transceiver and the configuration space keep their state."""
        self.registers = array("I", bytes(MMIO_SIZE))
        for offset, value in POWER_ON.items():
            self._set(offset, value)
        self._set(CTRL_COPY, POWER_ON[CTRL])
        self._set(STATUS, STATUS_LINK_DOWN)
        self._set(EECD, EE_PRES | EE_DO)
        self._set(RAL0, int.from_bytes(self.mac[:4], "little"))
        self._set(RAH0, int.from_bytes(self.mac[4:], "little") | RAH_VALID)
        self._update_irq()

    def _set(self, offset: int, value: int) -> None:
        self.registers[offset >> 2] = value

    # Registers, by doubleword: narrower writes have no effect, as the manual demands 32 bits

    def read(self, offset: int, size: int) -> int:
        aligned = offset & ~3
        reader = self._readers.get(aligned)
        value = reader() if reader else self.registers[aligned >> 2]
        if trace_e1000_read:
            trace_e1000_read(aligned, value)
        return value >> 8 * (offset & 3) & (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        if trace_e1000_write:
            trace_e1000_write(offset, value)
        if size != 4:
            return
        writer = self._writers.get(offset)
        if writer:
            writer(value)
        elif offset in self._masks:
            self._set(offset, value & self._masks[offset])

    def _write_ctrl(self, value: int) -> None:
        if value & CTRL_RST:
            self._reset_registers()
            return
        if value & CTRL_PHY_RST:
            self.phy.reset()
        self._set(CTRL, value & CTRL_WRITABLE)
        self._set(CTRL_COPY, value & CTRL_WRITABLE)

    def _write_eecd(self, value: int) -> None:
        self.eeprom.drive(bool(value & EE_CS), bool(value & EE_SK), bool(value & EE_DI))
        granted = EE_GNT if value & EE_REQ else 0
        data_out = EE_DO if self.eeprom.data_out else 0
        self._set(EECD, value & EECD_WRITABLE | granted | data_out | EE_PRES)

    def _write_eerd(self, value: int) -> None:
        address = value >> EERD_ADDRESS_SHIFT & 0xFF
        if value & EERD_START:
            word = self.eeprom.words[address % len(self.eeprom.words)]
            self._set(EERD, word << EERD_DATA_SHIFT | address << EERD_ADDRESS_SHIFT | EERD_DONE)

    def _write_mdic(self, value: int) -> None:
        number = value >> MDIC_REGISTER_SHIFT & 0x1F
        operation = value >> MDIC_OP_SHIFT & 3
        result = value & ~(MDIC_READY | MDIC_ERROR) | MDIC_READY
        if value >> MDIC_PHY_SHIFT & 0x1F != PHY_ADDRESS:
            result |= MDIC_ERROR
        elif operation == MDIC_READ:
            result = result & ~MDIC_DATA | self.phy.read(number)
        elif operation == MDIC_WRITE:
            self.phy.write(number, value & MDIC_DATA)
        self._set(MDIC, result)
        if value & MDIC_INTERRUPT:
            self._raise(MDAC)

    # Interrupts

    def _raise(self, causes: int) -> None:
        self.registers[ICR >> 2] |= causes & CAUSES
        self._update_irq()

    def _read_icr(self) -> int:
        value = self.registers[ICR >> 2]
        self._write_icr(value)
        return value

    def _write_icr(self, value: int) -> None:
        self.registers[ICR >> 2] &= ~value
        self._update_irq()

    def _write_ics(self, value: int) -> None:
        self._raise(value)

    def _write_ims(self, value: int) -> None:
        self.registers[IMS >> 2] |= value & CAUSES
        self._update_irq()

    def _write_imc(self, value: int) -> None:
        self.registers[IMS >> 2] &= ~value
        self._update_irq()

    def _update_irq(self) -> None:
        causes, mask = self.registers[ICR >> 2], self.registers[IMS >> 2]
        level = bool(causes & mask)
        if level != self.intx.level:
            trace_e1000_irq(level, causes, mask)
            self.intx.set(level)
