import pytest
from pyemu.machine.ioapic import IoApic

LEVEL, MASKED, REMOTE_IRR, LOGICAL = 0x8000, 0x10000, 0x4000, 0x800


class Rig:
    def __init__(self):
        self.messages = []
        self.ioapic = IoApic(lambda *message: self.messages.append(message))

    def get(self, register):
        self.ioapic.write(0, 4, register)
        return self.ioapic.read(0x10, 4)

    def set(self, register, value):
        self.ioapic.write(0, 1, register)
        self.ioapic.write(0x10, 4, value)

    def entry(self, pin, low, dest=0):
        self.set(0x11 + 2 * pin, dest << 24)
        self.set(0x10 + 2 * pin, low)

    def pulse(self, pin):
        self.ioapic.line(pin).set(True)
        self.ioapic.line(pin).set(False)


@pytest.fixture
def rig():
    return Rig()


def test_reset_values(rig):
    assert rig.get(0) == 0 and rig.get(1) == 0x00170020 and rig.get(2) == 0
    assert {(rig.get(0x10 + 2 * n), rig.get(0x11 + 2 * n)) for n in range(24)} == {(MASKED, 0)}


def test_id_and_arbitration(rig):
    rig.set(0, 0xFFFFFFFF)
    assert rig.get(0) == rig.get(2) == 0x0F000000


def test_an_edge_is_one_message(rig):
    rig.entry(4, 0x34, dest=3)
    rig.ioapic.line(4).set(True)
    rig.ioapic.line(4).set(True)
    assert rig.messages == [(0x34, 0, False, 3, 0)]
    rig.ioapic.line(4).set(False)
    rig.pulse(4)
    assert len(rig.messages) == 2 and rig.get(0x18) == 0x34


def test_edges_on_a_masked_pin_are_lost(rig):
    rig.entry(4, MASKED | 0x34)
    rig.ioapic.line(4).set(True)
    rig.entry(4, 0x34)
    assert rig.messages == []


def test_a_level_waits_for_its_mask(rig):
    rig.entry(9, MASKED | LEVEL | 0x39)
    rig.ioapic.line(9).set(True)
    assert rig.messages == []
    rig.entry(9, LEVEL | 0x39)
    assert rig.messages == [(0x39, 0, True, 0, 0)]


def test_a_level_asks_again_after_its_end(rig):
    rig.entry(9, LEVEL | 0x39)
    rig.ioapic.line(9).set(True)
    assert rig.get(0x22) == LEVEL | REMOTE_IRR | 0x39
    rig.ioapic.eoi(0x40)
    assert len(rig.messages) == 1
    rig.ioapic.eoi(0x39)
    assert len(rig.messages) == 2
    rig.ioapic.line(9).set(False)
    rig.ioapic.eoi(0x39)
    assert len(rig.messages) == 2 and rig.get(0x22) == LEVEL | 0x39


def test_a_level_that_returns_before_the_end_waits(rig):
    rig.entry(9, LEVEL | 0x39)
    for level in (True, False, True):
        rig.ioapic.line(9).set(level)
    assert len(rig.messages) == 1
    rig.ioapic.eoi(0x39)
    assert len(rig.messages) == 2


def test_the_eoi_register(rig):
    rig.entry(9, LEVEL | 0x39)
    rig.pulse(9)
    rig.ioapic.write(0x40, 4, 0x39)
    assert rig.get(0x22) == LEVEL | 0x39


def test_remote_irr_is_read_only_and_goes_with_the_level(rig):
    rig.entry(9, LEVEL | REMOTE_IRR | 0x39)
    assert rig.get(0x22) == LEVEL | 0x39
    rig.pulse(9)
    rig.set(0x22, MASKED | LEVEL | 0x39)
    assert rig.get(0x22) & REMOTE_IRR
    rig.set(0x22, MASKED | 0x39)
    rig.set(0x22, MASKED | LEVEL | 0x39)
    assert not rig.get(0x22) & REMOTE_IRR


@pytest.mark.parametrize(("mode", "level"), [(0, True), (1, True), (2, False), (4, False),
                                             (5, False), (7, False)])
def test_delivery_modes(rig, mode, level):
    rig.entry(5, LEVEL | LOGICAL | mode << 8 | 0x35, dest=0xFF)
    rig.pulse(5)
    assert rig.messages == [(0x35, mode, level, 0xFF, 1)]


def test_polarity_is_kept(rig):
    rig.entry(5, 0x2000 | 0x35)
    assert rig.get(0x1A) == 0x2035
    rig.pulse(5)
    assert len(rig.messages) == 1


def test_accesses_that_lead_nowhere(rig):
    rig.set(0x10 + 48, 0)
    rig.set(0xFF, 0xFFFFFFFF)
    assert rig.get(0x40) == rig.get(0x03) == 0
    rig.set(0x10, 0x30)
    rig.ioapic.write(0x10, 1, 0x31)
    rig.ioapic.write(0x20, 4, 0x31)
    assert rig.ioapic.read(0x10, 1) == 0 and rig.ioapic.read(0x20, 4) == 0
    assert rig.get(0x10) == 0x30


def test_the_selector_can_be_read(rig):
    rig.ioapic.write(0, 1, 0x12)
    assert rig.ioapic.read(0, 1) == rig.ioapic.read(0, 4) == 0x12


def test_save_and_load(rig):
    rig.entry(9, LEVEL | 0x39)
    rig.ioapic.line(9).set(True)
    other = Rig()
    other.ioapic.load(rig.ioapic.save())
    assert other.ioapic.save() == rig.ioapic.save() and other.ioapic.line(9).level
    other.ioapic.eoi(0x39)
    assert other.messages == [(0x39, 0, True, 0, 0)]
