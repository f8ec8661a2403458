"""A guest shows a screen in each kind of mode; our picture and QEMU's have the same pixels."""
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

QEMU = "qemu-system-x86_64"
PYEMU = Path(sys.executable).with_name("pyemu")
SOURCE = Path(__file__).with_name("screens.asm")
SECTORS = 24
PROMPT = b"(qemu) "
PICTURES_TO_TRY = 20  # until both cursors are in the same phase of their blinking

TEXT = "fill 0xb800, 4000"
SCREENS = {
    "text 80x25": f"video 0x03\n{TEXT}\nhide_cursor",
    "text 40x25": f"video 0x01\n{TEXT}\nhide_cursor",
    "text mono": "video 0x07\nfill 0xb000, 4000\nmov dx, 0x3b4\nmov ax, 0x200a\nout dx, ax",
    "text 80x50": f"video 0x03\nmov ax, 0x1112\nmov bl, 0\nint 0x10\n{TEXT}\nhide_cursor",
    "text two fonts": f"video 0x03\nreg 0x3c4, 3, 0x04\n{TEXT}\nhide_cursor",
    "text eight dots": f"video 0x03\nreg 0x3c4, 1, 0x01\n{TEXT}\nhide_cursor",
    "text without line graphics": f"video 0x03\nattr 0x10, 0x08\n{TEXT}\nhide_cursor",
    "text scrolled": "video 0x03\nfill 0xb800, 0x8000\nreg 0x3d4, 13, 0x37\n"
                     "reg 0x3d4, 12, 1\nhide_cursor",
    "text split": f"video 0x03\n{TEXT}\nreg 0x3d4, 13, 0x37\nreg 0x3d4, 7, 0x0f\n"
                  "reg 0x3d4, 24, 0xcf\nhide_cursor",
    "text cursor": f"video 0x03\n{TEXT}\nreg 0x3d4, 10, 3\nreg 0x3d4, 11, 9\n"
                   "reg 0x3d4, 15, 123\nreg 0x3d4, 14, 2",
    "CGA 4 colours": "video 0x04\nfill 0xb800, 0x4000",
    "CGA 2 colours": "video 0x06\nfill 0xb800, 0x4000",
    "planar 320x200": "video 0x0d\nfill_planes",
    "planar 640x200": "video 0x0e\nfill_planes",
    "planar mono": "video 0x0f\nfill_planes",
    "planar 640x350": "video 0x10\nfill_planes",
    "planar 640x480, 2 colours": "video 0x11\nfill_planes",
    "planar 640x480": "video 0x12\nfill_planes",
    "planar without two planes": "video 0x12\nfill_planes\nattr 0x12, 0x0a",
    "planar with colour select": "video 0x12\nfill_planes\nattr 0x10, 0x81\nattr 0x14, 0x09",
    "planar split": "video 0x12\nfill_planes\nreg 0x3d4, 12, 0x40\nreg 0x3d4, 9, 0x00\n"
                    "reg 0x3d4, 7, 0x2e\nreg 0x3d4, 24, 0x63",
    "packed 320x200": "video 0x13\nfill 0xa000, 0x10000",
    "packed split": "video 0x13\nfill 0xa000, 0x10000\nreg 0x3d4, 13, 0x40\nreg 0x3d4, 9, 0x01\n"
                    "reg 0x3d4, 24, 0x63",
    "mode X": "video 0x13\nreg 0x3c4, 4, 0x06\nreg 0x3d4, 0x17, 0xe3\nreg 0x3d4, 0x14, 0\n"
              "mov dx, 0x3c2\nmov al, 0xe3\nout dx, al\nreg 0x3d4, 0x11, 0x2c\n"
              "reg 0x3d4, 0x06, 0x0d\nreg 0x3d4, 0x07, 0x3e\nreg 0x3d4, 0x10, 0xea\n"
              "reg 0x3d4, 0x12, 0xdf\nreg 0x3d4, 0x15, 0xe7\nreg 0x3d4, 0x16, 0x06\nfill_planes",
    "mode X panned": "video 0x13\nreg 0x3c4, 4, 0x06\nreg 0x3d4, 0x17, 0xe3\n"
                     "reg 0x3d4, 0x14, 0\nfill_planes\nreg 0x3d4, 12, 0x12\nreg 0x3d4, 13, 0x34",
    # The mode before is for QEMU, where planes cannot be written before the first of 8 bits.
    "linear 4 bits": "linear 320, 200, 8, 1\nlinear 320, 200, 4, 1",
    **{f"linear {depth} bits": f"linear 320, 200, {depth}, {banks}"
       for depth, banks in ((8, 1), (15, 2), (16, 2), (24, 3), (32, 4))},
    "linear with wide palette": "linear 320, 200, 8, 1\nvbe 4, 0xe1\ncall colours",
    **{f"linear {depth} bits, wider": "linear 320, 200, 8, 1\n"
                                      f"linear 320, 150, {depth}, {banks}\n"
                                      "vbe 6, 400\nvbe 8, 24\nvbe 9, 17"
       for depth, banks in ((4, 1), (8, 2), (16, 3), (24, 4), (32, 5))},
    "text after linear": f"video 0x03\n{TEXT}\nhide_cursor",
}


class Guest:
    """An emulator with the guest in it, spoken to by COM1 and by the monitor."""

    def __init__(self, command, disk, folder):
        self.dump = folder / "screen.ppm"
        sockets = [folder / "serial", folder / "monitor"]
        self.process = subprocess.Popen(
            [command, "-display", "none", "-nodefaults", "-vga", "std",
             "-drive", f"file={disk},format=raw,snapshot=on",
             "-serial", f"unix:{sockets[0]},server=on,wait=off",
             "-monitor", f"unix:{sockets[1]},server=on,wait=off"])
        self.serial, self.monitor = map(_connect, sockets)
        self.expect(self.serial, b"!")
        self.expect(self.monitor, PROMPT)

    def expect(self, connection, text):
        received = b""
        while not received.endswith(text):
            data = connection.recv(4096)
            assert data, f"the emulator has ended; it said {received!r}"
            received += data

    def show(self, number):
        self.serial.sendall(bytes([number]))
        self.expect(self.serial, bytes([number]))

    def picture(self):
        """The file that screendump writes."""
        self.monitor.sendall(f"screendump {self.dump}\n".encode())
        self.expect(self.monitor, PROMPT)
        return self.dump.read_bytes()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.serial.close()
        self.monitor.close()


def _size(picture):
    return picture[:15].split(b"\n")[1]


def _connect(path):
    deadline = time.monotonic() + 20
    while True:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(60)
        try:
            connection.connect(str(path))
            return connection
        except OSError:
            connection.close()
            assert time.monotonic() < deadline, f"{path} does not answer"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def guests(tmp_path_factory):
    """pyemu and QEMU with the same guest."""
    for program in (QEMU, "nasm"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    folder = tmp_path_factory.mktemp("screens")
    source, disk = folder / "all.asm", folder / "disk"
    code = [f'%include "{SOURCE}"', "screens:"]
    code += [f"dw screen{number}" for number in range(len(SCREENS))]
    for number, screen in enumerate(SCREENS.values()):
        code += [f"screen{number}:", screen, "ret"]
    code.append(f"times {SECTORS + 1} * 512 - ($ - $$) db 0")
    source.write_text("\n".join(code) + "\n")
    subprocess.run(["nasm", "-f", "bin", f"-DSECTORS={SECTORS}", "-o", disk, source], check=True)
    started = []
    try:
        for command in (PYEMU, QEMU):
            own = folder / command.name if isinstance(command, Path) else folder / command
            own.mkdir()
            started.append(Guest(command, disk, own))
        yield started
    finally:
        for guest in started:
            guest.close()


@pytest.mark.parametrize("name", SCREENS)
def test_same_pixels(guests, name):
    for guest in guests:
        guest.show(list(SCREENS).index(name))
    for _ in range(PICTURES_TO_TRY if "cursor" in name else 1):
        ours, theirs = (guest.picture() for guest in guests)
        if ours == theirs:
            break
    assert _size(ours) == _size(theirs)
    differences = compare(ours, theirs)
    assert not differences, differences


def compare(ours, theirs):
    """What is different, in few words."""
    ours, theirs = np.frombuffer(ours, np.uint8), np.frombuffer(theirs, np.uint8)
    places = np.flatnonzero(ours != theirs)
    if not len(places):
        return ""
    around = slice(places[0], places[0] + 12)
    return (f"{len(places)} bytes from {places[0]}: {ours[around].tobytes().hex()} instead of "
            f"{theirs[around].tobytes().hex()}")
