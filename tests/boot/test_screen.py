"""mini.img as its user sees it on the screen and types on the keyboard; COM1 has the monitor, too.

COM2 and the debug port lead to files.
"""
from types import SimpleNamespace

import pytest

from .console import IMAGES, PYEMU, Console, screen_lines, shell

TEXT_PAGE, TEXT_PAGES_SIZE = 0xB8000, 0x8000
BASE = "2031-12-24T20:15:00"


@pytest.fixture(scope="module")
def boot(tmp_path_factory):
    folder = tmp_path_factory.mktemp("screen")
    command = [PYEMU, "-name", "hal", "-m", "256", "-display", "none", "-rtc", f"base={BASE}",
               "-drive", f"file={IMAGES}/mini.img,format=raw,snapshot=on,id=disk",
               "-serial", "mon:stdio", "-serial", "file:com2", "-debugcon", "file:debug"]
    with Console(command, cwd=folder) as console:
        shell(console)
        yield SimpleNamespace(console=console, folder=folder, monitor=console.monitor,
                              run=lambda command: console.run(command, "# "))


def screen(boot):
    """What is in the display's memory. Linux scrolls by moving the start of the screen in it."""
    dump = boot.folder / "screen"
    boot.monitor(f"pmemsave {TEXT_PAGE:#x} {TEXT_PAGES_SIZE:#x} {dump}")
    return screen_lines(dump.read_bytes())


def keys(boot, *names):
    """Type on the machine's keyboard."""
    boot.monitor(*(f"sendkey {name} 20" for name in names))


def wait_for(boot, line):
    for _ in range(50):
        if line in screen(boot):
            return
        boot.run("usleep 200000")
    raise AssertionError(f"no {line!r} on the screen:\n" + "\n".join(screen(boot)))


def test_login_on_screen_and_keyboard(boot):
    wait_for(boot, "mini login:")
    keys(boot, *"root", "ret")
    wait_for(boot, "root@mini:/root#")
    keys(boot, *"echo", "spc", "shift-h", *"ello", "shift-1", "ret")
    wait_for(boot, "Hello!")


def test_firmware_and_loader_leave_the_screen_to_linux(boot):
    assert "colour VGA+ 80x25" in boot.run("dmesg")


def test_date(boot):
    assert boot.run("date -u +%Y-%m-%dT%H").startswith(BASE[:13])


def test_second_serial_port_to_a_file(boot):
    boot.run("echo over the wire > /dev/ttyS1; sync")
    boot.run("usleep 300000")
    assert (boot.folder / "com2").read_bytes() == b"over the wire\r\n"


def test_debug_console_to_a_file(boot):
    text = (boot.folder / "debug").read_text(errors="replace")
    assert text.startswith("SeaBIOS (version ")
    assert "Booting from 0000:7c00" in text


def test_info(boot):
    assert boot.monitor("info name") == "hal\n"
    assert boot.monitor("info block").startswith(f"disk: {IMAGES}/mini.img (raw)\n")
    assert boot.monitor("info chardev") == (
        "debugcon: filename=file\nserial0: filename=mux\n"
        "serial0-base: filename=stdio\nserial1: filename=file\n")


def test_system_reset(boot):
    boot.monitor("system_reset")
    boot.console.expect("Linux version")
    shell(boot.console)
    assert float(boot.run("cat /proc/uptime").split()[0]) < 60
    assert boot.run("date -u +%Y-%m-%dT%H").startswith(BASE[:13])  # the clock goes on


def test_quit(boot):
    boot.console.send(b"\x01c")
    boot.console.type("quit")
    assert boot.console.wait() == 0
