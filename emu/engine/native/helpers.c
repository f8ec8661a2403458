/* The helpers that translated code calls: functions of ours for some of the library's.
 *
 * A helper of ours is called with the CPU's state in memory, as the library's own is; RIP is stored
 * where translated code does so for an instruction. What hooks of Unicorn could do too is quicker so:
 * before it calls a hook for an instruction it looks up the block that it has come from.
 *
 * The hook for executed blocks, which translated code calls itself, is told which block it is.
 */
#include "tracing.h"

#define MOST 16

static const Library *library;
static _Thread_local TranslationBlock *translated; /* or being so: the newest */

static TranslationBlock *new_block(Tcg *tcg)
{
    return translated = library->new_block(tcg);
}

static struct { void *theirs, *ours; } replacements[MOST];
static size_t replacement_count;

/* Make the last op, a call with so many results and parameters, a call of ours. */
static void redirect(Tcg *tcg, void *ours, int results, int parameters)
{
    Op *call = (Op *)((char *)tcg->last_link - offsetof(Op, link));
    call->arguments[CALL_FUNCTION(results, parameters)] = (uintptr_t)ours;
}

/* A call of on_this_block_executed(). */
static void gen_record(Tcg *tcg, Vcpu *vcpu, void *address)
{
    void *block = (char *)tcg + library->const_i64(tcg, (uintptr_t)translated);
    void *run = (char *)tcg + library->const_i64(tcg, (uintptr_t)&vcpu->block_run);
    library->gen_call(tcg, on_block_executed, NULL, 3, (void *[]){block, address, run});
    redirect(tcg, on_this_block_executed, 0, 3);
    library->temp_free(tcg, block);
    library->temp_free(tcg, run);
}

static void gen_call(Tcg *tcg, void *function, void *result, int count, void **arguments)
{
    Vcpu *vcpu = vcpu_of(tcg->uc->cpu);
    if (!vcpu) { /* an instance of somebody else's */
        library->gen_call(tcg, function, result, count, arguments);
        return;
    }
    if (function == library->check_exit_request) {
        jumps_gen_check(tcg);
        return;
    }
    if (function == on_block_executed) {
        gen_record(tcg, vcpu, arguments[1]);
        return;
    }
    library->gen_call(tcg, function, result, count, arguments);
    for (size_t i = 0; i < replacement_count; i++)
        if (function == replacements[i].theirs)
            redirect(tcg, replacements[i].ours, result != NULL, count);
}

int helpers_install(Vcpu *vcpu)
{
    static Library own;
    vcpu->block_run = TRACE_NO_RUN;
    if (library) /* the slots are the process's */
        return 0;
    own = vcpu->library;
    library = &own;
    if (slot_replace(vcpu, "tcg_gen_callN_x86_64", gen_call) < 0 ||
        slot_replace(vcpu, "tcg_tb_alloc_x86_64", new_block) < 0)
        return -1;
    return 0;
}

void helper_replace(void *theirs, void *ours)
{
    for (size_t i = 0; i < replacement_count; i++)
        if (replacements[i].theirs == theirs)
            return;
    replacements[replacement_count].theirs = theirs;
    replacements[replacement_count++].ours = ours;
}
