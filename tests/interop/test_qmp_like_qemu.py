"""QMP spoken with QEMU and with us: the same answers, errors included, and schemas that agree."""
import json
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyemu.monitor.qmp.schema import SCHEMA

from ..guests.harness import assemble

OURS = [Path(sys.executable).parent / "pyemu"]
QEMU = ["qemu-system-x86_64", "-M", "pc"]
OPTIONS = ["-S", "-display", "none", "-nodefaults", "-name", "box", "-m", "32", "-qmp", "stdio"]
PATIENCE = 30  # seconds

CONVERSATION = r"""
{"execute":"query-name"}
{"execute":"qmp_capabilities","arguments":{"enable":[1]}}
{"execute":"qmp_capabilities","arguments":{"bar":1}}
{"execute":"qmp_capabilities","id":"x"}
{"execute":"qmp_capabilities"}
{"execute":"nosuch"}
{"exec":"nosuch"}
{"execute":"query-status","foo":1}
{"execute":"query-status","arguments":{"a":1}}
{"execute":"query-status","arguments":1}
{"execute":"query-status","id":{"a":[1,2.5,null,true]}}
{"execute":1}
{}
[]
1
nosuch
{"a":}
{"execute":"query-status"}}
{"execute":"query-status"]
{'execute':'query-status'}
{"a" "b"}
{"a":1,}
{1:2}
[1 2]
{"execute":"query-status","execute":"query-name"}
{"execute":"\q"}
{"execute":"\ud800"}
"\u12"
@@@"a"
01
-
x
1.5.5
tRUE
{"a":@@ ,"b":1}
{"execute":"query-name"} {"execute":"query-name","arguments":{}}
{"execute":"human-monitor-command"}
{"execute":"human-monitor-command","arguments":{"command-line":1}}
{"execute":"human-monitor-command","arguments":{"command-line":"info status"}}
{"execute":"human-monitor-command","arguments":{"command-line":"nosuch"}}
{"execute":"human-monitor-command","arguments":{"command-line":"info name","cpu-index":7}}
{"execute":"human-monitor-command","arguments":{"command-line":"info name","cpu-index":0.5}}
{"execute":"query-target"}
{"execute":"query-uuid"}
{"execute":"query-mice"}
{"execute":"query-hotpluggable-cpus"}
{"execute":"inject-nmi"}
{"execute":"chardev-send-break","arguments":{"id":"nosuch"}}
{"execute":"query-memory-size-summary"}
{"execute":"send-key"}
{"execute":"send-key","arguments":{"keys":[{"type":"qcode","data":"a"}]}}
{"execute":"send-key","arguments":{"keys":[{"type":"qcode","data":"nosuch"}]}}
{"execute":"send-key","arguments":{"keys":[{"type":"number","data":3000}]}}
{"execute":"send-key","arguments":{"keys":[{"type":"number","data":"a"}]}}
{"execute":"send-key","arguments":{"keys":[{"type":"foo","data":"a"}]}}
{"execute":"send-key","arguments":{"keys":[{"type":"qcode"}]}}
{"execute":"send-key","arguments":{"keys":[{"data":"a"}]}}
{"execute":"send-key","arguments":{"keys":["a"]}}
{"execute":"input-send-event","arguments":{"events":[{"type":"rel","data":{"axis":"z","value":5}}]}}
{"execute":"input-send-event","arguments":{"device":"nosuch","events":[]}}
{"execute":"pmemsave","arguments":{"val":0,"size":10,"filename":"/nonexistent/x"}}
{"execute":"memsave","arguments":{"val":0,"size":10,"filename":"/dev/null","cpu-index":3}}
{"execute":"screendump"}
{"execute":"screendump","arguments":{"filename":"x","format":"gif"}}
{"execute":"screendump","arguments":{"filename":"x","device":"nosuch"}}
{"execute":"screendump","arguments":{"filename":"x","head":1}}
{"execute":"trace-event-get-state"}
{"execute":"trace-event-get-state","arguments":{"name":"nosuch"}}
{"execute":"trace-event-get-state","arguments":{"name":"zz*"}}
{"execute":"trace-event-get-state","arguments":{"name":"load_file"}}
{"execute":"trace-event-get-state","arguments":{"name":"load_file","vcpu":0}}
{"execute":"trace-event-get-state","arguments":{"name":"load_file","vcpu":7}}
{"execute":"trace-event-set-state","arguments":{"name":"load_file","enable":1}}
{"execute":"trace-event-set-state","arguments":{"name":"nosuch","enable":true}}
{"execute":"cont"}
{"execute":"stop"}
{"execute":"query-status"}
"""


@contextmanager
def speaking(command):
    """A running emulator with QMP at its pipes; what goes wrong ends it in half a minute."""
    with subprocess.Popen([*command, *OPTIONS], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as process:
        watchdog = threading.Timer(PATIENCE, process.kill)
        watchdog.start()
        try:
            yield process
        finally:
            process.kill()
            watchdog.cancel()


def answers(command, text):
    """All that comes back, without what differs by nature: the greeting, times."""
    with speaking(command) as process:
        output, _ = process.communicate(text.encode() + b'{"execute":"quit"}\n')
    messages = [json.loads(line) for line in output.splitlines()][1:]
    for message in messages:
        message.pop("timestamp", None)
    ends = ({"return": {}}, {"event": "SHUTDOWN", "data": {"guest": False,
                                                           "reason": "host-qmp-quit"}})
    assert messages[-1] in ends and messages[-2] in ends
    return messages[:-2]


def test_the_same_answers():
    # The last stray character of a line is skipped with what follows, so lines are independent.
    assert answers(OURS, CONVERSATION) == answers(QEMU, CONVERSATION)


def test_the_same_complaints_of_every_command():
    text = "".join(json.dumps({"execute": name, "arguments": arguments}) + "\n"
                   for name, (taken, _) in SCHEMA.commands.items() if name != "qmp_capabilities"
                   for arguments in ({"nosuch": 1}, *wrong_arguments(taken)))
    text = '{"execute":"qmp_capabilities"}\n' + text
    assert text.count("\n") > 50
    assert answers(OURS, text) == answers(QEMU, text)


def wrong_arguments(taken):
    """Each argument that a command needs, of a type that no command takes there."""
    return [{member.name: None} for member in taken.members if not member.optional]


CLOCK = """
        mov ax, 0x8b0b          ; register B: SET, the year 2030, and go on
        call store
        mov ax, 0x3009
        call store
        mov ax, 0x020b
        call store
        mov ax, 0x1002          ; ten minutes past
        call store
        hlt
store:  out 0x70, al
        mov al, ah
        out 0x71, al
        ret
        times 510 - ($ - $$) db 0
        dw 0xaa55
"""


def test_the_guest_sets_its_clock(tmp_path):
    (tmp_path / "disk").write_bytes(assemble(CLOCK, 16, 0x7c00))
    changes = []
    for command in (OURS, QEMU):
        with speaking([*command, "-rtc", "base=2020-01-01T12:00:00",
                       "-drive", f"file={tmp_path}/disk,format=raw,snapshot=on"]) as process:
            process.stdin.write(b'{"execute":"qmp_capabilities"}{"execute":"cont"}')
            process.stdin.flush()
            found = []
            while len(found) < 2:
                message = json.loads(process.stdout.readline())
                if message.get("event") == "RTC_CHANGE":
                    found.append(message["data"])
        offset = found[0]["offset"]  # off by one where a second begins between
        assert offset in range(315619200 - 2, 315619200 + 3)
        changes.append([{**data, "offset": data["offset"] - offset} for data in found])
    assert changes[0] == changes[1]


def schema(command):
    """Read before the end: what does not fit into the pipe by then QEMU would never write."""
    with speaking(command) as process:
        process.stdin.write(b'{"execute":"qmp_capabilities"}{"execute":"query-qmp-schema"}')
        process.stdin.flush()
        _, _, answer = (json.loads(process.stdout.readline()) for _ in range(3))
    return answer["return"]


def agree(types, names, what):
    """Our type says nothing that QEMU's does not, and leaves out only what is optional there.

    types, names: ours and theirs, of the entries and in them. Names are arbitrary.
    """
    ours, theirs = (entries[name] for entries, name in zip(types, names, strict=True))
    assert ours["meta-type"] == theirs["meta-type"], what
    match ours["meta-type"]:
        case "builtin":
            assert ours["json-type"] == theirs["json-type"], what
        case "enum":
            assert set(ours["values"]) <= set(theirs["values"]), what
        case "array":
            agree(types, (ours["element-type"], theirs["element-type"]), f"{what}[]")
        case "object":
            assert ours.get("tag") in (None, theirs.get("tag")), what
            members, known = ({item["name"]: item for item in entry["members"]}
                              for entry in (ours, theirs))
            for name, member in members.items():
                assert ("default" in member) == ("default" in known[name]), f"{what}.{name}"
                agree(types, (member["type"], known[name]["type"]), f"{what}.{name}")
            assert all(name in members or "default" in known[name] for name in known), what
            cases, known = ({item["case"]: item["type"] for item in entry.get("variants", ())}
                            for entry in (ours, theirs))
            for name, variant in cases.items():
                agree(types, (variant, known[name]), f"{what}={name}")


def test_our_schema_is_a_part_of_qemus():
    ours, theirs = types = [{entry["name"]: entry for entry in schema(command)}
                            for command in (OURS, QEMU)]
    checked = 0
    for name, entry in ours.items():
        if entry["meta-type"] in ("command", "event"):
            for key in {"arg-type", "ret-type"} & set(entry):
                agree(types, (entry[key], theirs[name][key]), name)
                checked += 1
    assert checked > 50


@pytest.mark.parametrize("command", [OURS, QEMU], ids=["pyemu", "qemu"])
def test_greeting(command):
    with speaking(command) as process:
        greeting = json.loads(process.stdout.readline())
    assert greeting["QMP"]["version"]["qemu"]["major"] == 7
    assert greeting["QMP"]["version"]["qemu"]["minor"] == 2
    assert isinstance(greeting["QMP"]["version"]["package"], str)
    assert isinstance(greeting["QMP"]["capabilities"], list)
