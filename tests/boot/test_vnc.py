"""mini.img behind a VNC server, used by vncdotool and by clients that are rude."""
import re
import socket
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ..unit.vnc_client import HEXTILE, ZLIB, Viewer
from .console import IMAGES, MONITOR, PYEMU, Console, screen_lines

VNCDO = Path(PYEMU).with_name("vncdo")
TEXT_PAGE, TEXT_PAGES_SIZE = 0xB8000, 0x8000
TRIES = 40  # until both pictures show the cursor in the same phase


@pytest.fixture(scope="module")
def boot(tmp_path_factory):
    """The monitor is on the console; the first line of all tells the port."""
    if not VNCDO.exists():
        pytest.skip("vncdotool is not installed")
    folder = tmp_path_factory.mktemp("vnc")
    command = [PYEMU, "-name", "hal", "-m", "256", "-monitor", "stdio",
               "-drive", f"file={IMAGES}/mini.img,format=raw,snapshot=on",
               "-vnc", ":50,to=99,password=on"]
    with Console(command, cwd=folder) as console:
        console.expect(MONITOR)
        port = int(re.search(r"VNC server running on 127\.0\.0\.1:(\d+)", console.text)[1])
        console.run("set_password vnc sesame", MONITOR)
        yield SimpleNamespace(console=console, folder=folder, port=port)


def vncdo(boot, *words, password="sesame"):
    return subprocess.run(
        [VNCDO, "-s", f"127.0.0.1::{boot.port}", "-p", password, "-t", "60", *words],
        cwd=boot.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def connect(boot, *encodings):
    """A client of ours."""
    viewer = Viewer(socket.create_connection(("127.0.0.1", boot.port)), lambda: time.sleep(0.01))
    viewer.greet(password="sesame")
    viewer.set_encodings(*encodings)
    return viewer


def lines(boot):
    boot.console.run(f"pmemsave {TEXT_PAGE:#x} {TEXT_PAGES_SIZE:#x} page", MONITOR)
    return screen_lines((boot.folder / "page").read_bytes())


def wait_for(boot, line):
    deadline = time.monotonic() + 120
    while line not in (shown := lines(boot)):
        assert time.monotonic() < deadline, f"no {line!r} on the screen:\n" + "\n".join(shown)
        time.sleep(0.2)


def pixels(path):
    from PIL import Image  # which vncdotool brings with it
    parts = np.asarray(Image.open(path).convert("RGB")).astype(np.uint32)
    return parts[..., 0] << 16 | parts[..., 1] << 8 | parts[..., 2]


def dump(boot):
    boot.console.run("screendump dump.ppm", MONITOR)
    return pixels(boot.folder / "dump.ppm")


def same(boot, capture):
    """Whether screendump shows what capture() returns."""
    return any(np.array_equal(capture(), dump(boot)) for _ in range(TRIES))


def test_a_login_typed_by_vncdotool(boot):
    wait_for(boot, "mini login:")
    result = vncdo(boot, "type", "root", "key", "enter")
    assert result.returncode == 0, result.stdout
    wait_for(boot, "root@mini:/root#")
    result = vncdo(boot, "type", "echo Hello, $USER! | tr a-z A-Z", "key", "enter")
    assert result.returncode == 0, result.stdout
    wait_for(boot, "HELLO, ROOT!")

    def capture():
        result = vncdo(boot, "capture", "capture.png")
        assert result.returncode == 0, result.stdout
        return pixels(boot.folder / "capture.png")

    assert same(boot, capture)
    assert capture().shape == (400, 720)


def test_a_wrong_password(boot):
    result = vncdo(boot, "capture", "never.png", password="mellon")
    assert result.returncode and not (boot.folder / "never.png").exists()


def test_several_clients_see_the_same(boot):
    viewers = [connect(boot, encoding) for encoding in (HEXTILE, ZLIB)]
    for viewer in viewers:
        def capture(viewer=viewer):
            viewer.refresh()
            return viewer.picture
        assert same(boot, capture)
    answer = boot.console.run("info vnc", MONITOR)
    assert answer.count("  Client: 127.0.0.1:") >= 2
    for viewer in viewers:
        viewer.close()


def test_one_that_stops_reading_and_one_that_vanishes(boot):
    """The guest goes on, and the others with it."""
    stuck = connect(boot, HEXTILE)
    for _ in range(1000):
        stuck.request()
    vanishing = connect(boot, ZLIB)
    vanishing.send(b"\2\0\xff\xff\0\0")
    vanishing.close()
    result = vncdo(boot, "type", "seq 2000; echo we go on | tr a-z A-Z", "key", "enter")
    assert result.returncode == 0, result.stdout
    wait_for(boot, "WE GO ON")
    stuck.close()


def test_end(boot):
    boot.console.type("quit")
    assert boot.console.wait() == 0
    assert "internal error" not in boot.console.text
