"""What a hook costs: off, guarded, on; from Python and from C. Medians of paired rounds.

Each round times the statement and an empty loop beside it, and the difference counts. It is CPU
time of the thread that traces, and the trace goes to /dev/null: this is the price for that thread,
not for the disk.
"""
import ctypes
import os
import statistics
import subprocess
import sysconfig
import tempfile
import timeit
from pathlib import Path
from time import thread_time

from pyemu.trace import _ring

ROUNDS, CALLS = 51, 20_000
RING = 4 << 20
LIMITS = [  # statement, state, nanoseconds at most
    ("four(1, 2, 3, 4)", False, 40),
    ("if four: four(1, 2, 3, 4)", False, 10),
    ("four(1, 2, 3, 4)", True, 120),
    ("text('bios-256k.bin0')", True, 200),
]
NATIVE_LIMITS = [("emit", 0, 25), ("emit_fast", 1, 15)]


def python_cost(statement, names, rounds):
    """Median nanoseconds of a statement, less those of an empty loop."""
    timer, empty = (timeit.Timer(statement, timer=thread_time, globals=names),
                    timeit.Timer("pass", timer=thread_time))
    differences = []
    for _ in range(rounds):
        _ring.flush()
        differences.append(timer.timeit(CALLS) - empty.timeit(CALLS))
    return statistics.median(differences) / CALLS * 1e9


def native_library(folder):
    """tests/bench/native_loop.c, compiled."""
    here = Path(__file__).parent
    library = f"{folder}/native_loop.so"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", f"-I{sysconfig.get_path('include')}",
                    f"-I{here.parent.parent}/trace/native", f"{here}/native_loop.c", "-o", library],
                   check=True)
    return ctypes.PyDLL(library)


def native_cost(library, hook, fast, rounds):
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    api = pointer(_ring._C_API, b"pyemu.trace._ring._C_API")
    loop = library.emit_loop
    loop.argtypes = [ctypes.c_void_p, ctypes.py_object, ctypes.c_uint64, ctypes.c_int]
    timer = timeit.Timer(lambda: loop(api, hook, CALLS, fast), timer=thread_time)
    samples = []
    for _ in range(rounds):
        _ring.flush()
        samples.append(timer.timeit(1))
    return statistics.median(samples) / CALLS * 1e9


def costs(rounds=ROUNDS):
    """(title, nanoseconds, how many they may be) of each way to call a hook."""
    four, text, two = (_ring.Hook("four", 0, "IIII"), _ring.Hook("text", 1, "s"),
                       _ring.Hook("two", 2, "QQ"))
    null = os.open(os.devnull, os.O_WRONLY)
    _ring.open(null, 0, None, RING)
    for statement, on, limit in LIMITS:
        four.enabled = text.enabled = on
        cost = python_cost(statement, {"four": four, "text": text}, rounds)
        yield f"`{statement}`, {'on' if on else 'off'}", cost, limit
    two.enabled = True
    with tempfile.TemporaryDirectory() as folder:
        library = native_library(folder)
        for name, fast, limit in NATIVE_LIMITS:
            yield f"{name} of 2 integers in C, on", native_cost(library, two, fast, rounds), limit
    _ring.close()
