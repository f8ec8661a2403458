"""What becomes of a frame that the 82540EM takes, as far as its registers say.

Source: Intel 8254x software developer's manual (317453), sections 3.2 and 13.4.
"""
from array import array
from itertools import product

from pyemu.machine.net.e1000_registers import (
    CTRL,
    CTRL_VME,
    RCTL,
    RCTL_BSEX,
    RCTL_BSIZE_SHIFT,
    RCTL_LPE,
    RCTL_SBP,
    RCTL_SECRC,
    RSRPD,
    RXCSUM,
    RXCSUM_IPOFL,
    RXCSUM_PCSS,
    RXCSUM_TUOFL,
    RXD_DD,
    RXD_EOP,
    RXD_IPCS,
    RXD_IPE,
    RXD_TCPCS,
    RXD_TCPE,
    VET,
)

BUFFER_SIZES = (2048, 1024, 512, 256)  # by RCTL.BSIZE; with BSEX 16 times as much
MAX_SHORT, MAX_LONG = 1518, 16380  # bytes without frame check sequence


def _results(checks: int) -> dict[tuple[bool | None, bool | None], tuple[int, int]]:
    """Status and errors by what `checksum.examine` says, for bits of RXCSUM."""
    results = {}
    for header, transport in product((None, False, True), repeat=2) if checks else ():
        status, errors = RXD_DD | RXD_EOP, 0
        if checks & RXCSUM_IPOFL and header is not None:
            status |= RXD_IPCS
            errors |= 0 if header else RXD_IPE
        if checks & RXCSUM_TUOFL and transport is not None:
            status |= RXD_TCPCS
            errors |= 0 if transport else RXD_TCPE
        results[header, transport] = status, errors
    return results


CHECKS = {checks: _results(checks)
          for checks in (0, RXCSUM_IPOFL, RXCSUM_TUOFL, RXCSUM_IPOFL | RXCSUM_TUOFL)}


class Rules:
    """What becomes of a frame, as far as the registers say; the same for a batch."""

    def __init__(self, registers: array):
        control = registers[RCTL]
        size = BUFFER_SIZES[control >> RCTL_BSIZE_SHIFT & 3]
        if control & RCTL_BSEX and size < BUFFER_SIZES[0]:
            size *= 16
        self.buffer_size = size
        self.limit = MAX_LONG if control & (RCTL_LPE | RCTL_SBP) else MAX_SHORT
        self.keeps_fcs = not control & RCTL_SECRC
        self.tag = (registers[VET] & 0xFFFF).to_bytes(2, "big")
        self.strips_tag = bool(registers[CTRL] & CTRL_VME)
        self.checked_from = registers[RXCSUM] & RXCSUM_PCSS
        self.checks = CHECKS[registers[RXCSUM] & (RXCSUM_IPOFL | RXCSUM_TUOFL)]
        self.small = registers[RSRPD]
