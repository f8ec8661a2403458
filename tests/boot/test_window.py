"""The SDL window on Xvfb: a user logs in with the keyboard and looks at the picture."""
import os
import shutil
import struct
import subprocess
import time
from collections import Counter

import numpy as np
import pytest

from .console import IMAGES, MONITOR, PYEMU, Console, screen_lines

SCREEN = "1024x768x24"
TEXT_PAGE, TEXT_PAGES_SIZE = 0xB8000, 0x8000
PICTURES_TO_TRY = 40  # until window and file show the cursor in the same phase


class Desktop:
    """An X server without a screen, and a user in front of it. X shows what is in `folder`."""

    def __init__(self, folder):
        self.file = folder / "Xvfb_screen0"
        reader, writer = os.pipe()
        self.process = subprocess.Popen(
            ["Xvfb", "-displayfd", str(writer), "-screen", "0", SCREEN, "-fbdir", folder],
            pass_fds=[writer], stderr=subprocess.DEVNULL)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            number = pipe.readline().strip()
        assert number, "Xvfb does not start"
        self.environment = {**os.environ, "DISPLAY": f":{number}"}

    def do(self, *words):
        """xdotool: what it says."""
        return subprocess.run(["xdotool", *words], env=self.environment, check=True,
                              stdout=subprocess.PIPE, text=True).stdout.strip()

    def window(self):
        """The id of the window, which has the keyboard, and its title."""
        ident = self.do("getwindowfocus")
        return ident, self.do("getwindowname", ident)

    def type(self, line):
        self.do("type", "--delay", "60", line)
        self.do("key", "Return")

    def pixels(self):
        """The whole screen, 0x00RRGGBB (height, width), from the X window dump it is kept in."""
        data = self.file.read_bytes()
        header = struct.unpack(">25I", data[:100])
        size, width, height, line, colours = (header[n] for n in (0, 4, 5, 12, 19))
        pixels = np.frombuffer(data, "<u4", offset=size + 12 * colours, count=height * line // 4)
        return pixels.reshape(height, line // 4)[:, :width] & 0xffffff

    def close(self):
        self.process.terminate()
        self.process.wait()


@pytest.fixture
def desktop(tmp_path):
    for program in ("Xvfb", "xdotool"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    desktop = Desktop(tmp_path)
    yield desktop
    desktop.close()


@pytest.fixture
def monitor(desktop, tmp_path):
    """pyemu in its window, with the monitor on the console."""
    command = [PYEMU, "-name", "hal", "-m", "256", "-monitor", "stdio",
               "-drive", f"file={IMAGES}/mini.img,format=raw,snapshot=on"]
    with Console(command, cwd=tmp_path, env=desktop.environment) as console:
        console.expect(MONITOR)
        yield console


def wait_for(monitor, folder, line):
    """Until the guest's screen has this line."""
    deadline = time.monotonic() + 120
    while True:
        monitor.run(f"pmemsave {TEXT_PAGE:#x} {TEXT_PAGES_SIZE:#x} {folder}/page", MONITOR)
        lines = screen_lines((folder / "page").read_bytes())
        if line in lines:
            return
        assert time.monotonic() < deadline, f"no {line!r} on the screen:\n" + "\n".join(lines)
        time.sleep(0.2)


def picture(monitor, folder):
    """The guest's screen by screendump, 0x00RRGGBB (height, width)."""
    monitor.run(f"screendump {folder}/picture", MONITOR)
    _, size, _, pixels = (folder / "picture").read_bytes().split(b"\n", 3)
    width, height = map(int, size.split())
    parts = np.frombuffer(pixels, np.uint8).reshape(height, width, 3).astype(np.uint32)
    return parts[..., 0] << 16 | parts[..., 1] << 8 | parts[..., 2]


def test_login_in_the_window(desktop, monitor, tmp_path):
    wait_for(monitor, tmp_path, "mini login:")
    desktop.type("root")
    wait_for(monitor, tmp_path, "root@mini:/root#")
    desktop.type('echo "Hello, $USER!" | tr a-z A-Z')
    wait_for(monitor, tmp_path, "HELLO, ROOT!")
    assert monitor.run("info status", MONITOR) == "VM status: running\n"

    ident, title = desktop.window()
    assert title == "pyemu (hal)"
    geometry = dict(line.split("=") for line in
                    desktop.do("getwindowgeometry", "--shell", ident).splitlines())
    left, top = int(geometry["X"]), int(geometry["Y"])
    for _ in range(PICTURES_TO_TRY):
        expected = picture(monitor, tmp_path)
        height, width = expected.shape
        seen = desktop.pixels()[top:top + height, left:left + width]
        if np.array_equal(seen, expected):
            break
        time.sleep(0.05)
    assert (int(geometry["WIDTH"]), int(geometry["HEIGHT"])) == (width, height) == (720, 400)
    assert np.array_equal(seen, expected)


def test_grab_pause_and_end(desktop, monitor):
    def wait_for_title(expected):
        deadline = time.monotonic() + 20
        while (title := desktop.window()[1]) != expected:
            assert time.monotonic() < deadline, f"the title is {title!r}, not {expected!r}"
            time.sleep(0.1)

    wait_for_title("pyemu (hal)")
    desktop.do("mousemove", "--window", desktop.window()[0], "100", "100", "click", "1")
    wait_for_title("pyemu (hal) - Press Ctrl-Alt-G to exit grab")
    desktop.do("key", "ctrl+alt+g")
    wait_for_title("pyemu (hal)")
    monitor.run("stop", MONITOR)
    wait_for_title("pyemu (hal) [Paused]")
    monitor.type("quit")
    assert monitor.wait() == 0


def test_the_tutorial(desktop, tmp_path):
    """Of the README: Linux in a window, the monitor beside it, events switched, then decoded."""
    (tmp_path / "events").write_text("load_file\n")
    command = [PYEMU, "-m", "256", IMAGES / "cirros.img", "-snapshot",
               "-trace", "events=events,file=boot.trace", "-monitor", "stdio"]
    with Console(command, cwd=tmp_path, env=desktop.environment) as monitor:
        monitor.expect(MONITOR)
        assert monitor.run("info trace-events load_f*", MONITOR) == "load_file : state 1\n"
        wait_for(monitor, tmp_path, "cirros login:")
        assert desktop.window()[1] == "pyemu"
        records = 0
        for state, number in (("on", 1), ("off", 0)):
            assert monitor.run(f"trace-event tcg_gen_code {state}", MONITOR) == ""
            assert monitor.run("info trace-events tcg_gen_c*", MONITOR) == (
                f"tcg_gen_code : state {number}\n")
            if number:
                desktop.type("cirros")  # which is code that the guest has not run before
                wait_for(monitor, tmp_path, "Password:")
            assert monitor.run("trace-file flush", MONITOR) == ""
            counts = decoded(tmp_path / "boot.trace")
            assert counts["load_file"] == 5
            assert counts["tcg_gen_code"] > records
            records = counts["tcg_gen_code"] - 1
        desktop.type("gocubsgo")
        wait_for(monitor, tmp_path, "$")
        monitor.run("trace-file flush", MONITOR)
        assert decoded(tmp_path / "boot.trace") == counts  # it is off
        monitor.type("quit")
        assert monitor.wait() == 0


def decoded(file):
    """How many records of each event the decoder finds."""
    text = subprocess.run([PYEMU.with_name("pyemu-simpletrace"), file], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    return Counter(line.split(maxsplit=1)[0] for line in text.splitlines())
