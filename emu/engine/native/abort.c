/* Keeps the process alive where Unicorn aborts it for what a guest has done.
 *
 * A change of rings wants a stack from the task register. Where that names no task, cpu_abort() is
 * called, in the middle of a call gate too, which no hook sees. The chip raises #TS, and so does
 * this. cpu_abort() does nothing but call abort() through the library's jump table: the slot there
 * leads here, and other callers on to the real one.
 */
#include <stdlib.h>

#include "vcpu.h"

#define VECTOR_TSS 10
#define CALLER_SIZE 16 /* bytes of cpu_abort(), at most */

/* The argument is that of cpu_abort(), still in its register. */
static void on_abort(Cpu *cpu)
{
    uintptr_t caller = (uintptr_t)__builtin_return_address(0);
    Vcpu *vcpu = vcpus;
    while (vcpu && vcpu->cpu != cpu)
        vcpu = vcpu->next;
    if (!vcpu || caller - (uintptr_t)vcpu->library.cpu_abort > CALLER_SIZE)
        abort();
    const Segment *tr = &vcpu->env->tr;
    if (tr->flags & SEGMENT_PRESENT && (tr->flags >> 8 & 7) == TSS_AVAILABLE)
        abort(); /* for some other reason */
    /* RIP may be that of the block's start: no matter, since to deliver this takes a stack, too. */
    vcpu->library.raise_exception_error(vcpu->env, VECTOR_TSS, tr->selector & 0xfffc);
}

int abort_install(Vcpu *vcpu)
{
    return slot_replace(vcpu, "abort", on_abort);
}
