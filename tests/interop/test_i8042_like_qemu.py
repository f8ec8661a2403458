"""Commands at our keyboard controller, keyboard and mouse, and at QEMU's: answers must agree.

Not compared, because QEMU leaves the manual there: the controller's RAM and password, what only
scan code set 3 has, resending, and the mouse's answer to what it does not know, which is none.
"""
import random

import pytest
from pyemu.machine.i8042 import I8042
from pyemu.machine.line import Line
from pyemu.machine.ps2_keyboard import Keyboard
from pyemu.machine.ps2_mouse import Mouse

DATA, COMMAND = 0x60, 0x64
FULL, AUX = 0x01, 0x20

# Each is a conversation: bytes for port 64h are marked, the others go to 60h.
C = 0x100
CONTROLLER = [
    (C | 0xaa,), (C | 0x20,), (C | 0xa7,), (C | 0xa8,), (C | 0xa9,), (C | 0xab,), (C | 0xad,),
    (C | 0xae,), (C | 0xc0,), (C | 0x60, 0x47), (C | 0x60, 0x03), (C | 0x60, 0x65),
    (C | 0xd2, 0x5a), (C | 0xd3, 0xa5),
]
KEYBOARD = [
    (0xed, 0x07), (0xee,), (0xf0, 0), (0xf0, 1), (0xf0, 2), (0xf0, 3), (0xf0, 9), (0xf2,),
    (0xf3, 0x20), (0xf4,), (0xf5,), (0xf6,), (0xff,), (0xe0,),
]
MOUSE = [tuple(part for value in values for part in (C | 0xd4, value)) for values in (
    (0xe6,), (0xe7,), (0xe8, 1), (0xe9,), (0xea,), (0xf2,), (0xf3, 40),
    (0xf3, 200, 0xf3, 100, 0xf3, 80), (0xf3, 200, 0xf3, 200, 0xf3, 80), (0xf4,), (0xf5,), (0xf6,),
    (0xff,), (0xee, 0x12, 0xec),
)]


AFRESH = (C | 0xd4, 0xec, 0xff, C | 0xd4, 0xff, C | 0x60, 0x47)  # out of wrap mode, and reset
PULSES_RESET = set(range(0xf0, 0x100, 2))
ALL = set(range(0x100))
COMPARED = {  # who is told: the values, and what is told next: a parameter, or the next command
    "controller": (ALL - PULSES_RESET - {*range(0x21, 0x40), *range(0x61, 0x80), 0xa4}, 0xe7),
    "keyboard": (ALL - {0x00, *range(0xf7, 0xfa), 0xfb, 0xfd, 0xfe}, 0x02),
    "mouse": ({*range(0xe6, 0xec), 0xee, 0xf0, *range(0xf2, 0xf7), 0xff}, 0xe7),
}


class Pair:
    """Both machines, told the same."""

    def __init__(self, oracle, clock):
        self.oracle = oracle
        self.clock = clock
        lines = [Line(lambda level: None) for _ in range(2)]
        self.chip = I8042(clock, *lines, Keyboard(), Mouse(), lambda on: None, lambda cause: None)

    def tell(self, part):
        port = COMMAND if part & C else DATA
        window = self.chip.command if part & C else self.chip.data
        window.write(0, 1, part & 0xff)
        self.oracle.outb(port, part & 0xff)

    def answers(self):
        """(source, byte) of all that each has to say."""
        ours, theirs = [], []
        for _ in range(20):
            self.clock.advance(ms=2)
            if status := self.chip.command.read(0, 1) & (FULL | AUX):
                ours.append((status, self.chip.data.read(0, 1)))
            if status := self.oracle.inb(COMMAND) & (FULL | AUX):
                theirs.append((status, self.oracle.inb(DATA)))
        return ours, theirs


@pytest.mark.parametrize("seed", range(4))
def test_conversations(qtest, clock, seed):
    pair = Pair(qtest(), clock)
    generator = random.Random(seed)
    history = []
    messages = [(0xff,), (C | 0xd4, 0xff)]  # QEMU's mouse has its defaults only after a reset
    messages += [generator.choice(generator.choice((CONTROLLER, KEYBOARD, MOUSE)))
                 for _ in range(80)]
    for message in messages:
        for part in message:
            history.append(f"{part:#x}")
            pair.tell(part)
            ours, theirs = pair.answers()
            assert ours == theirs, history[-12:]


@pytest.mark.parametrize("who", COMPARED)
def test_every_command(qtest, clock, who):
    pair = Pair(qtest(), clock)
    values, following = COMPARED[who]
    for value in sorted(values):
        messages = {"controller": ((C | value,), (following,)),
                    "keyboard": ((value,), (following,)),
                    "mouse": ((C | 0xd4, value), (C | 0xd4, following))}[who]
        for part in AFRESH:
            pair.tell(part)
            pair.answers()
        for message in messages:
            for part in message:
                pair.tell(part)
            ours, theirs = pair.answers()
            assert ours == theirs, f"{value:#x}, {following:#x}"


def test_status_before_the_first_command(qtest, clock):
    pair = Pair(qtest(), clock)
    assert pair.chip.command.read(0, 1) == pair.oracle.inb(COMMAND)
