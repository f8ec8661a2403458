"""Which frames the 82540EM takes: by VLAN, by exact address, by hash of multicast address.

Source: Intel 8254x software developer's manual (317453), sections 3.2.1 (packet address
filtering), 9.2.2 (VLAN), 13.4.22 (RCTL), 13.5.1-13.5.4 (MTA, RAL, RAH, VFTA).
"""
from array import array

from pyemu.machine.net.e1000_registers import (
    MTA,
    RA_COUNT,
    RAH0,
    RAH_VALID,
    RAL0,
    RCTL,
    RCTL_BAM,
    RCTL_MO_SHIFT,
    RCTL_MPE,
    RCTL_UPE,
    RCTL_VFE,
    VFTA,
)
from pyemu.trace.hooks import (
    trace_e1000x_rx_flt_inexact_mismatch,
    trace_e1000x_rx_flt_ucast_match,
    trace_e1000x_rx_flt_ucast_mismatch,
)

BROADCAST = b"\xff" * 6
GROUP = 1  # bit of the first byte
VLAN_ID = 0xFFF
HASH_SHIFTS = (4, 3, 2, 0)  # by RCTL.MO: which 12 of the last 16 bits select
REMEMBERED = 256  # addresses


class Filter:
    """registers: the chip's. `forget()` when one that filters has changed."""

    def __init__(self, registers: array):
        self.registers = registers
        self._verdicts: dict[bytes, tuple[bool, bool]] = {}

    def forget(self) -> None:
        self._verdicts.clear()

    def wants_vlan(self, frame: bytes) -> bool:
        """Whether the VLAN filter lets a tagged frame pass."""
        if not self.registers[RCTL] & RCTL_VFE:
            return True
        ident = (frame[14] << 8 | frame[15]) & VLAN_ID
        return bool(self.registers[VFTA + (ident >> 5)] >> (ident & 31) & 1)

    def address(self, destination: bytes) -> tuple[bool, bool]:
        """Whether frames for this address are taken, and whether it passed inexactly: software
        has to look at it too."""
        verdict = self._verdicts.get(destination)
        if verdict is None:
            verdict = self._match(destination)
            if len(self._verdicts) >= REMEMBERED:
                self._verdicts.clear()
            self._verdicts[destination] = verdict
        return verdict

    def _match(self, destination: bytes) -> tuple[bool, bool]:
        control = self.registers[RCTL]
        if destination == BROADCAST and control & RCTL_BAM:
            return True, False
        if self._exact(destination):
            return True, False
        if destination[0] & GROUP:
            return self._hashed(destination) or bool(control & RCTL_MPE), True
        return bool(control & RCTL_UPE), True

    def _exact(self, destination: bytes) -> bool:
        registers = self.registers
        low, high = int.from_bytes(destination[:4], "little"), destination[4] | destination[5] << 8
        for n in range(RA_COUNT):
            upper = registers[RAH0 + 2 * n]
            if upper & RAH_VALID and upper & 0xFFFF == high and registers[RAL0 + 2 * n] == low:
                trace_e1000x_rx_flt_ucast_match(n, *destination)
                return True
        trace_e1000x_rx_flt_ucast_mismatch(*destination)
        return False

    def _hashed(self, destination: bytes) -> bool:
        offset = self.registers[RCTL] >> RCTL_MO_SHIFT & 3
        selected = (destination[5] << 8 | destination[4]) >> HASH_SHIFTS[offset] & 0xFFF
        word = self.registers[MTA + (selected >> 5)]
        if word >> (selected & 31) & 1:
            return True
        trace_e1000x_rx_flt_inexact_mismatch(*destination, offset, selected >> 5, word)
        return False
