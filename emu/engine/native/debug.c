/* What a debugger needs: breakpoints, watchpoints and single steps that the guest cannot see.
 *
 * Breakpoints and steps are those of QEMU's translator, which are left in the library: code is
 * translated so that it raises EXCP_DEBUG. For watchpoints Unicorn calls a hook at each access, and
 * at the instruction after the one that touched the memory the guest is left. All of it costs
 * nothing while none is set, and whatever is set or removed makes all translated code stale.
 */
#include "vcpu.h"

#define BP_GDB 0x10
#define STEP_ENABLED 1
#define FLAGS_OF_CC (FLAGS_ARITHMETIC | FLAG_DF) /* not kept in env->eflags */
enum { UC_MEM_WRITE = 17 };

static uint64_t linear_address(const Env *env)
{
    uint64_t address = env->segs[CS].base + env->eip;
    return env->hflags & HF_CS64 ? address : (uint32_t)address;
}

/* EXCP_DEBUG was raised. Returns whether it was for the debugger, rather than by DR0-3: then run()
 * ends. */
bool debug_stop(Vcpu *vcpu)
{
    bool hit = vcpu->stepping || vcpu->watch_hit;
    uint64_t address = linear_address(vcpu->env);
    for (size_t i = 0; i < vcpu->breakpoint_count; i++)
        hit |= vcpu->breakpoints[i] == address;
    if (hit) {
        vcpu->debugged = true;
        vcpu->library.emu_stop(vcpu->uc);
    }
    return hit;
}

/* A step ends at the first instruction of the handler when the instruction has faulted. */
void debug_exception_delivered(Vcpu *vcpu)
{
    if (vcpu->stepping)
        debug_stop(vcpu);
}

/* Before run() executes. */
void debug_adapt(Vcpu *vcpu)
{
    vcpu->debugged = false;
    vcpu->watch_hit = NULL;
    if (vcpu->stepping != (vcpu->cpu->single_step != 0)) {
        vcpu->cpu->single_step = vcpu->stepping ? STEP_ENABLED : 0;
        vcpu->library.tb_flush(vcpu->cpu);
    }
}

static void on_access(void *uc, int type, uint64_t address, int size, int64_t value, void *user)
{
    Vcpu *vcpu = user;
    int access = type == UC_MEM_WRITE ? WATCH_WRITE : WATCH_READ;
    (void)uc, (void)value;
    for (size_t i = 0; i < vcpu->watchpoint_count; i++) {
        Watchpoint *watchpoint = vcpu->watchpoints + i;
        bool touched = address - watchpoint->start < watchpoint->length ||
                       watchpoint->start - address < (uint64_t)size;
        if (touched && watchpoint->access & access)
            vcpu->watch_hit = watchpoint;
    }
}

static void on_instruction(void *uc, uint64_t address, uint32_t size, void *user)
{
    Vcpu *vcpu = user;
    Env *env = vcpu->env;
    (void)uc, (void)size;
    env->eflags &= ~FLAGS_OF_CC; /* Unicorn puts them there for its own API */
    if (vcpu->watch_hit) {
        env->eip = address - env->segs[CS].base;
        if (!(env->hflags & HF_CS64))
            env->eip = (uint32_t)env->eip;
        vcpu->library.raise_debug(env); /* by siglongjmp */
    }
}

static int hook_accesses(Vcpu *vcpu, bool on)
{
    const struct { int type; void *callback; } hooks[] = {
        {UC_HOOK_MEM_READ | UC_HOOK_MEM_WRITE, (void *)on_access},
        {UC_HOOK_CODE, (void *)on_instruction},
    };
    for (size_t i = 0; i < WATCH_HOOKS; i++)
        if (hook_switch(vcpu, &vcpu->watch_hooks[i], on, hooks[i].type, hooks[i].callback) < 0)
            return -1;
    vcpu->library.tb_flush(vcpu->cpu);
    return 0;
}

/* --- methods --- */

PyDoc_STRVAR(set_breakpoints_doc,
"set_breakpoints(addresses)\n--\n\n"
"Have run() return DEBUG before an instruction at one of these linear addresses, a sequence.\n"
"Not while run() executes.");

static PyObject *set_breakpoints(Vcpu *vcpu, PyObject *addresses)
{
    PyObject *items = PySequence_Fast(addresses, "a sequence of addresses is wanted");
    if (!items)
        return NULL;
    size_t count = PySequence_Fast_GET_SIZE(items);
    uint64_t *breakpoints = PyMem_Malloc((count + 1) * sizeof *breakpoints);
    for (size_t i = 0; breakpoints && i < count && !PyErr_Occurred(); i++)
        breakpoints[i] = PyLong_AsUnsignedLongLong(PySequence_Fast_GET_ITEM(items, i));
    Py_DECREF(items);
    if (!breakpoints)
        return PyErr_NoMemory();
    if (PyErr_Occurred()) {
        PyMem_Free(breakpoints);
        return NULL;
    }
    PyMem_Free(vcpu->breakpoints);
    vcpu->breakpoints = breakpoints;
    vcpu->breakpoint_count = count;
    vcpu->library.breakpoint_remove_all(vcpu->cpu, BP_GDB);
    for (size_t i = 0; i < count; i++)
        vcpu->library.breakpoint_insert(vcpu->cpu, breakpoints[i], BP_GDB, NULL);
    vcpu->library.tb_flush(vcpu->cpu);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(set_watchpoints_doc,
"set_watchpoints(watchpoints)\n--\n\n"
"Have run() return DEBUG after an instruction that touches one of these, a sequence of (physical\n"
"address, length, access), where access is WATCH_READ | WATCH_WRITE. Not while run() executes.");

static PyObject *set_watchpoints(Vcpu *vcpu, PyObject *wanted)
{
    PyObject *items = PySequence_Fast(wanted, "a sequence of watchpoints is wanted");
    if (!items)
        return NULL;
    size_t count = PySequence_Fast_GET_SIZE(items);
    Watchpoint *watchpoints = PyMem_Calloc(count + 1, sizeof *watchpoints);
    bool fine = watchpoints != NULL;
    if (!fine)
        PyErr_NoMemory();
    for (size_t i = 0; fine && i < count; i++) {
        PyObject *item = PySequence_Fast_GET_ITEM(items, i);
        unsigned long long start = 0, length = 0;
        fine = PyTuple_Check(item) &&
               PyArg_ParseTuple(item, "KKi", &start, &length, &watchpoints[i].access);
        if (!fine && !PyErr_Occurred())
            PyErr_SetString(PyExc_TypeError, "a watchpoint is (address, length, access)");
        watchpoints[i].start = start;
        watchpoints[i].length = length;
    }
    Py_DECREF(items);
    if (!fine) {
        PyMem_Free(watchpoints);
        return NULL;
    }
    PyMem_Free(vcpu->watchpoints);
    vcpu->watchpoints = watchpoints;
    vcpu->watchpoint_count = count;
    vcpu->watch_hit = NULL;
    if (hook_accesses(vcpu, count > 0) < 0)
        return NULL;
    Py_RETURN_NONE;
}

PyMethodDef debug_methods[] = {
    {"set_breakpoints", (PyCFunction)set_breakpoints, METH_O, set_breakpoints_doc},
    {"set_watchpoints", (PyCFunction)set_watchpoints, METH_O, set_watchpoints_doc},
    {0},
};

/* The index of the watchpoint that ended run(), or -1. */
PyObject *debug_get_watch_hit(Vcpu *vcpu, void *closure)
{
    (void)closure;
    return PyLong_FromSsize_t(vcpu->watch_hit ? vcpu->watch_hit - vcpu->watchpoints : -1);
}

void debug_close(Vcpu *vcpu)
{
    PyMem_Free(vcpu->breakpoints);
    PyMem_Free(vcpu->watchpoints);
}
