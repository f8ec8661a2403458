import pytest
from pyemu.machine.lapic import LocalApic

ID, VERSION, TPR, PPR, EOI, LDR, DFR, SVR = 0x20, 0x30, 0x80, 0xA0, 0xB0, 0xD0, 0xE0, 0xF0
ISR, TMR, IRR, ESR, ICR, ICR_HIGH = 0x100, 0x180, 0x200, 0x280, 0x300, 0x310
LVT_TIMER, LINT0, LINT1, LVT_ERROR = 0x320, 0x350, 0x360, 0x370
INITIAL, CURRENT, DIVIDE = 0x380, 0x390, 0x3E0
MASKED, PERIODIC, BY_1 = 0x10000, 0x20000, 0x0B
FIXED, NMI, INIT, STARTUP, EXTINT = 0, 4, 5, 6, 7


class Rig:
    def __init__(self, clock, enabled=True):
        self.clock = clock
        self.log, self.intr = [], []
        self.apic = LocalApic(
            clock, self.intr.append, self.pic, lambda: self.log.append("nmi"),
            lambda: self.log.append("init"), lambda vector: self.log.append(("eoi", vector)))
        if enabled:
            self.set(SVR, 0x1FF)

    def pic(self):
        self.apic.pic_intr(False)
        return 0x08

    def get(self, offset):
        return self.apic.read(offset, 4)

    def set(self, offset, value):
        self.apic.write(offset, 4, value)

    def take(self):
        return self.apic.acknowledge() if self.apic.output else None

    def bits(self, first):
        words = [self.get(first + 16 * n) for n in range(8)]
        return [v for v in range(256) if words[v // 32] >> v % 32 & 1]

    def errors(self):
        self.set(ESR, 0)
        return self.get(ESR)

    def fired(self, ns):
        """Timer vectors taken in so many ns."""
        count, end = 0, self.clock.now() + ns
        while (deadline := self.clock.next_deadline()) is not None and deadline <= end:
            self.clock.advance(deadline - self.clock.now())
            while self.take() is not None:
                self.set(EOI, 0)
                count += 1
        self.clock.advance(end - self.clock.now())
        return count


@pytest.fixture
def rig(clock):
    return Rig(clock)


def test_reset_values(clock):
    rig = Rig(clock, enabled=False)
    assert rig.get(VERSION) == 0x50014 and rig.get(SVR) == 0xFF and rig.get(DFR) == 0xFFFFFFFF
    assert {rig.get(LVT_TIMER + 16 * n) for n in range(6)} == {MASKED}
    for zero in (ID, TPR, PPR, LDR, ESR, ICR, ICR_HIGH, INITIAL, CURRENT, DIVIDE):
        assert rig.get(zero) == 0


def test_from_irr_to_isr_to_eoi(rig):
    rig.apic.deliver(0x31)
    assert rig.bits(IRR) == [0x31] and rig.intr == [True]
    assert rig.take() == 0x31
    assert rig.bits(IRR) == [] and rig.bits(ISR) == [0x31] and rig.get(PPR) == 0x30
    rig.set(EOI, 0)
    assert rig.bits(ISR) == [] and rig.get(PPR) == 0 and rig.intr == [True, False]


def test_priority_classes_nest(rig):
    rig.apic.deliver(0x41)
    assert rig.take() == 0x41
    rig.apic.deliver(0x4F)  # same class
    assert rig.take() is None
    rig.apic.deliver(0x51)
    assert rig.take() == 0x51
    rig.set(EOI, 0)
    assert rig.bits(ISR) == [0x41] and rig.take() is None
    rig.set(EOI, 0)
    assert rig.take() == 0x4F


def test_task_priority(rig):
    rig.set(TPR, 0x45)
    assert rig.get(PPR) == 0x45
    rig.apic.deliver(0x4F)
    assert rig.take() is None
    rig.apic.deliver(0x50)
    assert rig.take() == 0x50 and rig.get(PPR) == 0x50
    rig.set(EOI, 0)
    rig.set(TPR, 0)
    assert rig.take() == 0x4F


def test_nothing_to_take_is_spurious(rig):
    rig.set(SVR, 0x1EF)
    assert rig.apic.acknowledge() == 0xEF
    assert rig.bits(ISR) == []


def test_level_triggered_ends_are_told(rig):
    rig.apic.deliver(0x60, True)
    rig.apic.deliver(0x50)
    assert rig.bits(TMR) == [0x60]
    rig.take()
    rig.set(EOI, 0)
    rig.take()
    rig.set(EOI, 0)
    rig.set(EOI, 0)
    assert rig.log == [("eoi", 0x60)]


def test_software_disable(rig):
    rig.apic.deliver(0x60)
    rig.set(LVT_TIMER, 0x31)
    rig.set(SVR, 0xFF)
    assert rig.take() is None and rig.get(LVT_TIMER) == MASKED | 0x31
    rig.set(LVT_TIMER, 0x31)
    assert rig.get(LVT_TIMER) == MASKED | 0x31
    rig.apic.deliver(0x70)
    assert rig.bits(IRR) == [0x60]
    rig.apic.receive(0, NMI, False, 0, 0)
    assert rig.log == ["nmi"]
    rig.set(SVR, 0x1FF)
    assert rig.take() == 0x60


# Errors

def test_illegal_vectors(rig):
    rig.set(LVT_ERROR, 0xFE)
    rig.apic.deliver(15)
    assert rig.get(ESR) == 0 and rig.errors() == 0x40
    assert rig.take() == 0xFE
    rig.set(ICR, 0x4000C)
    assert rig.errors() == 0x20 and rig.errors() == 0


def test_an_illegal_error_vector_does_not_go_round(rig):
    rig.set(LVT_ERROR, 1)
    rig.apic.deliver(3)
    assert rig.errors() == 0x40


@pytest.mark.parametrize("offset", [0x00, 0x10, 0x40, 0x290, 0x2F0, 0x3A0, 0x3F0, 0x400, 0xFF0])
def test_reserved_registers(rig, offset):
    assert rig.get(offset) == 0 and rig.errors() == 0x80
    rig.set(offset, 1)
    assert rig.errors() == 0x80


@pytest.mark.parametrize("offset", [VERSION, PPR, ISR, TMR + 0x70, IRR, CURRENT])
def test_read_only_registers(rig, offset):
    before = rig.get(offset)
    rig.set(offset, 0xFFFFFFFF)
    assert rig.get(offset) == before and rig.errors() == 0


def test_only_32_bit_accesses(rig):
    rig.apic.write(TPR, 1, 0x50)
    assert rig.get(TPR) == 0 and rig.apic.read(VERSION, 1) == 0


# Messages

@pytest.mark.parametrize(("dest", "dest_mode", "ldr", "dfr", "accepted"), [
    (0, 0, 0, 15, True), (1, 0, 0, 15, False), (0xFF, 0, 0, 15, True),
    (0x01, 1, 0x01, 15, True), (0x02, 1, 0x01, 15, False), (0xFF, 1, 0x01, 15, True),
    (0x21, 1, 0x21, 0, True), (0x31, 1, 0x21, 0, False), (0xF1, 1, 0x21, 0, False),
    (0xFF, 1, 0x21, 0, True), (0x22, 1, 0x21, 0, False), (0xFF, 1, 0x00, 15, True),
])
def test_destinations(rig, dest, dest_mode, ldr, dfr, accepted):
    rig.set(LDR, ldr << 24)
    rig.set(DFR, dfr << 28)
    rig.apic.receive(0x40, FIXED, False, dest, dest_mode)
    assert (rig.take() == 0x40) == accepted


def test_the_id_can_be_changed(rig):
    rig.set(ID, 0x05000000)
    rig.apic.receive(0x40, 1, False, 5, 0)
    assert rig.get(ID) == 0x05000000 and rig.take() == 0x40


@pytest.mark.parametrize(("shorthand", "taken"), [(0, 0x44), (1, 0x44), (2, 0x44), (3, None)])
def test_interprocessor_interrupts(rig, shorthand, taken):
    rig.set(ICR_HIGH, 0)
    rig.set(ICR, shorthand << 18 | 0x44)
    assert rig.take() == taken and not rig.get(ICR) & 0x1000
    rig.set(ICR_HIGH, 0x01000000)
    rig.set(ICR, 0x45)
    assert rig.take() is None


def test_ipi_modes(rig):
    rig.set(TPR, 0x20)
    rig.set(ICR, NMI << 8)
    rig.set(ICR, STARTUP << 8 | 0x9F)
    rig.set(ICR, INIT << 8 | 0x8000)  # de-assert
    assert rig.log == ["nmi"] and rig.get(TPR) == 0x20
    rig.set(ICR, INIT << 8 | 0xC000)
    assert rig.log == ["nmi", "init"] and rig.get(TPR) == 0 and rig.get(SVR) == 0xFF


# Pins

def test_virtual_wire_mode(rig):
    rig.apic.pic_intr(True)
    assert not rig.apic.output
    rig.set(LINT0, EXTINT << 8)
    assert rig.apic.output
    rig.set(TPR, 0xFF)  # does not count
    assert rig.take() == 0x08
    assert not rig.apic.output and rig.bits(ISR) == []
    rig.apic.pic_intr(True)
    rig.set(LINT0, MASKED | EXTINT << 8)
    assert not rig.apic.output


def test_own_interrupts_come_before_the_pics(rig):
    rig.set(LINT0, EXTINT << 8)
    rig.apic.pic_intr(True)
    rig.apic.deliver(0x20)
    assert [rig.take(), rig.take(), rig.take()] == [0x20, 0x08, None]


def test_extint_message(rig):
    rig.apic.receive(0, EXTINT, False, 0, 0)
    assert rig.take() == 0x08 and rig.take() is None


def test_lint1_is_the_nmi_button(rig):
    rig.apic.lint1(True)
    rig.apic.lint1(False)
    rig.set(LINT1, NMI << 8)
    rig.apic.lint1(True)
    assert rig.log == ["nmi"]


def test_lint0_fixed_by_edge(rig):
    rig.set(LINT0, 0x50)
    rig.apic.pic_intr(True)
    assert rig.take() == 0x50
    rig.set(EOI, 0)
    assert rig.take() is None and rig.log == []


def test_lint0_fixed_by_level(rig):
    rig.set(LINT0, 0x8050)
    rig.apic.pic_intr(True)
    assert rig.take() == 0x50 and rig.get(LINT0) == 0xC050
    rig.set(EOI, 0)
    assert rig.take() == 0x50
    rig.apic.pic_intr(False)
    rig.set(EOI, 0)
    assert rig.take() is None and rig.get(LINT0) == 0x8050


# Timer

@pytest.mark.parametrize(("divide", "ns"), [(0x0B, 1), (0x00, 2), (0x01, 4), (0x02, 8), (0x03, 16),
                                            (0x08, 32), (0x09, 64), (0x0A, 128)])
def test_divide_configuration(rig, clock, divide, ns):
    rig.set(DIVIDE, divide)
    rig.set(INITIAL, 1000)
    clock.advance(100 * ns)
    assert rig.get(CURRENT) == 900 and rig.get(DIVIDE) == divide


def test_one_shot(rig, clock):
    rig.set(DIVIDE, BY_1)
    rig.set(LVT_TIMER, 0xEC)
    rig.set(INITIAL, 50_000)
    clock.advance(49_999)
    assert rig.get(CURRENT) == 1 and rig.take() is None
    clock.advance(1)
    assert rig.get(CURRENT) == 0 and rig.take() == 0xEC
    assert rig.get(INITIAL) == 50_000 and rig.fired(10**9) == 0


def test_periodic_without_drift(rig, clock):
    rig.set(LVT_TIMER, PERIODIC | 0xEC)
    rig.set(INITIAL, 500_000)  # 1 ms, by 2
    assert rig.fired(10**9) == 1000
    clock.advance(1000)
    assert rig.get(CURRENT) == 499_500


def test_a_late_periodic_timer_keeps_its_grid(rig, clock):
    rig.set(LVT_TIMER, PERIODIC | 0xEC)
    rig.set(INITIAL, 500_000)
    clock.time += 5_300_000
    clock.run_due()
    assert rig.take() == 0xEC and clock.next_deadline() == 6_000_000


def test_a_tiny_period_does_not_choke_the_machine(rig):
    rig.set(LVT_TIMER, PERIODIC | 0xEC)
    rig.set(INITIAL, 1)
    assert rig.fired(10**6) <= 51


def test_writing_0_stops(rig):
    rig.set(LVT_TIMER, PERIODIC | 0xEC)
    rig.set(INITIAL, 1000)
    rig.set(INITIAL, 0)
    assert rig.get(CURRENT) == 0 and rig.fired(10**7) == 0


def test_a_masked_timer_counts_unheard(rig, clock):
    rig.set(LVT_TIMER, MASKED | 0xEC)
    rig.set(INITIAL, 1000)
    clock.advance(1000)
    assert rig.get(CURRENT) == 500 and clock.next_deadline() is None
    rig.set(LVT_TIMER, 0xEC)
    assert rig.fired(10**6) == 1
    rig.set(LVT_TIMER, MASKED | 0xEC)
    rig.set(INITIAL, 1000)
    clock.advance(5000)
    rig.set(LVT_TIMER, 0xEC)
    assert rig.fired(10**6) == 0


def test_change_of_mode(rig, clock):
    rig.set(LVT_TIMER, 0xEC)
    rig.set(INITIAL, 1000)
    assert rig.fired(10**6) == 1
    rig.set(LVT_TIMER, PERIODIC | 0xEC)  # it has run out: it stays so
    assert rig.get(CURRENT) == 0 and rig.fired(10**6) == 0
    rig.set(INITIAL, 100_000)
    assert rig.fired(10**6) == 5
    clock.advance(50_000)
    rig.set(LVT_TIMER, 0xEC)
    assert rig.get(CURRENT) == 75_000 and rig.fired(10**6) == 1


def test_change_of_speed_goes_on_from_the_count(rig, clock):
    rig.set(DIVIDE, BY_1)
    rig.set(LVT_TIMER, 0xEC)
    rig.set(INITIAL, 1000)
    clock.advance(400)
    rig.set(DIVIDE, 0)
    assert rig.get(CURRENT) == 600
    clock.advance(1199)
    assert rig.take() is None
    clock.advance(1)
    assert rig.take() == 0xEC


def test_an_lvt_write_does_not_lose_an_overdue_expiry(rig, clock):
    rig.set(LVT_TIMER, 0xEC)
    rig.set(INITIAL, 1000)
    clock.time += 2500
    rig.set(LVT_TIMER, 0xED)
    clock.run_due()
    assert rig.take() == 0xED


def test_save_and_load(rig, clock):
    rig.set(LVT_TIMER, PERIODIC | 0xEC)
    rig.set(INITIAL, 500_000)
    rig.apic.deliver(0x30, True)
    clock.advance(300)
    other = Rig(clock, enabled=False)
    other.apic.load(rig.apic.save())
    assert other.apic.save() == rig.apic.save()
    assert other.get(CURRENT) == rig.get(CURRENT) and other.take() == 0x30
    clock.advance(ms=1)
    assert other.take() == 0xEC


def test_switched_off_there_is_nothing_but_the_8259s(rig):
    rig.set(TPR, 0x50)
    rig.apic.deliver(0x41)
    rig.apic.processor.on_apic_enable(False)
    rig.set(SVR, 0x1FF)
    assert (rig.get(VERSION), rig.get(SVR)) == (0xFFFFFFFF, 0xFFFFFFFF)
    rig.apic.deliver(0x61)
    assert rig.take() is None
    rig.apic.pic_intr(True)
    assert rig.take() == 0x08

    rig.apic.processor.on_apic_enable(True)
    assert (rig.get(VERSION), rig.get(SVR), rig.get(TPR)) == (0x50014, 0xFF, 0)
    rig.apic.pic_intr(True)
    assert rig.take() is None
