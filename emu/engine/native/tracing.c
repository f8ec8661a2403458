/* Events of the translator: blocks translated and blocks executed.
 *
 * Unicorn calls a hook for each only while the event is on: translated code calls the block hook
 * inline, so switching it makes all code stale.
 */
#include "tracing.h"

const struct trace_api *trace_api;
PyObject *trace_hooks[EVENTS];

/* The head of QEMU's TranslationBlock, and uc_tb, by which an edge hook tells of one. */
typedef struct {
    uint64_t pc, cs_base;
    uint32_t flags;
    uint16_t size, instructions;
    uint32_t cflags, trace_state;
    void *code;
} Block;

typedef struct {
    uint64_t pc;
    uint16_t instructions, size;
} BlockReport;

static const Block *find_block(const Vcpu *vcpu, uint64_t pc)
{
    uint64_t mixed = pc ^ pc >> 6;
    const Block *block = vcpu->cpu->jump_cache[(mixed >> 6 & 0xfc0) | (mixed & 0x3f)];
    return block && block->pc == pc ? block : NULL;
}

static void trace_translation(const Vcpu *vcpu, uint64_t pc)
{
    const Block *block = find_block(vcpu, pc);
    TRACE(translate_block, (uintptr_t)block, pc, block ? (uintptr_t)block->code : 0);
}

static void on_translated(void *uc, BlockReport *block, BlockReport *previous, void *user)
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

static void on_block(void *uc, uint64_t address, uint32_t size, void *user)
{
    (void)uc, (void)size;
    PyObject *hook = trace_hooks[EVENT_exec_tb];
    if (hook_enabled(hook)) {
        const uint64_t arguments[] = {(uintptr_t)find_block(user, address), address};
        trace_api->emit_fast(hook, 2, arguments); /* 200 million times in a boot */
    }
}

void tracing_first_block(Vcpu *vcpu)
{
    if (vcpu->started)
        return;
    vcpu->started = vcpu->first_block_pending = true;
    TRACE(tcg_gen_code, vcpu->env->segs[CS].base, vcpu->env->segs[CS].base + vcpu->env->eip);
}

static bool translations_wanted(void)
{
    return hook_enabled(trace_hooks[EVENT_tcg_gen_code]) ||
           hook_enabled(trace_hooks[EVENT_translate_block]);
}

bool tracing_changed(const Vcpu *vcpu)
{
    return translations_wanted() != (vcpu->translation_hook != 0) ||
           hook_enabled(trace_hooks[EVENT_exec_tb]) != (vcpu->block_hook != 0);
}

static int switch_hook(Vcpu *vcpu, bool on, size_t *handle, int type, void *callback)
{
    if (on == (*handle != 0))
        return 0;
    int error = on ? vcpu->library.hook_add(vcpu->uc, handle, type, callback, vcpu, 1, 0)
                   : vcpu->library.hook_del(vcpu->uc, *handle);
    if (!on)
        *handle = 0;
    if (type == UC_HOOK_BLOCK)
        vcpu->library.tb_flush(vcpu->cpu);
    return vcpu_check(error, vcpu, "uc_hook_add");
}

int tracing_adapt(Vcpu *vcpu)
{
    if (switch_hook(vcpu, translations_wanted(), &vcpu->translation_hook, UC_HOOK_EDGE_GENERATED,
                    on_translated) < 0)
        return -1;
    return switch_hook(vcpu, hook_enabled(trace_hooks[EVENT_exec_tb]), &vcpu->block_hook,
                       UC_HOOK_BLOCK, on_block);
}

int tracing_import(void)
{
    static const char *const names[] = {
#define EVENT(name) "trace_" #name,
        ENGINE_EVENTS(EVENT)
#undef EVENT
    };
    PyObject *hooks = PyImport_ImportModule("pyemu.trace.hooks"); /* and with it the capsule */
    if (!hooks || !(trace_api = trace_import()))
        return -1;
    for (int i = 0; i < EVENTS; i++)
        if (!(trace_hooks[i] = PyObject_GetAttrString(hooks, names[i])))
            return -1;
    Py_DECREF(hooks);
    return 0;
}
