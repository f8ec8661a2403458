"""mini.img's kernel and initramfs handed over by -kernel, -initrd and -append, without a disk."""
import subprocess

import pytest

from .console import IMAGES, PYEMU, Console, shell

PROMPT = "# "


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kernel")
    subprocess.run(["mcopy", "-i", f"{IMAGES}/mini.img@@1M", "::vmlinuz", "::initrd", folder],
                   check=True)
    return folder


def test_paused_then_booted_then_ended_by_a_reboot(files):
    command = [PYEMU, "-clock", "warp", "-m", "256", "-nographic", "-S", "-no-reboot",
               "-kernel", "vmlinuz", "-initrd", "initrd", "-append", "console=ttyS0 answer=42"]
    with Console(command, cwd=files) as console:
        assert console.monitor("info status") == "VM status: paused (prelaunch)\n"
        assert "EIP=0000fff0" in console.monitor("info registers")
        with pytest.raises(AssertionError, match="within 1 s"):
            console.expect("SeaBIOS", timeout=1)
        console.monitor("cont")
        console.expect("SeaBIOS")
        shell(console)
        assert console.run("cat /proc/cmdline", PROMPT).startswith("console=ttyS0 answer=42\n")
        assert "sda" not in console.run("cat /proc/partitions", PROMPT)
        console.type("reboot")
        console.expect("reboot: Restarting system")
        assert console.wait() == 0
        assert console.text.count("SeaBIOS (version") == 1
