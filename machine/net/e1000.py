"""Intel 82540EM gigabit Ethernet controller.

BAR0 is 128 KiB of registers, BAR1 eight ports that reach the same registers by index and value
(64 are decoded). The chip is in parts: registers and bits (`e1000_registers`), interrupts,
transmitter, receiver with its filter, statistics, EEPROM, transceiver; here they come together.
Source: Intel 8254x software developer's manual (317453), chapters 4 (PCI), 5 (EEPROM), 8
(transceiver) and 13 (registers).
"""
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from pyemu.machine.net.e1000_interrupts import Interrupts
from pyemu.machine.net.e1000_receive import Receiver
from pyemu.machine.net.e1000_registers import (
    CRCERRS,
    CTRL,
    CTRL_COPY,
    CTRL_PHY_RST,
    CTRL_RST,
    CTRL_WRITABLE,
    EE_CS,
    EE_DI,
    EE_DO,
    EE_GNT,
    EE_PRES,
    EE_REQ,
    EE_SK,
    EECD,
    EECD_WRITABLE,
    EERD,
    EERD_ADDRESS_SHIFT,
    EERD_DATA_SHIFT,
    EERD_DONE,
    EERD_START,
    ICR,
    ICS,
    IMC,
    IMS,
    ITR,
    LSC,
    MASKS,
    MDAC,
    MDIC,
    MDIC_DATA,
    MDIC_ERROR,
    MDIC_INTERRUPT,
    MDIC_OP_SHIFT,
    MDIC_PHY_SHIFT,
    MDIC_READ,
    MDIC_READY,
    MDIC_REGISTER_SHIFT,
    MDIC_WRITE,
    MTA,
    MTA_COUNT,
    OCTETS,
    RA_COUNT,
    RAL0,
    RCTL,
    RCTL_LBM,
    RDT,
    RDTR,
    SIZE,
    STATISTICS_END,
    STATUS,
    STATUS_LU,
    TCTL,
    TDT,
    TIDV,
    Registers,
)
from pyemu.machine.net.e1000_statistics import Statistics
from pyemu.machine.net.e1000_transmit import Transmitter
from pyemu.machine.net.eeprom import Eeprom, contents
from pyemu.machine.net.peer import Peer
from pyemu.machine.net.phy import Phy
from pyemu.machine.pci import ROM_BAR, PciDevice
from pyemu.machine.pci_bar import Bar, IoBar, MmioBar, RomBar
from pyemu.trace.hooks import trace_e1000_read, trace_e1000_write

IDS = (0x8086, 0x100E)
ETHERNET = 0x020000
REVISION = 3
INTA = 1
IO_PORTS = 64
PHY_ADDRESS = 1

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
        if offset == self.IODATA and self.chip.io_address < SIZE:
            return self.chip.read(self.chip.io_address & ~3, size)
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        if size != 4:
            return
        if offset == self.IOADDR:
            self.chip.io_address = value
        elif offset == self.IODATA and self.chip.io_address < SIZE:
            self.chip.write(self.chip.io_address & ~3, size, value)


class E1000(PciDevice):
    """mac: the 6 bytes of its address. rom: the option ROM, or None. peer: what it is plugged
    into. memory: read(address, length) and write(address, data) are DMA.
    """

    STATE = (*PciDevice.STATE, "io_address", "registers", "eeprom", "phy", "interrupts",
             "transmitter", "receiver")

    def __init__(self, clock: Any, memory: Any, mac: bytes, rom: bytes | None, peer: Peer):
        bars: dict[int, Bar] = {
            0: MmioBar(self, SIZE, "e1000-mmio"),
            1: IoBar(_IoWindow(self), IO_PORTS, width=4),
        }
        if rom:
            bars[ROM_BAR] = RomBar(rom, "e1000.rom")
        super().__init__("e1000", IDS, ETHERNET, revision=REVISION, pin=INTA, bars=bars)
        self.mac = mac
        self.peer = peer
        self.eeprom = Eeprom(contents(mac, EEPROM_WORDS))
        self.registers = Registers(mac)
        self.values = self.registers.values
        self.io_address = 0
        statistics = Statistics(self.values)
        self.interrupts = Interrupts(clock, self.values, self.intx)
        self.transmitter = Transmitter(clock, self.values, memory, self.interrupts, statistics,
                                       lambda: self.bus_master, self._send, self._takes_large)
        self.receiver = Receiver(clock, self.values, memory, self.interrupts, statistics,
                                 lambda: self.bus_master, peer.offer)
        self.phy = Phy(clock, peer.plugged, self._on_link)
        self._readers = self._make_readers(statistics)
        self._writers = self._make_writers()
        self._reset_registers()
        peer.connect(self)

    def reset(self) -> None:
        self.eeprom.reset()
        self.io_address = 0
        self.phy.reset()
        self._reset_registers()
        super().reset()

    def restored(self) -> None:
        super().restored()
        self.interrupts.update()

    def receive(self, frames: deque[bytes]) -> None:
        """From the peer: see `peer.Nic`."""
        self.receiver.receive(frames)

    def set_link(self, up: bool) -> None:
        """What the user does to the cable."""
        self.phy.plug(up)

    def _reset_registers(self) -> None:
        """What CTRL.RST does: the transceiver and the configuration space keep their state."""
        self.registers.reset()
        self.transmitter.reset()
        self.receiver.reset()
        self.interrupts.reset()
        if self.phy.up:
            self.values[STATUS] |= STATUS_LU

    @property
    def _loopback(self) -> bool:
        return bool(self.phy.loopback or self.values[RCTL] & RCTL_LBM)

    def _takes_large(self) -> bool:
        return self.peer.takes_large and not self._loopback

    def _send(self, frames: list[bytes]) -> None:
        if self._loopback:
            self.receiver.receive(deque(frames))
        elif self.phy.up:
            self.peer.send(frames)

    def _on_link(self, up: bool) -> None:
        if up:
            self.values[STATUS] |= STATUS_LU
        else:
            self.values[STATUS] &= ~STATUS_LU
        self.interrupts.cause(LSC)

    # Registers, by doubleword: narrower writes have no effect, as the manual demands 32 bits

    def read(self, offset: int, size: int) -> int:
        register = offset >> 2
        reader = self._readers.get(register)
        value = reader() if reader else self.values[register]
        if trace_e1000_read:
            trace_e1000_read(offset & ~3, value)
        return value >> 8 * (offset & 3) & (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        if trace_e1000_write:
            trace_e1000_write(offset, value)
        if size != 4:
            return
        register = offset >> 2
        writer = self._writers.get(register)
        if writer:
            writer(value)
        elif register in MASKS:
            self.values[register] = value & MASKS[register]

    def _make_readers(self, statistics: Statistics) -> dict[int, Callable[[], int]]:
        """What is more than a look at the array, by register."""
        readers: dict[int, Callable[[], int]] = {
            counter: partial(statistics.read, counter)
            for counter in range(CRCERRS, STATISTICS_END)}
        for low in OCTETS:
            del readers[low]
            readers[low + 1] = partial(statistics.read_high, low + 1)
        return {**readers, ICR: self.interrupts.read_icr}

    def _make_writers(self) -> dict[int, Callable[[int], None]]:
        addresses = (*range(MTA, MTA + MTA_COUNT), *range(RAL0, RAL0 + 2 * RA_COUNT))
        interrupts, transmitter, receiver = self.interrupts, self.transmitter, self.receiver
        return {
            CTRL: self._write_ctrl, CTRL_COPY: self._write_ctrl, EECD: self._write_eecd,
            EERD: self._write_eerd, MDIC: self._write_mdic,
            ICR: interrupts.write_icr, ICS: interrupts.cause, IMS: interrupts.write_ims,
            IMC: interrupts.write_imc, ITR: interrupts.write_itr,
            TDT: transmitter.write_tdt, TCTL: transmitter.write_tctl,
            TIDV: transmitter.write_tidv,
            RDT: receiver.write_rdt, RCTL: receiver.write_rctl, RDTR: receiver.write_rdtr,
            **{register: partial(receiver.write_address, register) for register in addresses},
        }

    def _write_ctrl(self, value: int) -> None:
        if value & CTRL_RST:
            self._reset_registers()
            return
        if value & CTRL_PHY_RST:
            self.phy.reset()
        self.values[CTRL] = self.values[CTRL_COPY] = value & CTRL_WRITABLE

    def _write_eecd(self, value: int) -> None:
        self.eeprom.drive(bool(value & EE_CS), bool(value & EE_SK), bool(value & EE_DI))
        granted = EE_GNT if value & EE_REQ else 0
        data_out = EE_DO if self.eeprom.data_out else 0
        self.values[EECD] = value & EECD_WRITABLE | granted | data_out | EE_PRES

    def _write_eerd(self, value: int) -> None:
        address = value >> EERD_ADDRESS_SHIFT & 0xFF
        if value & EERD_START:
            word = self.eeprom.words[address % len(self.eeprom.words)]
            self.values[EERD] = (
                word << EERD_DATA_SHIFT | address << EERD_ADDRESS_SHIFT | EERD_DONE)

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
        self.values[MDIC] = result
        if value & MDIC_INTERRUPT:
            self.interrupts.cause(MDAC)
