"""What the picture depends on, besides the video memory: copied on the vCPU's thread at once.

All else works from this copy, on whatever thread it likes.
"""
from dataclasses import dataclass
from typing import Any

from pyemu.machine import vga_crt as crt
from pyemu.machine import vga_registers as register
from pyemu.machine.vga import Vga

FRAME = 1_000_000_000 // 70  # ns
CURSOR_FRAMES = 16  # the cursor is shown so long, and hidden as long

SCREEN_OFF = 0x20  # CLOCKING
PALETTE_IN_USE = 0x20  # attribute index: the palette is the display's, not the CPU's
GRAPHICS = 0x01  # MISCELLANEOUS

# Attribute controller
MODE_CONTROL, PEL_PANNING = 0x10, 0x13


@dataclass(frozen=True)
class Snapshot:
    """Registers as they were. Equal snapshots and equal memory make equal pictures.

    dispi: of the Bochs interface, where it has a mode: its registers; else None.
    start, stride: of that mode, in bytes.
    """

    crtc: bytes
    sequencer: bytes
    graphics: bytes
    attribute: bytes
    shown: bool
    cursor_on: bool  # in its blinking
    palette: bytes
    wide_palette: bool
    pixel_mask: int
    dispi: tuple[int, ...] | None
    start: int
    stride: int

    @classmethod
    def of(cls, vga: Vga, now: int) -> "Snapshot":
        """now: virtual time, ns."""
        registers, dac, dispi = vga.registers, vga.dac, vga.dispi
        linear = dispi.enabled
        return cls(
            crtc=bytes(registers.crtc[:crt.LINE_COMPARE + 1]),
            sequencer=bytes(registers.sequencer),
            graphics=bytes(registers.graphics),
            attribute=bytes(registers.attribute),
            shown=bool(registers.attribute_index & PALETTE_IN_USE)
            and (linear or not registers.sequencer[crt.CLOCKING] & SCREEN_OFF),
            cursor_on=now // (FRAME * CURSOR_FRAMES) % 2 == 0,
            palette=bytes(dac.palette), wide_palette=dac.wide, pixel_mask=dac.pixel_mask,
            dispi=tuple(dispi.registers) if linear else None,
            start=dispi.start if linear else 0,
            stride=dispi.stride if linear else 0)

    @property
    def mode(self) -> tuple[bytes, ...]:
        """What makes another picture of a mode of the VGA proper, if it differs: what the cursor
        and the palette are does not."""
        crtc = self.crtc
        return (crtc[:crt.CURSOR_START], crtc[crt.START_HIGH:crt.CURSOR_HIGH],
                crtc[crt.CURSOR_LOW + 1:], self.sequencer, self.attribute[MODE_CONTROL:])

    @property
    def is_text(self) -> bool:
        return self.dispi is None and not self.graphics[register.MISCELLANEOUS] & GRAPHICS


class Glances:
    """Snapshots for a thread that looks again and again and never waits for the vCPU's.

    runner: `post(function)`, `clock` and `machine` with `vga`.
    """

    def __init__(self, runner: Any):
        self.runner = runner
        self.vga = runner.machine.vga
        self._latest: Snapshot | None = None
        self._asked = False

    def latest(self) -> Snapshot | None:
        """The one that came last; asks for another. None before the first, and without a VGA."""
        latest = self._latest
        if self.vga is not None and not self._asked:
            self._asked = True
            self.runner.post(self._take)
        return latest

    def _take(self) -> None:
        """On the vCPU's thread."""
        self._latest = Snapshot.of(self.vga, self.runner.clock.now())
        self._asked = False
