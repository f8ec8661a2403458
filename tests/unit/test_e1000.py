"""Intel 8254x manual: what a driver does before it has a link."""
import pytest
from pyemu.machine.net.e1000 import E1000
from pyemu.machine.net.peer import Unplugged
from unit.nic_host import EOP, Host, ethernet

MAC = bytes.fromhex("525400123456")
CTRL, STATUS, EECD, EERD, MDIC = 0x00, 0x08, 0x10, 0x14, 0x20
ICR, ICS, IMS, IMC = 0xC0, 0xC8, 0xD0, 0xD8
LU, LSC = 2, 4  # of STATUS, of ICR
SK, CS, DI, DO, REQ, GNT = 1, 2, 4, 8, 0x40, 0x80


@pytest.fixture
def nic(clock):
    return E1000(clock, None, MAC, b"\x55\xaa" + bytes(200_000), Unplugged())


def eerd(nic, address):
    nic.write(EERD, 4, address << 8 | 1)
    value = nic.read(EERD, 4)
    assert value & 0x10
    return value >> 16


def bit_bang(nic, bits, reads):
    """Clock `bits` into the EEPROM, then read so many of its answer."""
    def clock(data):
        nic.write(EECD, 4, REQ | CS | data)
        nic.write(EECD, 4, REQ | CS | data | SK)
        out = nic.read(EECD, 4) & DO
        nic.write(EECD, 4, REQ | CS | data)
        return "1" if out else "0"

    nic.write(EECD, 4, REQ | CS)
    for bit in bits:
        clock(DI if bit == "1" else 0)
    answer = "".join(clock(0) for _ in range(reads))
    nic.write(EECD, 4, 0)
    return answer


def phy(nic, number, write=None, address=1):
    operation = 2 << 26 if write is None else 1 << 26 | write
    nic.write(MDIC, 4, operation | address << 21 | number << 16)
    value = nic.read(MDIC, 4)
    assert value & 1 << 28
    return value


def test_identity_and_sizes(nic):
    assert nic.config_read(0, 4) == 0x100E_8086
    assert nic.config_read(8, 4) == 0x0200_0003
    for register, size in ((0x10, 0xFFFE0000), (0x14, 0xFFFFFFC1), (0x30, 0xFFFC0001)):
        nic.config_write(register, 4, 0xFFFF_FFFF)
        assert nic.config_read(register, 4) == size


def test_eeprom_by_eerd_has_the_address_and_a_valid_checksum(nic):
    words = [eerd(nic, address) for address in range(64)]
    assert b"".join(word.to_bytes(2, "little") for word in words[:3]) == MAC
    assert sum(words) & 0xFFFF == 0xBABA
    assert (words[13], words[14]) == (0x100E, 0x8086)


def test_eeprom_by_eecd_reads_the_same_after_a_dummy_zero(nic):
    for address in (0, 1, 0x0A, 0x3F):
        answer = bit_bang(nic, "110" + f"{address:06b}", 16)
        assert int(answer, 2) == eerd(nic, address)


def test_eeprom_reads_on_into_the_next_words(nic):
    answer = bit_bang(nic, "00110111111", 48)
    assert [int(answer[i:i + 16], 2) for i in (0, 16, 32)] == [eerd(nic, a) for a in (63, 0, 1)]


def test_eeprom_says_ready_after_a_write_that_is_disabled(nic):
    bit_bang(nic, "101000000" + "1" * 16, 0)
    nic.write(EECD, 4, CS)
    assert nic.read(EECD, 4) & DO
    assert eerd(nic, 0) == 0x5452


def test_eeprom_is_granted_when_requested(nic):
    assert not nic.read(EECD, 4) & GNT
    nic.write(EECD, 4, REQ)
    assert nic.read(EECD, 4) & GNT


def test_receive_address_is_the_eeproms(nic):
    assert nic.read(0x5400, 4) == 0x1200_5452
    assert nic.read(0x5404, 4) == 0x8000_5634


def test_link_is_down(nic):
    assert not nic.read(STATUS, 4) & 2
    assert not phy(nic, 1) & 0x24
    assert phy(nic, 17) & 0xFFFF == 0
    phy(nic, 0, write=0x1340)
    assert phy(nic, 0) & 0xFFFF == 0x1140
    assert not phy(nic, 1) & 0x24


def test_the_cable_is_pulled_out_and_put_in_again(clock):
    host = Host(clock)
    host.write(IMS, LSC)
    host.nic.set_link(False)
    assert not host.read(STATUS) & LU and host.nic.intx.level and host.read(ICR) & LSC
    host.data(ethernet(bytes(60)), EOP)
    host.cable.deliver(ethernet(bytes(60)))
    assert host.go() == [] and not host.cable.queue and not host.received(0)[1]
    host.nic.set_link(True)
    assert not host.read(STATUS) & LU
    clock.advance(seconds=1)
    assert host.read(STATUS) & LU and host.read(ICR) & LSC
    host.cable.deliver(ethernet(bytes(60)))
    assert host.received(0)[1] & 1


def test_a_pulled_cable_is_state_and_survives_a_reset(clock):
    host, other = Host(clock), Host(clock)
    host.nic.set_link(False)
    other.nic.load(host.nic.save())
    for nic in (host.nic, other.nic):
        nic.reset()
        assert not nic.read(STATUS, 4) & LU
        nic.set_link(True)
    clock.advance(seconds=1)
    assert host.nic.read(STATUS, 4) & other.nic.read(STATUS, 4) & LU


def test_transceiver_identity_and_reset(nic):
    assert (phy(nic, 2) & 0xFFFF, phy(nic, 3) & 0xFFFF) == (0x0141, 0x0C20)
    phy(nic, 2, write=0)
    phy(nic, 4, write=0x0001)
    assert (phy(nic, 2) & 0xFFFF, phy(nic, 4) & 0xFFFF) == (0x0141, 1)
    phy(nic, 0, write=0x8000)
    assert (phy(nic, 0) & 0xFFFF, phy(nic, 4) & 0xFFFF) == (0x1140, 0x0DE1)


def test_nobody_at_another_transceiver_address(nic):
    assert phy(nic, 2, address=2) & 1 << 30


def test_interrupt_cause_is_cleared_by_reading(nic):
    nic.write(ICS, 4, 4)
    assert not nic.intx.level
    nic.write(IMS, 4, 4)
    assert nic.intx.level
    assert nic.read(ICR, 4) == 4
    assert nic.read(ICR, 4) == 0 and not nic.intx.level


def test_mask_clear_lowers_the_pin(nic):
    nic.write(IMS, 4, 0x1_0006)
    nic.write(ICS, 4, 2)
    nic.write(IMC, 4, 0xFFFF_FFFF)
    assert not nic.intx.level and nic.read(IMS, 4) == 0


def test_mdic_can_interrupt(nic):
    nic.write(MDIC, 4, 1 << 29 | 2 << 26 | 1 << 21)
    assert nic.read(ICR, 4) == 1 << 9


def test_device_reset(nic):
    nic.write(0x100, 4, 2)
    nic.write(0x5400, 4, 0)
    nic.write(IMS, 4, 4)
    nic.write(ICS, 4, 4)
    nic.write(CTRL, 4, 1 << 26)
    assert nic.read(CTRL, 4) == 0x0014_0240
    assert (nic.read(0x100, 4), nic.read(0x5400, 4), nic.read(IMS, 4)) == (0, 0x1200_5452, 0)
    assert not nic.intx.level


def test_registers_through_the_ports(nic):
    window = next(w.bar.device for w in nic.windows if w.number == 1)
    window.write(0, 4, 0x5404)
    assert (window.read(0, 4), window.read(4, 4)) == (0x5404, 0x8000_5634)
    window.write(0, 4, 0x100)
    window.write(4, 4, 2)
    assert nic.read(0x100, 4) == 2
    window.write(0, 4, 0xFFFF_FFFF)
    window.write(4, 4, 2)
    assert window.read(4, 4) == 0
    assert window.read(8, 4) == 0


def test_ring_registers_keep_their_bits(nic):
    for offset, kept in ((0x2800, 0xFFFF_FFF0), (0x2808, 0x000F_FF80), (0x3818, 0xFFFF)):
        nic.write(offset, 4, 0xFFFF_FFFF)
        assert nic.read(offset, 4) == kept


def test_no_access_does_harm(nic):
    for offset in range(0, 0x20000, 52):
        for size in (1, 2, 4):
            nic.write(offset, size, (1 << 8 * size) - 1)
            assert 0 <= nic.read(offset, size) < 1 << 8 * size


def test_state(nic):
    nic.write(0x100, 4, 2)
    nic.write(IMS, 4, 4)
    nic.write(ICS, 4, 4)
    phy(nic, 4, write=1)
    state = nic.save()
    nic.reset()
    assert not nic.intx.level and phy(nic, 4) & 0xFFFF == 0x0DE1
    nic.load(state)
    assert nic.intx.level and nic.read(0x100, 4) == 2 and phy(nic, 4) & 0xFFFF == 1
