"""`info pic`, `info lapic`, `info irq`: the interrupt controllers, in QEMU's layout."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyemu.machine import ioapic, lapic, lapic_timer
from pyemu.monitor.command import Command, CommandError

if TYPE_CHECKING:
    from pyemu.monitor.monitor import Monitor

FOCUS = 0x200  # in SVR
POLARITY = 1 << 13  # of an LVT and a redirection entry: active low
SEND_PENDING = 1 << 12
LVT_ROWS = (("LVT0", lapic.LINT0), ("LVT1", lapic.LINT1), ("LVTPC", lapic.PERFORMANCE),
            ("LVTERR", lapic.ERROR), ("LVTTHMR", lapic.THERMAL), ("LVTT", lapic.TIMER))
LAPIC_MODES = ("Fixed", "...", "SMI", "...", "NMI", "INIT", "...", "ExtINT")
IOAPIC_MODES = ("fixed", "lowest", "SMI", "...", "NMI", "INIT", "...", "extINT")
SHORTHANDS = ("no-shorthand", "self", "all-self", "all")


def pic(monitor: Monitor, arguments: list[str]) -> str:
    machine = monitor.runner.machine
    return monitor.runner.call(lambda: "\n".join([
        *_ioapic(machine.ioapic), _pic(1, machine.pic.slave), _pic(0, machine.pic.master)]))


def _pic(number: int, chip: Any) -> str:
    return (f"pic{number}: irr={chip.irr:02x} imr={chip.imr:02x} isr={chip.isr:02x} "
            f"hprio={chip.lowest + 1 & 7} irq_base={chip.base:02x} rr_sel={chip.read_isr:d} "
            f"elcr={chip.elcr:02x} fnm={chip.nested_specially:d}")


def _ioapic(chip: Any) -> list[str]:
    selected = (f" (redir[{chip.select - ioapic.REDIRECTION >> 1}])"
                if ioapic.REDIRECTION <= chip.select < ioapic.REDIRECTION_END else "")
    pins = list(enumerate(chip.entries))
    waiting = [n for n, entry in pins if chip.levels[n] and entry & ioapic.LEVEL]
    served = [n for n, entry in pins if entry & ioapic.REMOTE_IRR]
    return [f"ioapic0: ver=0x{ioapic.VERSION_VALUE & 0xff:02x} id=0x{chip.id:02x} "
            f"sel=0x{chip.select:02x}{selected}", *(_pin(n, entry) for n, entry in pins),
            f"{'  IRR':10} {_numbers(waiting)}", f"{'  Remote IRR':10} {_numbers(served)}"]


def _pin(number: int, entry: int) -> str:
    mode = IOAPIC_MODES[entry >> ioapic.MODE_SHIFT & 7]
    return (f"  pin {number:<2} 0x{entry:016x} dest={entry >> ioapic.DESTINATION_SHIFT:x} "
            f"vec={entry & ioapic.VECTOR:<3} {_polarity(entry)} {_trigger(entry, ioapic.LEVEL):5} "
            f"{'masked' if entry & ioapic.MASKED else '':6} {mode:6} "
            f"{'logical' if entry >> ioapic.LOGICAL_SHIFT & 1 else 'physical'}")


def _numbers(numbers: list[int]) -> str:
    return "".join(f"{number:<2} " for number in numbers) if numbers else "(none)"


def local_apic(monitor: Monitor, arguments: list[str]) -> str:
    machine = monitor.runner.machine
    return monitor.runner.call(lambda: _lapic(machine.lapic, arguments))


def _lapic(chip: Any, arguments: list[str]) -> str:
    if arguments and arguments[0] != str(chip.id):
        raise CommandError("No CPU available")
    timer = chip.timer
    enabled = "enabled" if chip.svr & lapic.SVR_ENABLE else "disabled"
    shorthand = chip.icr_low >> lapic.ICR_SHORTHAND_SHIFT & 3
    return "\n".join([
        f"dumping local APIC state for CPU {chip.id:<2}", "",
        *(_lvt(name, chip.lvt[n], n == lapic.TIMER) for name, n in LVT_ROWS),
        f"Timer\t DCR=0x{timer.divide:x} (divide by "
        f"{1 << lapic_timer.divide_shift(timer.divide)}) "
        f"initial_count = {timer.initial} current_count = {timer.current_count()}",
        f"SPIV\t 0x{chip.svr:08x} APIC {enabled}, focus={'on' if chip.svr & FOCUS else 'off'}, "
        f"spurious vec {chip.svr & lapic.VECTOR}",
        f"ICR\t 0x{chip.icr_low:08x} "
        f"{'logical' if chip.icr_low & lapic.ICR_LOGICAL else 'physical'} "
        f"{_trigger(chip.icr_low, lapic.LEVEL_TRIGGERED)} "
        f"{'assert' if chip.icr_low & lapic.ICR_ASSERT else 'de-assert'} {SHORTHANDS[shorthand]}",
        f"ICR2\t 0x{chip.icr_high:08x}" + ("" if shorthand else _destination(chip)),
        f"ESR\t 0x{chip.esr:08x}",
        f"ISR\t {_vectors(chip.isr, chip.tmr)}", f"IRR\t {_vectors(chip.irr, chip.tmr)}", "",
        f"APR 0x00 TPR 0x{chip.tpr:02x} DFR 0x{chip.dfr >> 28:02x} "
        f"LDR 0x{chip.ldr >> lapic.TOP_BYTE_SHIFT:02x} PPR 0x{chip.ppr:02x}"])


def _lvt(name: str, entry: int, is_timer: bool) -> str:
    mode = (entry & lapic.MODE) >> lapic.MODE_SHIFT
    period = ("periodic" if entry & lapic_timer.PERIODIC else "one-shot") if is_timer else ""
    vector = "" if mode == lapic.NMI else f" (vec {entry & lapic.VECTOR})"
    return (f"{name}\t 0x{entry:08x} {_polarity(entry)} "
            f"{_trigger(entry, lapic.LEVEL_TRIGGERED):5} "
            f"{'masked' if entry & lapic_timer.MASKED else '':6} "
            f"{'pending' if entry & SEND_PENDING else '':7} {period:12} "
            f"{LAPIC_MODES[mode]:6}{vector}")


def _destination(chip: Any) -> str:
    dest = chip.icr_high >> lapic.TOP_BYTE_SHIFT
    if not chip.icr_low & lapic.ICR_LOGICAL:
        return f" cpu {dest} (APIC ID)"
    if chip.dfr >> 28 == lapic.FLAT_MODEL:
        return f" mask {dest:08b} (APIC ID)"
    return f" cluster {dest >> 4} mask {dest & 15:04b} (APIC ID)"


def _vectors(bits: int, by_level: int) -> str:
    shown = "".join(f"{n}{'(level)' if by_level >> n & 1 else ''} "
                    for n in range(256) if bits >> n & 1)
    return shown or "(none)"


def _polarity(entry: int) -> str:
    return "active-lo" if entry & POLARITY else "active-hi"


def _trigger(entry: int, level: int) -> str:
    return "level" if entry & level else "edge"


def statistics(monitor: Monitor, arguments: list[str]) -> str:
    counts = monitor.runner.call(lambda: dict(monitor.runner.machine.gsi.counts))
    lines = [f"{n:2}: {count}" for n, count in sorted(counts.items()) if count]
    isa = [line for line in lines if int(line[:2]) < 16]
    return "\n".join(["IRQ statistics for ioapic:", *lines,
                      "IRQ statistics for isa-i8259:", *isa])


INFO = (
    Command("irq", "", "show the interrupts statistics (if available)", statistics),
    Command("lapic", "[apic-id]", "show local apic state (apic-id: local apic to read, default "
            "is which of current CPU)", local_apic, optional=1),
    Command("pic", "", "show PIC state", pic),
)
