"""82371AB function 3 and ACPI 6.5, 4.8: events, SCI, sleep, and the windows that move."""
import pytest
from pyemu.machine.line import Line
from pyemu.machine.pci import PciBus
from pyemu.machine.piix4_pm import Piix4Pm
from pyemu.ports import Ports

STS, EN, CNT, TMR_REGISTER = 0x600, 0x602, 0x604, 0x608
TMR, PWRBTN = 1, 0x100


class System:
    def __init__(self):
        self.causes = []

    def shutdown_request(self, cause):
        self.causes.append(cause)


class Rig:
    def __init__(self, clock):
        self.clock, self.ports, self.system = clock, Ports(), System()
        self.sci = Line(lambda level: None)
        self.pm = Piix4Pm(clock, self.sci, self.system)
        PciBus(self.ports, None, lambda slot, pin: Line(bool), None).add(self.pm, 1, 3)
        self.pm.reset()
        self.ports.map(0xB2, 2, self.pm.apm)
        self.ports.map(0xAFE0, 4, self.pm.gpe0)
        self.pm.config_write(0x40, 4, 0x601)
        self.pm.config_write(0x80, 1, 1)

    def read(self, port, size=2):
        return self.ports.read(port, size)

    def write(self, port, value, size=2):
        self.ports.write(port, size, value)


@pytest.fixture
def rig(clock):
    return Rig(clock)


def test_identity_and_defaults(rig):
    assert rig.pm.config_read(0, 4) == 0x7113_8086
    assert rig.pm.config_read(0x0A, 2) == 0x0680
    assert rig.pm.config_read(0x5B, 1) & 2  # APMC_EN
    assert rig.pm.config_read(0x90, 4) == 0xB101


def test_pm_ports_follow_pmba_while_enabled(rig):
    rig.write(EN, TMR)
    rig.pm.config_write(0x40, 4, 0xB03F)
    assert (rig.read(EN), rig.read(0xB002)) == (0xFFFF, TMR)
    assert rig.pm.config_read(0x40, 4) == 0xB001
    rig.pm.config_write(0x80, 1, 0)
    assert rig.read(0xB002) == 0xFFFF


def test_smbus_ports_follow_their_base(rig):
    assert rig.read(0xB100, 1) == 0
    rig.pm.config_write(0x90, 4, 0x701)
    assert (rig.read(0xB100, 1), rig.read(0x700, 1)) == (0xFF, 0)
    rig.pm.config_write(0xD2, 1, 0)
    assert rig.read(0x700, 1) == 0xFF


def test_acpi_mode_by_apmc(rig):
    assert rig.read(CNT) == 0
    rig.write(0xB2, 0xF1, 1)
    assert rig.read(CNT) & 1
    rig.write(0xB2, 0xF0, 1)
    assert rig.read(CNT) == 0
    rig.write(0xB3, 0x5A, 1)
    assert rig.read(0xB2) == 0x5AF0


def test_power_button_interrupts_until_acknowledged(rig):
    rig.write(0xB2, 0xF1, 1)
    rig.write(EN, PWRBTN)
    rig.pm.power_button()
    assert rig.read(STS) == PWRBTN and rig.sci.level
    rig.write(STS + 1, 1, 1)
    assert rig.read(STS) == 0 and not rig.sci.level


def test_no_sci_in_legacy_mode_or_while_masked(rig):
    rig.pm.power_button()
    rig.write(EN, PWRBTN)
    assert not rig.sci.level
    rig.write(CNT, 1)
    assert rig.sci.level
    rig.write(EN, 0)
    assert not rig.sci.level


def test_timer_carry_is_an_event(rig):
    rig.write(CNT, 1)
    rig.write(EN, TMR)
    rig.clock.advance(seconds=2.5)
    assert rig.sci.level and rig.read(STS) == TMR
    rig.write(STS, TMR)
    assert not rig.sci.level and rig.read(STS) == 0
    rig.clock.advance(seconds=2.5)
    assert rig.sci.level
    assert rig.read(TMR_REGISTER, 4) == 5 * 3_579_545 % (1 << 24)


def test_soft_off_and_hibernation_switch_off(rig):
    for sleep_type in (0, 2):
        rig.write(CNT, 0x2001 | sleep_type << 10)
    assert rig.system.causes == ["guest-shutdown"] * 2
    assert rig.read(CNT) == 0x801  # SLP_EN reads as 0


@pytest.mark.parametrize("sleep_type", [1, 3, 4, 5, 6, 7])
def test_other_sleeps_do_not_exist(rig, sleep_type):
    rig.write(CNT, 0x2001 | sleep_type << 10)
    assert rig.system.causes == []


def test_any_size_reads_the_same_registers(rig):
    rig.write(EN, 0x0521)
    rig.write(CNT, 0x0401)
    assert rig.read(STS, 4) == 0x0521_0000
    assert [rig.read(STS + i, 1) for i in range(6)] == [0, 0, 0x21, 5, 1, 4]
    assert rig.read(0x60C, 4) == 0xFFFF_FFFF


def test_reserved_bits_read_as_0(rig):
    rig.write(EN, 0xFFFF)
    rig.write(CNT, 0xDFFF)
    assert (rig.read(EN), rig.read(CNT)) == (0x0521, 0x1C03)


def test_gpe0_has_no_events(rig):
    rig.write(0xAFE0, 0xFFFF_FFFF, 4)
    assert rig.read(0xAFE0, 4) == 0xFFFF_0000
    assert not rig.sci.level


def test_smbus_interrupt_needs_irq9_selected(rig):
    rig.write(0xB102, 0x41, 1)
    assert rig.sci.level
    rig.pm.config_write(0xD2, 1, 0x01)
    assert not rig.sci.level


def test_reset_and_state(rig):
    rig.write(CNT, 1)
    rig.write(EN, PWRBTN)
    rig.pm.power_button()
    state = rig.pm.save()
    rig.pm.reset()
    assert not rig.sci.level and rig.read(STS) == 0xFFFF
    rig.pm.load(state)
    assert rig.sci.level and rig.read(STS) == PWRBTN
