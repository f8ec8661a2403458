"""The keyboard controller with its keyboard and mouse, as drivers of SeaBIOS and Linux use them."""
import pytest
from pyemu.machine.i8042 import I8042
from pyemu.machine.keymap import KEYS, NUMBERS
from pyemu.machine.line import Line
from pyemu.machine.ps2_keyboard import Keyboard
from pyemu.machine.ps2_mouse import EXTRA, LEFT, MIDDLE, RIGHT, SIDE, Mouse

FULL, SYSTEM, COMMAND, AUX = 0x01, 0x04, 0x08, 0x20
ACK, RESEND = 0xfa, 0xfe


class Board:
    def __init__(self, clock):
        self.clock = clock
        self.a20, self.resets = [], []
        self.irq1, self.irq12 = Line(lambda level: None), Line(lambda level: None)
        self.keyboard, self.mouse = Keyboard(), Mouse()
        self.chip = I8042(clock, self.irq1, self.irq12, self.keyboard, self.mouse,
                          self.a20.append, self.resets.append)

    def status(self):
        return self.chip.command.read(0, 1)

    def get(self):
        return self.chip.data.read(0, 1)

    def put(self, value):
        self.chip.data.write(0, 1, value)

    def command(self, value, *parameters):
        self.chip.command.write(0, 1, value)
        for parameter in parameters:
            self.put(parameter)

    def drain(self):
        """All that comes, given time."""
        found = []
        for _ in range(64):
            self.clock.advance(ms=2)
            if not self.status() & FULL:
                break
            found.append(self.get())
        return found

    def ask(self, *values):
        for value in values[:-1]:
            self.put(value)
            assert self.drain() == [ACK]
        self.put(values[-1])
        return self.drain()

    def ask_mouse(self, *values):
        answer = []
        for value in values:
            self.command(0xd4, value)
            answer = self.drain()
        return answer

    def press(self, *keys):
        for key in keys:
            self.keyboard.key(key, True)
        for key in reversed(keys):
            self.keyboard.key(key, False)
        return self.drain()


@pytest.fixture
def board(clock):
    return Board(clock)


# Controller

def test_self_test(board):
    assert not board.status() & SYSTEM
    board.command(0xaa)
    assert board.status() & (SYSTEM | COMMAND | FULL | AUX) == SYSTEM | COMMAND | FULL
    assert board.get() == 0x55 and not board.status() & FULL


def test_port_tests_and_password(board):
    for command, answer in ((0xa9, 0), (0xab, 0), (0xa4, 0xf1), (0xc0, 0x80)):
        board.command(command)
        assert board.drain() == [answer]


def test_status_tells_command_from_data(board):
    board.command(0xae)
    assert board.status() & COMMAND
    board.put(0xf4)
    assert not board.status() & COMMAND


def test_command_byte_and_ram(board):
    board.command(0x60, 0x47)
    board.command(0x20)
    assert board.drain() == [0x47]
    board.command(0x7f, 0xa5)
    board.command(0x3f)
    assert board.drain() == [0xa5]


def test_disabling_shows_in_the_command_byte(board):
    for command, mode in ((0xa7, 0x23), (0xad, 0x33), (0xa8, 0x13), (0xae, 0x03)):
        board.command(command)
        board.command(0x20)
        assert board.drain() == [mode]


def test_a20_gate(board):
    board.command(0xd1, 0xcd)
    board.command(0xdf)
    board.command(0xdd)
    assert board.a20 == [False, True, False]
    board.command(0xd0)
    assert board.get() & 0x02 == 0


def test_output_port_shows_the_full_buffer(board):
    board.command(0xd2, 0x11)
    board.command(0xd0)
    assert board.drain() == [0x11, 0xdf]


@pytest.mark.parametrize("how", [(0xfe,), (0xf0,), (0xd1, 0xce)])
def test_reset_pulse(board, how):
    board.command(*how)
    assert board.resets == ["guest-reset"]


def test_pulses_that_spare_the_reset_line(board):
    board.command(0xff)
    board.command(0xf1)
    assert not board.resets


def test_interrupts_follow_the_buffer(board):
    board.keyboard.key("a", True)
    assert board.irq1.level and not board.irq12.level
    assert board.get() == 0x1c
    assert not board.irq1.level
    board.command(0x60, 0x02)
    board.press("a")
    board.keyboard.key("a", True)
    assert board.status() & FULL and not board.irq1.level


def test_aux_loop_as_linux_probes_it(board):
    board.command(0x60, 0x47)
    board.command(0xd3, 0x5a)
    assert board.status() & (FULL | AUX) == FULL | AUX
    assert board.irq12.level and not board.irq1.level
    assert board.get() == 0x5a and not board.irq12.level
    for probe in (0xf0, 0x56, 0xa4):  # a multiplexer would answer otherwise
        board.command(0xd3, probe)
        assert board.drain() == [probe]


def test_translation_to_set_1(board):
    board.command(0x60, 0x47)
    assert board.press("a", "kp_enter") == [0x1e, 0xe0, 0x1c, 0xe0, 0x9c, 0x9e]
    assert board.press("f7") == [0x41, 0xc1]
    assert board.ask(0xf2) == [ACK, 0xab, 0x41]
    assert board.ask(0xff) == [ACK, 0xaa]


def test_nothing_comes_from_a_disabled_port_nor_is_it_lost(board):
    board.command(0xad)
    board.keyboard.key("a", True)
    assert board.drain() == []
    board.command(0xae)
    assert board.drain() == [0x1c]


def test_talking_to_a_device_enables_its_port(board):
    board.command(0x60, 0x33)
    assert board.ask(0xee) == [0xee]
    assert board.ask_mouse(0xf2) == [ACK, 0]
    board.command(0x20)
    assert board.drain() == [0x03]


def test_reading_twice_gives_the_same_byte(board, clock):
    board.keyboard.key("a", True)
    board.keyboard.key("b", True)
    assert [board.get(), board.get()] == [0x1c, 0x1c]
    assert not board.status() & FULL
    clock.advance(ms=1)
    assert board.irq1.level and board.get() == 0x32


def test_answers_overtake_events_and_do_not_wait(board):
    board.keyboard.key("a", True)
    board.keyboard.key("b", True)
    board.get()
    board.put(0xf2)
    assert [board.get() for _ in range(3)] == [ACK, 0xab, 0x83]
    assert board.drain() == [0x32]


def test_replies_survive_a_full_buffer(board):
    board.keyboard.key("a", True)
    board.command(0x20)
    assert board.drain() == [0x1c, 0x03]


def test_unknown_commands_are_ignored(board):
    for command in range(0x80, 0xa0):
        board.command(command)
    assert board.drain() == []


def test_state_survives_saving(board, clock):
    board.command(0x60, 0x47)
    for key in ("a", "b"):
        board.keyboard.key(key, True)
    board.command(0xd4, 0xf4)
    other = Board(clock)
    for part in ("keyboard", "mouse", "chip"):
        getattr(other, part).load(getattr(board, part).save())
    assert other.irq1.level
    assert other.drain() == board.drain() == [0x1e, ACK, 0x30]


# Keyboard

def test_key_tables_agree_with_the_controller():
    assert KEYS["lang2"].qcode == 149 and len(KEYS) == 150
    assert (KEYS["a"].set1, KEYS["a"].set2, KEYS["right"].set1) == (0x1e, 0x1c, 0xe04d)
    assert NUMBERS[0x1c] is KEYS["ret"] and NUMBERS[0x9c] is KEYS["kp_enter"]
    codes = [key.set1 for key in KEYS.values() if key.set1]
    assert len(codes) - len(set(codes)) == 2, "asterisk and print have two names each"


@pytest.mark.parametrize(("number", "codes"), [
    (1, [0x1d, 0xe0, 0x4b, 0xe0, 0xcb, 0x9d]),
    (2, [0x14, 0xe0, 0x6b, 0xe0, 0xf0, 0x6b, 0xf0, 0x14]),
    (3, [0x11, 0x61, 0xf0, 0x61, 0xf0, 0x11]),
])
def test_scan_code_sets(board, number, codes):
    assert board.ask(0xf0, number) == [ACK]
    assert board.ask(0xf0, 0) == [ACK, number]
    assert board.press("ctrl", "left") == codes


def test_a_fourth_set_is_refused(board):
    assert board.ask(0xf0, 4) == [RESEND]
    assert board.ask(0xf0, 0) == [ACK, 2]


def test_keys_by_number(board):
    assert board.press(0x1e) == [0x1c, 0xf0, 0x1c]
    for unknown in ("no such key", 0x7f00, -1):
        with pytest.raises(ValueError, match="unknown key"):
            board.keyboard.key(unknown, True)


def test_print_and_pause(board):
    assert board.press("print") == [0xe0, 0x12, 0xe0, 0x7c, 0xe0, 0xf0, 0x7c, 0xe0, 0xf0, 0x12]
    assert board.press("alt", "print") == [0x11, 0x84, 0xf0, 0x84, 0xf0, 0x11]
    assert board.press("pause") == [0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77]
    assert board.press("ctrl", "pause") == [0x14, 0xe0, 0x7e, 0xe0, 0xf0, 0x7e, 0xf0, 0x14]
    board.command(0x60, 0x43)
    assert board.press("pause") == [0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5]
    assert board.press("print") == [0xe0, 0x2a, 0xe0, 0x37, 0xe0, 0xb7, 0xe0, 0xaa]


def test_keys_without_a_code_send_nothing(board):
    board.ask(0xf0, 3)
    assert board.press("kp_equals") == [] and board.press("unmapped") == []


def test_leds(board):
    assert board.ask(0xed, 0x07) == [ACK] and board.keyboard.leds == 7


def test_disable_drops_keys_and_enable_brings_them_back(board):
    assert board.ask(0xf5) == [ACK]
    assert board.press("a") == []
    assert board.ask(0xf4) == [ACK]
    assert board.press("a") == [0x1c, 0xf0, 0x1c]


def test_defaults_after_set_3_without_break_codes(board):
    board.ask(0xf0, 3)
    board.ask(0xf9)
    assert board.press("a") == [0x1c]
    board.ask(0xfc, 0x1c)
    assert board.press("a") == [0x1c, 0xf0, 0x1c]
    board.ask(0xf6)
    assert board.ask(0xf0, 0) == [ACK, 2]


def test_a_command_in_place_of_a_parameter(board):
    assert board.ask(0xed) == [ACK]
    assert board.ask(0xf2) == [ACK, 0xab, 0x83]


def test_resend_and_unknown_commands(board):
    assert board.ask(0x01) == [RESEND]
    board.ask(0xee)
    assert board.ask(0xfe) == [0xee]


def test_buffer_takes_sixteen_bytes_but_never_loses_a_release(board):
    for _ in range(20):
        board.keyboard.key("a", True)
    board.keyboard.key("b", True)
    board.keyboard.key("a", False)
    board.keyboard.key("b", False)
    assert board.drain() == [0x1c] * 17 + [0xf0, 0x1c], "17: one has left the buffer for 60h"


# Mouse

def test_mouse_reset_and_identity(board):
    assert board.ask_mouse(0xff) == [ACK, 0xaa, 0]
    assert board.ask_mouse(0xf2) == [ACK, 0]


def test_mouse_is_silent_until_enabled(board):
    board.mouse.move(1, 1)
    assert board.drain() == []
    board.ask_mouse(0xf4)
    board.mouse.move(5, -3)
    assert board.status() & AUX and board.irq12.level
    assert board.drain() == [0x08, 5, 3]
    board.mouse.move(-5, 3)
    assert board.drain() == [0x38, 0xfb, 0xfd]


def test_intellimouse_knock(board):
    assert board.ask_mouse(0xf3, 200, 0xf3, 100, 0xf3, 80, 0xf2) == [ACK, 3]
    board.ask_mouse(0xf4)
    board.mouse.move(0, 0, -1)
    assert board.drain() == [0x08, 0, 0, 0xff]


def test_explorer_knock(board):
    assert board.ask_mouse(0xf3, 200, 0xf3, 200, 0xf3, 80, 0xf2) == [ACK, 4]
    board.ask_mouse(0xf4)
    board.mouse.button(LEFT | SIDE | EXTRA)
    board.mouse.move(0, 0, 1)
    assert board.drain() == [0x09, 0, 0, 0x30, 0x09, 0, 0, 0x31]


def test_movement_adds_up_and_is_split(board):
    board.ask_mouse(0xf4)
    board.mouse.move(1, 0)
    board.mouse.move(300, 0)
    board.mouse.move(100, 0)
    assert board.drain() == [0x08, 1, 0, 0x08, 255, 0, 0x08, 145, 0]


def test_clicks_are_not_merged(board):
    board.ask_mouse(0xf4)
    for mask in (LEFT, 0, LEFT, 0):
        board.mouse.button(mask)
    assert board.drain()[::3] == [0x09, 0x08, 0x09, 0x08]


def test_mouse_status(board):
    board.mouse.button(LEFT | MIDDLE)
    board.ask_mouse(0xe7)
    board.ask_mouse(0xe8, 3)
    board.ask_mouse(0xf3, 40)
    board.ask_mouse(0xf4)
    assert board.ask_mouse(0xe9) == [ACK, 0x36, 3, 40]
    board.ask_mouse(0xf6)
    assert board.ask_mouse(0xe9) == [ACK, 0x06, 2, 100]
    board.mouse.button(RIGHT)
    assert board.ask_mouse(0xe9) == [ACK, 0x01, 2, 100]


def test_remote_mode_reports_when_asked(board):
    board.ask_mouse(0xf0)
    board.mouse.move(2, 0)
    assert board.drain() == []
    assert board.ask_mouse(0xeb) == [ACK, 0x08, 2, 0]
    assert board.ask_mouse(0xeb) == [ACK, 0x08, 0, 0]


def test_scaling_doubles_what_streams(board):
    board.ask_mouse(0xe7)
    board.ask_mouse(0xf4)
    board.mouse.move(5, -20)
    assert board.drain() == [0x08, 9, 40]


def test_wrap_mode_echoes(board):
    board.ask_mouse(0xee)
    assert board.ask_mouse(0xf4) == [0xf4]
    assert board.ask_mouse(0xec) == [ACK]


def test_mouse_refuses_unknown_commands_and_resends(board):
    assert board.ask_mouse(0xe0) == [RESEND]
    board.ask_mouse(0xe9)
    assert board.ask_mouse(0xfe) == [0x00, 2, 100]
