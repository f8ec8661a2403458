"""What -d shows of the CPU, in QEMU's layout: in_asm, exec, cpu, int, cpu_reset, guest_errors.

Each item listens to events while it is asked for, and costs nothing while it is not. All of it
happens on the vCPU's thread.
"""
from collections.abc import Callable

from pyemu import disassembly
from pyemu.monitor import registers
from pyemu.runner import Runner
from pyemu.trace import control, hooks, log

PAGE_FAULT = 14
PROTECTED = 1  # CR0.PE

Listener = Callable[..., None]


class CpuLog:
    """The lines of one machine's CPU."""

    def __init__(self, runner: Runner):
        self.cpu = runner.cpu
        self.memory = runner.memory
        self.interrupts = 0
        self._connect(log.in_asm, translate_block=self._block_translated)
        self._connect(log.execution, exec_tb=self._block_executed)
        self._connect(log.cpu, exec_tb=lambda tb, pc: log.say(self._state()))
        self._connect(log.interrupts, cpu_interrupt=self._interrupt, cpu_exception=self._exception)
        self._connect(log.cpu_reset, guest_cpu_reset=self._reset,
                      cpu_triple_fault=lambda cs, pc: log.say("Triple fault"))
        self._connect(log.guest_errors, memory_unassigned=self._unassigned)

    def _connect(self, item: log.Item, **listeners: Listener) -> None:
        """While the item is on, these functions get the events of their names."""
        def change(on: bool) -> None:
            for name, listener in listeners.items():
                hook = hooks.hooks[name]
                others = tuple(one for one in hook.listeners if one is not listener)
                hook.listeners = (*others, listener) if on else others

        item.follow(change)

    def _state(self) -> str:
        return registers.text(self.cpu, floating_point=False)

    def _block_translated(self, tb: int, pc: int, code: int) -> None:
        block = self.cpu.block(pc)
        if block is None:
            return
        _, _, flags, _, size = block
        lines = disassembly.lines(self.memory.read_virtual(pc, size), pc, flags)
        log.say("\n".join(["----------------", f"IN: {control.symbol(pc)}", *lines, ""]))

    def _block_executed(self, tb: int, pc: int) -> None:
        block = self.cpu.block(pc)
        if block is not None:
            code, base, flags, translator, _ = block
            log.say(f"Trace 0: {code:#x} [{base:016x}/{pc:016x}/{flags:08x}/{translator:08x}] "
                    f"{control.symbol(pc)}")

    def _interrupt(self, vector: int, cs: int, pc: int) -> None:
        log.say(f"Servicing hardware INT=0x{vector:02x}")
        self._delivery(vector, 0, False)

    def _exception(self, vector: int, software: int, error: int, cs: int, pc: int, cr2: int
                   ) -> None:
        self._delivery(vector, error, bool(software))

    def _delivery(self, vector: int, error: int, software: bool) -> None:
        """A line on what is delivered and the CPU's state before, but not in real mode."""
        cpu = self.cpu
        if not cpu.cr0 & PROTECTED:
            return
        selector, base, _, _ = cpu.cs
        last = (f"CR2={cpu.cr2:016x}" if vector == PAGE_FAULT
                else f"env->regs[R_EAX]={cpu.rax:016x}")
        log.say(f"{self.interrupts:6d}: v={vector:02x} e={error & 0xffffffff:04x} "
                f"i={int(software)} cpl={cpu.hflags & registers.CPL} "
                f"IP={selector:04x}:{cpu.rip:016x} pc={base + cpu.rip:016x} "
                f"SP={cpu.ss[0]:04x}:{cpu.rsp:016x} {last}\n{self._state()}")
        self.interrupts += 1

    def _reset(self) -> None:
        log.say(f"CPU Reset (CPU 0)\n{self._state()}")

    def _unassigned(self, is_write: bool, address: int, size: int) -> None:
        log.guest_errors(f"Invalid {'write' if is_write else 'read'} at addr 0x{address:X}, "
                         f"size {size}, region '(null)', reason: rejected")
