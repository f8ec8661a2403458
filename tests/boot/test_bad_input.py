"""What the user got wrong: one clear line on stderr and status 1, never a traceback."""
import os
import subprocess
import sys

import pytest

from .console import IMAGES, PYEMU

QUIET = ["-display", "none", "-serial", "null"]
CASES = {
    "missing disk": (
        "-hda nosuch", "-hda nosuch: Could not open 'nosuch': No such file or directory"),
    "empty disk": ("-hda empty", "-hda empty: Could not open 'empty': the image is empty"),
    "directory as disk": ("-hda .", "-hda .: Could not open '.': Is a directory"),
    "truncated qcow2": ("-hda cut.img", "-hda cut.img: qcow2: Image is truncated: "),
    "wrong format": (
        "-drive file=empty,format=qcow2",
        "-drive file=empty,format=qcow2: "),
    "unknown option": ("-frobnicate", "-frobnicate: invalid option"),
    "option of QEMU that is not there": (
        "-daemonize", "-daemonize: this option of QEMU is not supported"),
    "no memory": ("-m 0", "-m 0: the machine needs at least 1M of memory"),
    "too much memory": ("-m 1T", "-m 1T: cannot set up guest memory 'pc.ram': this host has "),
    "memory that is no number": ("-m lots", "-m lots: Parameter 'size' expects a non-negative "),
    "unknown CPU": (
        "-cpu i860", "-cpu i860: unable to find CPU model 'i860' (-cpu help lists them)"),
    "missing firmware folder": ("-L nosuch", "-L nosuch: no such directory"),
    "firmware of the wrong size": (
        "-L badroms", "could not load PC BIOS 'bios-256k.bin': 5 bytes, not a multiple of 64 KiB"),
    "missing firmware": ("-bios nosuch", "could not load PC BIOS 'nosuch': not found in /usr/"),
    "unwritable trace file": (
        "-trace load_file,file=nosuch/trace",
        "could not open trace file 'nosuch/trace': No such file or directory"),
    "unreadable events file": ("-trace events=nosuch", "nosuch: No such file or directory"),
    "missing kernel": (
        "-kernel nosuch", "could not load kernel 'nosuch': No such file or directory"),
    "kernel without end": (
        "-kernel /dev/zero", "could not load kernel '/dev/zero': not a regular file"),
    "kernel that is none": ("-kernel empty", "could not load kernel 'empty': "),
    "serial port into a missing folder": (
        "-serial file:nosuch/log",
        "-serial file:nosuch/log: Could not open 'nosuch/log': No such file or directory"),
    "unwritable log": ("-D nosuch/log", "-D nosuch/log: No such file or directory"),
    "unwritable pid file": (
        "-pidfile nosuch/pid", "cannot create PID file: nosuch/pid: No such file or directory"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    (folder / "empty").touch()
    (folder / "cut.img").write_bytes((IMAGES / "cirros.img").read_bytes()[:3_000_000])
    (folder / "badroms").mkdir()
    (folder / "badroms/bios-256k.bin").write_bytes(b"BIOS!")
    return folder


@pytest.mark.parametrize(("options", "message"), CASES.values(), ids=CASES.keys())
def test_one_line_and_status_1(folder, options, message):
    done = subprocess.run([PYEMU, *QUIET, *options.split()], cwd=folder, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, capture_output=True)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.removeprefix("pyemu:").lstrip().startswith(message)


HIDE = """
import sys
from pathlib import Path
from pyemu import cli, roms
roms.DEBIAN_FOLDERS = (Path("/nonexistent"),)
sys.exit(cli.main(sys.argv[1:]))
"""


def test_missing_firmware_names_the_package(folder):
    done = subprocess.run([sys.executable, "-c", HIDE, *QUIET, "-L", os.curdir], cwd=folder,
                          text=True, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == ("pyemu: could not load PC BIOS 'bios-256k.bin': not found in ., "
                           "/nonexistent; install Debian's package seabios\n")
