"""Marvell 88E1011 gigabit transceiver, as far as drivers of the 82540EM look at it.

Source: IEEE 802.3, clause 22 (registers 0-15) and 28 (autonegotiation); Intel 8254x software
developer's manual (317453), section 13.4.2, table 13-26 and on (registers 16-31).
"""
from collections.abc import Callable
from typing import Any

from pyemu.machine.chip import Chip
from pyemu.trace.hooks import (
    trace_e1000x_link_negotiation_done,
    trace_e1000x_link_negotiation_start,
)

BMCR, BMSR, PHYID1, PHYID2, ANAR, ANLPAR, ANER = 0, 1, 2, 3, 4, 5, 6
GTCR, GTSR, ESR = 9, 10, 15
PSCR, PSSR, EPSCR = 16, 17, 20

# BMCR
RESET, LOOPBACK, AUTONEG, RESTART_AUTONEG = 0x8000, 0x4000, 0x1000, 0x0200
SELF_CLEARING = RESET | RESTART_AUTONEG
# BMSR
AUTONEG_DONE, LINK = 0x0020, 0x0004

NEGOTIATION_TIME = 500_000_000  # ns

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
WITH_LINK = {
    ANLPAR: 0x41E0,  # the partner acknowledges; 10 and 100 Mbit/s
    GTSR: 0x3C00,    # both receivers fine, the partner can do 1000 Mbit/s
    PSSR: 0xAC00,    # 1000 Mbit/s, full duplex, resolved, link
}


class Phy(Chip):
    """plugged: whether there is somebody at the other end of the cable.

    on_link(up) is called when the link goes up or down.
    """

    STATE = ("plugged", "registers", "up", "done_at")

    def __init__(self, clock: Any, plugged: bool, on_link: Callable[[bool], None]):
        self.clock = clock
        self.plugged = plugged
        self.on_link = on_link
        self.timer = clock.timer(self._negotiated, "e1000_autoneg")
        self.up = False
        self.reset()

    def reset(self) -> None:
        """The power-on state, in which a link has long been negotiated."""
        self.timer.cancel()
        self.registers = [POWER_ON.get(number, 0) for number in range(32)]
        self.done_at: int | None = None
        self._set_link(self.plugged)

    def restored(self) -> None:
        self.timer.cancel()
        if self.done_at is not None:
            self.timer.at(self.done_at)

    def plug(self, plugged: bool) -> None:
        """Put the cable in or pull it out; then the transceivers have to agree first."""
        if plugged == self.plugged:
            return
        self.plugged = plugged
        if plugged and not self.registers[BMCR] & AUTONEG:
            self._set_link(True)
        else:
            self._negotiate()

    @property
    def loopback(self) -> bool:
        return bool(self.registers[BMCR] & LOOPBACK)

    def read(self, number: int) -> int:
        return self.registers[number]

    def write(self, number: int, value: int) -> None:
        if number == BMCR and value & RESET:
            self.reset()
        elif number == BMCR:
            self.registers[BMCR] = value & ~SELF_CLEARING
            if value & RESTART_AUTONEG and value & AUTONEG:
                self._negotiate()
        elif number not in READ_ONLY:
            self.registers[number] = value

    def _negotiate(self) -> None:
        self._set_link(False)
        self.timer.cancel()
        self.done_at = None
        if self.plugged:
            trace_e1000x_link_negotiation_start()
            self.done_at = self.clock.now() + NEGOTIATION_TIME
            self.timer.at(self.done_at)

    def _negotiated(self) -> None:
        trace_e1000x_link_negotiation_done()
        self.done_at = None
        self._set_link(True)

    def _set_link(self, up: bool) -> None:
        for number, value in WITH_LINK.items():
            self.registers[number] = value if up else 0
        self.registers[BMSR] &= ~(AUTONEG_DONE | LINK)
        if up:
            self.registers[BMSR] |= AUTONEG_DONE | LINK
        if up != self.up:
            self.up = up
            self.on_link(up)
