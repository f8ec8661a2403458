"""Whatever a QMP client sends: each message has an answer, and none is a fault of ours."""
import json
import random
import re

import pytest
from pyemu.monitor.qmp.schema import SCHEMA
from pyemu.monitor.qmp.types import Array, Builtin, Enum

from ..unit.qmp_client import Client

FAULT = re.compile(r"\w+(Error|Exception): ")
SPOILERS = [None, True, False, 0, -1, 1 << 62, 0.5, "", "x", "\0", "é\U0001f600", [], {}, [[]],
            {"type": "qcode"}]
HARMFUL = {"memsave", "pmemsave", "screendump", "human-monitor-command"}  # they write files
JUNK = [b"{", b"}", b"[", b"]", b":", b",", b'"', b"'", b"\\", b"\xff", b"\n", b"true", b"nul",
        b"-", b"0", b"1e", b"\\u", b"\xc3", b"@", b" ", b"\x00"]


class Fuzzer:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def value(self, type):
        """A value of the type, mostly."""
        chance = self.random
        if chance.random() < 0.08:
            return chance.choice(SPOILERS)
        if isinstance(type, Enum):
            return chance.choice(type.values)
        if isinstance(type, Array):
            return [self.value(type.element) for _ in range(chance.randrange(4))]
        if isinstance(type, Builtin):
            return {"str": chance.choice(["a", "load_*", "nosuch", ""]),
                    "int": chance.choice([0, 1, -5, 100, 1 << 40]),
                    "bool": chance.random() < 0.5}.get(type.name, chance.choice(SPOILERS))
        made = {member.name: self.value(member.type) for member in type.members
                if not member.optional or chance.random() < 0.5}
        if type.tag and isinstance(made.get(type.tag), str):
            variant = dict(type.variants).get(made[type.tag])
            rest = self.value(variant) if variant else {}
            made |= rest if isinstance(rest, dict) else {"data": rest}
        return made

    def message(self):
        """The bytes of a message, which is in order, or nearly, or not at all."""
        chance = self.random
        name = chance.choice([name for name in SCHEMA.commands if name not in HARMFUL])
        message = {"execute": name}
        arguments = self.value(SCHEMA.commands[name][0])
        if arguments or chance.random() < 0.2:
            message["arguments"] = arguments
        if chance.random() < 0.2:
            message["id"] = chance.choice(SPOILERS)
        if chance.random() < 0.05:
            message[chance.choice(["x", "exec-oob", "id", "arguments"])] = chance.choice(SPOILERS)
        data = bytearray(json.dumps(message, ensure_ascii=chance.random() < 0.5).encode())
        for _ in range(chance.choice([0, 0, 0, 1, 1, 5])):
            position = chance.randrange(len(data) + 1)
            match chance.randrange(4):
                case 0:
                    data[position:position] = chance.choice(JUNK)
                case 1:
                    del data[position:position + chance.randrange(1, 9)]
                case 2:
                    data[position:position + 1] = bytes([chance.randrange(256)])
                case 3:
                    data[position:position] = data[:chance.randrange(20)]
        return bytes(data) + b"\n"


@pytest.fixture
def quiet(monkeypatch):
    """No trace file is opened, whatever event is switched on."""
    monkeypatch.setattr("pyemu.trace.commands.qmp_trace_event_set_state", lambda *arguments: {})


def test_no_message_brings_a_fault(quiet, messages):
    fuzzer, client = Fuzzer(1), Client()
    for number in range(messages):
        data = fuzzer.message()
        for answer in client.send(data):
            assert {"return", "error"} & set(answer), (number, data, answer)
            if "error" in answer:
                assert set(answer["error"]) == {"class", "desc"}
                assert not FAULT.match(answer["error"]["desc"]), (number, data, answer)
        client.runner.log.clear()
    client.send(b"\xff\n")  # whatever has begun ends
    assert client.execute("query-name") == {"name": "box"}
