"""The guest's screen on the user's terminal, by curses: text modes with colours and the cursor.

It has the main thread. Alt-1 shows the guest, Alt-2 and on the consoles (`-monitor vc`).
Source: ncurses, curs_attr(3X), curs_color(3X), curs_getch(3X).
"""
import curses
import locale
import os
from collections import deque
from contextlib import suppress
from typing import Any

from pyemu import report
from pyemu.chardev.vc import Vc
from pyemu.display.cells import USUAL, Cells, Place, Row
from pyemu.display.input import Input, Pace
from pyemu.display.paper import Paper
from pyemu.display.terminal_keys import ESCAPE, for_console, strokes
from pyemu.trace.hooks import trace_console_refresh

REFRESH = 40  # ms between two looks at the screen
KEY_TIME = 10  # ms between two keys
ESCAPE_TIME = 25  # ms in which the rest of a key's sequence comes
CONSOLE_SIZE = 80, 25  # columns and rows
READ_SIZE = 65536  # bytes

# Attributes of a cell
FOREGROUND, BRIGHT, BACKGROUND_SHIFT = 0x07, 0x08, 4
COLOURS = (curses.COLOR_BLACK, curses.COLOR_BLUE, curses.COLOR_GREEN, curses.COLOR_CYAN,
           curses.COLOR_RED, curses.COLOR_MAGENTA, curses.COLOR_YELLOW, curses.COLOR_WHITE)
PAIRS = len(COLOURS) ** 2


class TerminalError(Exception):
    """The terminal cannot show anything; the text says why."""


class TerminalScreen:
    """Takes the terminal at once, raising TerminalError; `run` shows the machine until its end.

    runner: as for `Input`, and `clock`, `wait(timeout)`.
    """

    def __init__(self, runner: Any, vcs: list[Vc]):
        self.runner = runner
        self.input = Input(runner)
        self.pace = Pace(runner)
        self.consoles = [(vc, Paper(f"{vc.config.id} console", CONSOLE_SIZE[0])) for vc in vcs]
        self._shown = 0  # 0: the guest, n: console n - 1
        self._strokes: deque[tuple[str, ...]] = deque()
        self._drawn: Any = None
        self._active = False
        self._resumed = False
        self._pairs = False  # the terminal has colours enough
        self._open()

    def run(self) -> None:
        """Show the machine and listen to the user until the machine has ended."""
        trace_console_refresh(REFRESH)
        while not self.runner.wait(0):
            if self._resumed:
                self._redraw()
            self._draw()
            self._type()
            self.window.timeout(KEY_TIME if self._strokes else REFRESH)
            key = self._get_key()
            while key is not None:
                self._handle(key)
                self.window.timeout(0)
                key = self._get_key()

    def leave(self) -> None:
        """Give the terminal back. Again is harmless; from any thread."""
        if self._active:
            self._active = False
            curses.endwin()
            report.release()

    def enter(self) -> None:
        """Take it again, after a stop. From any thread."""
        self._resumed = True

    def _redraw(self) -> None:
        self._resumed = False
        self._active = True
        self._drawn = None
        report.hold()
        self.window.clear()

    # The terminal

    def _open(self) -> None:
        if not os.isatty(0) or not os.isatty(1):
            raise TerminalError("We need a terminal output")
        locale.setlocale(locale.LC_ALL, "")
        self.cells = Cells(self.runner, locale.getpreferredencoding(False))
        try:
            curses.setupterm()
        except curses.error as error:
            raise TerminalError(str(error)) from None
        curses.set_escdelay(ESCAPE_TIME)
        self.window = curses.initscr()
        self._active = True
        report.hold()
        try:
            self._set_up()
        except curses.error as error:
            self.leave()
            raise TerminalError(str(error)) from None

    def _set_up(self) -> None:
        curses.noecho()
        curses.raw()
        curses.nonl()
        self.window.keypad(True)
        if curses.has_colors():
            curses.start_color()
            self._pairs = curses.COLOR_PAIRS >= PAIRS
        if self._pairs:
            for number in range(1, PAIRS):
                curses.init_pair(number, *_colours_of(number))

    def _get_key(self) -> str | int | None:
        try:
            return self.window.get_wch()
        except curses.error:
            return None

    # What is shown

    def _draw(self) -> None:
        """Show what there is since the last look, if it has changed."""
        self._read_consoles()
        if self._shown:
            rows, cursor = self._console_rows()
        else:
            rows, cursor = self.cells.rows()
        height, width = self.window.getmaxyx()
        picture = rows, cursor, height, width
        if picture == self._drawn:
            return
        self._drawn = picture
        top = max(0, min(cursor[0] + 1, len(rows)) - height) if cursor else 0
        below = max(0, (height - len(rows)) // 2)
        widest = max((sum(len(text) for text, _ in row) for row in rows), default=0)
        left = max(0, (width - widest) // 2)
        self.window.erase()
        for line, row in enumerate(rows[top:top + height], below):
            self._draw_row(line, left, row, width)
        with suppress(curses.error):  # terminals need not be able to hide it
            curses.curs_set(bool(cursor))
        if cursor:
            self.window.move(min(cursor[0] - top + below, height - 1),
                             min(cursor[1] + left, width - 1))
        self.window.refresh()

    def _draw_row(self, line: int, column: int, row: Row, width: int) -> None:
        for text, attribute in row:
            with suppress(curses.error):  # the last cell of all, after which there is no place
                self.window.addstr(line, column, text[:width - column], self._look_of(attribute))
            column += len(text)
            if column >= width:
                break

    def _look_of(self, attribute: int) -> int:
        look = curses.A_BOLD if attribute & BRIGHT else 0
        if self._pairs:
            look |= curses.color_pair(_pair(attribute))
        return look

    # Consoles

    def _read_consoles(self) -> None:
        for vc, paper in self.consoles:
            with suppress(OSError):  # there is nothing, or it has gone
                paper.write(vc.display_end.recv(READ_SIZE))

    def _console_rows(self) -> tuple[list[Row], Place | None]:
        _, paper = self.consoles[self._shown - 1]
        columns, count = CONSOLE_SIZE
        lines = paper.lines[-count:]
        padded = [*lines, *[""] * (count - len(lines))]
        return ([[(line.ljust(columns), USUAL)] for line in padded],
                (len(lines) - 1, min(paper.column, columns - 1)))

    # Keys

    def _handle(self, key: str | int) -> None:
        alt = False
        if key == ESCAPE:
            self.window.timeout(0)
            following = self._get_key()
            if following is not None:
                key, alt = following, True
        if key == curses.KEY_RESIZE:
            self._drawn = None
        elif alt and isinstance(key, str) and key in "123456789":
            if int(key) <= 1 + len(self.consoles):
                self._shown = int(key) - 1
        elif self._shown:
            vc, _ = self.consoles[self._shown - 1]
            with suppress(OSError):  # nobody reads so many keys
                vc.display_end.send((ESCAPE.encode() if alt else b"") + for_console(key))
        else:
            pressed = strokes(key, alt)
            if pressed:
                self._strokes.append(pressed)

    def _type(self) -> None:
        """Press and release what comes next, if the guest has taken what came before."""
        self.pace.ask()
        if self._strokes and self.pace.ready:
            pressed = self._strokes.popleft()
            for name in pressed:
                self.input.key(name, True)
            for name in reversed(pressed):
                self.input.key(name, False)
            self.pace.typed()


def _pair(attribute: int) -> int:
    """Number of a pair of colours. Pair 0 is always white on black."""
    return (~attribute & FOREGROUND) | (attribute >> BACKGROUND_SHIFT & FOREGROUND) << 3


def _colours_of(pair: int) -> tuple[int, int]:
    return COLOURS[~pair & FOREGROUND], COLOURS[pair >> 3]

