"""-d and -D, and the monitor's `log` and `logfile`: lines of text beside the trace."""
import os

import pytest
from pyemu.trace import commands, control, hooks, log
from pyemu.trace.log import LogOptions
from pyemu.trace.options import TraceError, TraceOptions

ARM, FIRE = "clock_timer_arm", "clock_timer_fire"

pytestmark = pytest.mark.usefixtures("tracing")


def test_lines_are_qemus(tmp_path, capfd):
    log.start(LogOptions.parse([f"trace:{ARM},trace:nosuch"], "log%d"))
    hooks.hooks[ARM]("rtc", 5)
    hooks.hooks[FIRE]("rtc", 5, 6)
    log.close()
    assert (tmp_path / f"log{os.getpid()}").read_text() == f"{ARM} rtc deadline=5ns\n"
    assert capfd.readouterr().err == (f"pyemu: -d trace:{ARM},trace:nosuch: warning: trace event "
                                      "'nosuch' does not exist\n")
    assert os.listdir(tmp_path) == [f"log{os.getpid()}"]


def test_it_goes_to_stderr_and_beside_it_the_trace(tmp_path, capfd):
    control.start(TraceOptions.parse([FIRE]))
    log.start(LogOptions.parse(["trace:clock_*"]))
    hooks.hooks[ARM]("a", 1)
    hooks.hooks[FIRE]("a", 2, 3)
    assert capfd.readouterr().err == f"{ARM} a deadline=1ns\n{FIRE} a deadline=2ns late=3ns\n"
    assert os.path.exists(control.file.path)


def test_the_monitor_shows_what_is_logged_and_ends_it(capfd):
    log.start(LogOptions.parse([f"trace:{ARM}"]))
    assert commands.info_trace_events(ARM) == f"{ARM} : state 1"
    assert commands.trace_event(ARM, "off") == ""
    hooks.hooks[ARM]("a", 1)
    assert commands.info_trace_events(ARM) == f"{ARM} : state 0"
    assert capfd.readouterr().err == ""


def test_help_lists_what_there_is():
    first, *rows, empty, last = log.help_text().splitlines()
    assert first == "Log items (comma separated):" and not empty
    assert [row.split()[0] for row in rows] == [*log.items, "trace:PATTERN"]
    assert last == 'Use "-d trace:help" to get a list of trace events.'
    assert LogOptions.parse(["help"]).help and LogOptions.parse(["trace:help"]).help


def test_an_item_takes_text_while_it_is_asked_for(capfd):
    assert not log.guest_errors
    log.start(LogOptions.parse(["int,guest_errors"]))
    assert log.guest_errors and log.interrupts
    log.guest_errors("bad guest")
    log.say("said")
    assert capfd.readouterr().err == "bad guest\nsaid\n"


def test_without_a_log_what_is_said_goes_to_stderr(capfd):
    log.say("said")
    assert capfd.readouterr().err == "said\n"


def test_an_unknown_item_or_a_bad_file_is_one_line():
    with pytest.raises(log.UnknownItem) as error:
        log.start(LogOptions.parse(["int,nosuch"]))
    assert error.value.line == "pyemu: -d int,nosuch: unknown log item 'nosuch'"
    assert not log.interrupts
    with pytest.raises(TraceError, match="-D /nonexistent/x: No such file or directory"):
        log.start(LogOptions.parse(["int"], "/nonexistent/x"))


def test_items_of_qemus_that_cannot_be_say_why():
    with pytest.raises(log.UnavailableItem) as error:
        log.start(LogOptions.parse(["int,out_asm"]))
    assert error.value.line == (
        "pyemu: -d int,out_asm: log item 'out_asm' is not available: how a block is translated is "
        "not to be seen from outside the translator")
    assert not set(log.items) & set(log.unavailable)


@pytest.mark.parametrize("name", ["a%s", "a%", "%d%d", "a%%d", "a%%"])
def test_a_bad_template_of_a_name_makes_no_file(tmp_path, name):
    with pytest.raises(TraceError) as error:
        log.start(LogOptions.parse(["int"], name))
    assert error.value.line == f"pyemu: Bad logfile template: {name}"
    assert os.listdir(tmp_path) == []


def test_the_monitor_gets_warnings_and_the_list():
    assert log.choose(f"trace:nosuch,trace:{ARM}") == [
        "warning: trace event 'nosuch' does not exist"]
    with pytest.raises(log.UnknownItem):
        log.choose("help")
    assert hooks.hooks[ARM].logged
    rows = log.help_text("log").splitlines()
    assert rows[1].split()[0] == "none" and rows[-1].startswith('Use "log trace:help"')


@pytest.mark.parametrize(("text", "inside", "outside"), [
    ("0x1000..0x1fff", (0x1000, 0x1fff), (0xfff, 0x2000)),
    ("0x1000+0x20", (0x1000, 0x101f), (0xfff, 0x1020)),
    ("0x101f-0x20", (0x1000, 0x101f), (0xfff, 0x1020)),
    ("0..0xffffffffffffffff", (0, (1 << 64) - 1), ()),
    ("010+8,5..5", (8, 15, 5), (7, 16, 4)),
    ("", (0, 1 << 63), ()),
])
def test_addresses_that_blocks_are_to_be_at(text, inside, outside):
    log.start(LogOptions.parse([], ranges=text))
    assert all(map(log.concerns, inside)) and not any(map(log.concerns, outside))


@pytest.mark.parametrize(("text", "problem"), [  # as QEMU words it
    ("0x1000", "Bad range specifier"), ("zz", "Bad range specifier"),
    ("1..", "Invalid number to the right of .."), ("x+1", "Invalid number to the left of +"),
    ("0x2000..0x1000", "Invalid range"), ("0x1000+0", "Invalid range"), ("1-9", "Invalid range"),
    ("1+1,5", "Bad range specifier"),
])
def test_a_bad_range_is_one_line(text, problem):
    with pytest.raises(TraceError) as error:
        LogOptions.parse([], ranges=text)
    assert error.value.line == f"pyemu: -dfilter {text}: {problem}"


def test_whoever_follows_an_item_is_told_of_changes():
    changes = []
    log.cpu.follow(changes.append)
    log.choose("cpu,exec")
    log.choose("exec,cpu")
    log.choose("none")
    assert changes == [True, False]
    log.choose("cpu")
    log.cpu.follow(lambda on: changes.append((on,)))
    assert changes == [True, False, True, (True,)]


def test_choosing_anew_replaces_what_was_chosen(tmp_path, capfd):
    log.choose(f"int,trace:{ARM}")
    hooks.hooks[ARM]("a", 1)
    log.choose(f"cpu,trace:{FIRE}")
    assert (bool(log.interrupts), bool(log.cpu)) == (False, True)
    hooks.hooks[ARM]("a", 2)
    with pytest.raises(TraceError, match=r"^nosuch: unknown log item 'nosuch'$"):
        log.choose("nosuch")
    assert log.cpu
    log.set_file("other.log")
    hooks.hooks[FIRE]("a", 2, 3)
    log.choose("none")
    hooks.hooks[FIRE]("a", 3, 3)
    with pytest.raises(TraceError, match="/nonexistent/x: No such file or directory"):
        log.set_file("/nonexistent/x")
    log.close()
    assert (tmp_path / "other.log").read_text() == f"{FIRE} a deadline=2ns late=3ns\n"
    assert capfd.readouterr().err == f"{ARM} a deadline=1ns\n"
