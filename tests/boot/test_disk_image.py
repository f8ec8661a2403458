"""A guest that writes to its disk: the image stays whole, and a guest of QEMU's reads it."""
import shutil
import subprocess
from pathlib import Path

import pytest

from .console import Console

ROOT = Path(__file__).parents[2]
IMAGE = ROOT / "images/out/cirros.img"
LEAKS = 3  # exit status of qemu-img check
EMULATORS = {"pyemu": [ROOT / ".venv/bin/pyemu"],
             "qemu": ["qemu-system-x86_64", "-accel", "tcg"]}
PROMPT = "$ "

pytestmark = pytest.mark.skipif(
    not IMAGE.exists() or not shutil.which("qemu-img") or not shutil.which("qemu-system-x86_64"),
    reason="needs images/out/cirros.img, qemu-utils and qemu-system-x86")


def booted(emulator, disk):
    """A console with the user logged in."""
    console = Console([*EMULATORS[emulator], "-m", "256", "-nographic", "-drive",
                       f"file={disk},format=qcow2"])
    console.expect("cirros login:", timeout=300)
    console.type("cirros")
    console.expect("Password:")
    console.type("gocubsgo")
    console.expect(PROMPT)
    return console


def check(disk):
    return subprocess.run(["qemu-img", "check", "-q", str(disk)]).returncode


@pytest.fixture
def disk(tmp_path):
    return shutil.copy(IMAGE, tmp_path / "disk.qcow2")


def test_what_the_guest_writes_is_there_in_qemu(disk):
    with booted("pyemu", disk) as console:
        console.run("dd if=/dev/urandom of=noise bs=64k count=50 2>/dev/null", PROMPT)
        total = console.run("sha256sum noise", PROMPT).split()[0]
        console.type("sudo poweroff")
        assert console.wait(timeout=120) == 0
    assert check(disk) == 0
    with booted("qemu", disk) as console:
        assert console.run("sha256sum noise", PROMPT).split()[0] == total


def test_a_kill_leaves_leaks_at_most_and_what_was_synced(disk):
    with booted("pyemu", disk) as console:
        console.run("echo kept > kept; sync", PROMPT)
        console.type("while :; do dd if=/dev/urandom of=more bs=64k count=9; sync; done")
        console.expect("records out")
        console.process.kill()
    assert check(disk) in (0, LEAKS)
    with booted("pyemu", disk) as console:
        assert console.run("cat kept", PROMPT).strip() == "kept"
