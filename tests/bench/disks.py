"""Disk speed from inside the guest, and that of converting images.

A static program, brought into cirros.img's guest on a disk of its own, reads 4 KiB pieces of what
is in an image and writes where nothing was yet, around the guest's page cache. The host has the
images in its own.
"""
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import programs
from emulators import CIRROS, Console, emulator, log_in

MIB = 1 << 20
PIECE = 4096
PIECES = 4096  # of each piece of work
SIZES = {"raw": 40 * MIB, "qcow2": 41 * MIB}  # bytes, by which the guest tells the disks apart
PROGRAM = 2 * MIB
WORK = [(action, order) for action in ("read", "write") for order in ("sequential", "random")]
PROMPT = "$ "


def speed(name):
    """Microseconds for 4 KiB of each kind of work on each format."""
    with TemporaryDirectory(prefix="disks") as path:
        folder = Path(path)
        _images(folder)
        drives = [word for index, file in enumerate(("raw", "qcow2", "program"), 1) for word in (
            "-drive", f"file={folder / file},index={index},snapshot=off,"
                      f"format={'qcow2' if file == 'qcow2' else 'raw'}")]
        with Console(emulator(name, *CIRROS, *drives)) as console:
            log_in(console, timeout=600)
            return _measure(console)


def convert(emulator):
    """Seconds of the processor for 1 GB, three quarters of it data, from one format to another."""
    program = {"pyemu": str(Path(sys.executable).with_name("pyemu-img")), "qemu": "qemu-img"}
    with TemporaryDirectory(prefix="convert") as name:
        raw, image, copy = (Path(name) / file for file in ("raw", "qcow2", "copy"))
        block = os.urandom(MIB)
        with raw.open("wb") as file:
            file.truncate(1024 * MIB)
            for number in range(1024):
                if number % 4:
                    file.seek(number * MIB)
                    file.write(block[number:] + block[:number])
        figures = {}
        for format, source, target in ("qcow2", raw, image), ("raw", image, copy):
            before = _children()
            subprocess.run([program[emulator], "convert", "-O", format, source, target], check=True)
            figures[f"convert 1 GB to {format}, CPU s"] = _children() - before
        return figures


def _children():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _images(folder):
    """Each disk begins with data in its first half; in the second half there is nothing."""
    program = programs.compiled(programs.DISK)
    (folder / "program").write_bytes(program.ljust(PROGRAM, b"\0"))
    data = folder / "data"
    data.write_bytes(bytes(range(256)) * (PIECE // 256) * PIECES)
    for format, size in SIZES.items():
        subprocess.run(["qemu-img", "convert", "-O", format, data, folder / format], check=True)
        subprocess.run(["qemu-img", "resize", "-q", "-f", format, folder / format, str(size)],
                       check=True)


def _measure(console):
    devices = {}
    for line in console.run("cat /proc/partitions", PROMPT).splitlines():
        words = line.split()
        if words[3:] and re.fullmatch("sd[a-z]", words[3]):
            devices[int(words[2]) << 10] = f"/dev/{words[3]}"
    console.run(f"sudo cp {devices[PROGRAM]} program; sudo chmod 755 program", PROMPT)
    figures = {}
    for format, size in SIZES.items():
        for action, order in WORK:
            start = PIECES if action == "write" else 0
            answer = console.run(
                f"sudo ./program {devices[size]} {action} {order} {start} {PIECES}", PROMPT, 600)
            took, = re.findall(r"([\d.]+) us each", answer)
            figures[f"disk, {format}: {order} {action} of 4 KiB, us"] = float(took)
    return figures
