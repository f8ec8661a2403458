"""What a monitor command is, and how its arguments are read."""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pyemu.monitor.monitor import Monitor


class CommandError(Exception):
    """What a command complains of; the text is printed."""


class UsageError(CommandError):
    """The command was written wrongly; followed by where its help is."""


class ExtraneousError(UsageError):
    """There is more on the line than the command takes."""


MISSING = {  # what is said of an argument that is not there, by what it should have been
    "s": "{names}: string expected",
    "f": "{names}: filename expected",
    "d": "{names}: block device name expected",
    "n": "unexpected end of expression",
    "b": "Expected 'on' or 'off'",
}


class Command(NamedTuple):
    """run(monitor, arguments) returns the text to print.

    names: all spellings, as the help shows them ("stop|s"); usage: its parameters there.
    required, optional: how many words it takes. kinds: of those required, a letter of MISSING
    each; without them they are strings. complete(monitor, words) offers what the last of `words`
    can become.
    """

    names: str
    usage: str
    help: str
    run: Callable[[Monitor, list[str]], str]
    required: int = 0
    optional: int = 0
    complete: Callable[[Monitor, list[str]], list[str]] = lambda monitor, words: []
    kinds: str = ""

    def answers_to(self, name: str) -> bool:
        return name in self.names.split("|")

    def help_line(self, prefix: str = "") -> str:
        return f"{prefix}{self.names} {self.usage} -- {self.help}"

    def check(self, arguments: list[str]) -> None:
        """Raises UsageError unless there are as many arguments as the command takes."""
        if len(arguments) < self.required:
            kind = self.kinds[len(arguments):][:1] or "s"
            raise UsageError(MISSING[kind].format(names=self.names))
        if len(arguments) > self.required + self.optional:
            raise ExtraneousError

    def carry_out(self, monitor: Monitor, arguments: list[str]) -> str:
        """Check, and run. Raises CommandError."""
        try:
            self.check(arguments)
            return self.run(monitor, arguments)
        except ExtraneousError:
            raise UsageError(f"{self.names}: extraneous characters at the end of line") from None


def find(commands: tuple[Command, ...], name: str) -> Command | None:
    return next((command for command in commands if command.answers_to(name)), None)


def names(commands: tuple[Command, ...]) -> list[str]:
    """Every spelling of every command, sorted."""
    return sorted(name for command in commands for name in command.names.split("|"))


def words_of(line: str) -> list[str]:
    r"""Words between blanks; double quotes hold one together, in which \" \\ \n stand for a
    character. Raises CommandError."""
    words: list[str] = []
    characters = iter(line)
    word: str | None = None
    for character in characters:
        if character == '"':
            word = (word or "") + _quoted(characters)
        elif character == " ":
            if word is not None:
                words.append(word)
            word = None
        else:
            word = (word or "") + character
    return words if word is None else [*words, word]


def _quoted(characters) -> str:
    """What comes before the closing quote."""
    text = ""
    for character in characters:
        if character == '"':
            return text
        if character == "\\":
            character = next(characters, "")
            if character not in ('"', "\\", "n"):
                raise CommandError(f"unsupported escape code: '\\{character}'")
            character = "\n" if character == "n" else character
        text += character
    raise CommandError("unterminated string")
