"""93C46: a serial EEPROM of 64 words on a Microwire bus, with network card contents.

Select, clock and data in come from a register of the card, data out goes back to it. Writing and
erasing are always disabled, as after power-on.
Source: Microchip 93C46B datasheet (DS21749), Intel 8254x software developer's manual
(317453), section 5.6 (contents).
"""
from collections.abc import Sequence

from pyemu.machine.chip import Chip

WORDS = 64
CHECKSUM = 0x3F
CHECKSUM_TOTAL = 0xBABA  # what all the words add up to

ADDRESS_BITS = 6
COMMAND_BITS = 2 + ADDRESS_BITS  # after the start bit
READ = 2


def contents(mac: bytes, words: dict[int, int]) -> tuple[int, ...]:
    """All 64 words for a card with that 6-byte address: `words` at their place, then a checksum."""
    image = [0xFFFF] * WORDS
    image[:3] = (int.from_bytes(mac[i:i + 2], "little") for i in (0, 2, 4))
    for address, word in words.items():
        image[address] = word
    image[CHECKSUM] = (CHECKSUM_TOTAL - sum(image[:CHECKSUM])) & 0xFFFF
    return tuple(image)


class Eeprom(Chip):
    """words: 64 numbers of 16 bits."""

    STATE = ("clock", "command", "count", "data_out", "selected", "shift")

    def __init__(self, words: Sequence[int]):
        self.words = words
        self.reset()

    def reset(self) -> None:
        self.selected = self.clock = False
        self.data_out = True  # floats high
        self._idle()

    def _idle(self) -> None:
        self.count = 0       # bits since the start bit, itself included
        self.command = 0
        self.shift = 0       # of a word that is read, what is still to come

    def drive(self, select: bool, clock: bool, data_in: bool) -> None:
        """The levels of the three inputs; bits go in and out as the clock rises."""
        rising = clock and not self.clock
        self.clock = clock
        if not select:
            self._idle()
            self.data_out = True
        elif rising and self.selected:
            self._bit(data_in)
        self.selected = select

    def _bit(self, data_in: bool) -> None:
        if self.count == 0 and not data_in:
            return  # still waiting for the start bit
        self.count += 1
        if self.count <= 1 + COMMAND_BITS:
            self.command = self.command << 1 | data_in
            if self.count == 1 + COMMAND_BITS and self._reading():
                self.data_out = False  # the dummy bit before the first word
            return
        if not self._reading():
            return
        position = (self.count - COMMAND_BITS - 2) % (16 * WORDS)
        if position % 16 == 0:
            self.shift = self.words[(self.command + position // 16) % WORDS]
        self.data_out = bool(self.shift & 0x8000)
        self.shift <<= 1

    def _reading(self) -> bool:
        return self.command >> ADDRESS_BITS & 3 == READ
