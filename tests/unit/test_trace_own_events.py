"""-trace-events: events of the user's own, from the declaration to the decoded line."""
import subprocess
import sys

import pytest
from pyemu import cli
from pyemu.trace import simpletrace

TWO_LINES = 'coffee_brewed(int cups, const char *who) "%d for %s"\n'
PROGRAM = """
from pyemu.trace import control
control.declare(["mine"])
control.start(control.TraceOptions.parse(["coffee_*", "pic_*,file=t"]))
from pyemu.trace.hooks import trace_coffee_brewed, trace_pic_ioport_write
trace_coffee_brewed(3, "Ada")
trace_pic_ioport_write(1, 0x20, 0x11)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").write_text(TWO_LINES)


def record():
    subprocess.run([sys.executable, "-c", PROGRAM], check=True)


def test_a_declaration_and_a_call_are_all_it_takes(capsys):
    record()
    assert simpletrace.main(["mine", "t"]) == 0
    brewed, written = capsys.readouterr().out.splitlines()
    assert brewed.startswith("coffee_brewed 0.000 ") and brewed.endswith("cups=0x3 who=Ada")
    assert written.startswith("pic_ioport_write ")  # needs no file, beside one that is given


def test_without_the_file_the_decoder_says_what_it_misses(capsys):
    record()
    assert simpletrace.main(["t"]) == 1
    assert "'coffee_brewed' event is logged but is not declared" in capsys.readouterr().err


def test_several_files_do_not_declare_one_event_twice(capsys):
    record()
    assert simpletrace.main(["mine", "mine", "t"]) == 1
    assert capsys.readouterr().err.startswith("mine:1:1: ")


@pytest.mark.parametrize(("text", "line"), [
    ("a(int x)\nb(int x\nc(bad y)\n", "pyemu: -trace-events: mine:2:"),
    ("pic_ioport_write(int x)\n", "pyemu: -trace-events: mine:1:1: "),
    (None, "pyemu: -trace-events mine: No such file or directory\n"),
])
def test_what_is_wrong_with_the_file_is_one_line(tmp_path, capsys, text, line):
    if text is None:
        (tmp_path / "mine").unlink()
    else:
        (tmp_path / "mine").write_text(text)
    assert cli.main(["-nographic", "-trace-events", "mine"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(line)
    assert said.count("\n") == 1
