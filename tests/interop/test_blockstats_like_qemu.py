"""`info blockstats` and query-blockstats: the same figures under the same names as QEMU's."""
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

EMULATORS = ([Path(sys.executable).parent / "pyemu"], ["qemu-system-x86_64"])
OPTIONS = ["-S", "-display", "none", "-nodefaults", "-qmp", "stdio"]
ASK = '{"execute":"qmp_capabilities"} {"execute":"query-blockstats"} ' + json.dumps(
    {"execute": "human-monitor-command", "arguments": {"command-line": "info blockstats"}})


@pytest.fixture
def told(tmp_path):
    """Of each emulator: what it answers of its two disks, and the line for each of them."""
    for name in "a.img", "b.img":
        (tmp_path / name).write_bytes(bytes(1 << 20))
    drives = ["-drive", "file=a.img,format=raw", "-drive", "file=b.img,format=raw,index=2,id=box"]
    answers = []
    for command in EMULATORS:
        done = subprocess.run([*command, *OPTIONS, *drives], cwd=tmp_path, text=True,
                              input=ASK + '{"execute":"quit"}', capture_output=True, timeout=60)
        _, _, query, info, *_ = (json.loads(line) for line in done.stdout.splitlines())
        answers.append((query["return"], info["return"].splitlines()))
    return answers


def test_query_blockstats(told):
    ours, theirs = ({disk["device"]: disk["stats"] for disk in query} for query, _ in told)
    assert list(ours) == list(theirs) == ["ide0-hd0", "box"]
    for name, figures in ours.items():
        assert figures == theirs[name]


def test_info_blockstats(told):
    ours, theirs = ([re.sub(r"\d+$", "0", line) for line in lines] for _, lines in told)
    assert ours == theirs
