"""Guests that Debian packages bring, as they come: from CD, floppy, and a kernel by itself.

Each is watched on the screen, whose text the monitor writes into a file, or at COM1.
"""
import gzip
import time
from pathlib import Path

import pytest

from .console import PYEMU, Console, screen_lines

TEXT_PAGE, TEXT_PAGE_SIZE = 0xB8000, 4000
PATIENCE = 120  # seconds for each text
INSTALLER = "/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64"

ON_SCREEN = {
    "memtest86+": (
        "-cdrom /usr/lib/memtest86+/memtest86+x64.iso -boot d -net none",
        "Memtest86+ v6.10", "Test #"),
    "grub-rescue-pc's CD": (
        "-cdrom /usr/lib/grub-rescue/grub-rescue-cdrom.iso -boot d -net none",
        "GNU GRUB  version 2.06", "Memtest86+"),
    "grub-rescue-pc's floppy": (
        "-drive if=floppy,format=raw,readonly=on,file=/usr/lib/grub-rescue/grub-rescue-floppy.img "
        "-boot a -net none", "GNU GRUB  version 2.06", "Memtest86+"),
    "iPXE's CD": (
        "-cdrom /usr/lib/ipxe/ipxe.iso -boot d",
        "iPXE 1.0.0+git", "net0: 10.0.2.15/255.255.255.0 gw 10.0.2.2"),
    "grub-invaders": (
        "-kernel /boot/invaders.exec -net none", "-*-           -*-", "/ \\"),
}


@pytest.mark.parametrize(("options", "texts"), [
    (options, texts) for options, *texts in ON_SCREEN.values()], ids=ON_SCREEN.keys())
def test_screen(tmp_path, options, texts):
    command = [PYEMU, "-display", "none", "-monitor", "stdio", *options.split()]
    with Console(command, cwd=tmp_path) as console:
        console.expect("(qemu) ")
        for text in texts:
            wait_for(console, tmp_path / "screen", text)
        console.type("quit")
        assert console.wait() == 0


def wait_for(console, dump, text):
    deadline = time.monotonic() + PATIENCE
    lines = []
    while not any(text in line for line in lines):
        assert time.monotonic() < deadline, f"no {text!r} on the screen:\n" + "\n".join(lines)
        time.sleep(0.3)
        console.run(f"pmemsave {TEXT_PAGE:#x} {TEXT_PAGE_SIZE} {dump}", "(qemu) ")
        lines = screen_lines(dump.read_bytes())


def test_xen_misses_its_first_domain(tmp_path):
    kernel = tmp_path / "xen"
    kernel.write_bytes(gzip.decompress(Path("/boot/xen-4.17-amd64.gz").read_bytes()))
    with Console([PYEMU, "-nographic", "-no-reboot", "-m", "256", "-kernel", kernel,
                  "-append", "placeholder console=com1 com1=115200"]) as console:
        console.expect("(XEN) Command line: placeholder console=com1 com1=115200", PATIENCE)
        console.expect("dom0 kernel not specified", PATIENCE)
        console.expect("Reboot in five seconds", PATIENCE)
        assert console.wait() == 0


def test_installer_asks_for_the_language():
    with Console([PYEMU, "-nographic", "-m", "1G", "-kernel", f"{INSTALLER}/linux", "-initrd",
                  f"{INSTALLER}/initrd.gz", "-append", "console=ttyS0"]) as console:
        console.expect("Select a language", 2 * PATIENCE)
        console.send(b"\x01x")
        assert console.wait() == 0
