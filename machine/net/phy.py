"""Marvell 88E1011 gigabit transceiver, as far as drivers of the 82540EM look at it.

Source: IEEE 802.3, clause 22 (registers 0-15); Intel 8254x software developer's manual (317453),
section 13.4.2, table 13-26 and on (registers 16-31).
"""
from pyemu.machine.chip import Chip

BMCR, BMSR, PHYID1, PHYID2, ANAR, ANLPAR, ANER = 0, 1, 2, 3, 4, 5, 6
GTCR, GTSR, ESR = 9, 10, 15
PSCR, PSSR, EPSCR = 16, 17, 20

# BMCR
RESET, RESTART_AUTONEG = 0x8000, 0x0200
SELF_CLEARING = RESET | RESTART_AUTONEG

POWER_ON = {
    BMCR: 0x1140,    # autonegotiate, full duplex, 1000 Mbit/s
    BMSR: 0x7949,    # 10 and 100 Mbit/s, extended status, able to autonegotiate, no link
    PHYID1: 0x0141,
    PHYID2: 0x0C20,
    ANAR: 0x0DE1,    # pause, 10 and 100 Mbit/s, IEEE 802.3
    ANER: 0x0004,    # next pages
    GTCR: 0x0E00,
    ESR: 0x3000,     # 1000BASE-T, full and half duplex
    PSCR: 0x0360,
    EPSCR: 0x0D60,
}
READ_ONLY = {BMSR, PHYID1, PHYID2, ANLPAR, ANER, GTSR, ESR, PSSR}


class Phy(Chip):
    """A transceiver that hears nobody: no link, no partner."""

    STATE = ("registers",)

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.registers = [POWER_ON.get(number, 0) for number in range(32)]

    def read(self, number: int) -> int:
        return self.registers[number]

    def write(self, number: int, value: int) -> None:
        if number == BMCR and value & RESET:
            self.reset()
        elif number == BMCR:
            self.registers[BMCR] = value & ~SELF_CLEARING
        elif number not in READ_ONLY:
            self.registers[number] = value
