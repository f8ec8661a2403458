"""cirros.img with disks that fail: its ATA driver is told, and who watches by QMP and monitor."""
import json
import os
import socket
import struct
import subprocess
from types import SimpleNamespace

import pytest

from .console import IMAGES, PYEMU, Console, log_in

KIB, MIB = 1 << 10, 1 << 20
L1_FIELD = 40  # of a qcow2 header
OFFSET = (1 << 54) - 1  # of compressed data, in an L2 entry of an image with clusters of 64 KiB
SIZES = {"spoilt": 4 * MIB, "stopping": 5 * MIB, "full": 16 * MIB}  # which is sda is chance
COMPLAINTS = "; sudo dmesg -c | grep -E 'failed command|error: {|I/O error'"
READ = "sudo dd if=/dev/{} of=/dev/null bs=64k skip=8 count=1 2>&1" + COMPLAINTS.replace("{", "{{")
WRITE = "sudo dd if=/dev/zero of=/dev/{} bs=64k count=30 conv=fsync 2>&1" + COMPLAINTS.replace(
    "{", "{{")
PROMPT = "$ "


def spoilt(path):
    """An image whose ninth cluster is compressed, but not by a compressor."""
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path,
                    str(SIZES[path.name])], check=True)
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 7 0 512k", "-c",
                    "write -c -P 9 512k 64k", path], check=True, stdout=subprocess.DEVNULL)
    with path.open("r+b") as file:
        def entry(place):
            file.seek(place)
            return struct.unpack(">Q", file.read(8))[0] & OFFSET

        file.seek(entry(entry(entry(L1_FIELD)) + 8 * 8))
        file.write(b"\xFF" * 64)


@pytest.fixture(scope="module")
def boot(tmp_path_factory):
    """The guest, logged in; QMP beside it; what Linux calls each disk."""
    folder = tmp_path_factory.mktemp("failing")
    small = folder / "small"
    small.mkdir()
    if os.geteuid() or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "none", small]).returncode:
        pytest.skip("cannot mount a small file system")
    for name in "spoilt", "stopping":
        spoilt(folder / name)
    with (small / "full").open("wb") as file:
        file.truncate(SIZES["full"])
    command = [PYEMU, "-nographic", "-m", "256", "-net", "none",
               "-drive", f"file={IMAGES}/cirros.img,format=qcow2,snapshot=on",
               "-drive", f"file={folder}/spoilt,format=qcow2,id=spoilt",
               "-drive", f"file={small}/full,format=raw,werror=report,id=full",
               "-drive", f"file={folder}/stopping,format=qcow2,rerror=stop,id=stopping",
               "-qmp", f"unix:{folder}/qmp,server=on,wait=off"]
    try:
        with (Console(command) as console, socket.socket(socket.AF_UNIX) as line):
            log_in(console)
            line.connect(f"{folder}/qmp")
            qmp = line.makefile("rw")
            qmp.readline()
            execute(qmp, "qmp_capabilities")
            console.run("sudo dmesg -n 1; sudo dmesg -c >/dev/null", PROMPT)
            sizes = {int(words[2]) * KIB: words[3] for line in console.run(
                "cat /proc/partitions", PROMPT).splitlines() if (words := line.split())[3:]
                and words[2].isdigit()}
            yield SimpleNamespace(console=console, qmp=qmp, monitor=console.monitor,
                                  names={name: sizes[size] for name, size in SIZES.items()},
                                  run=lambda command: console.run(command, PROMPT))
    finally:
        subprocess.run(["umount", "--lazy", small], check=True)


def execute(qmp, command):
    """The answer, and the events that have come before it."""
    qmp.write(json.dumps({"execute": command}) + "\n")
    qmp.flush()
    events = []
    while "return" not in (message := json.loads(qmp.readline())):
        events.append((message["event"], message.get("data", {})))
    return message["return"], events


def failures(boot, device):
    """What the events say that have come for a drive; each once."""
    found = []
    for name, data in execute(boot.qmp, "query-status")[1]:
        if name == "BLOCK_IO_ERROR" and data["device"] == device and data not in found:
            found.append(data)
    return [{key: value for key, value in data.items() if key not in ("device", "node-name")}
            for data in found]


def test_what_cannot_be_read(boot):
    name = boot.names["spoilt"]
    text = boot.run(READ.format(name))
    assert f"dd: /dev/{name}: Input/output error" in text
    assert "failed command: READ DMA" in text and "error: { UNC }" in text
    assert f"I/O error, dev {name}, sector 1024 op 0x0:(READ)" in text
    assert failures(boot, "spoilt") == [
        {"operation": "read", "action": "report", "nospace": False, "reason": "Input/output error"}]
    boot.run(f"sudo dd if=/dev/{name} of=/tmp/good bs=64k skip=7 count=1")
    assert boot.run("tr -d '\\007' </tmp/good | wc -c; wc -c </tmp/good").split() == ["0", "65536"]


def test_what_there_is_no_room_for(boot):
    name = boot.names["full"]
    text = boot.run(WRITE.format(name))
    assert f"dd: /dev/{name}: Input/output error" in text
    assert "failed command: WRITE DMA" in text and "error: { ABRT }" in text
    assert f"I/O error, dev {name}, sector" in text and "op 0x1:(WRITE)" in text
    assert failures(boot, "full") == [
        {"operation": "write", "action": "report", "reason": "No space left on device"}]


def test_a_failure_that_stops_the_machine(boot):
    boot.console.type(READ.format(boot.names["stopping"]))
    while execute(boot.qmp, "query-status")[0]["status"] != "io-error":
        pass
    assert "    I/O status:       failed\n" in boot.monitor("info block stopping")
    drives = {drive["device"]: drive for drive in execute(boot.qmp, "query-block")[0]}
    assert drives["stopping"]["io-status"] == "failed" and drives["spoilt"]["io-status"] == "ok"
    assert "io-status" not in drives["full"]
    assert boot.monitor("info status") == "VM status: paused (io-error)\n"
