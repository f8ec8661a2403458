"""Two users of one image: QEMU and we keep each other out in the same cases, with one text."""
import shutil
import subprocess

import pytest
from pyemu.machine.block.base import BlockError
from pyemu.machine.block.open import open_image

pytestmark = pytest.mark.skipif(not shutil.which("qemu-system-x86_64"),
                                reason="needs qemu-system-x86 and qemu-utils")


def ignore(text):
    """Warnings are not what is tested here."""


@pytest.fixture(params=["raw", "qcow2"])
def image(request, tmp_path):
    subprocess.run(["qemu-img", "create", "-q", "-f", request.param, "a.img", "1M"],
                   cwd=tmp_path, check=True)
    return request.param, str(tmp_path / "a.img")


def our_answer(format, path, read_only):
    try:
        open_image(path, format, read_only, report=ignore).close()
    except BlockError as error:
        return str(error)
    return ""


def qemu(format, path, read_only):
    drive = f"file={path},format={format},if=virtio,readonly={'on' if read_only else 'off'}"
    return subprocess.Popen(
        ["qemu-system-x86_64", "-S", "-display", "none", "-nodefaults", "-monitor", "stdio",
         "-drive", drive],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def their_answer(format, path, read_only):
    _, errors = qemu(format, path, read_only).communicate("quit\n")
    return errors[errors.find("Failed"):].strip()


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("second", [False, True])
def test_our_lock_is_what_qemu_meets(image, first, second):
    """Reading twice is all that goes together."""
    format, path = image
    disk = open_image(path, format, read_only=first, report=ignore)
    expected = "" if first and second else (
        f'Failed to get {"shared " * second}"write" lock\n'
        f"Is another process using the image [{path}]?")
    assert their_answer(format, path, second) == our_answer(format, path, second) == expected
    disk.close()
    assert their_answer(format, path, second) == ""


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("second", [False, True])
def test_qemus_lock_is_what_we_meet(image, first, second):
    format, path = image
    holder = qemu(format, path, first)
    try:
        holder.stdin.write("info status\n")
        holder.stdin.flush()
        while "VM status" not in holder.stdout.readline():
            assert holder.poll() is None
        assert our_answer(format, path, second) == their_answer(format, path, second)
        assert bool(our_answer(format, path, second)) != (first and second)
    finally:
        holder.communicate("quit\n")
