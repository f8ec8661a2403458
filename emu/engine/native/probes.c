/* What translated code does, seen from within: blocks, memory accesses, returns from system calls. */
#include "tracing.h"

/* --- blocks --- */

/* uc_tb, by which an edge hook tells of a block */
struct BlockReport {
    uint64_t pc;
    uint16_t instructions, size;
};

PyObject *tracing_block(const Vcpu *vcpu, uint64_t pc)
{
    const TranslationBlock *block = find_block(vcpu->cpu, pc);
    if (!block)
        Py_RETURN_NONE;
    return Py_BuildValue("KKIIH", (unsigned long long)(uintptr_t)block->code,
                         (unsigned long long)block->cs_base, block->flags, block->cflags,
                         block->size);
}

static void trace_translation(const Vcpu *vcpu, uint64_t pc)
{
    const TranslationBlock *block = find_block(vcpu->cpu, pc);
    TRACE(translate_block, (uintptr_t)block, pc, block ? (uintptr_t)block->code : 0);
}

void on_block_translated(void *uc, BlockReport *block, BlockReport *previous, void *user)
{
    Vcpu *vcpu = user;
    (void)uc;
    if (vcpu->first_block_pending) {
        vcpu->first_block_pending = false;
        trace_translation(vcpu, previous->pc);
    }
    TRACE(tcg_gen_code, vcpu->env->segs[CS].base, block->pc);
    trace_translation(vcpu, block->pc);
}

void tracing_first_block(Vcpu *vcpu)
{
    if (vcpu->started)
        return;
    vcpu->started = true;
    vcpu->first_block_pending = hook_enabled(trace_hooks[EVENT_translate_block]);
    TRACE(tcg_gen_code, vcpu->env->segs[CS].base, vcpu->env->segs[CS].base + vcpu->env->eip);
}

void on_block_executed(const TranslationBlock *block, uint64_t address, struct trace_run *run)
{
    if (!trace_put_pair(run, (uintptr_t)block, address))
        trace_api->start_run(trace_hooks[EVENT_exec_tb], run, (uintptr_t)block, address);
}

/* --- returns from system calls --- */

/* A call is found again, whatever else ran in between, by its address space, the address it returns
 * to and the stack it was made on. A call that never returns gives way to another in its place. */
#define ANYWHERE UINT64_MAX /* its own address is not what SYSENTER returns to */

static SystemCall *slot_of(Vcpu *vcpu, uint64_t target, uint64_t stack)
{
    uint64_t hash = (vcpu->env->cr[3] >> 12 ^ target ^ stack >> 3) * 0x9e3779b97f4a7c15;
    return &vcpu->system_calls[hash >> (64 - SYSTEM_CALL_BITS)];
}

static void expect_return(Vcpu *vcpu, uint64_t target)
{
    Env *env = vcpu->env;
    if (hook_enabled(trace_hooks[EVENT_guest_user_syscall_ret]))
        *slot_of(vcpu, target, env->regs[RSP]) =
            (SystemCall){env->cr[3], target, env->regs[RSP], env->regs[RAX]};
}

void tracing_system_call(Vcpu *vcpu, uint64_t target)
{
    Env *env = vcpu->env;
    TRACE(guest_user_syscall, (uintptr_t)vcpu, env->regs[RAX], env->regs[RDI], env->regs[RSI],
          env->regs[RDX], env->regs[10], env->regs[8], env->regs[9], 0, 0);
    expect_return(vcpu, target);
}

void tracing_system_call_32(Vcpu *vcpu)
{
    Env *env = vcpu->env;
    TRACE(guest_user_syscall, (uintptr_t)vcpu, (uint32_t)env->regs[RAX], (uint32_t)env->regs[RBX],
          (uint32_t)env->regs[RCX], (uint32_t)env->regs[RDX], (uint32_t)env->regs[RSI],
          (uint32_t)env->regs[RDI], (uint32_t)env->regs[RBP], 0, 0);
    expect_return(vcpu, ANYWHERE);
}

static void trace_return(Vcpu *vcpu, uint64_t target)
{
    Env *env = vcpu->env;
    SystemCall *call = slot_of(vcpu, target, env->regs[RSP]);
    if (call->target == target && call->stack == env->regs[RSP] && call->cr3 == env->cr[3]) {
        TRACE(guest_user_syscall_ret, (uintptr_t)vcpu, call->number, env->regs[RAX]);
        call->target = 0;
    }
}

void on_block_after_syscall(void *uc, uint64_t address, uint32_t size, void *user)
{
    Vcpu *vcpu = user;
    (void)uc, (void)size;
    if ((vcpu->env->hflags & HF_CPL) != 3)
        return;
    trace_return(vcpu, address);
    trace_return(vcpu, ANYWHERE);
}

/* --- memory --- */

void on_memory_read(void *uc, int type, uint64_t address, int size, int64_t value, void *user)
{
    (void)uc, (void)type, (void)user;
    TRACE_FAST(guest_mem_read, address, size, value);
}

void on_memory_written(void *uc, int type, uint64_t address, int size, int64_t value, void *user)
{
    (void)uc, (void)type, (void)user;
    TRACE_FAST(guest_mem_write, address, size, value);
}
