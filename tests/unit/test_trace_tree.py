"""Every hook in the tree is declared and called as declared; every declared event is used."""
import ast
import glob
import os
import re
import subprocess
import sys
from functools import cache

import pytest
from pyemu.trace import hooks


@cache
def python_trees():
    """(path, syntax tree) of every module that may have hooks."""
    trees = []
    folders = {os.path.dirname(path) for path, _ in hooks.files()}
    for folder in sorted(folders):
        for base, below, names in os.walk(folder):
            below[:] = [name for name in below if os.path.join(base, name) not in folders]
            for name in sorted(names):
                if name.endswith(".py"):
                    path = os.path.join(base, name)
                    with open(path, encoding="utf-8") as file:
                        trees.append((path, ast.parse(file.read(), path)))
    return trees


def imported(tree):
    """{name in the module: event} and the line of each import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "pyemu.trace.hooks":
            for alias in node.names:
                if alias.name.startswith("trace_"):
                    yield alias.asname or alias.name, alias.name[6:], node.lineno


def problems_of(path, tree):
    names = {}
    for name, event, line in imported(tree):
        names[name] = event
        if event not in hooks.events:
            yield f"{path}:{line}: event '{event}' is not declared"
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        name = node.func.id
        event = hooks.events.get(names.get(name, ""))
        if name.startswith("trace_") and name not in names:
            yield f"{path}:{node.lineno}: {name} is called but not imported from pyemu.trace.hooks"
        elif event and node.keywords:
            yield f"{path}:{node.lineno}: {name} is called with keywords"
        elif event and not any(isinstance(arg, ast.Starred) for arg in node.args) \
                and len(node.args) != len(event.args):
            yield (f"{path}:{node.lineno}: {name} is called with {len(node.args)} arguments, "
                   f"{event.file}:{event.line} declares {len(event.args)}")


def native_calls():
    """(path and line, event, number of arguments) of each `TRACE(event, ...)` in C."""
    folders = {os.path.join(os.path.dirname(path), "native") for path, _ in hooks.files()}
    for path in sorted(path for folder in folders for path in glob.glob(f"{folder}/*.c")):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for call in re.finditer(r"\bTRACE\((\w+)", text):
            depth, commas = 1, 0
            for letter in text[call.end():]:
                depth += {"(": 1, ")": -1}.get(letter, 0)
                commas += letter == "," and depth == 1
                if not depth:
                    break
            yield f"{path}:{text.count(chr(10), 0, call.start()) + 1}", call[1], commas


def test_native_calls_are_declared_with_their_arguments():
    calls = list(native_calls())
    assert calls
    for place, name, arguments in calls:
        assert name in hooks.events, f"{place}: event '{name}' is not declared"
        event = hooks.events[name]
        assert arguments == len(event.args), f"{place}: {arguments}, {event.file}:{event.line}"


def test_every_hook_is_declared_and_called_with_its_arguments():
    assert [problem for path, tree in python_trees() for problem in problems_of(path, tree)] == []


def test_every_event_is_used():
    used = set()
    for _, tree in python_trees():
        used.update(event for _, event, _ in imported(tree))
        # Hooks that native code calls are handed to it by name.
        used.update(node.value.removeprefix("trace_") for node in ast.walk(tree)
                    if isinstance(node, ast.Constant) and isinstance(node.value, str))
    used.update(event for _, event, _ in native_calls())
    assert [f"{event.file}:{event.line}: '{event.name}' is never called"
            for event in hooks.events.values() if event.name not in used] == []


def test_the_check_finds_mistakes():
    source = """
from pyemu.trace.hooks import trace_clock_timer_arm as arm, trace_nosuch
arm("x")
arm("x", 1)
arm("x", deadline=1)
trace_other()
"""
    problems = list(problems_of("f.py", ast.parse(source)))
    assert problems[0] == "f.py:2: event 'nosuch' is not declared"
    assert [problem.split(":")[1] for problem in problems] == ["2", "3", "5", "6"]


def test_a_hook_that_is_not_declared_says_where_it_belongs():
    with pytest.raises(ImportError, match=r"no event 'nosuch' is declared: expected it in "
                                          r".*tests/unit/trace-events"):
        from pyemu.trace.hooks import trace_nosuch  # noqa: F401


def test_ids_are_positions_and_names_are_unique():
    assert [hook.id for hook in hooks.hooks.values()] == list(range(len(hooks.hooks)))
    assert list(hooks.hooks) == list(hooks.events)


def test_two_lines_add_an_event(tmp_path):
    (tmp_path / "trace-events").write_text('fresh_event(uint64_t pc) "pc=0x%" PRIx64\n')
    (tmp_path / "use.py").write_text(f"""
from pyemu.trace import hooks
hooks.declare_file({str(tmp_path / "trace-events")!r})
from pyemu.trace.hooks import trace_fresh_event
trace_fresh_event(1)
print(trace_fresh_event)
""")
    result = subprocess.run([sys.executable, tmp_path / "use.py"], capture_output=True, text=True)
    assert result.stdout == "<trace event fresh_event, off>\n", result.stderr
