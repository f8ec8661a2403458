import pytest
from pyemu.machine.i8259 import DualPic

EOI, READ_IRR, READ_ISR, POLL = 0x20, 0x0A, 0x0B, 0x0C


class Rig:
    """A pair of PICs and the history of its INTR."""

    def __init__(self, icw1=0x11, icw4=0x01, elcr=0):
        self.intr = []
        self.pic = DualPic(self.intr.append)
        for offset, value in enumerate((elcr & 0xFF, elcr >> 8)):
            self.pic.elcr.write(offset, 1, value)
        for pic, base, cascade in ((self.pic.master, 0x08, 4), (self.pic.slave, 0x70, 2)):
            pic.write(0, 1, icw1)
            for icw in (base, cascade, icw4):
                pic.write(1, 1, icw)

    def raise_(self, *irqs):
        for irq in irqs:
            self.pic.line(irq).set(True)

    def lower(self, *irqs):
        for irq in irqs:
            self.pic.line(irq).set(False)

    def take(self):
        """What the CPU takes next; None if INTR is low."""
        return self.pic.acknowledge() if self.pic.pending else None

    def command(self, value, pic=None):
        (pic or self.pic.master).write(0, 1, value)

    def isr(self, pic=None):
        self.command(READ_ISR, pic)
        return (pic or self.pic.master).read(0, 1)

    def irr(self, pic=None):
        self.command(READ_IRR, pic)
        return (pic or self.pic.master).read(0, 1)


def test_an_edge_is_taken_once():
    rig = Rig()
    rig.raise_(3)
    assert rig.pic.pending and rig.irr() == 1 << 3
    assert rig.take() == 0x0B
    assert (rig.irr(), rig.isr()) == (0, 1 << 3)
    rig.command(EOI)
    assert rig.isr() == 0 and rig.take() is None
    assert rig.intr == [True, False]


def test_an_edge_that_falls_before_the_acknowledge_is_gone():
    rig = Rig()
    rig.raise_(3)
    rig.lower(3)
    assert rig.intr == [True, False] and rig.irr() == 0


def test_spurious_irq_7_sets_no_isr_bit():
    rig = Rig()
    assert rig.pic.acknowledge() == 0x0F
    assert rig.isr() == 0


def test_spurious_irq_15_leaves_the_cascade_in_service():
    rig = Rig()
    rig.raise_(2)  # the cascade, with nothing behind it
    assert rig.take() == 0x77
    assert rig.isr(rig.pic.slave) == 0 and rig.isr() == 1 << 2


def test_a_level_requests_again_after_eoi_until_it_falls():
    rig = Rig(elcr=1 << 5)
    rig.raise_(5)
    assert rig.take() == 0x0D and rig.take() is None
    rig.command(EOI)
    assert rig.take() == 0x0D
    rig.lower(5)
    rig.command(EOI)
    assert rig.take() is None


def test_elcr_refuses_what_the_board_wires_as_edges():
    rig = Rig(elcr=0xFFFF)
    assert [rig.pic.elcr.read(n, 1) for n in (0, 1)] == [0xF8, 0xDE]


def test_fully_nested_priorities():
    rig = Rig()
    rig.raise_(4)
    assert rig.take() == 0x0C
    rig.raise_(5)
    assert rig.take() is None
    rig.raise_(1)
    assert rig.take() == 0x09
    rig.command(EOI)  # the highest: 1
    assert rig.isr() == 1 << 4
    rig.command(EOI)
    assert rig.take() == 0x0D


def test_slave_interrupts_rank_between_1_and_3():
    rig = Rig()
    rig.raise_(12, 3, 8, 1)
    taken = []
    while (vector := rig.take()) is not None:
        taken.append(vector)
        rig.command(EOI, rig.pic.slave)
        rig.command(EOI)
    assert taken == [0x09, 0x70, 0x74, 0x0B]


def test_second_slave_request_waits_for_the_masters_eoi():
    rig = Rig()
    rig.raise_(12)
    assert rig.take() == 0x74
    rig.raise_(8)  # more urgent, but the master has its cascade in service
    assert rig.take() is None
    rig.command(EOI)
    assert rig.take() == 0x70


def test_special_fully_nested_lets_the_slave_interrupt_itself():
    rig = Rig(icw4=0x11)
    rig.raise_(12)
    assert rig.take() == 0x74
    rig.raise_(8)
    assert rig.take() == 0x70
    assert rig.isr(rig.pic.slave) == 0x11


def test_the_mask_holds_a_request_back():
    rig = Rig()
    rig.pic.master.write(1, 1, 0xFF)
    rig.raise_(0)
    assert rig.pic.master.read(1, 1) == 0xFF
    assert not rig.pic.pending and rig.irr() == 1
    rig.pic.master.write(1, 1, 0xFE)
    assert rig.take() == 0x08


def test_icw1_clears_mask_and_edges():
    rig = Rig()
    rig.pic.master.write(1, 1, 0xFF)
    rig.raise_(6)
    rig.command(0x11)
    for icw in (0x20, 4, 1):
        rig.pic.master.write(1, 1, icw)
    assert rig.pic.master.read(1, 1) == 0
    assert not rig.pic.pending  # needs a new low-to-high transition
    rig.lower(6)
    rig.raise_(6)
    assert rig.take() == 0x26


@pytest.mark.parametrize(("icw1", "rest"), [
    (0x13, (0x40, 0x01)), (0x12, (0x40,)), (0x10, (0x40, 4))])
def test_icw3_and_icw4_come_only_if_announced(icw1, rest):
    rig = Rig()
    rig.command(icw1)
    for icw in rest:
        rig.pic.master.write(1, 1, icw)
    rig.pic.master.write(1, 1, 0xA5)
    assert rig.pic.master.read(1, 1) == 0xA5
    rig.pic.master.write(1, 1, 0)
    rig.raise_(1)
    assert rig.take() == 0x41


def test_specific_eoi():
    rig = Rig()
    rig.raise_(6)
    rig.take()
    rig.raise_(2 - 1)
    rig.take()
    rig.command(0x60 | 6)
    assert rig.isr() == 1 << 1


def test_rotate_on_non_specific_eoi():
    rig = Rig()
    rig.raise_(3)
    rig.take()
    rig.command(0xA0)
    rig.raise_(4, 0)
    rig.lower(3)
    rig.raise_(3)
    taken = []
    while (vector := rig.take()) is not None:
        taken.append(vector & 7)
        rig.command(EOI)
    assert taken == [4, 0, 3]


def test_set_priority_and_rotate_on_specific_eoi():
    rig = Rig()
    rig.command(0xC0 | 4)  # 5 is the highest now
    rig.raise_(0, 5)
    assert rig.take() == 0x0D
    rig.command(0xE0 | 5)  # and now 6, with 5 the lowest
    rig.lower(5)
    rig.raise_(5)
    assert rig.take() == 0x08


def test_no_operation_changes_nothing():
    rig = Rig()
    rig.raise_(3)
    rig.take()
    rig.command(0x40)
    assert rig.isr() == 1 << 3


def test_automatic_eoi():
    rig = Rig(icw4=0x03)
    rig.raise_(3)
    assert rig.take() == 0x0B and rig.isr() == 0


def test_rotation_with_automatic_eoi():
    rig = Rig(icw4=0x03)
    rig.command(0x80)
    rig.raise_(3)
    rig.take()
    rig.lower(3)
    rig.raise_(3, 4)
    assert [rig.take(), rig.take()] == [0x0C, 0x0B]
    rig.command(0x00)
    rig.lower(3, 4)
    rig.raise_(3, 4)
    rig.take()
    rig.lower(4)
    rig.raise_(4)
    assert rig.take() == 0x0C  # 3 is still the lowest: no rotation any more


def test_special_mask_mode_admits_lower_levels():
    rig = Rig()
    rig.raise_(2 + 1)
    rig.take()
    rig.raise_(6)
    rig.command(0x68)
    assert rig.take() is None
    rig.pic.master.write(1, 1, 1 << 3)
    assert rig.take() == 0x0E
    rig.command(EOI)  # 3 is masked: a non-specific EOI leaves it
    assert rig.isr() == 1 << 3
    rig.command(0x48)
    rig.lower(6)
    rig.raise_(6)
    assert rig.take() is None


def test_poll_acknowledges():
    rig = Rig()
    rig.raise_(5)
    rig.command(POLL)
    assert rig.pic.master.read(0, 1) == 0x85
    assert rig.isr() == 1 << 5 and not rig.pic.pending
    rig.command(POLL)
    assert rig.pic.master.read(1, 1) == 0  # the next read, whatever its port
    assert rig.pic.master.read(1, 1) == 0  # and only that: this is the mask


def test_reset_keeps_the_levels_of_its_inputs():
    rig = Rig(elcr=1 << 5)
    rig.raise_(5)
    rig.pic.reset()
    assert not rig.pic.pending and rig.irr() == 0
    rig.pic.elcr.write(0, 1, 1 << 5)
    assert rig.irr() == 1 << 5


def test_save_and_load():
    rig, other = Rig(elcr=1 << 10), Rig()
    rig.raise_(10, 1)
    assert rig.take() == 0x09
    other.pic.load(rig.pic.save())
    assert other.pic.save() == rig.pic.save()
    other.command(EOI)
    assert other.pic.line(10).level and other.take() == 0x72
