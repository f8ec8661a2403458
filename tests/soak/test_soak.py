"""Machines that run for long, and hosts that treat them badly. `make soak` is the long form of it:
200 boots and an hour of load; what `make test` does takes a minute.
"""
import re
import shutil
import signal
import statistics
import subprocess
import time
from pathlib import Path

from boot.console import IMAGES, PYEMU, Console, log_in, shell
from boot.test_window import Desktop

MINI = [PYEMU, "-m", "128", "-hda", IMAGES / "mini.img", "-snapshot", "-nographic"]
CIRROS = [PYEMU, "-m", "256", "-hda", IMAGES / "cirros.img", "-snapshot", "-nographic"]
COMPLAINTS = ("lost interrupt", "nobody cared", "Call Trace", "I/O error", "unstable",
              "ACPI Error", "ACPI Warning", "ACPI BIOS")

RAM_KIB = 128 << 10
WORK = "while :; do sha256sum /bin/busybox | gzip | gunzip; ls -lR / ; done >/dev/null 2>&1 &"
CLOCK_ERROR = 100e-6  # of the guest's clock against the host's
CLOCK_READING = 0.01  # seconds by which both may have been read apart
GROWTH_KIB = 4096  # allocators' own business


def test_boots(pytestconfig):
    """From power-on to power-off again and again, without a complaint of Linux."""
    for number in range(pytestconfig.getoption("--soak-boots")):
        with Console(CIRROS) as console:
            print(f"boot {number + 1}: login after {log_in(console):.1f} s")
            lines = console.run("sudo dmesg", "$ ").splitlines()
            console.type("sudo poweroff")
            assert console.wait() == 0
        assert not [line for line in lines if any(text in line for text in COMPLAINTS)]


def clocks(console):
    """(guest's, host's) monotonic time in seconds, of the quickest of some readings."""
    readings = []
    for _ in range(10):
        before = time.monotonic()
        now = re.search(r"now at (\d+)", console.run("grep ^now /proc/timer_list", "# "))[1]
        after = time.monotonic()
        readings.append((after - before, int(now) / 1e9, (before + after) / 2))
    return min(readings)[1:]


def own_memory(pid):
    """KiB that a process has in memory, less the guest's RAM and the translated code."""
    total = 0
    mappings = re.split(r"^(?=[0-9a-f]+-)", Path(f"/proc/{pid}/smaps").read_text(), flags=re.M)
    for mapping in mappings[1:]:
        size, resident = (int(re.search(rf"^{name}:\s+(\d+)", mapping, re.M)[1])
                          for name in ("Size", "Rss"))
        if size < RAM_KIB // 2 and "rwxp" not in mapping.partition("\n")[0]:
            total += resident
    return total


def test_memory_stays_flat_and_the_clock_right_under_load(pytestconfig):
    seconds = pytestconfig.getoption("--soak-minutes") * 60
    with Console(MINI) as console:
        shell(console)
        console.run(WORK, "# ")
        time.sleep(min(seconds, 60) / 4)
        guest_before, host_before = clocks(console)
        samples = []
        while time.monotonic() < host_before + seconds:
            time.sleep(seconds / 20)
            samples.append(own_memory(console.process.pid))
        guest_after, host_after = clocks(console)
        console.type("poweroff -f")
        assert console.wait() == 0
    quarter = len(samples) // 4
    growth = statistics.median(samples[-quarter:]) - statistics.median(samples[:quarter])
    assert growth < GROWTH_KIB, samples
    passed = host_after - host_before
    assert abs(guest_after - guest_before - passed) < CLOCK_ERROR * passed + CLOCK_READING


def test_a_stopped_process_goes_on():
    with Console(MINI) as console:
        shell(console)
        for _ in range(3):
            console.process.send_signal(signal.SIGSTOP)
            time.sleep(1.5)
            console.process.send_signal(signal.SIGCONT)
            assert "42" in console.run("echo $((6 * 7))", "# ").splitlines()
        assert "Call Trace" not in console.run("dmesg", "# ")
        console.type("poweroff -f")
        assert console.wait() == 0


def test_after_a_kill_the_disk_is_nobodys(tmp_path):
    disk = tmp_path / "disk.img"
    shutil.copy(IMAGES / "mini.img", disk)
    command = [PYEMU, "-m", "128", "-drive", f"file={disk},format=raw", "-nographic"]
    for _ in range(2):
        with Console(command) as console:
            shell(console)
            console.process.kill()
            assert console.wait() == -signal.SIGKILL


def test_without_its_x_server_the_machine_ends_with_its_trace_whole(tmp_path):
    desktop = Desktop(tmp_path)
    command = [PYEMU, "-m", "128", "-hda", IMAGES / "mini.img", "-snapshot", "-display", "sdl",
               "-serial", "stdio", "-trace", "load_file,file=trace"]
    with Console(command, cwd=tmp_path, env=desktop.environment) as console:
        console.expect("mini login:", timeout=120)
        desktop.process.kill()
        desktop.process.wait()
        assert console.wait() == 1
    assert "X connection" in console.text
    decoder = PYEMU.with_name("pyemu-simpletrace")
    text = subprocess.run([decoder, tmp_path / "trace"], check=True, capture_output=True).stdout
    assert text.count(b"load_file") == 5
