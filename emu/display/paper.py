"""A small terminal: what a monitor prints, as lines and a cursor.

It knows what the monitor's line editor sends, and passes over other sequences.
Source: ECMA-48, sections 8.3 (CUB, CUP, ED, EL).
"""
import codecs
import re

LINES = 500  # kept
ESCAPE = "\x1b"
LONGEST = 16  # characters of a sequence; a longer one is none
SEQUENCE = re.compile(rf"\x1b\[([0-9;]{{0,{LONGEST - 3}}})([@-~])")


class Paper:
    """lines: from the first that is kept; the cursor is in the last of them, at `column`."""

    def __init__(self, title: str, width: int):
        self.width = width
        self.lines = [title, ""]
        self.column = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""  # the beginning of a sequence

    def write(self, data: bytes) -> None:
        text = self._rest + self._decoder.decode(data)
        self._rest = ""
        at = 0
        while at < len(text):
            if text[at] != ESCAPE:
                self._put(text[at])
                at += 1
                continue
            match = SEQUENCE.match(text, at)
            if match:
                self._do(*match.groups())
                at = match.end()
            elif len(text) - at < LONGEST:
                self._rest = text[at:]
                break
            else:
                at += 1
        del self.lines[:-LINES]

    def _put(self, character: str) -> None:
        if character == "\n":
            self.lines.append("")
        elif character == "\r":
            self.column = 0
        elif character == "\b":
            self.column = max(0, self.column - 1)
        elif character >= " ":
            if self.column == self.width:
                self.lines.append("")
                self.column = 0
            line = self.lines[-1].ljust(self.column)
            self.lines[-1] = line[:self.column] + character + line[self.column + 1:]
            self.column += 1

    def _do(self, parameters: str, final: str) -> None:
        first = parameters.partition(";")[0]
        if final == "D":
            self.column = max(0, self.column - int(first or 1))
        elif final == "K":
            self.lines[-1] = self.lines[-1][:self.column]
        elif final == "J":
            self.lines = [""]
            self.column = 0
