"""SMBus host controller of the PIIX4, with nothing on the bus.

Sixteen ports; every transaction ends with DEV_ERR, as no address is acknowledged.
Source: Intel 82371AB datasheet (290562), sections 7.3 and 11.5.
"""
from pyemu.machine.chip import Chip
from pyemu.machine.line import Line
from pyemu.trace.hooks import trace_smbus_read, trace_smbus_write

PORTS = 16

SMBHSTSTS, SMBSLVSTS, SMBHSTCNT = 0x0, 0x1, 0x2
SMBHSTCMD, SMBHSTADD, SMBHSTDAT0, SMBHSTDAT1 = 0x3, 0x4, 0x5, 0x6
SMBBLKDAT, SMBSLVCNT, SMBSHDWCMD = 0x7, 0x8, 0x9

# SMBHSTSTS: all but HOST_BUSY are cleared by writing ones
INTER, DEV_ERR, BUS_ERR, FAILED = 0x02, 0x04, 0x08, 0x10
STATUS = INTER | DEV_ERR | BUS_ERR | FAILED

# SMBHSTCNT; PROTOCOL is bits 2-4
INTEREN, KILL, PROTOCOL, START = 0x01, 0x02, 0x1C, 0x40

SLAVE_STATUS = 0x3C
BLOCK_SIZE = 32

WRITABLE = {
    SMBHSTCMD: 0xFF, SMBHSTADD: 0xFF, SMBHSTDAT0: 0xFF, SMBHSTDAT1: 0xFF, SMBSLVCNT: 0x0F,
}


class SmBus(Chip):
    """irq: driven while a finished transaction asks for an interrupt."""

    STATE = ("block", "index", "registers")

    def __init__(self, irq: Line):
        self.irq = irq
        self.reset()

    def reset(self) -> None:
        self.registers = bytearray(PORTS)
        self.block = bytearray(BLOCK_SIZE)
        self.index = 0
        self.restored()

    def restored(self) -> None:
        wanted = self.registers[SMBHSTCNT] & INTEREN and self.registers[SMBHSTSTS] & STATUS
        self.irq.set(bool(wanted))

    def read(self, offset: int, size: int) -> int:
        if offset == SMBHSTCNT:
            self.index = 0  # reading SMBHSTCNT rewinds the block buffer
        if offset == SMBBLKDAT:
            value = self._block_turn()
        else:
            value = self.registers[offset] if offset < PORTS else 0xFF
        trace_smbus_read(offset, value)
        return value

    def write(self, offset: int, size: int, value: int) -> None:
        trace_smbus_write(offset, value)
        registers = self.registers
        if offset == SMBHSTSTS:
            registers[SMBHSTSTS] &= ~(value & STATUS)
        elif offset == SMBSLVSTS:
            registers[SMBSLVSTS] &= ~(value & SLAVE_STATUS)
        elif offset == SMBHSTCNT:
            registers[SMBHSTCNT] = value & (INTEREN | KILL | PROTOCOL)
            if value & KILL:
                registers[SMBHSTSTS] |= FAILED
            elif value & START:
                registers[SMBHSTSTS] |= DEV_ERR
        elif offset == SMBBLKDAT:
            self._block_turn(value)
        elif offset in WRITABLE:
            registers[offset] = value & WRITABLE[offset]
        self.restored()

    def _block_turn(self, value: int | None = None) -> int:
        if value is not None:
            self.block[self.index] = value
        old = self.block[self.index]
        self.index = (self.index + 1) % BLOCK_SIZE
        return old
