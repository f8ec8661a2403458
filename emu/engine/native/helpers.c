/* The helpers that translated code calls: functions of ours for some of the library's.
 *
 * A helper of ours is called with the CPU's state in memory, as the library's own is; RIP is stored
 * where translated code does so for an instruction. What hooks of Unicorn could do too is quicker so:
 * before it calls a hook for an instruction it looks up the block that it has come from.
 * One that leaves the general registers and the flags alone is called with them where they are.
 *
 * While executed blocks are recorded, each block calls a function of ours for that at its start.
 */
#define _GNU_SOURCE
#include <dlfcn.h>

#include "tracing.h"

#define BITS 10 /* of the index in the table, which is at most half full */

typedef struct {
    void *theirs, *ours;
    bool sse;             /* of an SSE instruction */
    bool flags;           /* of one that writes the arithmetic flags */
    Generator *generator; /* of something in its place, or NULL */
    int number;
} Replacement;

static const Library *library;
static _Thread_local TranslationBlock *translated; /* or being so: the newest */
static Replacement replacements[1 << BITS];

static TranslationBlock *new_block(Tcg *tcg)
{
    return translated = library->new_block(tcg);
}

/* The entry for a helper of the library, or the free one that it would have. */
static Replacement *find(const void *theirs)
{
    size_t slot = (uintptr_t)theirs * 0x9e3779b97f4a7c15 >> (64 - BITS); /* Knuth, volume 3, 6.4 */
    while (replacements[slot].theirs && replacements[slot].theirs != theirs)
        slot = (slot + 1) % (1 << BITS);
    return &replacements[slot];
}

/* The function that the last op, a call with so many results and parameters, is of; flags follow. */
static uintptr_t *last_called(Tcg *tcg, int results, int parameters)
{
    Op *call = (Op *)((char *)tcg->last_link - offsetof(Op, link));
    return &call->arguments[CALL_FUNCTION(results, parameters)];
}

/* A call of on_block_executed(), made as one of another helper: the library knows no function of ours. */
static void gen_record(Tcg *tcg, Vcpu *vcpu)
{
    const uintptr_t values[] = {(uintptr_t)translated, translated->pc, (uintptr_t)&vcpu->block_run};
    void *arguments[3];
    for (int i = 0; i < 3; i++)
        arguments[i] = (char *)tcg + library->const_i64(tcg, (int64_t)values[i]);
    library->gen_call(tcg, library->check_exit_request, NULL, 3, arguments);
    *last_called(tcg, 0, 3) = (uintptr_t)on_block_executed;
    for (int i = 0; i < 3; i++)
        library->temp_free(tcg, arguments[i]);
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
        if (vcpu->recording_blocks)
            gen_record(tcg, vcpu);
        return;
    }
    const Replacement *replacement = find(function);
    bool replaced = replacement->theirs && !(replacement->sse && vcpu->library_sse);
    if (replaced && replacement->generator &&
        replacement->generator(tcg, replacement->number, arguments))
        return;
    library->gen_call(tcg, function, result, count, arguments);
    if (!replaced)
        return;
    uintptr_t *called = last_called(tcg, result != NULL, count);
    if (replacement->ours)
        called[0] = (uintptr_t)replacement->ours;
    if (replacement->sse && !replacement->flags)
        called[1] |= CALL_NO_GLOBALS;
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
    Replacement *replacement = find(theirs);
    replacement->theirs = theirs;
    replacement->ours = ours;
}

static Replacement *find_sse(Vcpu *vcpu, const char *name)
{
    char symbol[64];
    snprintf(symbol, sizeof symbol, "helper_%s_x86_64", name);
    void *theirs = dlsym(vcpu->library.handle, symbol);
    if (!theirs) {
        vcpu_refuse(symbol);
        return NULL;
    }
    Replacement *replacement = find(theirs);
    replacement->theirs = theirs;
    replacement->sse = true;
    return replacement;
}

int helper_replace_sse(Vcpu *vcpu, const SseHelper *helpers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        Replacement *replacement = find_sse(vcpu, helpers[i].name);
        if (!replacement)
            return -1;
        replacement->ours = helpers[i].ours;
        replacement->flags = helpers[i].flags;
        if (helpers[i].theirs)
            *helpers[i].theirs = replacement->theirs;
    }
    return 0;
}

int helper_replace_inline(Vcpu *vcpu, const char *name, Generator *generator, int number)
{
    Replacement *replacement = find_sse(vcpu, name);
    if (!replacement)
        return -1;
    replacement->generator = generator;
    replacement->number = number;
    return 0;
}
