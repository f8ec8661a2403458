/* The engine's events: finding their hooks, and the hooks of Unicorn that feed them.
 *
 * What happens inside translated code is seen by hooks of Unicorn that are there only while their
 * event is on. Code calls some of them inline, so switching these makes all translations stale, as
 * does switching the record of executed blocks, which helpers.c puts into them.
 */
#include "tracing.h"

const struct trace_api *trace_api;
PyObject *trace_hooks[EVENTS];

typedef struct {
    unsigned events; /* any of these being on wants the hook: 1 << EVENT_x */
    int type;
    void *callback;
    bool inline_call; /* from translated code */
    bool counts;      /* it is there for the executions of blocks */
} Probe;

static const Probe probe_table[PROBES] = {
    {1u << EVENT_tcg_gen_code | 1u << EVENT_translate_block, UC_HOOK_EDGE_GENERATED,
     on_block_translated, false},
    {1u << EVENT_guest_user_syscall_ret, UC_HOOK_BLOCK, on_block_after_syscall, true},
    {1u << EVENT_guest_mem_read, UC_HOOK_MEM_READ_AFTER, on_memory_read, true},
    {1u << EVENT_guest_mem_write, UC_HOOK_MEM_WRITE, on_memory_written, true},
    {0, UC_HOOK_BLOCK, on_block_counted, true, .counts = true},
};

static bool wanted(const Vcpu *vcpu, const Probe *probe)
{
    if (probe->counts)
        return vcpu->counting_blocks;
    for (int event = 0; event < EVENTS; event++)
        if (probe->events >> event & 1 && hook_enabled(trace_hooks[event]))
            return true;
    return false;
}

bool tracing_changed(const Vcpu *vcpu)
{
    if (vcpu->recording_blocks != hook_enabled(trace_hooks[EVENT_exec_tb]))
        return true;
    for (int i = 0; i < PROBES; i++)
        if (wanted(vcpu, &probe_table[i]) != (vcpu->probes[i] != 0))
            return true;
    return false;
}

int tracing_adapt(Vcpu *vcpu)
{
    bool recording = hook_enabled(trace_hooks[EVENT_exec_tb]);
    if (recording != vcpu->recording_blocks) {
        vcpu->recording_blocks = recording;
        vcpu->library.tb_flush(vcpu->cpu);
    }
    for (int i = 0; i < PROBES; i++) {
        const Probe *probe = &probe_table[i];
        bool on = wanted(vcpu, probe);
        if (on == (vcpu->probes[i] != 0))
            continue;
        if (hook_switch(vcpu, &vcpu->probes[i], on, probe->type, probe->callback) < 0)
            return -1;
        if (probe->inline_call)
            vcpu->library.tb_flush(vcpu->cpu);
    }
    return 0;
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
