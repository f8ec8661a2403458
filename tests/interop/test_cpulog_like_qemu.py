"""-d in_asm and cpu_reset beside QEMU's: the first instructions of the firmware, line by line."""
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

BLOCKS = 70  # soon after, the firmware copies itself, and the two differ in what they forget
OPTIONS = ["-display", "none", "-nodefaults", "-net", "none", "-d", "in_asm,cpu_reset"]
EMULATORS = {
    "pyemu": [str(Path(sys.executable).with_name("pyemu")), *OPTIONS],
    "qemu": ["qemu-system-x86_64", "-accel", "tcg", *OPTIONS],
}
# Newer versions of capstone tell targets of jumps and far pointers of 16-bit code otherwise.
TARGET = re.compile(r"(ljmp\w|j\w+|call\w?|loop\w*) +\S+")


def log_of(command, path):
    """The log once it has BLOCKS blocks."""
    process = subprocess.Popen([*command, "-D", str(path)])
    try:
        for _ in range(600):
            time.sleep(0.1)
            text = path.read_text() if path.exists() else ""
            if text.count("IN:") > BLOCKS:
                return text
        raise AssertionError(f"{command[0]}: {text.count('IN:')} blocks")
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("log")
    return {name: log_of(command, folder / name) for name, command in EMULATORS.items()}


def test_the_first_blocks_are_the_same(logs):
    ours, theirs = ([TARGET.sub(r"\1", block) for block in text.split("----------------\n")]
                    for text in (logs["pyemu"], logs["qemu"]))
    assert ours[1:BLOCKS] == theirs[1:BLOCKS]


def test_the_state_at_reset_has_the_same_layout(logs):
    def shape(text):
        """The lines of the first dump without their numbers, as far as both have them."""
        return [re.sub(r"[0-9a-f]{4,}| A20=\d", "", line)
                for line in text.partition("CPU Reset (CPU 0)\n")[2].splitlines()[:14]]

    assert logs["pyemu"].startswith("CPU Reset (CPU 0)\n")
    assert shape(logs["pyemu"]) == shape(logs["qemu"])
