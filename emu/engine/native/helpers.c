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

static void gen_call(Tcg *tcg, void *function, void *result, int count, void **arguments)
{
    if (!vcpu_of(tcg->uc->cpu)) { /* an instance of somebody else's */
        library->gen_call(tcg, function, result, count, arguments);
        return;
    }
    if (function == library->check_exit_request) {
        jumps_gen_check(tcg);
        return;
    }
    if (function == on_block_executed)
        arguments[0] = (char *)tcg + library->const_i64(tcg, (uintptr_t)translated);
    library->gen_call(tcg, function, result, count, arguments);
    if (function == on_block_executed)
        library->temp_free(tcg, arguments[0]);
    for (size_t i = 0; i < replacement_count; i++)
        if (function == replacements[i].theirs) {
            Op *call = (Op *)((char *)tcg->last_link - offsetof(Op, link));
            call->arguments[CALL_FUNCTION(result != NULL, count)] = (uintptr_t)replacements[i].ours;
        }
}

int helpers_install(Vcpu *vcpu)
{
    static Library own;
    helper_replace(on_block_executed, on_this_block_executed);
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
