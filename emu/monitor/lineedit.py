"""Line editing, history and completion for a user at the far end of a byte stream.

The keys are those of readline: arrows, Home, End, Delete, and Ctrl with A B D E F K N P U W L.
"""
import codecs
from collections.abc import Callable, Iterator

HISTORY = 64  # lines kept
WIDTH = 80  # columns for lists of completions
ESC = "\x1b"
SEQUENCES = {  # after ESC [ or ESC O
    "A": "previous", "B": "next", "C": "forward", "D": "backward", "H": "home", "F": "end",
    "1~": "home", "7~": "home", "4~": "end", "8~": "end", "3~": "delete",
}
KEYS = {
    "\x01": "home", "\x02": "backward", "\x04": "delete", "\x05": "end", "\x06": "forward",
    "\x08": "rubout", "\x0b": "kill", "\x0c": "redraw", "\x0e": "next", "\x10": "previous",
    "\x15": "kill_all", "\x17": "rubout_word", "\x7f": "rubout", "\t": "complete",
}


class LineEditor:
    """Takes keys, echoes through `write(text)`, and gives lines.

    complete(line) returns all words that the last word of `line` can become.
    """

    def __init__(self, prompt: str, write: Callable[[str], None],
                 complete: Callable[[str], list[str]] = lambda line: []):
        self.prompt = prompt
        self.secret = False  # stars are shown for what is typed, and nothing is remembered
        self.history: list[str] = []
        self._write = write
        self._candidates = complete
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._actions: dict[str, Callable[[], None]] = {
            name: getattr(self, f"_{name}") for name in {*KEYS.values(), *SEQUENCES.values()}}
        self._sequence: str | None = None  # what came after ESC, while it is not complete
        self._last = ""
        self._start()

    def show_prompt(self) -> None:
        """Write the prompt and what has been typed so far."""
        self._write(self.prompt + self._shown(self._line))
        self._move_back(len(self._line) - self._cursor)

    def feed(self, data: bytes) -> Iterator[str]:
        """Handle keys; yields each line that is completed, before the keys that follow it."""
        for key in self._decoder.decode(data):
            after_return, self._last = self._last == "\r", key
            if self._sequence is not None:
                self._continue_sequence(key)
            elif key == ESC:
                self._sequence = ""
            elif key == "\n" and after_return:
                continue  # CR LF is one end of line
            elif key in "\r\n":
                yield self._finish()
            elif key in KEYS:
                self._actions[KEYS[key]]()
            elif key >= " ":
                self._insert(key)

    def _start(self) -> None:
        self._line = ""
        self._cursor = 0  # place in the line
        self._place = len(self.history)  # place in the history
        self._unfinished = ""  # the new line, while an old one is shown

    def _finish(self) -> str:
        line = self._line
        self._write("\n")
        if line.strip() and not self.secret:
            if line in self.history:
                self.history.remove(line)
            self.history = [*self.history, line][-HISTORY:]
        self._start()
        return line

    def _continue_sequence(self, key: str) -> None:
        assert self._sequence is not None
        if self._sequence == "":
            self._sequence = key if key in "[O" else None
            return
        self._sequence += key
        if key.isalpha() or key == "~":
            action = SEQUENCES.get(self._sequence[1:])
            self._sequence = None
            if action:
                self._actions[action]()
        elif len(self._sequence) > 8:
            self._sequence = None

    # Changing the line

    def _insert(self, text: str) -> None:
        self._change(self._cursor, self._cursor, text)

    def _change(self, start: int, end: int, text: str) -> None:
        """Replace what is between two places, and leave the cursor after it."""
        self._move_to(start)
        rest = self._line[end:]
        removed = end - start > len(text)
        self._line = self._line[:start] + text + rest
        self._cursor = start + len(text)
        self._write(self._shown(text + rest) + (f"{ESC}[K" if removed else ""))
        self._move_back(len(rest))

    def _shown(self, text: str) -> str:
        return "*" * len(text) if self.secret else text

    def _rubout(self) -> None:
        if self._cursor:
            self._change(self._cursor - 1, self._cursor, "")

    def _delete(self) -> None:
        if self._cursor < len(self._line):
            self._change(self._cursor, self._cursor + 1, "")

    def _rubout_word(self) -> None:
        before = self._line[:self._cursor].rstrip(" ")
        self._change(before.rfind(" ") + 1, self._cursor, "")

    def _kill(self) -> None:
        self._change(self._cursor, len(self._line), "")

    def _kill_all(self) -> None:
        self._change(0, len(self._line), "")

    # Moving

    def _move_back(self, count: int) -> None:
        if count:
            self._write(f"{ESC}[{count}D")

    def _move_to(self, place: int) -> None:
        if place < self._cursor:
            self._move_back(self._cursor - place)
        else:
            self._write(self._shown(self._line[self._cursor:place]))
        self._cursor = place

    def _home(self) -> None:
        self._move_to(0)

    def _end(self) -> None:
        self._move_to(len(self._line))

    def _backward(self) -> None:
        self._move_to(max(0, self._cursor - 1))

    def _forward(self) -> None:
        self._move_to(min(len(self._line), self._cursor + 1))

    def _redraw(self) -> None:
        self._write(f"{ESC}[2J{ESC}[1;1H")
        self.show_prompt()

    # History

    def _previous(self) -> None:
        if self._place:
            self._recall(self._place - 1)

    def _next(self) -> None:
        if self._place < len(self.history):
            self._recall(self._place + 1)

    def _recall(self, place: int) -> None:
        if self._place == len(self.history):
            self._unfinished = self._line
        self._place = place
        lines = [*self.history, self._unfinished]
        self._change(0, len(self._line), lines[place])

    # Completion

    def _complete(self) -> None:
        before = self._line[:self._cursor]
        word = before[before.rfind(" ") + 1:]
        candidates = self._candidates(before)
        common = common_start(candidates)
        if len(candidates) == 1:
            self._insert(common[len(word):] + " ")
        elif len(common) > len(word):
            self._insert(common[len(word):])
        elif candidates:
            self._write("\n" + columns(sorted(candidates)))
            self.show_prompt()


def common_start(words: list[str]) -> str:
    """The longest text that all words begin with."""
    first, last = min(words, default=""), max(words, default="")
    differ = (at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b)
    return first[:next(differ, len(first))]


def columns(words: list[str]) -> str:
    """The words side by side, as many as fit, in lines."""
    width = max(map(len, words)) + 2
    each = max(1, WIDTH // width)
    return "".join("".join(f"{word:{width}}" for word in words[at:at + each]).rstrip() + "\n"
                   for at in range(0, len(words), each))
