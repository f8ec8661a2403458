"""exec_tb into the trace file: each executed block is recorded, or counted as dropped."""
import pytest
from guests.harness import Guest
from pyemu.trace import control, hooks
from pyemu.trace.options import TraceOptions
from pyemu.trace.simpletrace import Analyzer, process

ROUNDS = 300_000


class Count(Analyzer):
    recorded = dropped = 0

    def exec_tb(self, tb, pc):
        self.recorded += 1

    def Dropped_Event(self, num_events_dropped):
        self.dropped += num_events_dropped


@pytest.mark.parametrize(("options", "drops"), [("size=64k", True), ("size=64k,full=wait", False)])
def test_every_block_is_accounted_for(tmp_path, monkeypatch, options, drops):
    monkeypatch.setattr(control, "file", control.TraceFile())
    path = tmp_path / "trace"
    guest = Guest()
    guest.cpu.count_blocks(True)
    control.start(TraceOptions.parse([f"exec_tb,{options},file={path}"]))
    try:
        assert guest.run(f"mov ecx, {ROUNDS}\nL: dec ecx\njnz L\nEND").stop == "end"
    finally:
        control.close()
        hooks.hooks["exec_tb"].enabled = False
    count = Count()
    assert process(None, str(path), count) == []
    executed = sum(times for _, _, times in guest.cpu.block_counts())
    assert executed > ROUNDS and count.recorded + count.dropped == executed
    assert bool(count.dropped) == drops
