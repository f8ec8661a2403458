"""The processor as the rest of the program sees it.

Unicorn's own API opens the instance; from there on the native `Vcpu` owns it (see native/).
"""
import os
from typing import Any

import unicorn
from pyemu.cpu_features import CpuChanges
from pyemu.cpu_models import MODELS
from pyemu.engine import identity
from pyemu.engine._native import (
    DEBUG,
    HALTED,
    STOPPED,
    TRIPLE_FAULT,
    WATCH_READ,
    WATCH_WRITE,
    EngineError,
    Vcpu,
)
from pyemu.trace.hooks import (
    trace_exec_tb,
    trace_guest_mem_read,
    trace_guest_mem_write,
    trace_guest_user_syscall_ret,
    trace_tcg_gen_code,
    trace_translate_block,
)
from unicorn import UC_ARCH_X86, UC_MODE_64, Uc, x86_const

__all__ = ["DEBUG", "HALTED", "STOPPED", "TRIPLE_FAULT", "WATCH_READ", "WATCH_WRITE", "Cpu",
           "EngineError"]

VERSION = "2.1.4"  # of unicorn, whose private state native/layout.h describes
FPU_WORDS = {"fctrl": x86_const.UC_X86_REG_FPCW, "fstat": x86_const.UC_X86_REG_FPSW,
             "ftag": x86_const.UC_X86_REG_FPTAG}
MANTISSA_BITS = 64
CODE_BUFFER = 64 << 20  # bytes of translated code; by default self-modifying code grows to 388 MiB


def _library_path() -> str:
    return os.path.join(os.path.dirname(unicorn.__file__), "lib", "libunicorn.so.2")


class Cpu(Vcpu):
    """One x86-64 processor in its power-on state.

    model: a key of `MODELS`. changes: what it has more or less. Raises EngineError if the
    installed unicorn is not the build that the native half knows.
    """

    def __new__(cls, model: str = "qemu64", changes: CpuChanges | None = None):
        return Vcpu.__new__(cls)

    def __init__(self, model: str = "qemu64", changes: CpuChanges | None = None):
        if unicorn.__version__ != VERSION:  # native/check.c looks closer, at the library itself
            raise EngineError(f"needs the unicorn {VERSION} wheel for Linux x86-64, "
                              f"found version {unicorn.__version__}")
        uc: Any = Uc(UC_ARCH_X86, UC_MODE_64)  # the only mode that gives all registers
        uc.ctl_set_cpu_model(MODELS[model][0])
        uc.ctl_set_tcg_buffer_size(CODE_BUFFER)
        uc.ctl_exits_enabled(True)  # and no exits: run() ends by stop(), HLT or a triple fault
        # At exit unicorn would free the instance although the alarm thread still rings for it.
        uc._Uc__finalizer.atexit = False
        self._uc = uc
        super().__init__(_library_path(), uc._uch.value, uc)
        if model == identity.MAX:
            identity.change(self, identity.MAX_CHANGES)
        if changes:
            identity.change(self, changes)
        for hook in (trace_tcg_gen_code, trace_translate_block, trace_exec_tb, trace_guest_mem_read,
                     trace_guest_mem_write, trace_guest_user_syscall_ret):
            hook.on_toggle = lambda on: self.ring()  # the translator has to be told

    # --- registers that only debuggers look at: not to be set while run() executes ---

    def get_st(self, number: int) -> int:
        """ST(number) as its 80 bits."""
        mantissa, exponent = self._uc.reg_read(self._fpu_register(number))
        return exponent << MANTISSA_BITS | mantissa

    def set_st(self, number: int, value: int) -> None:
        exponent, mantissa = divmod(value, 1 << MANTISSA_BITS)
        self._uc.reg_write(self._fpu_register(number), (mantissa, exponent))

    def _fpu_register(self, number: int) -> int:
        """Which one ST(number) is: they are a stack, whose top the status word tells."""
        top = self._uc.reg_read(x86_const.UC_X86_REG_FPSW) >> 11 & 7
        return x86_const.UC_X86_REG_FP0 + (top + number) % 8

    def get_xmm(self, number: int) -> int:
        """XMM(number) as its 128 bits."""
        return self._uc.reg_read(x86_const.UC_X86_REG_XMM0 + number)

    def set_xmm(self, number: int, value: int) -> None:
        self._uc.reg_write(x86_const.UC_X86_REG_XMM0 + number, value)

    def get_fpu_word(self, name: str) -> int:
        """fctrl, fstat or ftag."""
        return self._uc.reg_read(FPU_WORDS[name])

    def set_fpu_word(self, name: str, value: int) -> None:
        self._uc.reg_write(FPU_WORDS[name], value & 0xffff)
