"""pyemu-simpletrace on good files and broken ones, and the API for analyses."""
import json
import os
import struct
import subprocess
import sys

import pytest
from pyemu.trace import formats, grammar, simpletrace, tracetool
from pyemu.trace.reader import HEADER_ID, MAGIC, TraceFormatError
from pyemu.trace.simpletrace import Analyzer, process

EVENTS = """
load_file(const char *name, const char *path) "name %s location %s"
ide_read(uint32_t addr, const char *reg, uint32_t val, void *s) "0x%x (%s) 0x%x %p"
notify(int running) "running %d"
nothing(void)
"""
DECLARED = grammar.parse(EVENTS)
DROPPED = 0xfffffffffffffffe
US = 1000


def text(value):
    return struct.pack("=I", len(value)) + value


def record(number, ns, payload=b"", pid=4242, length=None):
    length = 24 + len(payload) if length is None else length
    return struct.pack("=QQQII", 1, number, ns, length, pid) + payload


def mapping(number, name):
    return struct.pack("=QQI", 0, number, len(name)) + name.encode()


HEADER = struct.pack("=QQQ", HEADER_ID, MAGIC, 4)
MAPPINGS = b"".join(mapping(n, event.name) for n, event in enumerate(DECLARED))
LOAD = record(0, 0, text(b"bios.bin") + text(b"/x/bios.bin"))
READ = record(1, 250 * US, struct.pack("=Q", 0x1f7) + text(b"Status")
              + struct.pack("=QQ", 0x50, 0x5678))
LOST = record(DROPPED, 259 * US, struct.pack("=Q", 17))
NOTIFY = record(2, 260_500, struct.pack("=q", -1))


@pytest.fixture
def decode(tmp_path, capfd):
    """decode(data, options...) -> (status, lines, complaints with the file's name cut off)."""
    events, trace = tmp_path / "trace-events", tmp_path / "trace"
    events.write_text(EVENTS)

    def decode(data, *options):
        trace.write_bytes(data)
        status = simpletrace.main([*options, str(events), str(trace)])
        out, err = capfd.readouterr()
        return status, out.splitlines(), err.replace(f"{trace}: ", "").splitlines()

    return decode


LINES = [
    "load_file 0.000 pid=4242 name=bios.bin path=/x/bios.bin",
    "ide_read 250.000 pid=4242 addr=0x1f7 reg=Status val=0x50 s=0x5678",
    "Dropped_Event 9.000 pid=4242 num_events_dropped=0x11",
    "notify 1.500 pid=4242 running=0xffffffffffffffff",
]


def test_lines_are_qemus(decode):
    assert decode(HEADER + MAPPINGS + LOAD + READ + LOST + NOTIFY) == (0, LINES, [])


def test_strings_as_qemu_7_2_prints_them(decode):
    _, lines, _ = decode(HEADER + MAPPINGS + LOAD, "--bytes")
    assert lines == ["load_file 0.000 pid=4242 name=b'bios.bin' path=b'/x/bios.bin'"]


def test_a_string_stays_on_its_line(decode):
    data = HEADER + MAPPINGS + record(0, 0, text(b"a\nb\xff") + text("é".encode()))
    assert decode(data)[1] == ["load_file 0.000 pid=4242 name=a\\nb\\xff path=é"]


def test_json(decode):
    _, lines, _ = decode(HEADER + MAPPINGS + LOAD + NOTIFY, "--format=json")
    assert [json.loads(line) for line in lines] == [
        {"name": "load_file", "timestamp_ns": 0, "pid": 4242,
         "args": {"name": "bios.bin", "path": "/x/bios.bin"}},
        {"name": "notify", "timestamp_ns": 260_500, "pid": 4242, "args": {"running": -1}}]


def test_csv(decode):
    assert decode(HEADER + MAPPINGS + LOAD + NOTIFY, "--format=csv")[1] == [
        "name,timestamp_ns,pid,args",
        'load_file,0,4242,"{""name"":""bios.bin"",""path"":""/x/bios.bin""}"',
        'notify,260500,4242,"{""running"":-1}"']


def test_pretty(decode):
    nothing = record(3, 2_000_000_000)
    assert decode(HEADER + MAPPINGS + LOAD + READ + NOTIFY + nothing, "--pretty")[1] == [
        "    0.000000 load_file: name bios.bin location /x/bios.bin",
        "    0.000250 ide_read: 0x1f7 (Status) 0x50 0x5678",
        "    0.000260 notify: running -1", "    2.000000 nothing:"]


@pytest.mark.parametrize("declaration, args, text", [
    ('a(uint32_t x, int y) "%08x %d%%"', (0xbeef, (1 << 64) - 1), "0000beef -1%"),
    ('a(int8_t y) "%x"', ((1 << 64) - 1,), "ffffffff"),
    ('a(uint64_t x, void *p) "%" PRIu64 " %p"', (5, 0), "5 (nil)"),
    ('a(const char *s) "[%-5.2s]"', ("abc",), "[ab   ]"),
    ('a(uint8_t c) "%c"', (65,), "A"), ('a(int w, int x) "%*d"', (4, 7), "   7"),
    ("a(int x, const char *s)", (7, "b"), "x=0x7 s=b"),
])
def test_printf(declaration, args, text):
    assert formats.printf(grammar.parse(declaration)[0])(args) == text


@pytest.mark.parametrize("options, names", [
    (["--filter=load_*"], ["load_file"]), (["--filter=load_*", "--filter=not*"],
                                           ["load_file", "notify"]),
    (["--filter=*,if=val == 0x50"], ["ide_read"]), (["--filter=if=running < 0"], ["notify"]),
    (["--filter=ide_read,if=val > 0x50"], []), (["--between=0.0002,"], ["ide_read",
                                                "Dropped_Event", "notify"]),
    (["--between=,0.000255"], ["load_file", "ide_read"]),
])
def test_selecting(decode, options, names):
    _, lines, complaints = decode(HEADER + MAPPINGS + LOAD + READ + LOST + NOTIFY, *options)
    assert [line.split()[0] for line in lines] == names and not complaints


@pytest.mark.parametrize("option, complaint", [
    ("--filter=x,foo=1", "--filter x,foo=1: expected PATTERN or PATTERN,if=CONDITION"),
    ("--filter=notify,if=running >", "condition 'running >', character 10: expected a number, an "
     "argument or '('"),
    ("--between=x", "--between x: expected FROM,TO in seconds"),
])
def test_bad_selections(decode, option, complaint):
    assert decode(HEADER + MAPPINGS + NOTIFY, option) == (1, [], [complaint])


FOLLOWED = """
import sys, time
from pyemu.trace import control, hooks
control.start(control.TraceOptions.parse(["clock_timer_arm,file=" + sys.argv[1]]))
print("ready", flush=True)
for n in range(3):
    hooks.trace_clock_timer_arm("x", n)
    sys.stdin.readline()
"""


def test_following_a_running_machine(tmp_path):
    trace = str(tmp_path / "trace")
    machine = subprocess.Popen([sys.executable, "-c", FOLLOWED, trace], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True, bufsize=1)
    machine.stdout.readline()
    follower = subprocess.Popen([sys.executable, "-m", "pyemu.trace.simpletrace", "--follow",
                                 trace], stdout=subprocess.PIPE, text=True)
    for n in range(3):
        assert follower.stdout.readline().endswith(f"name=x deadline={n:#x}\n")
        machine.stdin.write("\n")
    assert machine.wait() == 0 and follower.wait() == 0
    assert follower.stdout.read() == ""
    for pipe in (machine.stdin, machine.stdout, follower.stdout):
        pipe.close()


def test_no_header(decode):
    data = b"".join(record[8:] for record in (LOAD, READ, LOST, NOTIFY))
    assert decode(data, "--no-header") == (0, LINES, [])


def test_numbers_come_from_the_file_not_from_the_declarations(decode):
    data = HEADER + mapping(2, "load_file") + mapping(0, "nothing")
    data += record(2, 0, text(b"a") + text(b"b")) + mapping(2, "nothing") + record(2, 1000)
    assert decode(data)[1] == ["load_file 0.000 pid=4242 name=a path=b", "nothing 1.000 pid=4242"]


@pytest.mark.parametrize("data, complaint", [
    (b"", "byte 0: the file is empty"),
    (HEADER[:20], "byte 20: the header is cut off, expected 24 bytes"),
    (b"x" * 100, "byte 0: not a trace file of the simple format"),
    (HEADER[:8] + b"y" * 100, "byte 8: not a trace file of the simple format"),
    (HEADER[:16] + struct.pack("=Q", 3), "byte 16: log format 3 is QEMU's before 2.8, which does "
     "not tell its events' names; expected 4"),
    (HEADER[:16] + struct.pack("=Q", 9), "byte 16: unknown version 9 of the log format, "
     "expected 4"),
])
def test_no_trace_at_all(decode, data, complaint):
    assert decode(data) == (1, [], [complaint])


START = len(HEADER + MAPPINGS)


@pytest.mark.parametrize("middle, complaint", [
    (record(77, 5), f"byte {START}: event number 77 has no name in this file"),
    (mapping(9, "other") + record(9, 5), f"byte {START + 25}: 'other' event is logged but is not "
     "declared in the trace events file, try using trace-events-all instead"),
    (record(2, 5, b"1234"), f"byte {START}: event 'notify' does not fit its declaration: 4 bytes "
     "of arguments, expected 8"),
    (record(0, 5, struct.pack("=I", 99) + b"x"), f"byte {START}: event 'load_file' does not fit "
     "its declaration: string of 99 bytes with 1 left"),
    (record(0, 5, text(b"a")), f"byte {START}: event 'load_file' does not fit its declaration: "
     "no room for argument 2"),
    (record(0, 5, text(b"a") + text(b"b") + b"zz"), f"byte {START}: event 'load_file' does not fit "
     "its declaration: 2 bytes too many"),
    (b"\x07garbage", f"byte {START}: a record of unknown type 0x65676162726167{7:02x}; 8 bytes "
     "skipped"),
    (record(2, 5, length=1 << 30), f"byte {START}: a record of impossible length 1073741824; 32 "
     "bytes skipped"),
])
def test_reading_goes_on_after_what_is_broken(decode, middle, complaint):
    status, lines, complaints = decode(HEADER + MAPPINGS + middle + LOAD)
    assert (status, lines, complaints) == (1, LINES[:1], [complaint])


@pytest.mark.parametrize("cut", range(1, len(READ)))
def test_a_cut_off_file_gives_all_whole_records(decode, cut):
    status, lines, complaints = decode(HEADER + MAPPINGS + LOAD + READ[:-cut])
    assert (status, lines) == (1, LINES[:1])
    assert complaints[0].startswith(f"byte {START + len(LOAD)}: the last record is cut off")


def test_bad_declarations_are_told(tmp_path, capfd):
    events = tmp_path / "ev"
    events.write_text("a(void\n")
    assert simpletrace.main([str(events), str(events)]) == 1
    assert capfd.readouterr().err == f"{events}:1:7: expected ')' after the arguments\n"
    assert simpletrace.main([str(events), "/nonexistent"]) == 1


def test_an_analyzer_gets_what_its_methods_ask_for(tmp_path):
    seen = []

    class Mine(Analyzer):
        def begin(self):
            seen.append("begin")

        def load_file(self, name, path):
            seen.append((name, path))

        def ide_read(self, timestamp, addr, reg, val, s):
            seen.append((timestamp, reg))

        def notify(self, timestamp, pid, running):
            seen.append((timestamp, pid, running))

        def catchall(self, event, rec):
            seen.append((event.name, rec))

        def end(self):
            seen.append("end")

    trace = tmp_path / "trace"
    trace.write_bytes(HEADER + MAPPINGS + LOAD + READ + LOST + NOTIFY)
    assert process(DECLARED, str(trace), Mine()) == []
    assert seen == ["begin", ("bios.bin", "/x/bios.bin"), (250_000, "Status"),
                    ("Dropped_Event", ("Dropped_Event", 259_000, 4242, 17)),
                    (260_500, 4242, (1 << 64) - 1), "end"]


def test_an_analyzer_with_other_arguments_is_told(tmp_path):
    class Wrong(Analyzer):
        def notify(self):
            pass

    trace = tmp_path / "trace"
    trace.write_bytes(HEADER + MAPPINGS + NOTIFY)
    with pytest.raises(TypeError, match=r"Wrong.notify: expected arguments \(running\), or"):
        process(DECLARED, str(trace), Wrong())


def test_process_raises_for_what_is_no_trace(tmp_path):
    (tmp_path / "x").write_bytes(b"")
    with pytest.raises(TraceFormatError):
        process(DECLARED, str(tmp_path / "x"), Analyzer())


def test_tracetool_writes_what_it_reads(tmp_path, capsys):
    events = tmp_path / "trace-events"
    events.write_text(EVENTS)
    assert tracetool.main(["--format=events-all", str(events)]) == 0
    merged = capsys.readouterr().out
    assert merged.endswith("\n") and f"# {events}" in merged
    assert [str(event) for event in grammar.parse(merged)] == [str(event) for event in DECLARED]


def test_tracetool_shows_hooks_that_python_understands(tmp_path, capsys):
    events = tmp_path / "trace-events"
    events.write_text(EVENTS)
    assert tracetool.main(["--format=py", str(events)]) == 0
    code = capsys.readouterr().out
    compile(code, "stub", "exec")
    assert "def trace_load_file(name: str | bytes | None, path: str | bytes | None, /) -> None:" \
        in code
    assert tracetool.main(["--format=md", str(events)]) == 0
    assert "| `notify` | `int running` | `running %d` |" in capsys.readouterr().out


def test_tracetool_on_the_emulators_own_events(capsys):
    assert tracetool.main(["--format=events-all"]) == 0
    out = capsys.readouterr().out
    assert "# emu/trace-events\nclock_timer_arm(" in out
    grammar.parse(out)


def test_tracetool_on_bad_files(tmp_path, capsys):
    events = tmp_path / "trace-events"
    events.write_text("a(void)\na(void)\n")
    assert tracetool.main(["--format=md", str(events)]) == 1
    assert capsys.readouterr().err == (f"{events}:2:1: event 'a' is declared already, at "
                                       f"{events}:1\n")
    assert tracetool.main(["--format=md", "/nonexistent"]) == 1


def test_a_closed_pipe_is_no_error_to_shout_about(tmp_path):
    trace, events = tmp_path / "trace", tmp_path / "trace-events"
    trace.write_bytes(HEADER + MAPPINGS + LOAD * 20_000)
    events.write_text(EVENTS)
    program = subprocess.Popen([sys.executable, "-m", "pyemu.trace.simpletrace", events, trace],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.read(program.stdout.fileno(), 10)
    program.stdout.close()
    assert program.stderr.read() == b"" and program.wait() == 1
