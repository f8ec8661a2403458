"""`-plugin FILE.py[,ARG=VALUE...]`: Python that watches the machine.

FILE.py defines `def install(plugin, **arguments)`, which is called before the machine starts with a
`Plugin`; the arguments are the user's, as text. Callbacks run where the thing happens, most of them
on the vCPU's thread, and the guest waits for them. One that raises is told of in a line with its
place, and is called no more; the machine goes on.
"""
import importlib.resources
import inspect
import os
import re
import traceback
from collections.abc import Callable
from typing import Any

from pyemu.config import UserError
from pyemu.monitor import registers
from pyemu.report import complain
from pyemu.runner import Runner
from pyemu.trace import control, hooks
from pyemu.trace.conditions import compile_condition
from pyemu.trace.options import split_options

SHIPPED = importlib.resources.files("pyemu.plugins")

Callback = Callable[..., object]


class Plugin:
    """What `install` gets. Call its methods there; `read_memory` and `registers` in callbacks."""

    def __init__(self, path: str, runner: Runner):
        self.path = path
        self._runner = runner
        self._at_exit: list[Callback] = []

    def on_event(self, pattern: str, callback: Callback) -> None:
        """callback(name, *arguments) for each event that matches. Raises ValueError for none.

        It may be called on any thread; addresses and numbers are int, strings str.
        """
        try:
            names = control.matching(pattern)
        except control.UnknownEvent:
            names = []
        if not names:
            raise ValueError(f"no trace event matches '{pattern}'")
        for name in names:
            guarded = self._guarded(callback)
            self._listen(name, lambda *arguments, name=name, guarded=guarded:
                         guarded(name, *arguments))

    def on_block_translated(self, callback: Callback) -> None:
        """callback(cs, pc) for each block: base of the code segment, linear address."""
        self._listen("tcg_gen_code", self._guarded(callback))

    def count_blocks(self) -> Callable[[], list[tuple[int, int, int]]]:
        """Have native code count executions. Returns a function for callbacks that gives
        (linear address, bytes, executions) of each block; address spaces are not told apart."""
        self._runner.cpu.count_blocks(True)
        return self._runner.cpu.block_counts

    def on_interrupt(self, callback: Callback) -> None:
        """callback(vector, cs, pc) for each external interrupt that the CPU takes."""
        self._listen("cpu_interrupt", self._guarded(callback))

    def on_exception(self, callback: Callback) -> None:
        """callback(vector, software, error_code, cs, pc, cr2) for each exception and INT n."""
        self._listen("cpu_exception", self._guarded(callback))

    def on_syscall(self, entry: Callback | None = None, ret: Callback | None = None) -> None:
        """entry(number, arguments) for each system call, with a tuple of 6; ret(number, result).

        Those are SYSCALL and, with the arguments of 32-bit Linux, SYSENTER and INT 80h.
        """
        if entry is not None:
            called = self._guarded(entry)
            self._listen("guest_user_syscall",
                         lambda cpu, number, *arguments: called(number, arguments[:6]))
        if ret is not None:
            returned = self._guarded(ret)
            self._listen("guest_user_syscall_ret",
                         lambda cpu, number, result: returned(number, result))

    def on_memory(self, begin: int, end: int, callback: Callback) -> None:
        """callback(is_write, address, size, value) for each access of the guest that touches
        virtual addresses from `begin` to before `end`. Others are sorted out by native code."""
        guarded = self._guarded(callback)
        for name, is_write in (("guest_mem_read", False), ("guest_mem_write", True)):
            touches = compile_condition(f"vaddr < {end} && vaddr + size > {begin}",
                                        hooks.events[name])
            self._listen(name, lambda *access, is_write=is_write: guarded(is_write, *access),
                         touches)

    def at_exit(self, callback: Callback) -> None:
        """callback() when the machine has ended and the terminal is as it was before."""
        self._at_exit.append(self._guarded(callback))

    def read_memory(self, address: int, length: int) -> bytes:
        """Guest memory at a virtual address, as the CPU sees it now; shorter where no page is.

        Raises RuntimeError in callbacks on other threads than the vCPU's, as `registers` does.
        """
        self._check_thread()
        return self._runner.memory.read_virtual(address, length)

    def registers(self) -> dict[str, int]:
        """rax to r15, rip, rflags, the selectors, cr0, cr2, cr3, cr4, efer, by these names.

        rip is exact at interrupts, exceptions and system calls, else that of the block or later.
        """
        self._check_thread()
        names = (*registers.PLAIN, *registers.SEGMENTS, "rflags")
        return {name: registers.value(self._runner.cpu, name) for name in names}

    def finish(self) -> None:
        """Call what is to be called at the end."""
        for callback in self._at_exit:
            callback()

    def _check_thread(self) -> None:
        if not self._runner.here():
            raise RuntimeError("this event is not one of the vCPU's thread, which has the machine")

    def _listen(self, name: str, callback: Callback, condition: Any = None) -> None:
        hook = hooks.hooks[name]
        hook.listeners = (*hook.listeners, (condition, callback) if condition else callback)

    def _guarded(self, callback: Callback) -> Callback:
        failed = False

        def guarded(*arguments: Any) -> None:
            nonlocal failed
            if failed:
                return
            try:
                callback(*arguments)
            except Exception as error:
                failed = True
                complain(f"{described(error, self.path)}; the callback is called no more")
        return guarded


def described(error: BaseException, path: str) -> str:
    """One line: the innermost place in the plugin's file, and what happened there."""
    if isinstance(error, SyntaxError) and error.filename == path:
        return f"{path}:{error.lineno}: {error.msg}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__)
             if frame.filename == path]
    place = f"{path}:{lines[-1]}" if lines else path
    message = " ".join(str(error).split())
    return f"{place}: {type(error).__name__}" + (f": {message}" if message else "")


def find(name: str) -> str:
    """Path of a plugin: a file, or the name of one that comes with the emulator."""
    shipped = SHIPPED / f"{name.removesuffix('.py')}.py"
    if os.path.isfile(name) or not re.fullmatch(r"\w+(\.py)?", name) or not shipped.is_file():
        return name
    return str(shipped)


def load(text: str, runner: Runner) -> Plugin:
    """Install the plugin of one -plugin option. Raises UserError."""
    (key, name), *rest = split_options(text, "file")
    if key != "file":
        raise UserError(f"-plugin {text}: the plugin's file comes first")
    path, arguments = find(name), dict(rest)
    plugin = Plugin(path, runner)
    try:
        with open(path, "rb") as file:
            code = compile(file.read(), path, "exec")
        names: dict[str, Any] = {"__name__": "pyemu_plugin", "__file__": path}
        exec(code, names)
        install = names.get("install")
        if not callable(install):
            raise UserError(f"{path}: defines no install(plugin, **arguments)")
        try:
            inspect.signature(install).bind(plugin, **arguments)
        except TypeError as error:
            raise UserError(f"{path}: install() {error}") from None
        install(plugin, **arguments)
    except UserError as error:
        raise UserError(f"-plugin {text}: {error}") from None
    except OSError as error:
        if error.filename != path:
            raise UserError(f"-plugin {text}: {described(error, path)}") from None
        raise UserError(f"-plugin {text}: {error.strerror}") from None
    except Exception as error:
        raise UserError(f"-plugin {text}: {described(error, path)}") from None
    return plugin


class Plugins:
    """All plugins of a machine."""

    def __init__(self, texts: list[str], runner: Runner):
        self.loaded = [load(text, runner) for text in texts]
        self.started = False  # whether there has been a machine to report on

    def finish(self) -> None:
        if self.started:
            for plugin in self.loaded:
                plugin.finish()


def help_text() -> str:
    """The plugins that come with the emulator."""
    rows = []
    for file in sorted(SHIPPED.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".py") and file.name != "__init__.py":
            summary = file.read_text(encoding="utf-8").partition('"""')[2].splitlines()[0]
            rows.append(f"{file.name.removesuffix('.py'):12} {summary}")
    return "Plugins that come with the emulator:\n" + "\n".join(rows)
