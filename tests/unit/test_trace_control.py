"""-trace and the monitor's commands: what goes on, what goes off, what is said."""
import os
import re
import signal
import subprocess
import sys

import pytest
from pyemu.trace import _ring, commands, control, hooks
from pyemu.trace.options import Switch, TraceError, TraceOptions
from pyemu.trace.simpletrace import Analyzer, process

ARM, FIRE = "clock_timer_arm", "clock_timer_fire"

pytestmark = pytest.mark.usefixtures("tracing")


def on():
    return [name for name, hook in hooks.hooks.items() if hook.enabled]


class Everything(Analyzer):
    def __init__(self):
        self.seen = []

    def catchall(self, event, rec):
        self.seen.append((event.name, *rec[3:]))


def decode(path):
    everything = Everything()
    assert process(None, str(path), everything) == []
    return everything.seen


@pytest.mark.parametrize("text, switches", [
    ("ide_*", [("ide_*", True)]), ("enable=ide_*", [("ide_*", True)]),
    ("-ide_*", [("ide_*", False)]),
    ("a,,b", [("a,b", True)]), ("file=f", []),
])
def test_patterns_of_the_option(text, switches):
    options = TraceOptions.parse([text])
    assert options.switches == [Switch(*switch, f"-trace {text}") for switch in switches]
    assert options.given


def test_options_add_up_and_the_last_file_counts():
    options = TraceOptions.parse(["a,file=1", "b", "file=2,size=100k", "full=wait,overwrite=on"])
    assert [switch.pattern for switch in options.switches] == ["a", "b"]
    assert (options.file, options.size, options.wait, options.overwrite) == ("2", 1 << 17, True,
                                                                             True)
    assert TraceOptions.parse(["help"]).help and not TraceOptions.parse([]).given


@pytest.mark.parametrize("text, line", [
    ("foo=bar", "pyemu: -trace foo=bar: Invalid parameter 'foo'"),
    ("a,bar", "pyemu: -trace a,bar: Invalid parameter 'bar'"),
    ("events=/nonexistent", "pyemu:/nonexistent: No such file or directory"),
    ("events=/", "pyemu:/: Is a directory"),
    ("size=5", "pyemu: -trace size=5: size must be 64k to 1G, for example size=16M"),
    ("on=x", "pyemu: -trace on=x: 'on=EVENT' and 'do=ACTION' go together"),
    ("if=x>1", "pyemu: -trace if=x>1: 'if' needs an event"),
    ("full=no", "pyemu: -trace full=no: Parameter 'full' expects 'drop' or 'wait'"),
])
def test_a_bad_option_is_one_line(text, line):
    with pytest.raises(TraceError) as error:
        TraceOptions.parse([text])
    assert error.value.line == line


def test_an_events_file(tmp_path, capfd):
    (tmp_path / "ev").write_text(f"# comment\n\n clock_* \n-{FIRE}\n  #indented\nnosuch\nnosuch_*")
    control.start(TraceOptions.parse(["events=ev"]))
    assert on() == [ARM]
    assert capfd.readouterr().err.splitlines() == [
        "pyemu:ev:5: warning: trace event '#indented' does not exist",
        "pyemu:ev:6: warning: trace event 'nosuch' does not exist",
        "pyemu:ev:7: warning: no trace event matches 'nosuch_*'"]


def test_a_name_that_does_not_exist_is_a_warning(capfd):
    control.start(TraceOptions.parse(["nosuch"]))
    assert capfd.readouterr().err == ("pyemu: -trace nosuch: warning: trace event 'nosuch' does "
                                      "not exist\n")


def test_every_match_of_a_pattern_is_switched_and_question_marks_count():
    control.apply([Switch("clock_timer_*", True, "")])
    assert on() == [ARM, FIRE]
    control.apply([Switch("c?ock_timer_fire", False, "")])
    assert on() == [ARM]


def test_a_disabled_event_stays_off(monkeypatch):
    monkeypatch.setattr(hooks.events[ARM], "properties", ("disable",))
    assert control.apply([Switch(ARM, True, "-trace x")]) == [
        f"-trace x: warning: trace event '{ARM}' is not traceable"]
    assert on() == [] and ARM not in control.help_text().split()


def test_a_trace_from_start_to_end(tmp_path):
    control.start(TraceOptions.parse([ARM]))
    hooks.hooks[ARM]("rtc", 5)
    hooks.hooks[FIRE]("rtc", 5, 6)
    control.close()
    assert decode(f"trace-{os.getpid()}") == [(ARM, "rtc", 5)]
    assert os.listdir(tmp_path) == [f"trace-{os.getpid()}"]


def test_an_unwritable_file_is_one_clear_line():
    with pytest.raises(TraceError) as error:
        control.start(TraceOptions.parse([f"{ARM},file=/nonexistent/x"]))
    assert error.value.line == ("pyemu: could not open trace file '/nonexistent/x': No such file "
                                "or directory")


def test_a_full_disk_is_told_at_the_end(capfd):
    control.file.path = "good"
    control.file.resume()
    control.switch(ARM, True)
    full = os.open("/dev/full", os.O_WRONLY)
    _ring.set_file(full, 0)
    hooks.hooks[ARM]("x", 1)
    assert commands.trace_file("flush") == "good: No space left on device"
    assert commands.status().endswith("It cannot be written: No space left on device.")
    control.close()
    assert capfd.readouterr().err == ("pyemu: good: No space left on device; 0 events were dropped "
                                      "and 45 bytes of others are lost\n")
    os.close(full)


def test_what_a_full_disk_has_cost_is_told(capfd):
    control.file.path, control.file.size = "good", 64 << 10
    control.file.resume()
    control.switch(ARM, True)
    full = os.open("/dev/full", os.O_WRONLY)
    _ring.set_file(full, 0)
    for _ in range(5000):
        hooks.hooks[ARM]("x", 1)
    control.close()
    os.close(full)
    dropped, lost = map(int, re.search(
        r"; (\d+) events were dropped and (\d+) bytes of others are lost$",
        capfd.readouterr().err).groups())
    assert dropped > 3000 and lost % 45 == 0 and dropped + lost // 45 == 5000


def test_a_file_is_recorded_into_by_one_process_only():
    control.start(TraceOptions.parse([f"{ARM},file=mine"]))
    hooks.hooks[ARM]("x", 1)
    control.file.flush()
    size = os.path.getsize("mine")
    with pytest.raises(TraceError) as error:
        control.file.set("mine")
    assert str(error.value) == "could not open trace file 'mine': a process is recording into it"
    assert os.path.getsize("mine") == size


def test_nothing_is_opened_without_the_option_until_an_event_goes_on(tmp_path):
    control.start(TraceOptions.parse([]))
    assert os.listdir(tmp_path) == []
    assert commands.trace_event(ARM, "on") == ""
    hooks.hooks[ARM]("x", 1)
    control.close()
    assert decode(f"trace-{os.getpid()}") == [(ARM, "x", 1)]


def test_info_trace_events():
    control.switch(FIRE, True)
    assert commands.info_trace_events("clock_*") == f"{ARM} : state 0\n{FIRE} : state 1"
    assert commands.info_trace_events("nosuch") == 'unknown event "nosuch"'
    assert commands.info_trace_events("zz*") == ""
    assert len(commands.info_trace_events().splitlines()) == len(hooks.events)


def test_events_of_a_cpu():
    """Texts and order of checks are QEMU's."""
    reset = "guest_cpu_reset"
    assert commands.trace_event("*", "on", vcpu=0) == ""
    assert on() == [name for name in hooks.events if hooks.events[name].per_cpu] and reset in on()
    assert commands.info_trace_events("guest_cpu*", 0) == f"{reset} : state 1"
    assert commands.trace_event("*", "off", vcpu=0) == "" and on() == []
    for function in (commands.info_trace_events, lambda name, cpu: commands.trace_event(
            name, "on", cpu)):
        assert function(ARM, 0) == f'event "{ARM}" is not vCPU-specific'
        assert function(ARM, 9) == function("nosuch", 9) == "invalid vCPU index 9"
        assert function("nosuch", 0) == 'unknown event "nosuch"'
    assert commands.qmp_trace_event_get_state("guest_cpu*", 0) == [
        {"name": reset, "vcpu": True, "state": "disabled"}]
    commands.qmp_trace_event_set_state("*", True, vcpu=0)
    assert reset in on() and ARM not in on()


def test_trace_event():
    bad = 'Expected \'on\' or \'off\'\nTry "help trace-event" for more information'
    assert commands.trace_event(ARM) == commands.trace_event(ARM, "maybe") == bad
    assert commands.trace_event("nosuch", "on") == 'unknown event "nosuch"'
    assert commands.trace_event("clock_*", "on") == "" and on() == [ARM, FIRE]
    assert commands.trace_event("clock_*", "off") == "" and on() == []


def test_trace_file(tmp_path):
    name = f"trace-{os.getpid()}"
    arm = hooks.hooks[ARM]
    assert commands.trace_file() == f'Trace file "{name}" off.'
    control.start(TraceOptions.parse([ARM]))
    arm("one", 1)
    assert commands.trace_file("flush") == "" and decode(name) == [(ARM, "one", 1)]
    assert commands.trace_file("off") == "" and not arm
    arm("unseen", 1)
    assert commands.trace_file("on") == "" and commands.trace_file() == f'Trace file "{name}" on.'
    arm("two", 2)
    assert commands.trace_file("set", "other") == ""
    arm("three", 3)
    assert sorted(os.listdir(tmp_path)) == ["other", "other.ring", name]
    control.close()
    assert decode(name) == [(ARM, "one", 1), (ARM, "two", 2)]  # nothing lost by off and on
    assert decode("other") == [(ARM, "three", 3)]
    assert commands.trace_file("x").startswith('unexpected argument "x"')
    assert commands.trace_file("set") == "trace-file set: expected a file name"


def test_set_to_a_bad_place_changes_nothing():
    control.start(TraceOptions.parse([ARM]))
    assert commands.trace_file("set", "/nonexistent/x").startswith("could not open trace file")
    hooks.hooks[ARM]("x", 1)
    control.close()
    assert decode(f"trace-{os.getpid()}") == [(ARM, "x", 1)]


def test_overwrite_writes_the_newest_at_the_end():
    control.start(TraceOptions.parse([ARM, "overwrite=on,size=64k"]))
    for n in range(5000):
        hooks.hooks[ARM]("x", n)
    control.close()
    seen = [deadline for _, _, deadline in decode(f"trace-{os.getpid()}")]
    assert seen == list(range(seen[0], 5000)) and seen[0] > 0


def test_completion():
    assert commands.complete(["trace-event", "clock_timer_a"]) == [ARM]
    assert commands.complete(["trace-event", ARM, "o"]) == ["on", "off"]
    assert commands.complete(["trace-file", "f"]) == ["flush"]
    assert commands.complete(["info", "trace-events", "clock_timer_f"]) == [FIRE]


def test_a_condition_decides_what_is_recorded():
    control.start(TraceOptions.parse(["clock_*,if=late > 10 && count < 2 || name == 'rtc'"]))
    assert on() == [FIRE]  # the other one has no argument `late`
    for n in range(8, 16):
        hooks.hooks[FIRE]("pit", n, n)
    hooks.hooks[FIRE]("rtc", 1, 1)
    control.close()
    assert [args for _, *args in decode(f"trace-{os.getpid()}")] == [
        ["pit", 11, 11], ["pit", 12, 12], ["rtc", 1, 1]]


@pytest.mark.parametrize("option, line", [
    (f"{ARM},if=sector>1", f"-trace {ARM},if=sector>1: condition 'sector>1': event '{ARM}' has no "
     "argument 'sector'"),
    (f"{ARM},if=deadline>", f"-trace {ARM},if=deadline>: condition 'deadline>', character 10: "
     "expected a number, an argument or '('"),
    (f"on={ARM},do=sing", f"-trace on={ARM},do=sing: no action 'sing', expected one of backtrace, "
     "flush, pause, registers, start, stop"),
])
def test_a_bad_condition_or_action_is_one_line(option, line):
    with pytest.raises(TraceError) as error:
        control.start(TraceOptions.parse([option]))
    assert error.value.line == f"pyemu: {line}"


def test_recording_starts_and_stops_by_triggers():
    control.start(TraceOptions.parse(
        ["clock_*", f"start={ARM},if=deadline == 5", f"stop={FIRE},if=deadline==7"]))
    for n in range(10):
        hooks.hooks[ARM]("x", n)
        hooks.hooks[FIRE]("x", n, 0)
    control.close()
    seen = [(name, args[1]) for name, *args in decode(f"trace-{os.getpid()}")]
    assert seen == [(FIRE, 5), (ARM, 6), (FIRE, 6), (ARM, 7), (FIRE, 7)]


def test_actions_of_the_machine(monkeypatch, capfd):
    done = []
    option = f"on={FIRE},do=registers"
    control.start(TraceOptions.parse([option]))
    hooks.hooks[FIRE]("x", 1, 1)
    assert capfd.readouterr().err == (f"pyemu: -trace {option}: too early for 'registers', there "
                                      "is no machine yet\n")
    monkeypatch.setitem(control.actions, "pause", lambda: done.append("pause"))
    control.start(TraceOptions.parse(["on=clock_*,do=flush+pause,if=deadline==3"]))
    for n in range(5):
        hooks.hooks[ARM]("x", n)
    assert done == ["pause"]


def test_qmp():
    get, put = commands.qmp_trace_event_get_state, commands.qmp_trace_event_set_state
    assert put(ARM, True) == {}
    assert get("clock_*") == [{"name": ARM, "vcpu": False, "state": "enabled"},
                              {"name": FIRE, "vcpu": False, "state": "disabled"}]
    assert get("zz*") == []
    with pytest.raises(TraceError, match=r'^unknown event "nosuch"$'):
        get("nosuch")


def test_qmp_on_a_disabled_event(monkeypatch):
    monkeypatch.setattr(hooks.events[ARM], "properties", ("disable",))
    with pytest.raises(TraceError, match=f'^event "{ARM}" is disabled$'):
        commands.qmp_trace_event_set_state("clock_*", True)
    commands.qmp_trace_event_set_state("clock_*", True, ignore_unavailable=True)
    assert on() == [FIRE]
    assert commands.qmp_trace_event_get_state(ARM)[0]["state"] == "unavailable"


VICTIM = """
import os, signal, sys
from pyemu.trace import _ring, commands, control, hooks
from pyemu.trace.control import TraceOptions
control.start(TraceOptions.parse(["clock_timer_arm", "file=killed" + sys.argv[2]]))
count = int(sys.argv[1])
for n in range(count):
    hooks.trace_clock_timer_arm("x", n)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("count", [1, 1000, 100_000])
@pytest.mark.parametrize("more", ["", ",full=wait", ",overwrite=on"])
def test_nothing_is_lost_by_kill_9(count, more, capfd):
    result = subprocess.run([sys.executable, "-c", VICTIM, str(count), more])
    assert result.returncode == -signal.SIGKILL
    kept, lost = [], 0
    everything = Everything()
    assert process(None, "killed", everything) == []
    for name, *args in everything.seen:
        if name == "Dropped_Event":
            lost += args[0]
        else:
            kept.append(args[1])
    assert kept == sorted(set(kept))
    assert kept[-1] == count - 1 or lost
    if more != ",overwrite=on":
        assert len(kept) + lost == count
    if "wait" in more:
        assert kept == list(range(count))
    assert "recovered" in capfd.readouterr().err or not more


def test_another_process_of_that_number_hides_nothing(capfd):
    subprocess.run([sys.executable, "-c", VICTIM, "10", ""])
    with open("killed.ring", "r+b") as file:
        file.seek(12)
        file.write(os.getpid().to_bytes(4, "little"))
    assert [args for _, *args in decode("killed")] == [["x", n] for n in range(10)]
    assert "10 records recovered" in capfd.readouterr().err


def test_an_exception_or_an_exit_loses_nothing():
    result = subprocess.run([sys.executable, "-c", VICTIM.replace(
        "os.kill(os.getpid(), signal.SIGKILL)", "raise SystemExit(3)"), "100", ""])
    assert result.returncode == 3
    assert [args for _, *args in decode("killed")] == [["x", n] for n in range(100)]
    assert not os.path.exists("killed.ring")
