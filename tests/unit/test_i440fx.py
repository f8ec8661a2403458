"""82441FX: the registers SeaBIOS uses to shadow the ROMs."""
import pytest
from pyemu.machine.i440fx import I440fx


class Shadow:
    def __init__(self):
        self.calls = []

    def set_pam(self, base, size, read, write):
        self.calls.append((base, size, read, write))


@pytest.fixture
def host():
    return I440fx(Shadow(), ram_size=128 << 20)


def test_identity_and_defaults(host):
    assert host.config_read(0, 4) == 0x1237_8086
    assert host.config_read(8, 4) == 0x0600_0002
    assert host.config_read(0x57, 1) == 16
    assert host.config_read(0x72, 1) == 2


@pytest.mark.parametrize("register, value, segment", [
    (0x59, 0x30, (0xF0000, 0x10000, True, True)),
    (0x5A, 0x01, (0xC0000, 0x4000, True, False)),
    (0x5A, 0x20, (0xC4000, 0x4000, False, True)),
    (0x5F, 0x30, (0xEC000, 0x4000, True, True))])
def test_a_nibble_governs_its_segment(host, register, value, segment):
    host.config_write(register, 1, value)
    assert host.shadow.calls == [segment]
    host.config_write(register, 1, value)
    host.reset()
    assert host.shadow.calls == [segment, (*segment[:2], False, False)]


def test_all_at_once(host):
    host.config_write(0x58, 4, 0x33333300)
    host.config_write(0x5C, 4, 0x33333333)
    assert sum(size for _, size, _, _ in host.shadow.calls) == 0x40000
    host.config_write(0x58, 2, 0x0F00)
    assert len(host.shadow.calls) == 14  # the low nibble of PAM0 is reserved
    assert host.shadow.calls[-1] == (0xF0000, 0x10000, False, False)


def test_no_smram_can_be_opened(host):
    host.config_write(0x72, 1, 0x4A)
    assert host.config_read(0x72, 1) == 2
