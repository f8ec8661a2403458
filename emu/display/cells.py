"""The guest's text screen as rows of characters, for a display that has characters itself.

In other modes it is a line that tells which, as QEMU words it.
"""
from typing import Any

from pyemu.display.snapshot import Glances, Snapshot
from pyemu.machine import vbe
from pyemu.machine import vga_crt as crt
from pyemu.machine.vga_text import CP437, TextPage

USUAL = 0x07  # attribute: grey on black

Row = list[tuple[str, int]]  # runs of characters, and the attribute of each
Place = tuple[int, int]  # row and column of the cursor


class Cells:
    """runner: as for `Glances`.

    encoding: what the display's characters are written in; others become question marks.
    """

    def __init__(self, runner: Any, encoding: str):
        self.vga = runner.machine.vga
        self._characters = [_shown_in(encoding, character) for character in CP437]
        self._glances = Glances(runner)

    def rows(self) -> tuple[list[Row], Place | None]:
        """The screen as of the registers that came last, and where the cursor is if it is on."""
        snapshot = self._glances.latest()
        if snapshot is None or not snapshot.shown:
            return message("VGA Blank mode"), None
        crtc = bytearray(snapshot.crtc)
        page = TextPage.of(crtc)
        if not snapshot.is_text or not page.plausible:
            return message(f"{_resolution(snapshot)} Graphic mode"), None
        characters, attributes = (page.plane(self.vga.vram, number) for number in (0, 1))
        cursor = page.cursor(crtc)
        return ([self._runs(*row) for row in zip(characters, attributes, strict=True)],
                (cursor.row, cursor.column) if cursor else None)

    def _runs(self, characters: bytes, attributes: bytes) -> Row:
        runs: Row = []
        start = 0
        for end in range(1, len(attributes) + 1):
            if end == len(attributes) or attributes[end] != attributes[start]:
                runs.append(("".join(self._characters[code] for code in characters[start:end]),
                             attributes[start]))
                start = end
        return runs


def message(text: str) -> list[Row]:
    return [[(text, USUAL)]]


def _shown_in(encoding: str, character: str) -> str:
    try:
        character.encode(encoding)
    except UnicodeError:
        return "?"
    return character


def _resolution(snapshot: Snapshot) -> str:
    if snapshot.dispi is not None:
        return f"{snapshot.dispi[vbe.XRES]} x {snapshot.dispi[vbe.YRES]}"
    crtc = bytearray(snapshot.crtc)
    return f"{(crtc[crt.HORIZONTAL_END] + 1) * 8} x {crt.vertical_end(crtc)}"
