"""How long interrupts wait for the CPU, and are served, by vector: file=OUT.

From the local APIC accepting one to the CPU taking it, and from there to the guest's EOI. It is the
host's time, with that of the callbacks themselves.
"""
import sys
import time

from pyemu.trace.tools.common import table, us


def install(plugin, file=None):
    out = open(file, "w") if file else sys.stdout  # noqa: SIM115 - until the process ends
    accepted: dict[int, int] = {}  # when, by vector
    taken: dict[int, int] = {}
    waits: dict[int, list[int]] = {}  # nanoseconds
    served: dict[int, list[int]] = {}

    def accept(name, vector, level_triggered):
        accepted.setdefault(vector, time.monotonic_ns())

    def interrupt(vector, cs, pc):
        now = time.monotonic_ns()
        if vector in accepted:
            waits.setdefault(vector, []).append(now - accepted.pop(vector))
            taken[vector] = now

    def eoi(name, vector):
        if vector in taken:
            served.setdefault(vector, []).append(time.monotonic_ns() - taken.pop(vector))

    def row(vector):
        cells = [f"{vector:#x}", len(waits[vector])]
        for times in (sorted(waits[vector]), sorted(served.get(vector, ()))):
            cells += [us(times[len(times) // 2]), us(times[-1])] if times else ["", ""]
        return cells

    def report():
        print(table(("vector", "count", "wait p50 us", "max us", "served p50 us", "max us"),
                    map(row, sorted(waits))), file=out, flush=True)

    plugin.on_event("apic_accept", accept)
    plugin.on_interrupt(interrupt)
    plugin.on_event("apic_eoi", eoi)
    plugin.at_exit(report)
