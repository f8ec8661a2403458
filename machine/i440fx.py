"""Intel 440FX host bridge (82441FX, PMC): the function at 00:00.0, with PAM and SMRAM.

The programmable attribute map decides, for each segment between C0000h and FFFFFh, whether reads
and writes go to RAM or on to PCI, where the ROMs are.
Source: Intel 82441FX datasheet (290549), sections 3.2.19 (PAM) and 3.2.21 (SMRAM).
"""
from typing import Protocol

from pyemu.machine.pci import PciDevice
from pyemu.trace.hooks import trace_i440fx_pam_set

IDS = (0x8086, 0x1237)
HOST_BRIDGE = 0x060000
REVISION = 2

RAM_SIZE = 0x57  # no Intel register: what QEMU puts here for coreboot, in units of 8 MiB
RAM_UNIT = 8 << 20
PAM0 = 0x59
PAM6 = 0x5F
SMRAM = 0x72

# A nibble of a PAM register
READ_ENABLE = 1
WRITE_ENABLE = 2

# SMRAM: C_BASE_SEG is wired to A0000h. The processor has no system management mode and there is
# no memory behind the video window, so the other bits stay 0.
SMRAM_VALUE = 0x02

# base and size of what each nibble governs, from the high one of PAM0
SEGMENTS = ((0xF0000, 0x10000), *((0xC0000 + 0x4000 * n, 0x4000) for n in range(12)))


class Shadow(Protocol):
    """The memory map, as far as PAM changes it."""

    def set_pam(self, base: int, size: int, read: bool, write: bool) -> None:
        """Say whether reads and writes of the segment go to RAM."""


class I440fx(PciDevice):
    """ram_size: bytes."""

    def __init__(self, shadow: Shadow, ram_size: int):
        super().__init__("i440FX", IDS, HOST_BRIDGE, revision=REVISION)
        self.shadow = shadow
        self.set_default(RAM_SIZE, 1, min(ram_size // RAM_UNIT, 0xFF))
        self.set_default(SMRAM, 1, SMRAM_VALUE)
        self.set_writable(SMRAM, 1, 0)
        self.config[:] = self.defaults
        self._segments = [0] * len(SEGMENTS)

    def config_written(self, register: int, size: int) -> None:
        if register <= PAM6 and register + size > PAM0:
            self._update_pam()

    def restored(self) -> None:
        super().restored()
        self._update_pam()

    def _update_pam(self) -> None:
        pam = self.config[PAM0:PAM6 + 1]
        nibbles = [nibble for value in pam for nibble in (value & 0xF, value >> 4)][1:]
        for number, nibble in enumerate(nibbles):
            attributes = nibble & (READ_ENABLE | WRITE_ENABLE)
            if attributes != self._segments[number]:
                self._segments[number] = attributes
                segment = (*SEGMENTS[number], bool(attributes & READ_ENABLE),
                           bool(attributes & WRITE_ENABLE))
                trace_i440fx_pam_set(*segment)
                self.shadow.set_pam(*segment)
