"""PS/2 mouse: two buttons as IBM built it, wheel and five buttons as Microsoft's IntelliMouse.

Packets: 8 | buttons | signs and overflows of the axes, X, Y, and on a wheel mouse the wheel.
Source: IBM PS/2 Technical Reference, Auxiliary Device Controller; Adam Chapweske, The PS/2 Mouse
Interface; Microsoft, IntelliMouse Explorer.
"""
from pyemu.trace.hooks import (
    trace_ps2_mouse_reset,
    trace_ps2_mouse_send_packet,
    trace_ps2_write_mouse,
)

from .ps2 import ACK, RESEND, SELF_TEST_PASSED, Ps2Device

# Buttons, as `button()` takes them and as packets carry them
LEFT, RIGHT, MIDDLE, SIDE, EXTRA = 1, 2, 4, 8, 16

# Identities
PLAIN, WHEEL, EXPLORER = 0, 3, 4
KNOCKS: dict[tuple[int, ...], int] = {  # sample rates set one after another
    (200, 100, 80): WHEEL, (200, 200, 80): EXPLORER}

# Commands
SCALE_1_TO_1, SCALE_2_TO_1, SET_RESOLUTION, STATUS = 0xe6, 0xe7, 0xe8, 0xe9
SET_STREAM, READ_DATA, LEAVE_WRAP, ENTER_WRAP, SET_REMOTE = 0xea, 0xeb, 0xec, 0xee, 0xf0
IDENTIFY, SET_RATE, ENABLE, DISABLE, DEFAULTS, RESET = 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xff

# First byte of the status, whose lowest bits are the buttons right, middle, left
STATUS_REMOTE, STATUS_ENABLED, STATUS_2_TO_1 = 0x40, 0x20, 0x10
STATUS_BUTTONS = ((LEFT, 4), (MIDDLE, 2), (RIGHT, 1))

# Packets
PACKET, X_NEGATIVE, Y_NEGATIVE = 0x08, 0x10, 0x20
PLAIN_BUTTONS = LEFT | RIGHT | MIDDLE
EXTRA_BUTTONS_SHIFT = 1  # from the mask to the fourth byte of an Explorer's packet
AXIS_LIMIT, WHEEL_LIMIT, EXPLORER_WHEEL_LIMIT = 255, 127, 7
EXPLORER_WHEEL_MASK = 0x0f

BUFFER_SIZE = 64  # bytes of packets: so many clicks may wait
DOUBLED = (0, 1, 1, 3, 6, 9)  # counts at scaling 2:1; from 6 on they are doubled
DEFAULT_RATE, DEFAULT_RESOLUTION = 100, 2


class Mouse(Ps2Device):
    """The mouse. Movement adds up while a packet waits, so that none of it is lost.

    The sample rate is kept and told, and no packet is held back for it.
    """

    STATE = (*Ps2Device.STATE, "identity", "rate", "resolution", "double", "enabled", "remote",
             "wrap", "rates", "dx", "dy", "dz", "buttons", "told_buttons", "last")

    def __init__(self) -> None:
        super().__init__()
        trace_ps2_mouse_reset(self)

    def reset(self) -> None:
        super().reset()
        self.identity = PLAIN
        self.buttons = 0  # held down
        self.last: list[int] = []  # packet or answer, for RESEND
        self.rates: list[int] = []  # the last three set
        self.wrap = False
        self._set_defaults()

    # Movement

    def move(self, dx: int, dy: int, dz: int = 0) -> None:
        """Movement in counts: dx to the right, dy down the screen, dz the wheel to the user."""
        if not self.enabled and not self.remote:
            return
        self.dx += dx
        self.dy += dy
        self.dz += dz
        self._report()

    def button(self, mask: int) -> None:
        """The buttons that are held down: LEFT | RIGHT | MIDDLE | SIDE | EXTRA."""
        self.buttons = mask
        self._report()

    def take(self) -> int:
        value = super().take()
        if not self.events:
            self._queue()  # and no `on_data`: the controller looks again by itself
        return value

    def _report(self) -> None:
        if self._queue():
            self.on_data()

    def _queue(self) -> bool:
        """In stream mode: a packet at once for a button, for movement if none waits."""
        if not self.enabled or self.remote or self.wrap:
            return False
        clicked = self.buttons != self.told_buttons
        moved = self.dx or self.dy or (self.dz and self.identity != PLAIN)
        if (clicked and len(self.events) < BUFFER_SIZE) or (moved and not self.events):
            self.last = self._packet(self.double)
            self.events.extend(self.last)
            return True
        return False

    def _packet(self, double: bool = False) -> list[int]:
        """Take as much of the movement as fits."""
        dx = _clamp(self.dx, AXIS_LIMIT)
        dy = _clamp(self.dy, AXIS_LIMIT)
        dz = _clamp(self.dz, EXPLORER_WHEEL_LIMIT if self.identity == EXPLORER else WHEEL_LIMIT)
        self.dx -= dx
        self.dy -= dy
        self.dz -= dz
        self.told_buttons = self.buttons
        trace_ps2_mouse_send_packet(self, dx, dy, dz, self.buttons)
        if double:
            dx, dy = _double(dx), _double(dy)
        first = (PACKET | self.buttons & PLAIN_BUTTONS
                 | (X_NEGATIVE if dx < 0 else 0)
                 | (Y_NEGATIVE if dy > 0 else 0))  # up is positive on the wire
        packet = [first, dx & 0xff, -dy & 0xff]
        if self.identity == WHEEL:
            packet.append(dz & 0xff)
        elif self.identity == EXPLORER:
            extra = (self.buttons & (SIDE | EXTRA)) << EXTRA_BUTTONS_SHIFT
            packet.append(dz & EXPLORER_WHEEL_MASK | extra)
        return packet

    # Commands

    def write(self, value: int) -> None:
        trace_ps2_write_mouse(self, value)
        command, self.command = self.command, None
        if self.wrap and value not in (LEAVE_WRAP, RESET):
            self.answer(value)
        elif command is not None:
            self._parameter(command, value)
        else:
            self._command(value)
        self.on_data()

    def _command(self, value: int) -> None:
        answer = [ACK]
        if value == RESEND:
            self.answer(*self.last)
            return
        if value != READ_DATA:
            self._forget_movement()
        if value in (SET_RESOLUTION, SET_RATE):
            self.command = value
        elif value in (SCALE_1_TO_1, SCALE_2_TO_1):
            self.double = value == SCALE_2_TO_1
        elif value == STATUS:
            answer += [self._status(), self.resolution, self.rate]
        elif value == READ_DATA:
            answer += self._packet()
        elif value in (SET_STREAM, SET_REMOTE):
            self.remote = value == SET_REMOTE
        elif value in (LEAVE_WRAP, ENTER_WRAP):
            self.wrap = value == ENTER_WRAP
        elif value == IDENTIFY:
            answer += [self.identity]
        elif value in (ENABLE, DISABLE):
            self.enabled = value == ENABLE
        elif value == DEFAULTS:
            self._set_defaults()
        elif value == RESET:
            held = self.buttons
            self.reset()
            self.buttons = held
            answer += [SELF_TEST_PASSED, PLAIN]
        else:
            answer = [RESEND]
        self.last = answer[1:] or answer
        self.answer(*answer)

    def _parameter(self, command: int, value: int) -> None:
        if command == SET_RESOLUTION:
            self.resolution = value
        else:
            self.rate = value
            self.rates = [*self.rates[-2:], value]
            self.identity = KNOCKS.get(tuple(self.rates), self.identity)
        self.answer(ACK)

    def _status(self) -> int:
        return (self.remote * STATUS_REMOTE | self.enabled * STATUS_ENABLED
                | self.double * STATUS_2_TO_1
                | sum(bit for button, bit in STATUS_BUTTONS if self.buttons & button))

    def _set_defaults(self) -> None:
        self.rate = DEFAULT_RATE
        self.resolution = DEFAULT_RESOLUTION
        self.double = self.enabled = self.remote = False
        self._forget_movement()

    def _forget_movement(self) -> None:
        self.events.clear()
        self.dx = self.dy = self.dz = 0
        self.told_buttons = self.buttons


def _clamp(value: int, limit: int) -> int:
    return max(-limit, min(limit, value))


def _double(count: int) -> int:
    """Counts at scaling 2:1, which still fit the packet."""
    size = abs(count)
    scaled = DOUBLED[size] if size < len(DOUBLED) else min(2 * size, AXIS_LIMIT)
    return scaled if count > 0 else -scaled
