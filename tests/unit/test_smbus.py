"""82371AB, 11.5: the SMBus host controller, alone on its bus."""
import pytest
from pyemu.machine.line import Line
from pyemu.machine.smbus import SmBus

STS, CNT, ADD, DAT0, BLKDAT = 0, 2, 4, 5, 7
DEV_ERR, FAILED = 4, 0x10


@pytest.fixture
def smbus():
    return SmBus(Line(lambda level: None))


@pytest.mark.parametrize("address", range(0, 256, 17))
@pytest.mark.parametrize("protocol", range(0, 0x20, 4))
def test_no_device_answers(smbus, address, protocol):
    smbus.write(ADD, 1, address)
    smbus.write(CNT, 1, 0x40 | protocol)
    assert smbus.read(STS, 1) == DEV_ERR
    smbus.write(STS, 1, 0xFF)
    assert smbus.read(STS, 1) == 0


def test_registers_keep_their_value_and_start_reads_as_0(smbus):
    smbus.write(DAT0, 1, 0xA5)
    smbus.write(CNT, 1, 0x48)
    assert (smbus.read(DAT0, 1), smbus.read(CNT, 1)) == (0xA5, 0x08)


def test_kill_sets_failed(smbus):
    smbus.write(CNT, 1, 2)
    assert smbus.read(STS, 1) == FAILED


def test_interrupt_until_the_status_is_cleared(smbus):
    smbus.write(CNT, 1, 0x41)
    assert smbus.irq.level
    smbus.write(STS, 1, DEV_ERR)
    assert not smbus.irq.level


def test_block_buffer_turns_and_rewinds(smbus):
    for value in range(33):
        smbus.write(BLKDAT, 1, value)
    smbus.read(CNT, 1)
    assert [smbus.read(BLKDAT, 1) for _ in range(3)] == [32, 1, 2]


def test_any_access_is_harmless(smbus):
    for offset in range(16):
        smbus.write(offset, 1, 0xFF)
        assert 0 <= smbus.read(offset, 1) <= 0xFF
