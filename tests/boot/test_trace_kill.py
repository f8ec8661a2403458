"""kill -9 in the middle of a boot: every event that happened is decoded."""
import mmap
import struct
import time

import pytest
from pyemu.trace.simpletrace import Analyzer, process

from .console import IMAGES, PYEMU, Console

EVENTS = "tcg_gen_code", "cpu_out", "clock_timer_fire"
WITNESS = """
import mmap
import struct

def install(plugin, file):
    with open(file, "r+b") as shared:
        memory = mmap.mmap(shared.fileno(), 0)  # outlives the process
    counts = {name: 0 for name in EVENTS}

    def count(name, *arguments):
        counts[name] += 1
        struct.pack_into("=3Q", memory, 0, *counts.values())

    for name in EVENTS:
        plugin.on_event(name, count)
"""


class Counts(Analyzer):
    def __init__(self):
        self.counts = dict.fromkeys(EVENTS, 0)
        self.last = 0

    def catchall(self, event, rec):
        assert rec[1] >= self.last
        self.last = rec[1]
        self.counts[event.name] += 1


@pytest.mark.parametrize("seconds", [0.7, 1.3, 2.2, 3.1])
def test_nothing_that_happened_is_lost(tmp_path, seconds):
    (tmp_path / "witness.py").write_text(f"EVENTS = {EVENTS}\n{WITNESS}")
    (tmp_path / "counts").write_bytes(bytes(mmap.PAGESIZE))
    trace = tmp_path / "trace"
    options = [word for event in EVENTS for word in ("-trace", event)]
    drive = f"file={IMAGES}/mini.img,format=raw,snapshot=on"
    with Console([PYEMU, "-nographic", "-drive", drive, *options, "-trace", f"file={trace}",
                  "-plugin", f"{tmp_path}/witness.py,file={tmp_path}/counts"]) as console:
        console.expect("SeaBIOS")
        time.sleep(seconds)
        console.process.kill()
        console.process.wait()
    witnessed = struct.unpack_from("=3Q", (tmp_path / "counts").read_bytes())
    analyzer = Counts()
    assert process(None, str(trace), analyzer) == []
    decoded = tuple(analyzer.counts.values())
    assert sum(witnessed) > 1000
    # An event is recorded before the witness is told; the process may have died in between.
    assert sum(decoded) - sum(witnessed) in (0, 1)
    assert all(ours >= theirs for ours, theirs in zip(decoded, witnessed, strict=True))
