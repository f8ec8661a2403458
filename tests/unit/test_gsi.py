import pytest
from pyemu.machine.gsi import Gsi
from pyemu.machine.i8259 import DualPic
from pyemu.machine.ioapic import IoApic
from pyemu.machine.lapic import LocalApic


@pytest.fixture
def board(clock):
    """Interrupt hardware of a PC, wired."""

    class Board:
        def __init__(self):
            self.intr = []
            self.lapic = LocalApic(
                clock, self.intr.append, lambda: self.pic.acknowledge(), lambda: None,
                lambda: None, lambda vector: self.ioapic.eoi(vector))
            self.pic = DualPic(self.lapic.pic_intr)
            self.ioapic = IoApic(self.lapic.receive)
            self.gsi = Gsi(self.pic, self.ioapic)
            self.lapic.write(0xF0, 4, 0x1FF)

        def entry(self, pin, value):
            self.ioapic.write(0, 4, 0x10 + 2 * pin)
            self.ioapic.write(0x10, 4, value)

    return Board()


@pytest.mark.parametrize(("n", "pin"), [(0, 2), (1, 1), (15, 15)])
def test_isa_interrupts_reach_both(board, n, pin):
    board.gsi.line(n).set(True)
    assert board.pic.line(n).level
    assert [p for p in range(24) if board.ioapic.line(p).level] == [pin]


def test_interrupts_from_16_reach_the_io_apic_only(board):
    board.gsi.line(20).set(True)
    assert board.ioapic.line(20).level and not board.pic.pending


def test_input_2_of_the_io_apic_is_interrupt_2_as_well_as_0(board):
    board.gsi.line(2).set(True)
    assert board.ioapic.line(2).level and not board.pic.line(2).level
    board.gsi.line(0).set(True)
    board.gsi.line(2).set(False)
    assert board.ioapic.line(2).level
    board.gsi.line(0).set(False)
    assert not board.ioapic.line(2).level


def test_a_level_through_the_apics(board):
    board.entry(11, 0x8000 | 0x3B)
    board.pic.master.write(1, 1, 0xFF)
    board.gsi.line(11).set(True)
    for _ in range(2):
        assert board.lapic.acknowledge() == 0x3B
        board.lapic.write(0xB0, 4, 0)
        assert board.lapic.output
    board.gsi.line(11).set(False)
    assert board.lapic.acknowledge() == 0x3B
    board.lapic.write(0xB0, 4, 0)
    assert not board.lapic.output


def test_virtual_wire(board):
    for offset, value in enumerate((0x11, 0x08, 4, 1)):
        board.pic.master.write(min(offset, 1), 1, value)
    board.lapic.write(0x350, 4, 0x700)
    board.gsi.line(0).set(True)
    assert board.intr == [True] and board.lapic.acknowledge() == 0x08
    assert board.intr == [True, False]


def test_save_and_load(board):
    board.gsi.line(5).set(True)
    state = board.gsi.save()
    board.gsi.line(5).set(False)
    board.gsi.load(state)
    assert board.gsi.line(5).level and board.gsi.save() == state
