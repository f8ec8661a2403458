"""A qcow2 image without -snapshot keeps what the guest writes, and QEMU finds no fault with it."""
import subprocess

from .console import IMAGES, PYEMU, Console, log_in

PROMPT = "$ "


def test_a_qcow2_image_is_written_for_real(tmp_path):
    image = tmp_path / "disk.img"
    image.write_bytes((IMAGES / "cirros.img").read_bytes())
    with Console([PYEMU, "-m", "256", "-hda", image, "-nographic"]) as console:
        log_in(console)
        console.run("echo kept > kept", PROMPT)
        console.type("sudo poweroff")
        console.expect("reboot: Power down")
        assert console.wait() == 0
        assert "pyemu:" not in console.text
    subprocess.run(["qemu-img", "check", image], check=True)

    raw = tmp_path / "disk.raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", image, raw], check=True)
    root = f"{raw}?offset={_first_partition(raw)}"
    subprocess.run(["e2fsck", "-fn", root], check=True)
    kept = subprocess.run(["debugfs", "-R", "cat /home/cirros/kept", root], check=True,
                          stdout=subprocess.PIPE).stdout
    assert kept == b"kept\n"


def _first_partition(image):
    """Its offset in bytes, from the partition table."""
    with open(image, "rb") as file:
        return int.from_bytes(file.read(512)[0x1BE + 8:][:4], "little") * 512
