/* The helpers that translated code calls: functions of ours for some of the library's.
 *
 * A helper of ours is called with the CPU's state in memory, as the library's own is; RIP is stored
 * where translated code does so for an instruction. What hooks of Unicorn could do too is quicker so:
 * before it calls a hook for an instruction it looks up the block that it has come from.
 */
#include "vcpu.h"

#define MOST 16

static const Library *library;
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
    library->gen_call(tcg, function, result, count, arguments);
    for (size_t i = 0; i < replacement_count; i++)
        if (function == replacements[i].theirs) {
            Op *call = (Op *)((char *)tcg->last_link - offsetof(Op, link));
            call->arguments[CALL_FUNCTION(result != NULL, count)] = (uintptr_t)replacements[i].ours;
        }
}

int helpers_install(Vcpu *vcpu)
{
    static Library own;
    if (library) /* the slot is the process's */
        return 0;
    own = vcpu->library;
    library = &own;
    return slot_replace(vcpu, "tcg_gen_callN_x86_64", gen_call);
}

void helper_replace(void *theirs, void *ours)
{
    for (size_t i = 0; i < replacement_count; i++)
        if (replacements[i].theirs == theirs)
            return;
    replacements[replacement_count].theirs = theirs;
    replacements[replacement_count++].ours = ours;
}
