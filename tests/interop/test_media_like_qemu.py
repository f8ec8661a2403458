"""Media changed by QMP and by the monitor, in QEMU and here: the same answers and events."""
import json
import re

import pytest

from .test_qmp_like_qemu import OURS, QEMU, speaking

BY_QMP = r"""
{"execute":"qmp_capabilities"}
{"execute":"eject","arguments":{}}
{"execute":"eject","arguments":{"device":"a","id":"b"}}
{"execute":"eject","arguments":{"device":"nosuch"}}
{"execute":"eject","arguments":{"id":"nosuch"}}
{"execute":"eject","arguments":{"device":"disk"}}
{"execute":"blockdev-open-tray","arguments":{"device":"disk"}}
{"execute":"blockdev-close-tray","arguments":{"device":"disk"}}
{"execute":"blockdev-open-tray","arguments":{"device":"cd"}}
{"execute":"blockdev-open-tray","arguments":{"device":"cd"}}
{"execute":"blockdev-close-tray","arguments":{"device":"cd"}}
{"execute":"blockdev-open-tray","arguments":{"device":"fd"}}
{"execute":"blockdev-change-medium","arguments":{"device":"cd","filename":"/nonexistent/x"}}
{"execute":"blockdev-change-medium","arguments":{"device":"cd","filename":"FILE","format":"zz"}}
{"execute":"blockdev-change-medium","arguments":{"device":"cd","filename":"FILE","format":"raw"}}
{"execute":"blockdev-change-medium","arguments":{"device":"cd"}}
{"execute":"blockdev-change-medium","arguments":{"device":"fd","filename":"FILE","format":"raw"}}
{"execute":"blockdev-change-medium","arguments":{"device":"fd","filename":"FILE","read-only-mode":"x"}}
{"execute":"blockdev-change-medium","arguments":{"device":"disk","filename":"FILE","format":"raw"}}
{"execute":"eject","arguments":{"device":"cd","force":true}}
{"execute":"eject","arguments":{"device":"cd"}}
{"execute":"eject","arguments":{"device":"fd"}}
""".strip().split("\n")

BY_MONITOR = """
eject
eject nosuch
eject -f disk
change
change cd
change nosuch FILE
change disk FILE
change cd /nonexistent/x
change cd FILE zz
change cd FILE raw bad
change cd FILE raw
info block cd
change fd FILE raw read-only
eject cd
info block cd
eject fd
info block fd
""".strip().split("\n")

HMP = '{"execute":"human-monitor-command","arguments":{"command-line":"%s"}}'


def answers(command, folder, lines):
    """What comes back, but for times and what the two call their devices."""
    options = ["-drive", f"file={folder}/disk,format=raw,if=ide,id=disk",
               "-drive", "if=ide,index=2,media=cdrom,id=cd", "-drive", "if=floppy,id=fd"]
    with speaking([*command, *options]) as process:
        text = "\n".join([*lines, '{"execute":"quit"}\n']).replace("FILE", f"{folder}/medium")
        output, _ = process.communicate(text.encode())
    messages = [json.loads(line) for line in output.splitlines()][1:]
    for message in messages:
        message.pop("timestamp", None)
        message.get("data", {}).pop("id", None)
        if isinstance(message.get("return"), str):
            message["return"] = [
                re.sub(r" \(#block\d+\)", "", line) for line in message["return"].splitlines()
                if line and "Attached to" not in line]
    return [message for message in messages if message.get("event") != "SHUTDOWN"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "disk").write_bytes(bytes(1 << 20))
    (tmp_path / "medium").write_bytes(bytes(1440 << 10))
    return tmp_path


def test_by_qmp(folder):
    theirs = answers(QEMU, folder, BY_QMP)
    assert answers(OURS, folder, BY_QMP) == theirs
    assert {"event": "DEVICE_TRAY_MOVED", "data": {"device": "cd", "tray-open": True}} in theirs


def test_by_monitor(folder):
    lines = ['{"execute":"qmp_capabilities"}', *(HMP % line for line in BY_MONITOR)]
    assert answers(OURS, folder, lines) == answers(QEMU, folder, lines)
