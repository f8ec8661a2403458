"""DMA controllers: the 8237A's registers, and what a device sees of a channel."""
import pytest
from pyemu.machine.i8237 import Dma

TO_MEMORY, FROM_MEMORY, VERIFY = 0x04, 0x08, 0x00
RELOADED, DOWNWARDS = 0x10, 0x20


class Memory:
    def __init__(self):
        self.ram = bytearray(1 << 20)

    def read(self, address, length):
        return bytes(self.ram[address:address + length]).ljust(length, b"\xff")

    def write(self, address, data):
        self.ram[address:address + len(data)] = data


@pytest.fixture
def memory():
    return Memory()


@pytest.fixture
def dma(memory):
    return Dma(memory)


def program(dma, number, address, units, mode):
    """What a driver does: address in bytes, length in bytes or words."""
    chip, spacing = (dma.first, 1) if number < 4 else (dma.second, 2)
    local = number & 3
    chip.write(10 * spacing, 1, local | 4)
    chip.write(12 * spacing, 1, 0)
    chip.write(11 * spacing, 1, mode | local)
    start = address >> (number >= 4)
    for register, value in (2 * local, start), (2 * local + 1, units - 1):
        chip.write(register * spacing, 1, value & 0xFF)
        chip.write(register * spacing, 1, value >> 8 & 0xFF)
    page = {0: 7, 1: 3, 2: 1, 3: 2, 5: 0xB, 6: 9, 7: 0xA}[number]
    dma.pages.write(page - 1, 1, address >> 16)
    chip.write(10 * spacing, 1, local)


def count(dma, local):
    dma.first.write(12, 1, 0)
    return dma.first.read(2 * local + 1, 1) | dma.first.read(2 * local + 1, 1) << 8


def test_a_device_fills_memory_up_to_the_terminal_count(dma, memory):
    program(dma, 2, 0x12345, 10, TO_MEMORY)
    channel = dma.channels[2]
    assert channel.room == 10
    assert channel.to_memory(b"abcd") == 4
    assert (count(dma, 2), dma.first.read(8, 1)) == (5, 0)
    assert channel.to_memory(b"efghijklm") == 6
    assert memory.ram[0x12344:0x12350] == b"\0abcdefghij\0"
    assert dma.first.read(8, 1) == 1 << 2
    assert dma.first.read(8, 1) == 0  # reading has cleared it
    assert channel.masked and count(dma, 2) == 0xFFFF


def test_a_device_takes_words(dma, memory):
    memory.ram[0x30000:0x30008] = b"abcdefgh"
    program(dma, 5, 0x30000, 4, FROM_MEMORY)
    assert dma.channels[5].from_memory(6) == b"abcdef"
    assert dma.channels[5].from_memory(100) == b"gh"


def test_addresses_wrap_around_within_their_page(dma, memory):
    program(dma, 1, 0x2FFFE, 4, TO_MEMORY)
    dma.channels[1].to_memory(b"abcd")
    assert memory.ram[0x2FFFE:0x30000] == b"ab" and memory.ram[0x20000:0x20002] == b"cd"


def test_downwards(dma, memory):
    program(dma, 3, 0x20001, 4, TO_MEMORY | DOWNWARDS)
    dma.channels[3].to_memory(b"abcd")
    assert memory.ram[0x20000:0x20002] == b"ba" and memory.ram[0x2FFFE:0x30000] == b"dc"


def test_verify_moves_nothing(dma, memory):
    program(dma, 2, 0x1000, 4, VERIFY)
    assert dma.channels[2].to_memory(b"abcd") == 4
    assert not any(memory.ram) and dma.first.read(8, 1) == 4


def test_a_reloaded_channel_begins_anew(dma, memory):
    program(dma, 2, 0x1000, 4, TO_MEMORY | RELOADED)
    dma.channels[2].to_memory(b"abcd")
    dma.channels[2].to_memory(b"efgh")
    assert memory.ram[0x1000:0x1008] == b"efgh\0\0\0\0"
    assert not dma.channels[2].masked


def test_a_request_waits_for_the_mask(dma):
    granted = []
    channel = dma.channels[2]
    channel.on_grant = lambda: (granted.append(1), channel.request(False))
    channel.request(True)
    assert not granted and dma.first.read(8, 1) == 1 << 6
    dma.first.write(8, 1, 4)  # the controller is disabled
    dma.first.write(14, 1, 0)
    assert not granted
    dma.first.write(8, 1, 0)
    assert granted == [1]


def test_masks(dma):
    dma.first.write(15, 1, 0b0101)
    assert dma.first.read(15, 1) == 0b0101
    dma.first.write(13, 1, 0)
    assert dma.first.read(15, 1) == 0b1111
    dma.first.write(14, 1, 0)
    assert dma.first.read(15, 1) == 0


def test_nobody_is_at_a_channel(dma):
    dma.first.write(14, 1, 0)
    dma.first.write(9, 1, 4 | 1)
    assert not dma.channels[1].requested


def test_pages_without_a_channel_hold_a_byte(dma):
    dma.pages.write(3, 1, 0x5A)
    assert dma.pages.read(3, 1) == 0x5A


def test_state_is_saved_and_loaded(dma, memory):
    program(dma, 2, 0x41000, 4, TO_MEMORY)
    state = dma.save()
    dma.reset()
    dma.load(state)
    dma.channels[2].to_memory(b"abcd")
    assert memory.ram[0x41000:0x41004] == b"abcd"
