"""QMP: reading JSON, the protocol's rules, each command rightly and wrongly used."""
import json

import numpy
import pytest
from pyemu.machine.ps2_keyboard import Keyboard
from pyemu.monitor.qmp.json_reader import DEPTH_LIMIT, JsonError, JsonReader
from pyemu.monitor.qmp.schema import SCHEMA
from pyemu.monitor.qmp.session import COMMANDS, MOST_EVENTS
from pyemu.monitor.qmp.types import BUILTINS, QmpError, Schema
from pyemu.trace import control, hooks

from .qmp_client import Client


@pytest.fixture
def client():
    return Client()


# JSON

def read(data):
    """Values, and the texts of errors in brackets."""
    return [f"<{value}>" if isinstance(value, JsonError) else value
            for value in JsonReader().feed(data)]


@pytest.mark.parametrize("text", [
    '{"a": [1, -2, 0.5, -1e3, true, false, null, "x"], "b": {}}', "[]", '"\\ud83d\\ude00\\u00e9"',
    '"\\"\\\\\\/\\b\\f\\n\\r\\t"', "18446744073709551615", "-9223372036854775808",
])
def test_reads_what_json_is(text):
    assert read(text.encode() + b"\n") == [json.loads(text)]


@pytest.mark.parametrize(("text", "values"), [
    (b"{'a':'b\"'}", [{"a": 'b"'}]),
    (b"1 2\n", [1, 2]),
    (b'{"a":1}{"b":2}', [{"a": 1}, {"b": 2}]),
    (b'"abc\x01def"\n', ["<JSON parse error, stray '\"abc\x01'>"]),
    (b'"\xff"\n', ["<JSON parse error, stray '\"\ufffd'>"]),
    (b'"\xc3("\n', ["<JSON parse error, invalid UTF-8 sequence in string>"]),
    (b'"\\q"', ["<JSON parse error, invalid escape sequence in string>"]),
    (b'"\\ud800"', ["<JSON parse error, \\ud800 is not a valid Unicode character>"]),
    (b'"\\u12"', ['<JSON parse error, \\u12" is not a valid Unicode character>']),
    (b"01\n", ["<JSON parse error, stray '01'>"]),
    (b"-\n", ["<JSON parse error, stray '-\n'>"]),
    (b"1.5.5\n", [1.5, "<JSON parse error, stray '.'>"]),
    (b"1e999\n", ["<JSON parse error, number out of range>"]),
    (b"nosuch\n", ["<JSON parse error, invalid keyword 'nosuch'>"]),
    (b"tRUE\n", ["<JSON parse error, invalid keyword 't'>", "<JSON parse error, stray 'R'>"]),
    (b"@@@\"a\"\n1\n", ["<JSON parse error, stray '@'>", 1]),
    (b"{1:2}", ["<JSON parse error, key is not a string in object>"]),
    (b'{"a" "b"}', ["<JSON parse error, missing : in object pair>"]),
    (b'{"a":1 "b":2}', ["<JSON parse error, expected separator in dict>"]),
    (b'{"a":1,}', ["<JSON parse error, expecting value>"]),
    (b"[1 2]", ["<JSON parse error, expected separator in list>"]),
    (b'{"a":1,"a":2}', ["<JSON parse error, duplicate key>"]),
    (b"]\n", ["<JSON parse error, expecting value>"]),
    (b"[" * (DEPTH_LIMIT + 1) + b"\xff\n1\n",
     ["<JSON nesting depth limit exceeded>", "<JSON parse error, stray '\ufffd'>", 1]),
])
def test_reads_what_it_is_not_as_qemu_does(text, values):
    assert read(text) == values


def test_where_the_stream_is_cut_makes_no_difference():
    text = b'{"a": -1.5e3}01\n@x,"\\u00e9" true{"b":[tru]}\xff"\xc3\xa9"12 \'z\'\n'
    reader = JsonReader()
    pieces = [value for byte in text for value in reader.feed(bytes([byte]))]
    assert list(map(str, pieces)) == list(map(str, JsonReader().feed(text)))


def test_a_value_without_end_is_given_up(monkeypatch):
    monkeypatch.setattr("pyemu.monitor.qmp.json_reader.SIZE_LIMIT", 1000)
    assert read(b'"' + b"x" * 2000 + b"\n2\n") == ["<JSON token size limit exceeded>", 2]


# Types

def test_a_schema_that_is_not_understood_is_refused():
    with pytest.raises(ValueError, match="not understood"):
        Schema("struct: a=int")


@pytest.mark.parametrize(("name", "value"), [("int", True), ("int", 1.0), ("int", 1 << 63),
                                             ("str", None), ("bool", 1)])
def test_builtin_types_are_strict(name, value):
    with pytest.raises(QmpError, match="Invalid parameter type for 'x', expected: "):
        BUILTINS[name].check(value, "x")


def test_every_command_of_the_schema_is_there():
    assert set(COMMANDS) == set(SCHEMA.commands) - {"qmp_capabilities"}


# The protocol

def test_greeting():
    assert Client(negotiated=False).greeting == [{"QMP": {
        "version": {"qemu": {"major": 7, "minor": 2, "micro": 0}, "package": "pyemu 0.1.0"},
        "capabilities": []}}]


def test_negotiation_comes_first_and_once():
    client = Client(negotiated=False)
    assert client.execute("query-name") == (
        "CommandNotFound", "Expecting capabilities negotiation with 'qmp_capabilities'")
    assert client.execute("qmp_capabilities", enable=["oob"]) == (
        "GenericError", "Capability 'oob' not available")
    assert client.execute("qmp_capabilities", foo=1) == (
        "GenericError", "Parameter 'foo' is unexpected")
    assert client.execute("qmp_capabilities", enable=[]) == {}
    assert client.execute("qmp_capabilities") == (
        "CommandNotFound", "Capabilities negotiation is already complete, command ignored")


@pytest.mark.parametrize(("message", "text"), [
    ([], "QMP input must be a JSON object"),
    ({}, "QMP input lacks member 'execute'"),
    ({"execute": 1}, "QMP input member 'execute' must be a string"),
    ({"execute": "stop", "x": 1}, "QMP input member 'x' is unexpected"),
    ({"exec-oob": "stop"}, "QMP input member 'exec-oob' is unexpected"),
    ({"execute": "stop", "arguments": None}, "QMP input member 'arguments' must be an object"),
    ({"execute": "stop", "arguments": {"a": 1}}, "Parameter 'a' is unexpected"),
])
def test_messages_that_are_no_commands(client, message, text):
    assert client.ask(message) == {"error": {"class": "GenericError", "desc": text}}
    assert client.runner.log == []


def test_unknown_command(client):
    assert client.execute("nosuch") == (
        "CommandNotFound", "The command nosuch has not been found")


@pytest.mark.parametrize("ident", [5, "x", None, {"a": [1.5, True]}])
def test_id_is_given_back(client, ident):
    assert client.ask({"execute": "stop", "id": ident}) == {"return": {}, "id": ident}
    assert client.ask({"execute": "nosuch", "id": ident})["id"] == ident


def test_bad_json_is_answered_and_the_next_message_is_read(client):
    assert client.send(b'{"a":}\n{"execute":"query-name"}') == [
        {"error": {"class": "GenericError", "desc": "JSON parse error, expecting value"}},
        {"return": {"name": "box"}}]


def test_pretty_answers_have_lines():
    client = Client(pretty=True, negotiated=False)
    client.front_end.receive(b'{"execute":"qmp_capabilities"}')
    client.waiting.pop(0)()
    assert client.sent == b'{\n    "return": {}\n}\r\n'


def test_a_fault_of_ours_is_an_answer(client, monkeypatch):
    monkeypatch.setitem(COMMANDS, "stop", lambda session: 1 / 0)
    assert client.execute("stop") == ("GenericError", "ZeroDivisionError: division by zero")


# Events

def test_events_come_once_negotiated():
    client = Client(negotiated=False)
    tell, = client.runner.on_event
    tell("STOP", {})
    assert client.messages() == []
    client.execute("qmp_capabilities")
    tell("RESET", {"guest": True, "reason": "guest-reset"})
    event, = client.messages()
    assert event["event"] == "RESET"
    assert event["data"] == {"guest": True, "reason": "guest-reset"}
    assert 0 <= event["timestamp"]["microseconds"] < 1_000_000


def test_events_of_a_command_come_before_its_answer(client):
    client.runner.pause = lambda: client.runner.on_event[0]("STOP", {})
    event, answer = client.send(b'{"execute":"stop"}')
    assert event["event"] == "STOP"
    assert "data" not in event
    assert answer == {"return": {}}


def test_events_for_a_client_that_does_not_read_are_lost_in_the_end(client):
    for _ in range(MOST_EVENTS + 10):
        client.runner.on_event[0]("STOP", {})
    assert len(client.messages()) == MOST_EVENTS


def test_the_next_client_begins_anew(client):
    client.send(b'{"execute":')
    client.runner.on_event[0]("STOP", {})
    client.waiting.clear()
    client.open()
    assert [list(message) for message in client.greeting] == [["QMP"]]
    assert client.execute("stop")[0] == "CommandNotFound"


# Commands

@pytest.mark.parametrize(("command", "done"), [
    ("stop", "pause"), ("cont", "resume"), ("system_reset", "reset"),
    ("system_powerdown", "powerdown"), ("quit", "quit"),
])
def test_steering(client, command, done):
    assert client.execute(command) == {}
    assert client.runner.log == [done]
    assert client.execute(command, x=1) == ("GenericError", "Parameter 'x' is unexpected")


def test_a_machine_that_is_off_does_not_go_on(client):
    client.runner.state = "shutdown"
    assert client.execute("cont") == (
        "GenericError", "Resetting the Virtual Machine is required")
    assert client.runner.log == []


@pytest.mark.parametrize("command", [name for name in SCHEMA.commands if name.startswith("query-")])
def test_queries_answer_as_the_schema_says(client, command):
    SCHEMA.commands[command][1].check(client.execute(command), "")
    assert client.execute(command, x=1) == ("GenericError", "Parameter 'x' is unexpected")


@pytest.mark.parametrize(("command", "answer"), [
    ("query-status", {"status": "running", "singlestep": False, "running": True}),
    ("query-name", {"name": "box"}),
    ("query-target", {"arch": "x86_64"}),
    ("query-kvm", {"enabled": False, "present": False}),
    ("query-chardev", [{"label": "serial0", "filename": "stdio", "frontend-open": True}]),
    ("query-memory-size-summary", {"base-memory": 128 << 20, "plugged-memory": 0}),
])
def test_answers(client, command, answer):
    assert client.execute(command) == answer


def test_query_block(client):
    drive, = client.execute("query-block")
    assert drive["device"] == "ide0-hd0"
    assert drive["inserted"]["file"] == "a.img"
    assert drive["inserted"]["image"]["virtual-size"] == 1 << 20


def test_query_cpus_fast(client):
    assert client.execute("query-cpus-fast")[0]["thread-id"] == 4711


def test_query_commands_and_schema_agree(client):
    commands = {entry["name"] for entry in client.execute("query-commands")}
    entries = client.execute("query-qmp-schema")
    assert commands == {entry["name"] for entry in entries if entry["meta-type"] == "command"}
    assert {"STOP", "RESUME", "RESET", "SHUTDOWN", "POWERDOWN", "RTC_CHANGE",
            "DEVICE_TRAY_MOVED", "BLOCK_IO_ERROR", "VNC_CONNECTED", "VNC_INITIALIZED",
            "VNC_DISCONNECTED", "GUEST_PANICKED", "GUEST_CRASHLOADED"} == {
        entry["name"] for entry in entries if entry["meta-type"] == "event"}
    defined = {entry["name"] for entry in entries}
    assert len(defined) == len(entries)
    for entry in entries:
        used = [entry.get(key) for key in ("arg-type", "ret-type", "element-type")]
        used += [item["type"] for key in ("members", "variants") for item in entry.get(key, ())
                 if "type" in item]
        assert {name for name in used if name} <= defined


@pytest.mark.parametrize(("arguments", "answer"), [
    ({"command_line": "info status"}, "VM status: running\r\n"),
    ({"command_line": "nosuch", "cpu_index": 0}, "unknown command: 'nosuch'\r\n"),
    ({"command_line": ""}, ""),
    ({}, ("GenericError", "Parameter 'command-line' is missing")),
    ({"command_line": 1},
     ("GenericError", "Invalid parameter type for 'command-line', expected: string")),
    ({"command_line": "info name", "cpu_index": 7},
     ("GenericError", "Parameter 'cpu-index' expects a CPU number")),
    ({"command_line": "info name", "cpu_index": 0.5},
     ("GenericError", "Invalid parameter type for 'cpu-index', expected: integer")),
])
def test_human_monitor_command(client, arguments, answer):
    assert client.execute("human-monitor-command", **arguments) == answer


A = {"type": "qcode", "data": "a"}


@pytest.mark.parametrize(("arguments", "text"), [
    ({}, "Parameter 'keys' is missing"),
    ({"keys": "a"}, "Invalid parameter type for 'keys', expected: array"),
    ({"keys": ["a"]}, "Invalid parameter type for 'keys[0]', expected: object"),
    ({"keys": [{"data": "a"}]}, "Parameter 'keys[0].type' is missing"),
    ({"keys": [{"type": "qcode"}]}, "Parameter 'keys[0].data' is missing"),
    ({"keys": [{"type": "foo", "data": "a"}]}, "Parameter 'type' does not accept value 'foo'"),
    ({"keys": [A, {"type": "qcode", "data": "nosuch"}]},
     "Parameter 'data' does not accept value 'nosuch'"),
    ({"keys": [{"type": "number", "data": "a"}]},
     "Invalid parameter type for 'keys[0].data', expected: integer"),
    ({"keys": [{**A, "x": 1}]}, "Parameter 'keys[0].x' is unexpected"),
    ({"keys": [A], "hold_time": "x"},
     "Invalid parameter type for 'hold-time', expected: integer"),
])
def test_send_key_wrongly_used(client, arguments, text):
    assert client.execute("send-key", **arguments) == ("GenericError", text)


class Keys:
    def __init__(self):
        self.log = []

    def key(self, key, down):
        self.log.append((key, down))


def test_send_key(client, clock):
    client.runner.clock, client.runner.machine.keyboard = clock, Keys()
    keys = [{"type": "qcode", "data": "ctrl"}, {"type": "number", "data": 30},
            {"type": "number", "data": 3000}]
    assert client.execute("send-key", keys=keys, hold_time=10) == {}
    clock.advance(ms=1)
    log = client.runner.machine.keyboard.log
    assert log == [("ctrl", True), (30, True)]
    clock.advance(ms=20)
    assert log[2:] == [(30, False), ("ctrl", False)]


def test_input_send_event(client):
    client.runner.machine.keyboard = Keys()
    mouse = client.runner.machine.mouse
    mouse.reset()
    mouse.remote = True  # movement adds up
    assert client.execute("input-send-event", events=[
        {"type": "key", "data": {"down": True, "key": A}},
        {"type": "rel", "data": {"axis": "x", "value": 5}},
        {"type": "rel", "data": {"axis": "y", "value": -3}},
        {"type": "btn", "data": {"button": "left", "down": True}},
        {"type": "btn", "data": {"button": "right", "down": True}},
        {"type": "btn", "data": {"button": "left", "down": False}},
        {"type": "btn", "data": {"button": "wheel-down", "down": True}},
    ]) == {}
    assert client.runner.machine.keyboard.log == [("a", True)]
    assert (mouse.dx, mouse.dy, mouse.dz, mouse.buttons) == (5, -3, 1, 2)


@pytest.mark.parametrize(("arguments", "error"), [
    ({"events": [{"type": "abs", "data": {"axis": "x", "value": 5}}]},
     ("GenericError", "Input handler not found for event type abs")),
    ({"events": [{"type": "rel", "data": {"axis": "z", "value": 5}}]},
     ("GenericError", "Parameter 'axis' does not accept value 'z'")),
    ({"events": [{"type": "key", "data": {"down": 1, "key": A}}]},
     ("GenericError", "Invalid parameter type for 'events[0].data.down', expected: boolean")),
    ({"device": "nosuch", "events": []}, ("DeviceNotFound", "Device 'nosuch' not found")),
])
def test_input_send_event_wrongly_used(client, arguments, error):
    assert client.execute("input-send-event", **arguments) == error


@pytest.mark.parametrize("command", ["memsave", "pmemsave"])
def test_memory_to_a_file(client, tmp_path, command):
    file = tmp_path / "ram"
    assert client.execute(command, val=0x10, size=4, filename=str(file)) == {}
    assert file.read_bytes() == bytes([0x10, 0x11, 0x12, 0x13])
    missing = str(tmp_path / "no" / "ram")
    assert client.execute(command, val=0, size=4, filename=missing) == (
        "GenericError", f"Could not open '{missing}': No such file or directory")
    assert client.execute(command, val=0, size=4, filename="a\0b") == (
        "GenericError", "Could not open 'a\0b': embedded null byte")
    assert client.execute(command, size=4, filename="x") == (
        "GenericError", "Parameter 'val' is missing")


def test_memsave_where_no_page_is(client, tmp_path):
    assert client.execute("memsave", val=0x20000, size=4, filename=str(tmp_path / "x")) == (
        "GenericError", "Invalid addr 0x0000000000020000/size 4 specified")
    assert client.execute("memsave", val=0, size=4, filename=str(tmp_path / "x"), cpu_index=3) == (
        "GenericError", "Parameter 'cpu-index' expects a CPU number")


def test_screendump(client, tmp_path, monkeypatch):
    monkeypatch.setattr("pyemu.display.dump.picture", lambda runner: numpy.zeros((2, 3), "u4"))
    for format, start in (("ppm", b"P6"), ("png", b"\x89PNG")):
        file = tmp_path / format
        assert client.execute("screendump", filename=str(file), format=format) == {}
        assert file.read_bytes().startswith(start)


@pytest.mark.parametrize(("arguments", "error"), [
    ({}, ("GenericError", "Parameter 'filename' is missing")),
    ({"filename": "/nonexistent/x"}, (
        "GenericError", "failed to open file '/nonexistent/x': No such file or directory")),
    ({"filename": "x", "format": "gif"}, (
        "GenericError", "Parameter 'format' does not accept value 'gif'")),
    ({"filename": "x", "device": "nosuch"}, ("DeviceNotFound", "Device 'nosuch' not found")),
    ({"filename": "x", "head": 0}, (
        "GenericError", "'head' must be specified together with 'device'")),
])
def test_screendump_wrongly_used(client, monkeypatch, arguments, error):
    monkeypatch.setattr("pyemu.display.dump.picture", lambda runner: numpy.zeros((2, 3), "u4"))
    assert client.execute("screendump", **arguments) == error


def test_screendump_without_a_screen(client, monkeypatch):
    monkeypatch.setattr("pyemu.display.dump.picture", lambda runner: None)
    assert client.execute("screendump", filename="x") == (
        "GenericError", "There is no console to take a screendump from")


@pytest.fixture
def no_file(monkeypatch):
    """Switching an event on would open the trace file."""
    monkeypatch.setattr(control, "open_file_once", lambda: None)
    yield
    control.switch("*", False)


def test_trace_events(client, no_file):
    def state():
        return client.execute("trace-event-get-state", name="load_file")

    assert state() == [{"name": "load_file", "vcpu": False, "state": "disabled"}]
    assert client.execute("trace-event-set-state", name="load_file", enable=True) == {}
    assert hooks.hooks["load_file"].enabled
    assert state() == [{"name": "load_file", "vcpu": False, "state": "enabled"}]
    assert client.execute("trace-event-get-state", name="zz*") == []


@pytest.mark.parametrize(("command", "arguments", "text"), [
    ("get", {"name": "nosuch"}, 'unknown event "nosuch"'),
    ("set", {"name": "nosuch", "enable": True, "ignore_unavailable": True},
     'unknown event "nosuch"'),
    ("get", {}, "Parameter 'name' is missing"),
    ("set", {"name": "load_file"}, "Parameter 'enable' is missing"),
    ("set", {"name": "load_file", "enable": 1},
     "Invalid parameter type for 'enable', expected: boolean"),
    ("get", {"name": "load_file", "vcpu": 0}, 'event "load_file" is not vCPU-specific'),
    ("set", {"name": "load_file", "vcpu": 0, "enable": True},
     'event "load_file" is not vCPU-specific'),
    ("get", {"name": "load_file", "vcpu": 7}, "invalid vCPU index 7"),
    ("get", {"name": "load_file", "vcpu": "x"},
     "Invalid parameter type for 'vcpu', expected: integer"),
])
def test_trace_events_wrongly_used(client, no_file, command, arguments, text):
    assert client.execute(f"trace-event-{command}-state", **arguments) == ("GenericError", text)


def test_key_names_are_those_of_the_keyboard(client):
    client.runner.machine.keyboard = Keyboard()
    for name in SCHEMA.types["QKeyCode"].values:
        assert client.execute("send-key", keys=[{"type": "qcode", "data": name}]) == {}
