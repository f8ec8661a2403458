"""8042 keyboard controller of a PC/AT with PS/2 mouse port: data at 60h, commands at 64h.

Two windows, `data` and `command`. The one-byte output buffer is filled from the controller's own
replies, the keyboard and the mouse, in this order. Answers of a device to a command come at once;
events come a frame's time after the byte before was read, so that whoever reads the port twice for
one interrupt, as handlers chained in DOS do, sees the same byte twice.
Source: Intel UPI-42 with IBM PS/2 Technical Reference, Keyboard and Auxiliary Device Controller.
"""
from collections.abc import Callable
from typing import Any, Protocol

from pyemu.trace.hooks import (
    trace_pckbd_kbd_read_data,
    trace_pckbd_kbd_read_status,
    trace_pckbd_kbd_write_command,
    trace_pckbd_kbd_write_data,
    trace_pckbd_outport_write,
)
from pyemu.trace.log import guest_errors

from .chip import Chip
from .keymap import SET2_TO_SET1
from .line import Line

FRAME_NS = 1_000_000  # eleven bits at about 11 kHz

# Status register
OUTPUT_FULL, SYSTEM, LAST_WAS_COMMAND, UNLOCKED, AUX_FULL = 0x01, 0x04, 0x08, 0x10, 0x20

# Command byte, byte 0 of the controller's RAM
KEYBOARD_IRQ, AUX_IRQ = 0x01, 0x02
KEYBOARD_OFF, AUX_OFF, TRANSLATE = 0x10, 0x20, 0x40
COMMAND_BYTE_MASK = 0x77

# Output port
OUT_NO_RESET, OUT_A20, OUT_KEYBOARD_FULL, OUT_AUX_FULL = 0x01, 0x02, 0x10, 0x20
OUT_IDLE = 0xcc  # clock and data lines, unused pins
INPUT_PORT = 0x80  # not locked

# Commands. 20h-3Fh and 60h-7Fh read and write the RAM.
RAM_READ, RAM_WRITE, RAM_MASK = range(0x20, 0x40), range(0x60, 0x80), 0x1f
TEST_PASSWORD, DISABLE_AUX, ENABLE_AUX, TEST_AUX = 0xa4, 0xa7, 0xa8, 0xa9
SELF_TEST, TEST_KEYBOARD, DISABLE_KEYBOARD, ENABLE_KEYBOARD = 0xaa, 0xab, 0xad, 0xae
READ_INPUT, READ_OUTPUT, WRITE_OUTPUT = 0xc0, 0xd0, 0xd1
WRITE_KEYBOARD_BUFFER, WRITE_AUX_BUFFER, WRITE_AUX = 0xd2, 0xd3, 0xd4
A20_OFF, A20_ON = 0xdd, 0xdf
PULSE, PULSE_SPARES_RESET = range(0xf0, 0x100), 0x01

NO_PASSWORD, SELF_TEST_PASSED, PORT_WORKS = 0xf1, 0x55, 0x00
AUX_REPLY = 0x100  # beside a reply: it pretends to come from the mouse
BREAK_PREFIX, BREAK_BIT = 0xf0, 0x80


class Ps2Device(Protocol):
    """What is plugged into one of the two ports."""

    answers: list[int]
    events: list[int]
    on_data: Callable[[], None]

    def take(self) -> int: ...
    def write(self, value: int) -> None: ...


class I8042(Chip):
    """The controller. `data` and `command` are its ports.

    irq_keyboard, irq_aux: ISA interrupts 1 and 12.
    set_a20(on): the A20 gate. reset_request(cause): the CPU's reset pin.
    """

    STATE = ("status", "ram", "output", "output_port", "reply", "command_pending",
             "break_prefix", "next_event")

    def __init__(self, clock: Any, irq_keyboard: Line, irq_aux: Line, keyboard: Any,
                 mouse: Ps2Device, set_a20: Callable[[bool], None],
                 reset_request: Callable[[str], None]):
        self.clock = clock
        self.irq_keyboard = irq_keyboard
        self.irq_aux = irq_aux
        self.keyboard = keyboard
        self.mouse = mouse
        self.set_a20 = set_a20
        self.reset_request = reset_request
        self.timer = clock.timer(self._fill, "i8042")
        self.data = _Port(self.read_data, self.write_data)
        self.command = _Port(self.read_status, self.write_command)
        self.commands: dict[int, Callable[[], None]] = {
            TEST_PASSWORD: lambda: self._reply(NO_PASSWORD),
            DISABLE_AUX: lambda: self._set_mode(self.ram[0] | AUX_OFF),
            ENABLE_AUX: lambda: self._set_mode(self.ram[0] & ~AUX_OFF),
            TEST_AUX: lambda: self._reply(PORT_WORKS),
            SELF_TEST: self._self_test,
            TEST_KEYBOARD: lambda: self._reply(PORT_WORKS),
            DISABLE_KEYBOARD: lambda: self._set_mode(self.ram[0] | KEYBOARD_OFF),
            ENABLE_KEYBOARD: lambda: self._set_mode(self.ram[0] & ~KEYBOARD_OFF),
            READ_INPUT: lambda: self._reply(INPUT_PORT),
            READ_OUTPUT: lambda: self._reply(self._read_output_port()),
            A20_OFF: lambda: self._write_output_port(self.output_port & ~OUT_A20),
            A20_ON: lambda: self._write_output_port(self.output_port | OUT_A20),
        }
        self.parameters: dict[int, Callable[[int], None]] = {
            WRITE_OUTPUT: self._write_output_port,
            WRITE_KEYBOARD_BUFFER: self._reply,
            WRITE_AUX_BUFFER: lambda value: self._reply(value | AUX_REPLY),
            WRITE_AUX: self._write_aux,
        }
        self.reset()
        keyboard.on_data = mouse.on_data = self._fill

    def reset(self) -> None:
        self.status = UNLOCKED | LAST_WAS_COMMAND
        self.ram = bytearray(RAM_MASK + 1)
        self.output = 0
        self.output_port = OUT_IDLE | OUT_NO_RESET | OUT_A20
        self.reply: int | None = None  # waits for the output buffer
        self.command_pending: int | None = None  # waits for its parameter
        self.break_prefix = False  # translation: F0h has come, its key has not
        self.next_event = 0
        self.timer.cancel()
        self._set_mode(KEYBOARD_IRQ | AUX_IRQ)

    def restored(self) -> None:
        self._set_mode(self.ram[0])

    # The ports

    def read_data(self) -> int:
        value = self.output
        trace_pckbd_kbd_read_data(value)
        if self.status & OUTPUT_FULL:
            self.status &= ~(OUTPUT_FULL | AUX_FULL)
            self.next_event = self.clock.now() + FRAME_NS
            self._drive_lines()
            self._fill()
        return value

    def read_status(self) -> int:
        trace_pckbd_kbd_read_status(self.status)
        return self.status

    def write_data(self, value: int) -> None:
        trace_pckbd_kbd_write_data(value)
        self.status &= ~LAST_WAS_COMMAND
        command, self.command_pending = self.command_pending, None
        if command is None:
            self._set_mode(self.ram[0] & ~KEYBOARD_OFF)  # talking to the keyboard turns it on
            self.keyboard.write(value)
        elif command in self.parameters:
            self.parameters[command](value)
        else:
            self._write_ram(command & RAM_MASK, value)

    def write_command(self, value: int) -> None:
        trace_pckbd_kbd_write_command(value)
        self.status |= LAST_WAS_COMMAND
        self.command_pending = None
        if value in self.commands:
            self.commands[value]()
        elif value in self.parameters or value in RAM_WRITE:
            self.command_pending = value
        elif value in RAM_READ:
            self._reply(self.ram[value & RAM_MASK])
        elif value in PULSE and not value & PULSE_SPARES_RESET:
            self.reset_request("guest-reset")
        elif value not in PULSE and guest_errors:
            guest_errors(f"unsupported keyboard cmd=0x{value:02x}")

    # Commands

    def _self_test(self) -> None:
        self.status |= SYSTEM  # to stay: SeaBIOS clears the flag in its command byte
        self._reply(SELF_TEST_PASSED)

    def _write_ram(self, address: int, value: int) -> None:
        if address == 0:
            self._set_mode(value & COMMAND_BYTE_MASK)
        else:
            self.ram[address] = value

    def _write_aux(self, value: int) -> None:
        self._set_mode(self.ram[0] & ~AUX_OFF)
        self.mouse.write(value)

    def _read_output_port(self) -> int:
        value = self.output_port
        if self.status & OUTPUT_FULL:
            value |= OUT_AUX_FULL if self.status & AUX_FULL else OUT_KEYBOARD_FULL
        return value

    def _write_output_port(self, value: int) -> None:
        trace_pckbd_outport_write(value)
        self.output_port = value & ~(OUT_KEYBOARD_FULL | OUT_AUX_FULL)
        self.set_a20(bool(value & OUT_A20))
        if not value & OUT_NO_RESET:
            self.reset_request("guest-reset")

    def _set_mode(self, mode: int) -> None:
        translate = bool(mode & TRANSLATE)
        if translate != self.keyboard.translated:
            self.keyboard.set_translation(translate)
        self.ram[0] = mode
        self._drive_lines()
        self._fill()

    # The output buffer

    def _reply(self, value: int) -> None:
        self.reply = value
        self._fill()

    def _fill(self) -> None:
        """Put the next byte into the output buffer, if it is free and there is one."""
        if self.status & OUTPUT_FULL:
            return
        keyboard = None if self.ram[0] & KEYBOARD_OFF else self.keyboard
        mouse = None if self.ram[0] & AUX_OFF else self.mouse
        if self.reply is not None:
            value, self.reply = self.reply, None
            self._put(value & 0xff, bool(value & AUX_REPLY))
        elif keyboard and keyboard.answers:
            self._put_from_keyboard()
        elif mouse and mouse.answers:
            self._put(mouse.take(), True)
        elif (keyboard and keyboard.events) or (mouse and mouse.events):
            if self.clock.now() < self.next_event:
                self.timer.at(self.next_event)
            elif keyboard and keyboard.events:
                self._put_from_keyboard()
            elif mouse:
                self._put(mouse.take(), True)

    def _put_from_keyboard(self) -> None:
        keyboard = self.keyboard
        value = keyboard.take()
        if self.ram[0] & TRANSLATE:
            if value == BREAK_PREFIX and (keyboard.answers or keyboard.events):
                self.break_prefix = True
                value = keyboard.take()
            value = SET2_TO_SET1[value]
            if self.break_prefix:
                value |= BREAK_BIT
                self.break_prefix = False
        self._put(value, False)

    def _put(self, value: int, aux: bool) -> None:
        self.output = value
        self.status |= OUTPUT_FULL | (AUX_FULL if aux else 0)
        self._drive_lines()

    def _drive_lines(self) -> None:
        mode = self.ram[0]
        full, aux = self.status & OUTPUT_FULL, self.status & AUX_FULL
        keyboard = full and not aux and mode & KEYBOARD_IRQ and not mode & KEYBOARD_OFF
        self.irq_keyboard.set(bool(keyboard))
        self.irq_aux.set(bool(full and aux and mode & AUX_IRQ))


class _Port:
    """One byte-wide port."""

    def __init__(self, read: Callable[[], int], write: Callable[[int], None]):
        self._read = read
        self._write = write

    def read(self, offset: int, size: int) -> int:
        return self._read()

    def write(self, offset: int, size: int, value: int) -> None:
        self._write(value)
