"""-bios: other firmware than SeaBIOS, from Debian's packages, and the smallest there can be."""
import subprocess

import pytest

from .console import PYEMU, Console

PATIENCE = 120  # seconds for each text

FIRMWARE = {  # options, then texts to wait for and what is typed at each
    "U-Boot": (
        "-bios /usr/lib/u-boot/qemu-x86/u-boot.rom -no-reboot",
        [("Hit any key to stop autoboot", " "), ("=> ", "setenv autoload no; dhcp\n"),
         ("DHCP client bound to address 10.0.2.15", ""), ("=> ", "reset\n")]),
    "EDK II": (
        "-bios /usr/share/ovmf/OVMF.fd -net none",
        [("UEFI Interactive Shell", ""), ("BLK0", ""), ("Shell> ", "reset -s\r")]),
    "the small SeaBIOS, by name": (
        "-bios bios.bin -boot order=c -net none",
        [("SeaBIOS", ""), ("No bootable device.", "\x01x")]),
}


@pytest.mark.parametrize(("options", "steps"), FIRMWARE.values(), ids=FIRMWARE.keys())
def test_firmware(options, steps):
    with Console([PYEMU, "-nographic", "-clock", "warp", *options.split()]) as console:
        for text, keys in steps:
            console.expect(text, PATIENCE)
            console.send(keys.encode())
        assert console.wait() == 0


def test_64_kib_are_seen_below_1_mib_and_below_4_gib(tmp_path):
    rom = bytearray(b"\xF4" * 0x10000)  # HLT
    rom[0xFFF0:0xFFF5] = b"\xEA\x00\xE0\x00\xF0"  # JMP F000:E000
    rom[0xE000:0xE004] = b"\xB0\x10\xE6\xF4"  # MOV AL, 10h; OUT F4h, AL
    (tmp_path / "rom").write_bytes(rom)
    done = subprocess.run([PYEMU, "-nodefaults", "-display", "none", "-bios", "rom", "-device",
                           "isa-debug-exit,iobase=0xf4"], cwd=tmp_path, timeout=60, check=False)
    assert done.returncode == 2 * 0x10 + 1
