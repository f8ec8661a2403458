"""Bus-master IDE: Programming Interface for Bus Master IDE Controller, and the PIIX3 datasheet."""
import pytest

from .ide_host import ALTERNATE, BUS_MASTER, CONTROL, DRQ, ERROR, READY, STATUS, Host

READ_DMA, WRITE_DMA, READ_DMA_EXT, WRITE_DMA_EXT = 0xC8, 0xCA, 0x25, 0x35
BM_COMMAND, BM_STATUS, BM_TABLE = BUS_MASTER, BUS_MASTER + 2, BUS_MASTER + 4
ACTIVE, ERROR_BIT, INTERRUPT = 1, 2, 4
START_READ, START_WRITE = 9, 1


@pytest.fixture
def host(clock):
    return Host(clock, 1000)


def start(host, clock, direction=START_READ):
    host.outb(BM_COMMAND, direction)
    clock.advance(us=1)


def test_read_dma_scatters_over_the_regions(host, clock):
    host.table((0x2000, 512), (0x4000, 256), (0x3000, 256), (0x8000, 1024))
    assert host.command(READ_DMA, lba=5, count=4) == READY | DRQ
    assert not host.irq.level
    start(host, clock)
    data = host.backend.data[5 * 512:9 * 512]
    ram = host.memory.ram
    assert ram[0x2000:0x2200] + ram[0x4000:0x4100] + ram[0x3000:0x3100] + ram[0x8000:0x8400] == data
    assert host.inb(BM_STATUS) == INTERRUPT
    assert host.irq.level
    assert host.inb(STATUS) == READY
    assert host.backend.log == [("read", 5, 4)]


def test_write_dma_gathers(host, clock):
    host.memory.ram[0x2000:0x2400] = b"ab" * 512
    host.table((0x2200, 510), (0x2002, 2))
    host.command(WRITE_DMA, lba=7, count=1)
    start(host, clock, START_WRITE)
    assert host.backend.data[7 * 512:8 * 512] == b"ab" * 256
    assert (host.inb(BM_STATUS), host.inb(STATUS)) == (INTERRUPT, READY)


def test_the_interrupt_bit_is_set_before_the_line_rises(host, clock):
    host.table((0x2000, 512))
    host.command(READ_DMA, count=1)
    start(host, clock)
    assert host.interrupts == [INTERRUPT]


def test_start_may_come_before_the_command(host, clock):
    host.table((0x2000, 512))
    start(host, clock)
    assert host.inb(BM_STATUS) == ACTIVE
    host.command(READ_DMA, lba=3, count=1)
    clock.advance(us=1)
    assert host.memory.ram[0x2000] == 3
    assert host.inb(BM_STATUS) == INTERRUPT


def test_the_guest_sees_it_active_until_the_timer_runs(host, clock):
    host.table((0x2000, 512))
    host.command(READ_DMA, count=1)
    host.outb(BM_COMMAND, START_READ)
    assert host.inb(BM_STATUS) == ACTIVE
    assert host.inb(ALTERNATE) == READY | DRQ
    clock.advance(us=1)
    assert host.inb(BM_STATUS) == INTERRUPT


def test_a_region_of_count_zero_is_64_kib(host, clock):
    host.table((0x10000, 0x10000))
    host.command(READ_DMA, count=128)
    start(host, clock)
    assert host.memory.ram[0x10000:0x20000] == host.backend.data[:0x10000]
    assert host.inb(BM_STATUS) == INTERRUPT


def test_48_bit_commands(host, clock):
    host.table((0x2000, 1024))
    host.command48(READ_DMA_EXT, 998, 2)
    start(host, clock)
    assert host.memory.ram[0x2000:0x2400] == host.backend.data[998 * 512:]
    host.outb(BM_COMMAND, 0)
    host.command48(WRITE_DMA_EXT, 1, 2)
    start(host, clock, START_WRITE)
    assert host.backend.data[512:1536] == host.backend.data[998 * 512:]


def test_regions_larger_than_the_command_leave_it_active(host, clock):
    host.table((0x2000, 512), (0x3000, 512))
    host.command(READ_DMA, count=1)
    start(host, clock)
    assert host.inb(BM_STATUS) == INTERRUPT | ACTIVE
    host.outb(BM_COMMAND, 0)
    assert host.inb(BM_STATUS) == INTERRUPT


def test_regions_smaller_than_the_command_end_it_without_interrupt(host, clock):
    host.table((0x2000, 512))
    host.command(READ_DMA, count=2)
    start(host, clock)
    assert host.inb(BM_STATUS) == 0
    assert not host.irq.level
    assert host.memory.ram[0x2000:0x2200] == bytes(512)


def test_a_table_without_end_stops_at_its_boundary(host, clock):
    host.memory.ram[0xFF00:0x10000] = bytes.fromhex("0020000002000000") * 32
    host.outl(BM_TABLE, 0xFF00)
    host.command(READ_DMA, count=1)
    start(host, clock)
    assert host.inb(BM_STATUS) == 0


def test_a_table_in_nowhere_does_no_harm(host, clock):
    host.outl(BM_TABLE, 0xF000_0000)
    host.command(READ_DMA, count=1)
    start(host, clock)
    assert host.inb(BM_STATUS) & INTERRUPT


@pytest.mark.parametrize("code, error", [(READ_DMA, 0x40), (WRITE_DMA, 0x04)])
def test_an_error_of_the_image_is_one_of_the_device(host, clock, code, error):
    host.backend.bad.add(6)
    host.table((0x2000, 1024))
    host.command(code, lba=5, count=2)
    start(host, clock)
    assert host.interrupts == [INTERRUPT]
    assert host.inb(BM_STATUS) == INTERRUPT
    assert (host.inb(STATUS), host.inb(ERROR)) == (0x41, error)


def test_stopping_before_it_ran_leaves_the_device_waiting(host, clock):
    host.table((0x2000, 512))
    host.command(READ_DMA, count=1)
    host.outb(BM_COMMAND, START_READ)
    host.outb(BM_COMMAND, 0)
    clock.advance(us=1)
    assert (host.inb(BM_STATUS), host.inb(ALTERNATE)) == (0, READY | DRQ)
    start(host, clock)
    assert host.inb(BM_STATUS) == INTERRUPT


def test_software_reset_takes_the_transfer_away(host, clock):
    host.table((0x2000, 512))
    host.command(READ_DMA, count=1)
    host.outb(BM_COMMAND, START_READ)
    host.outb(CONTROL, 4)
    host.outb(CONTROL, 0)
    clock.advance(us=1)
    assert host.backend.log == []
    assert not host.irq.level


def test_status_bits_are_cleared_by_ones_and_capable_bits_are_kept(host):
    host.command(0xE5)
    assert host.inb(BM_STATUS) == INTERRUPT
    host.outb(BM_STATUS, 0x60)
    assert host.inb(BM_STATUS) == 0x60 | INTERRUPT
    host.outb(BM_STATUS, 0x20 | INTERRUPT)
    assert host.inb(BM_STATUS) == 0x20


def test_registers_of_both_halves(host):
    for base in BUS_MASTER, BUS_MASTER + 8:
        host.outl(base + 4, 0x12345678)
        assert host.inl(base + 4) == 0x12345678
        host.outb(base + 5, 0xFF)
        host.outb(base + 4, 0xFF)
        assert host.inl(base + 4) == 0x1234FFFC
        host.outb(base, 0xFE)
        assert host.inb(base) == 8
    assert host.inl(BUS_MASTER) == 8


def test_state_survives_while_it_waits(host, clock):
    host.table((0x2000, 512))
    host.command(READ_DMA, lba=9, count=1)
    host.outb(BM_COMMAND, START_READ)
    other = Host(clock, 1000)
    other.memory.ram[:] = host.memory.ram
    other.disks[0].load(host.disks[0].save())
    other.channel.load(host.channel.save())
    other.bus_master.load(host.bus_master.save())
    clock.advance(us=1)
    assert other.memory.ram[0x2000] == 9
    assert other.irq.level
