"""-plugin: what a plugin is told and may ask, and what is said of one that fails."""
import itertools

import pytest
from guests.harness import DATA, Guest
from pyemu.config import UserError
from pyemu.plugin import Plugin, find, help_text, load
from pyemu.trace import hooks

SYSTEM_CALL = """
    mov rcx, cr3
    mov eax, 5
L:  dec eax
    jnz L
    mov qword [DATA + 8], 77
    mov qword [DATA + 16], 78
    mov rax, [DATA + 8]
    int 0x50
    END
"""


class Machine:
    """As much of a Runner as a plugin has to do with."""

    def __init__(self, guest):
        self.guest, self.cpu, self.memory = guest, guest.cpu, guest.memory
        self.here = lambda: True


@pytest.fixture(autouse=True)
def nobody_listens():
    yield
    for hook in hooks.hooks.values():
        hook.listeners = ()


@pytest.fixture
def machine():
    return Machine(Guest())


def seen(machine, install):
    """Calls that a plugin's callback gets while the program runs."""
    calls = []
    plugin = Plugin("plugin.py", machine)
    install(plugin, lambda *arguments: calls.append(arguments))
    assert machine.guest.run(SYSTEM_CALL).stop == "end"
    return calls


def test_events_come_with_their_names(machine):
    calls = seen(machine, lambda plugin, callback: plugin.on_event("cpu_mode_*", callback))
    assert calls[0] == ("cpu_mode_change", 0, 3)


def test_blocks_as_they_are_translated(machine):
    calls = seen(machine, lambda plugin, callback: plugin.on_block_translated(callback))
    assert calls[0] == (0xffff0000, 0xfffffff0)
    assert all(len(call) == 2 for call in calls)


def test_exceptions_with_int_n_among_them(machine):
    calls = seen(machine, lambda plugin, callback: plugin.on_exception(callback))
    assert [(vector, software) for vector, software, *_ in calls] == [(0x50, 1)]


def test_memory_in_a_range_only(machine):
    calls = seen(machine, lambda plugin, callback:
                 plugin.on_memory(DATA + 10, DATA + 12, callback))
    assert calls == [(True, DATA + 8, 8, 77), (False, DATA + 8, 8, 77)]


def test_native_counts_of_blocks(machine):
    counts = Plugin("plugin.py", machine).count_blocks()
    assert machine.guest.run(SYSTEM_CALL).stop == "end"
    assert 4 in [times for _, _, times in counts()]  # the loop; its first round is another block
    sizes = {address: size for address, size, _ in counts()}
    assert all(0 < size < 4096 for size in sizes.values())


def test_the_count_table_grows(machine):
    jumps = "".join("jmp $ + 2\n" for _ in range(40_000))
    counts = Plugin("plugin.py", machine).count_blocks()
    code = f"mov ecx, 2\nagain:\n{jumps}\ndec ecx\njnz near again\nEND"
    assert machine.guest.run(code).stop == "end"
    twice = [address for address, size, times in counts() if times == 2 and size == 2]
    assert len(twice) >= 39_999


def test_memory_and_registers_can_be_read_in_a_callback(machine):
    found = []
    plugin = Plugin("plugin.py", machine)
    plugin.on_exception(lambda *unused: found.append(
        (plugin.read_memory(DATA + 8, 1), plugin.registers()["rax"])))
    machine.guest.run(SYSTEM_CALL)
    assert found == [(b"M", 77)]
    assert plugin.read_memory(1 << 40, 8) == b""


def test_a_callback_that_raises_is_told_of_once(machine, tmp_path, capsys):
    path = tmp_path / "bad.py"
    path.write_text("def install(plugin):\n    def f(cs, pc):\n        {}['x']\n"
                    "    plugin.on_block_translated(f)\n")
    load(str(path), machine)
    assert machine.guest.run(SYSTEM_CALL).stop == "end"
    assert capsys.readouterr().err == (
        f"pyemu: {path}:3: KeyError: 'x'; the callback is called no more\n")


@pytest.mark.parametrize("look", ["registers()", "read_memory(0, 1)"])
def test_the_machine_is_not_looked_at_on_other_threads(machine, tmp_path, capsys, look):
    path = tmp_path / "bad.py"
    path.write_text("def install(plugin):\n"
                    f"    plugin.on_event('net_dropped', lambda *_: plugin.{look})\n")
    load(str(path), machine)
    machine.here = lambda: False
    hooks.hooks["net_dropped"](60)
    assert capsys.readouterr().err == (
        f"pyemu: {path}:2: RuntimeError: this event is not one of the vCPU's thread, which has the "
        "machine; the callback is called no more\n")


def test_at_exit(machine):
    calls = itertools.count()
    plugin = Plugin("plugin.py", machine)
    plugin.at_exit(lambda: next(calls))
    plugin.finish()
    assert next(calls) == 1


@pytest.mark.parametrize(("text", "arguments", "said"), [
    (None, "", "No such file or directory"),
    ("def install(plugin)\n", "", "bad.py:1: expected ':'"),
    ("x = 1\n", "", "bad.py: defines no install(plugin, **arguments)"),
    ("import nosuch\n", "", "bad.py:1: ModuleNotFoundError: No module named 'nosuch'"),
    ("def install(plugin):\n    pass\n", ",a=1",
     "bad.py: install() got an unexpected keyword argument 'a'"),
    ("def install(plugin):\n    plugin.on_event('nosuch_*', print)\n", "",
     "bad.py:2: ValueError: no trace event matches 'nosuch_*'"),
    ("def install(plugin):\n    open('nosuch')\n", "",
     "bad.py:2: FileNotFoundError: [Errno 2] No such file or directory: 'nosuch'"),
])
def test_a_plugin_that_cannot_be_loaded(machine, tmp_path, monkeypatch, text, arguments, said):
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / "bad.py").write_text(text)
    with pytest.raises(UserError) as error:
        load("bad.py" + arguments, machine)
    assert str(error.value) == f"-plugin bad.py{arguments}: {said}"


def test_a_folder_does_not_hide_a_plugin_that_is_shipped(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "coverage").mkdir()
    assert find("coverage").endswith("/plugins/coverage.py")
    (tmp_path / "coverage.py").touch()
    assert find("coverage.py") == "coverage.py"


def test_help_lists_those_that_are_shipped():
    for name in ("coverage", "hotblocks", "irqlatency", "strace"):
        assert f"\n{name} " in help_text()
