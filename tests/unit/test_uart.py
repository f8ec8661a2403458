"""The 16550A, as the PC16550D datasheet promises it."""
import pytest
from pyemu.machine.line import Line
from pyemu.machine.uart import Uart

DATA, IER, IIR, FCR, LCR, MCR, LSR, MSR, SCRATCH = 0, 1, 2, 2, 3, 4, 5, 6, 7
NONE, MODEM, EMPTY, RECEIVED, LINE, TIMEOUT = 1, 0, 2, 4, 6, 12
FIFOS = 0xc0


class FakeChardev:
    def __init__(self):
        self.sent, self.waiting = b"", b""

    def write(self, data):
        self.sent += data

    def read(self, limit):
        data, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return data

    def arrive(self, data):
        self.waiting += data
        self.on_readable()


class Board:
    """A UART with shorthands for its registers, and every level its interrupt line has had."""

    def __init__(self, clock):
        self.levels = []
        self.irq = Line(self.levels.append)
        self.far = FakeChardev()
        self.uart = Uart(clock, self.irq, self.far)

    def get(self, register):
        return self.uart.read(register, 1)

    def put(self, register, value):
        self.uart.write(register, 1, value)


@pytest.fixture
def board(clock):
    return Board(clock)


def test_after_reset_it_is_idle_and_ready_to_send(board):
    assert [board.get(n) for n in range(1, 8)] == [0, NONE, 0, 0, 0x60, 0xb0, 0]
    assert not board.irq.level


def test_what_is_written_to_thr_is_sent_at_once(board):
    for byte in b"hi":
        board.put(DATA, byte)
    assert board.far.sent == b"hi" and board.get(LSR) == 0x60


def test_dlab_shows_the_divisor(board):
    board.put(LCR, 0x83)
    board.put(0, 0x34)
    board.put(1, 0x12)
    assert (board.get(0), board.get(1), board.uart.divisor) == (0x34, 0x12, 0x1234)
    board.put(LCR, 3)
    assert board.get(1) == 0 and board.far.sent == b""


def test_linux_autoconfig_finds_a_16550a(board):
    """The probe of drivers/tty/serial/8250: scratch IER, loopback MSR, FIFO bits, no EFR."""
    board.put(IER, 0xff)
    assert board.get(IER) == 0x0f
    board.put(IER, 0)
    board.put(MCR, 0x1a)
    assert board.get(MSR) & 0xf0 == 0x90
    board.put(MCR, 0)
    board.put(FCR, 1)
    assert board.get(IIR) >> 6 == 3
    board.put(LCR, 0x80)
    board.put(FCR, 0x21)
    assert board.get(IIR) & 0x20 == 0, "bit 5 would be a 16750's 64-byte FIFO"
    board.put(SCRATCH, 0xa5)
    assert board.get(SCRATCH) == 0xa5


def test_16450_mode_holds_one_character(board):
    board.far.arrive(b"ab")
    assert board.far.waiting == b"b" and board.get(LSR) & 1
    assert (board.get(DATA), board.get(DATA)) == (ord("a"), ord("b"))
    assert not board.get(LSR) & 1


@pytest.mark.parametrize(("bits", "level"), [(0x00, 1), (0x40, 4), (0x80, 8), (0xc0, 14)])
def test_interrupt_at_the_trigger_level(board, bits, level):
    board.put(FCR, 1 | bits)
    board.put(IER, 1)
    board.far.arrive(b"x" * (level - 1))
    assert not board.irq.level
    board.far.arrive(b"x")
    assert board.irq.level and board.get(IIR) == FIFOS | RECEIVED
    board.get(DATA)
    assert not board.irq.level


def test_time_out_after_four_character_times(board, clock):
    board.put(LCR, 3)  # 8N1 at 9600 baud: a character takes 1.04 ms
    board.put(FCR, 0xc1)
    board.put(IER, 1)
    board.far.arrive(b"x")
    clock.advance(ms=4)
    assert not board.irq.level
    clock.advance(ms=1)
    assert board.irq.level and board.get(IIR) == FIFOS | TIMEOUT
    board.get(DATA)
    assert not board.irq.level and board.get(IIR) == FIFOS | NONE


def test_a_new_character_restarts_the_time_out(board, clock):
    board.put(LCR, 3)
    board.put(FCR, 0xc1)
    board.put(IER, 1)
    board.far.arrive(b"x")
    clock.advance(ms=4)
    board.far.arrive(b"y")
    clock.advance(ms=4)
    assert not board.irq.level


def test_fifo_takes_sixteen_and_refills_as_it_is_read(board):
    board.put(FCR, 0xc1)
    board.far.arrive(bytes(range(40)))
    assert len(board.far.waiting) == 24
    assert [board.get(DATA) for _ in range(40)] == list(range(40))
    assert not board.get(LSR) & 1


def test_thr_empty_interrupt_comes_with_enabling_and_goes_with_iir(board):
    board.put(IER, 2)
    assert board.irq.level and board.get(IIR) == EMPTY
    assert not board.irq.level and board.get(IIR) == NONE
    board.put(IER, 2)
    assert not board.irq.level, "only the rising enable bit counts"
    board.put(IER, 0)
    board.put(IER, 2)
    assert board.get(IIR) == EMPTY


def test_every_character_sent_gives_a_new_edge(board):
    board.put(IER, 2)
    board.put(DATA, 0x41)
    assert board.levels == [True, False, True]


def test_priorities(board):
    board.put(IER, 0x0f)
    board.put(MCR, 0x10)  # modem inputs fall: deltas
    board.put(DATA, 1)
    board.put(DATA, 2)  # overrun
    seen = []
    for clear in (LSR, DATA, IIR, MSR):
        seen.append(board.get(IIR) if clear != IIR else EMPTY)
        board.get(clear)
    assert seen == [LINE, RECEIVED, EMPTY, MODEM]
    assert board.get(IIR) == NONE and not board.irq.level


def test_line_status_is_cleared_by_reading(board):
    board.put(MCR, 0x10)
    board.put(DATA, 1)
    board.put(DATA, 2)
    assert board.get(LSR) == 0x63
    assert board.get(LSR) == 0x61
    assert board.get(DATA) == 2, "without FIFO the newer character stays"


def test_overrun_in_fifo_mode_keeps_the_older_characters(board):
    board.put(MCR, 0x10)
    board.put(FCR, 1)
    for byte in range(17):
        board.put(DATA, byte)
    assert board.get(LSR) == 0x63
    assert [board.get(DATA) for _ in range(16)] == list(range(16))


def test_break_is_reported_with_its_character(board):
    board.put(FCR, 1)
    board.far.arrive(b"a")
    board.uart.receive_break()
    assert board.get(LSR) == 0xe1
    assert board.get(DATA) == ord("a")
    assert board.get(LSR) == 0xf1
    assert board.get(LSR) == 0x61
    assert board.get(DATA) == 0


def test_loopback_joins_the_modem_lines(board):
    board.put(MCR, 0x10)
    assert board.get(MSR) == 0x0b, "CTS, DSR and DCD fell"
    board.put(LCR, 3)
    for control, status in ((0x11, 0x22), (0x12, 0x13), (0x14, 0x41), (0x18, 0x8c)):
        board.put(MCR, control)
        assert board.get(MSR) == status
    board.put(DATA, 0x5a)
    assert board.get(DATA) == 0x5a and board.far.sent == b""


def test_loopback_sends_as_many_bits_as_a_character_has(board):
    board.put(MCR, 0x10)
    board.put(DATA, 0xff)
    assert board.get(DATA) == 0x1f


def test_the_far_end_is_not_heard_in_loopback(board):
    board.put(MCR, 0x10)
    board.far.arrive(b"x")
    assert not board.get(LSR) & 1
    board.put(MCR, 0)
    assert board.get(DATA) == ord("x")


def test_fifo_control_clears_the_receiver(board):
    board.put(FCR, 1)
    board.far.arrive(b"abc")
    board.put(FCR, 3)
    assert not board.get(LSR) & 1
    board.far.arrive(b"abc")
    board.put(FCR, 0)  # turning the FIFOs off empties them too
    assert not board.get(LSR) & 1 and board.get(IIR) == NONE


def test_status_registers_ignore_writes(board):
    board.put(LSR, 0)
    board.put(MSR, 0xff)
    assert (board.get(LSR), board.get(MSR)) == (0x60, 0xb0)


def test_divisor_zero_does_no_harm(board):
    board.put(LCR, 0x80)
    board.put(0, 0)
    board.put(1, 0)
    board.put(LCR, 0)
    board.put(FCR, 1)
    board.far.arrive(b"x")
    assert board.get(DATA) == ord("x")


def test_state_survives_saving(board, clock):
    board.put(FCR, 0x41)
    board.put(IER, 1)
    board.far.arrive(b"xyz")
    other = Board(clock)
    other.uart.load(board.uart.save())
    clock.advance(seconds=1)
    assert other.irq.level and other.get(IIR) == FIFOS | TIMEOUT
    assert [other.get(DATA) for _ in range(3)] == list(b"xyz")
