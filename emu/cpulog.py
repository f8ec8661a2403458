"""What -d shows of the CPU, in QEMU's layout: in_asm, exec, cpu, fpu, mmu, int, cpu_reset.

Besides, guest_errors about memory that nobody answers.

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
PAGING = 1 << 31  # CR0.PG

WORD = 0xffff_ffff

Listener = Callable[..., None]


class CpuLog:
    """The lines of one machine's CPU."""

    def __init__(self, runner: Runner):
        self.cpu = runner.cpu
        self.memory = runner.memory
        self.interrupts = 0
        self._connect(log.in_asm, translate_block=self._block_translated)
        self._connect(log.execution, exec_tb=self._block_executed)
        self._connect(log.cpu, exec_tb=self._registers_before)
        self._connect(log.mmu, cpu_cr_write=self._control_register)
        self._connect(log.interrupts, cpu_interrupt=self._interrupt, cpu_exception=self._exception,
                      cpu_check_exception=lambda old, new: log.say(
                          f"check_exception old: {old & WORD:#x} new {new:#x}"))
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

    def _registers_before(self, tb: int, pc: int) -> None:
        if log.concerns(pc):
            log.say(registers.text(self.cpu, floating_point=bool(log.fpu)))

    def _control_register(self, number: int, old: int, value: int) -> None:
        if number == 0:
            log.say(f"CR0 update: CR0=0x{value:08x}")
        elif number == 3 and self.cpu.cr0 & PAGING:
            log.say(f"CR3 update: CR3={value:016x}")

    def _block_translated(self, tb: int, pc: int, code: int) -> None:
        block = self.cpu.block(pc)
        if block is None or not log.concerns(pc):
            return
        _, _, flags, _, size = block
        lines = disassembly.lines(self.memory.read_virtual(pc, size), pc, flags)
        log.say("\n".join(["----------------", f"IN: {control.symbol(pc)}", *lines, ""]))

    def _block_executed(self, tb: int, pc: int) -> None:
        block = self.cpu.block(pc)
        if block is not None and log.concerns(pc):
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
        log.say(f"{self.interrupts:6d}: v={vector:02x} e={error & WORD:04x} "
                f"i={int(software)} cpl={cpu.hflags & registers.CPL} "
                f"IP={selector:04x}:{cpu.rip:016x} pc={base + cpu.rip:016x} "
                f"SP={cpu.ss[0]:04x}:{cpu.rsp:016x} {last}\n{self._state()}")
        self.interrupts += 1

    def _reset(self, cpu: int) -> None:
        log.say(f"CPU Reset (CPU 0)\n{registers.text(self.cpu)}")

    def _unassigned(self, is_write: bool, address: int, size: int) -> None:
        log.guest_errors(f"Invalid {'write' if is_write else 'read'} at addr 0x{address:X}, "
                         f"size {size}, region '(null)', reason: rejected")
