"""What tracing costs a boot of mini.img: all events off, and each executed block recorded.

CPU seconds of the process from power-on to the login. Hooks that are off are compared with an
emulator that has none (stubbed.py); exec_tb with an untraced boot.
"""
import functools
import sys
import tempfile

import stubbed
from emulators import MACHINE, MINI, Console, cpu_seconds, emulator

WAYS = "with", "without"
EXEC_TB = ["-trace", "exec_tb,file=/dev/null,full=wait"]


def off(way):
    variant = {"with": "plain", "without": "stubbed"}[way]
    command = [sys.executable, stubbed.__file__, variant, str(library(variant)),
               *MACHINE, "-nographic", *MINI]
    return {"all events off; no hooks": boot(command)}


def on(way):
    options = EXEC_TB if way == "with" else []
    return {"exec_tb to /dev/null; untraced": boot(emulator("pyemu", *MINI, *options))}


def boot(command):
    """CPU seconds until the login prompt."""
    with Console(command) as console:
        console.expect("mini login:", 1200)
        return cpu_seconds(console)


@functools.cache
def library(variant):
    """The engine's native half of a variant of stubbed.py, compiled for this run of the bench."""
    return stubbed.build(folder().name, variant == "stubbed")


@functools.cache
def folder():
    return tempfile.TemporaryDirectory(prefix="bench")
