"""cirros.img on a virtio disk, with another one, a CD and a floppy disk that are changed."""
import hashlib
import random

import pytest

from .console import IMAGES, PYEMU, Console, log_in

DISC = "/usr/lib/grub-rescue/grub-rescue-cdrom.iso"
OTHER_DISC = "/usr/lib/memtest86+/memtest86+x64.iso"
LOCKED = ("Error: Device 'ide1-cd0' is locked and force was not specified, wait for tray to open "
          "and try again\n")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A virtio disk and two floppy disks with noise."""
    folder = tmp_path_factory.mktemp("media")
    dice = random.Random(5)
    for name, kilobytes in ("disk", 2048), ("floppy", 1440), ("double", 720):
        (folder / name).write_bytes(dice.randbytes(kilobytes << 10))
    return folder


@pytest.fixture(scope="module")
def boot(images):
    command = [
        PYEMU, "-nographic", "-m", "256", "-boot", "c", "-net", "none", "-cdrom", DISC,
        "-drive", f"file={IMAGES}/cirros.img,if=none,id=root,snapshot=on",
        "-device", "virtio-blk-pci,drive=root,serial=first",
        "-drive", f"file={images}/disk,format=raw,if=virtio",
        "-drive", f"file={images}/floppy,format=raw,if=floppy"]
    with Console(command) as console:
        log_in(console)
        console.run("for each in sr_mod isofs floppy; do sudo modprobe $each; done", "$ ")
        yield console


def run(console, command):
    return console.run(command, "$ ").strip()


def same(console, device, image):
    """Whether the guest reads what is in the image."""
    console.run(f"sudo dd if={device} of=/tmp/copy bs=64k 2>/dev/null", "$ ")
    size = int(run(console, "stat -c %s /tmp/copy"))
    with open(image, "rb") as file:
        data = file.read()
    return size == len(data) and run(
        console, "md5sum </tmp/copy").split()[0] == hashlib.md5(data).hexdigest()


def test_virtio_disks(boot, images):
    assert run(boot, "cat /sys/block/vda/serial") == "first"
    assert "/dev/vda1" in run(boot, "df /")
    assert same(boot, "/dev/vdb", images / "disk")
    run(boot, "sudo dd if=/bin/busybox of=/dev/vdb bs=4k seek=5 count=50 conv=fsync")
    run(boot, "echo 3 | sudo tee /proc/sys/vm/drop_caches")
    assert same(boot, "/dev/vdb", images / "disk")


def test_floppy_disks(boot, images):
    assert same(boot, "/dev/fd0", images / "floppy")
    run(boot, "sudo dd if=/bin/busybox of=/dev/fd0 bs=18k seek=1 count=3 conv=fsync")
    assert same(boot, "/dev/fd0", images / "floppy")
    assert boot.monitor(f"change floppy0 {images}/double raw read-only") == ""
    assert same(boot, "/dev/fd0", images / "double")
    assert "Read-only file system" in run(boot, "sudo dd if=/dev/zero of=/dev/fd0 count=1")


def test_discs(boot):
    assert same(boot, "/dev/sr0", DISC)
    run(boot, "sudo mount -r /dev/sr0 /mnt")
    assert "grub.cfg" in run(boot, "ls /mnt/boot/grub")
    assert boot.monitor("eject ide1-cd0") == LOCKED
    run(boot, "sudo umount /mnt")
    assert boot.monitor(f"change ide1-cd0 {OTHER_DISC}") == ""
    assert same(boot, "/dev/sr0", OTHER_DISC)
    assert boot.monitor("eject ide1-cd0", "info block ide1-cd0") == (
        "ide1-cd0: [not inserted]\n    Attached to:      IDE secondary master\n"
        "    Removable device: not locked, tray open\n")
    assert "No medium found" in run(boot, "sudo dd if=/dev/sr0 of=/dev/null")


def test_end(boot):
    boot.type("sudo poweroff")
    assert boot.wait() == 0
