"""Random register traffic, in loopback, at our UART and at QEMU's: what is read must agree."""
import random

import pytest
from pyemu.machine.line import Line
from pyemu.machine.uart import Uart

COM1 = 0x3f8
DATA, IER, IIR, FCR, LCR, MCR, LSR, SCRATCH = 0, 1, 2, 2, 3, 4, 5, 7
LOOP = 0x1a


class Silence:
    def write(self, data):
        pass

    def read(self, limit):
        return b""


def traffic(generator, length):
    """(register, value) to write, (register, None) to read."""
    for _ in range(length):
        match generator.randrange(11):
            case 0:
                yield IER, generator.randrange(8)  # QEMU has no deltas in loopback
            case 1:
                yield FCR, generator.choice((0, 1, 1, 3, 7, 0x41, 0x81, 0xc1))
            case 2 | 3 | 4:
                yield DATA, generator.randrange(256)
            case 5 | 6:
                yield IIR, None
            case 7:
                yield LSR, None
            case 8:
                yield SCRATCH, generator.randrange(256)
            case 9:
                yield generator.choice((IER, LCR, MCR, SCRATCH)), None
            case 10:
                yield DATA, None


@pytest.mark.parametrize("seed", range(5))
def test_registers_in_loopback(qtest, clock, seed):
    oracle = qtest("-serial", "null")
    uart = Uart(clock, Line(lambda level: None), Silence())

    def write(register, value):
        oracle.outb(COM1 + register, value)
        uart.write(register, 1, value)

    write(LCR, 3)
    write(MCR, LOOP)
    history = []
    for register, value in traffic(random.Random(seed), 600):
        history.append((register, value))
        if value is not None:
            write(register, value)
        elif register == DATA and not uart.read(LSR, 1) & oracle.inb(COM1 + LSR) & 1:
            pass  # what an empty receiver shows is nobody's promise
        else:
            ours, theirs = uart.read(register, 1), oracle.inb(COM1 + register)
            assert ours == theirs, f"{history[-12:]}: {ours:#x}, QEMU {theirs:#x}"
