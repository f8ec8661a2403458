"""The human monitor: a prompt that shows and steers the running machine.

Each monitor has a thread, so that a command may wait for the vCPU without holding up anybody.
"""
import queue
import threading
from collections.abc import Callable
from typing import Any

from pyemu import __version__
from pyemu.chardev.registry import Chardevs
from pyemu.config import Config
from pyemu.monitor import (
    command,
    general,
    info,
    keys,
    machine,
    media,
    memory,
    network,
    paging,
    saving,
    screen,
    tracing,
    vnc,
)
from pyemu.monitor.command import CommandError, UsageError
from pyemu.monitor.lineedit import LineEditor
from pyemu.trace.hooks import trace_handle_hmp_command

PROMPT = "(qemu) "  # what people's scripts wait for
COMMANDS = tuple(sorted(
    (*general.COMMANDS, *info.COMMANDS, *keys.COMMANDS, *machine.COMMANDS, *media.COMMANDS,
     *memory.COMMANDS, *network.COMMANDS, *paging.COMMANDS, *saving.COMMANDS, *screen.COMMANDS,
     *tracing.COMMANDS, *vnc.COMMANDS),
    key=lambda command: command.names))


class Monitor:
    """A monitor on the character device `ident` of `chardevs`. `start` before the devices do.

    Without a device it only carries out what is given to `execute`.

    runner: `status()`, `call(function)`, `pause()`, `resume()`, `reset()`, `powerdown()`,
    `quit()`, `vnc`, `cpu`, `clock`, `memory`, `ports` and `machine` with `keyboard`, `mouse`,
    `vga` and `drives`, which is `emu.drives.Drives`.
    """

    config: Config

    def __init__(self, runner: Any, config: Config, chardevs: Chardevs, ident: str | None):
        self.runner = runner
        self.config = config
        self.chardevs = chardevs
        self.commands = COMMANDS
        self.interactive = ident is not None
        self.editor = LineEditor(PROMPT, self.write, self._complete)
        self._queue: queue.SimpleQueue = queue.SimpleQueue()
        self._front_end = chardevs.attach(ident, self._queue.put)
        self._front_end.on_readable = self._read
        self._front_end.on_open = self._on_open
        self._front_end.on_focus = self._on_focus
        self.format = memory.Format()  # of the last x, xp, i, o or print
        self.keys_until = 0  # when the keys that sendkey has sent will be up, ns
        self._secret_for: Callable[[str], str] | None = None
        self._greeted = False
        self._ended = False
        self._thread = threading.Thread(target=self._main, name="monitor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def write(self, text: str) -> None:
        """Show `text`, whose lines end in a line feed."""
        self._front_end.write(text.replace("\n", "\r\n").encode("utf-8", "surrogateescape"))

    def execute(self, line: str) -> str:
        """Carry out one command and return what it prints."""
        trace_handle_hmp_command(self, line)
        try:
            words = command.words_of(line)
        except CommandError as error:
            return str(error)
        if not words:
            return ""
        head = words[0]
        if "/" in head:  # the format may be written right behind the name: x/4x
            head, slash, form = head.partition("/")
            words[:1] = [head, slash + form]
        found = command.find(self.commands, head)
        if found is None:
            return f"unknown command: '{line.strip()}'"
        try:
            return found.carry_out(self, words[1:])
        except UsageError as error:
            topic = " ".join(words[:2]) if head == "info" else head
            return f'{error}\nTry "help {topic}" for more information'
        except CommandError as error:
            return str(error)
        except Exception as error:  # a fault of ours, or the machine has just ended
            return f"{type(error).__name__}: {error}"

    def end(self) -> None:
        """Read no further lines: the machine is about to end."""
        self._ended = True

    def _main(self) -> None:
        while not self._ended:
            self._queue.get()()

    def _read(self) -> None:
        while data := self._front_end.read(4096):
            for line in self.editor.feed(data):
                answer = self._answer(line)
                if answer:
                    self.write(answer if answer.endswith("\n") else answer + "\n")
                if self._ended:
                    return
                self.editor.show_prompt()

    def ask_secret(self, prompt: str, then: Callable[[str], str]) -> None:
        """The next line is for `then`, which says what to print. It is shown as stars."""
        self._secret_for = then
        self.editor.prompt, self.editor.secret = prompt, True

    def _answer(self, line: str) -> str:
        if self._secret_for is None:
            return self.execute(line)
        then, self._secret_for = self._secret_for, None
        self.editor.prompt, self.editor.secret = PROMPT, False
        return then(line)

    def _on_open(self) -> None:
        self._greeted = False

    def _on_focus(self, gained: bool) -> None:
        if not gained:
            self.write("\n")
            return
        if not self._greeted:
            self.write(f"pyemu {__version__} monitor - type 'help' for more information\n")
            self._greeted = True
        self.editor.show_prompt()

    def _complete(self, line: str) -> list[str]:
        words = line.split()
        if not words or line.endswith(" "):
            words.append("")
        if len(words) == 1:
            candidates = command.names(self.commands)
        else:
            found = command.find(self.commands, words[0])
            candidates = found.complete(self, words[1:]) if found else []
        return [name for name in candidates if name.startswith(words[-1])]
