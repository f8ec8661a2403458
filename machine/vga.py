"""The standard VGA of QEMU: an IBM VGA with 16 MiB, and modes of the Bochs display interface.

Its rooms: `vga_registers` (ports), `vga_dac` (palette), `vga_memory` (the window at A0000h), `vbe`
(Bochs interface), `vga_crt` and `vga_text` (what the registers mean). The PCI function that shows
the memory and the registers a second time is `vga_pci`.
"""
from typing import Any

from . import vga_registers as register
from .chip import Chip
from .vbe import Dispi
from .vga_dac import Dac
from .vga_memory import VgaMemory
from .vga_registers import VgaRegisters
from .vga_text import Cursor, TextPage, decode

GRAPHICS = 0x01  # MISCELLANEOUS


class Vga(Chip):
    """read and write are the legacy window, with offsets from A0000h; its 128 KiB.

    Ports: `ports` from 3C0h, 32 of them; `mono_ports` from 3B0h, 12; `dispi.ports` at 1CEh, two.
    All take two bytes at once.
    vram: the video memory, a writable buffer of at least 256 KiB. It is not part of the state.
    """

    def __init__(self, clock: Any, vram: Any):
        self.vram = vram
        self.dac = Dac()
        self.registers = VgaRegisters(clock, self.dac, self._changed, self._selected)
        self.dispi = Dispi(vram, self.dac, self._changed)
        self.memory = VgaMemory(vram, self.registers, self.dispi)
        self.ports = self.registers.ports
        self.mono_ports = self.registers.mono_ports
        self.read = self.memory.read
        self.write = self.memory.write

    def reset(self) -> None:
        for part in (self.dac, self.registers, self.dispi):
            part.reset()
        self.memory.latch = 0
        self.memory.update()

    def save(self) -> dict[str, Any]:
        return {"version": self.VERSION, "dac": self.dac.save(), "latch": self.memory.latch,
                "registers": self.registers.save(), "dispi": self.dispi.save()}

    def load(self, state: dict[str, Any]) -> None:
        self.dac.load(state["dac"])
        self.registers.load(state["registers"])
        self.dispi.load(state["dispi"])
        self.memory.latch = state["latch"]

    def _changed(self) -> None:
        self.memory.update()

    def _selected(self) -> None:
        self.memory.select()

    # The text page

    @property
    def is_text(self) -> bool:
        """Whether the screen shows a text page."""
        return not (self.dispi.enabled
                    or self.registers.graphics[register.MISCELLANEOUS] & GRAPHICS)

    def text_page(self) -> TextPage:
        return TextPage.of(self.registers.crtc)

    def text_screen(self) -> list[str]:
        """The characters of the visible page, row by row; nothing in a graphics mode."""
        rows = self.text_page().plane(self.vram, 0) if self.is_text else []
        return [decode(row) for row in rows]

    def text_attributes(self) -> list[bytes]:
        """The attributes of the visible page: foreground, background << 4, blink in bit 7."""
        return self.text_page().plane(self.vram, 1) if self.is_text else []

    def cursor(self) -> Cursor | None:
        """The text cursor, or None if there is none to be seen."""
        return self.text_page().cursor(self.registers.crtc) if self.is_text else None
