"""Guests that boot: for each the options, then what is to appear and the keys that answer it.

Time warps, so that what a guest waits for at its start and its end costs nothing.
"""
import pytest

from .console import IMAGES, PYEMU, Console

TIMEOUT = 120  # seconds for each text; most come within five

WARPED = [PYEMU, "-clock", "warp"]
LOGIN = [("mini login:", ""), ("# ", "cat /proc/cmdline /proc/meminfo\n"), ("MemFree", "")]
POWER_OFF = [("# ", "poweroff\n"), ("reboot: Power down", "")]
MINI = f"-drive file={IMAGES}/mini.img,format=raw,snapshot=on"

GUESTS = {
    "a bare image, probed": (
        f"{IMAGES}/mini.img -snapshot -nographic",
        [("WARNING: Image format was not specified", ""), ("SYSLINUX", ""), *LOGIN, *POWER_OFF]),
    "96 MiB of memory": (  # with less SYSLINUX and the kernel come to grief on any PC
        f"-m 96 {MINI} -nographic", [*LOGIN, *POWER_OFF]),
    "memory above 4 GiB": (
        f"-m 4G {MINI} -nographic",
        [("mem 0x0000000100000000-0x000000013fffffff] usable", ""), *LOGIN, *POWER_OFF]),
    "disk on the secondary channel, without display and network": (
        f"-nodefaults -serial stdio {MINI},index=2", [*LOGIN, *POWER_OFF]),
    "a machine with a name of its own": (
        f"-uuid 01234567-89ab-cdef-0123-456789abcdef {MINI} -nographic",
        [*LOGIN, ("# ", "cat /sys/class/dmi/id/product_uuid\n"),
         ("\n01234567-89ab-cdef-0123-456789abcdef", ""), *POWER_OFF]),
    "an Intel CPU": (
        f"-cpu Haswell {MINI} -nographic",
        [("CPU0: Intel Core Processor (Haswell", ""), *LOGIN, *POWER_OFF]),
    "a 32-bit kernel on a 32-bit CPU": (
        f"-cpu qemu32 -drive file={IMAGES}/mini32.img,format=raw,snapshot=on -nographic",
        [("login:", ""), ("# ", "uname -m\n"), ("\ni686", ""), *POWER_OFF]),
    "boot menu": (  # whose wait is for us
        f"-clock host -boot menu=on {MINI} -nographic",
        [("Press ESC for boot menu", "\x1b"), ("1. ata0-0: PYEMU HARDDISK", "1"),
         ("SYSLINUX", "\x01x")]),
    "guest reboots, -no-reboot": (
        f"-no-reboot {MINI} -nographic",
        [*LOGIN, ("# ", "reboot\n"), ("reboot: Restarting system", "")]),
    "no disk": (
        "-boot order=c -net none -nographic", [("No bootable device.", "\x01x")]),
}


@pytest.mark.parametrize(("options", "steps"), GUESTS.values(), ids=GUESTS.keys())
def test_guest(options, steps):
    with Console([*WARPED, *options.split()]) as console:
        for text, keys in steps:
            console.expect(text, TIMEOUT)
            if keys:
                console.send(keys.encode())
        assert console.wait() == 0


def test_boot_once():
    """From the CD-ROM first, whose drive is empty; after a reset from the hard disk first."""
    options = "-boot order=c,once=d -net none -nographic"
    with Console([*WARPED, *options.split()]) as console:
        for text in ("DVD/CD", "Hard Disk", "No bootable device"):
            console.expect(text, TIMEOUT)
        console.monitor("system_reset")
        for text in ("Hard Disk", "DVD/CD", "No bootable device"):
            console.expect(text, TIMEOUT)
        console.send(b"\x01x")
        assert console.wait() == 0


def test_no_shutdown_leaves_the_machine_to_the_monitor():
    options = f"-no-shutdown {MINI} -nographic"
    with Console([*WARPED, *options.split()]) as console:
        for text, keys in [*LOGIN, *POWER_OFF]:
            console.expect(text, TIMEOUT)
            console.send(keys.encode())
        assert console.monitor("info status") == "VM status: paused (shutdown)\n"
        console.send(b"\x01x")
        assert console.wait() == 0
