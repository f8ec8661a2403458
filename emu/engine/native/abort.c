/* Keeps the process alive where Unicorn aborts it for what a guest has done.
 *
 * - A change of rings wants a stack from the task register. Where that names no task, cpu_abort() is
 *   called, in the middle of a call gate too, which no hook sees. The chip raises #TS.
 * - Some invalid instructions (LOCK BTR of a register) make the translator abort. The chip raises
 *   #UD at them, but after what stands before them in the block: so the block is translated anew,
 *   one instruction at a time, until the invalid one is alone.
 */
#include <stdlib.h>

#include "vcpu.h"

#define FLAGS_COUNT 0x7fff /* of a block's flags: instructions at most; 0: no limit */

static Library own; /* as it was before */

/* What is being translated, or was when a page fault of the fetch broke it off. */
static _Thread_local struct { Cpu *cpu; uint32_t block_flags; } translating;

static void *gen_code(Cpu *cpu, uint64_t pc, uint64_t cs_base, uint32_t flags, int block_flags)
{
    translating.cpu = cpu;
    translating.block_flags = block_flags;
    void *block = own.gen_code(cpu, pc, cs_base, flags, block_flags);
    translating.cpu = NULL;
    return block;
}

static void on_abort(void)
{
    Cpu *cpu = translating.cpu;
    if (!cpu)
        abort();
    translating.cpu = NULL;
    if ((translating.block_flags & FLAGS_COUNT) == 1) /* RIP is that of the block */
        own.raise_exception_error(cpu->env, VECTOR_INVALID_OPCODE, 0);
    cpu->next_block_flags = 1;
    own.loop_exit(cpu);
}

static void on_cpu_abort(Cpu *cpu, const char *format, ...)
{
    const Segment *tr = &cpu->env->tr;
    (void)format;
    if (tr->flags & SEGMENT_PRESENT && (tr->flags >> 8 & 7) == TSS_AVAILABLE)
        abort(); /* for some other reason */
    /* RIP may be that of the block's start: no matter, since to deliver this takes a stack, too. */
    own.raise_exception_error(cpu->env, VECTOR_TSS, tr->selector & 0xfffc);
}

int abort_install(Vcpu *vcpu)
{
    own = vcpu->library;
    if (slot_replace(vcpu, "abort", on_abort) < 0 ||
        slot_replace(vcpu, "tb_gen_code_x86_64", gen_code) < 0 ||
        slot_replace(vcpu, "cpu_abort_x86_64", on_cpu_abort) < 0)
        return -1;
    return 0;
}
