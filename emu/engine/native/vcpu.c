/* The Python type `Vcpu`: a Unicorn instance made into the CPU of a machine. */
#include "tracing.h"

#include <inttypes.h>
#include <structmember.h>

PyObject *EngineError;

enum { STOPPED, HALTED, TRIPLE_FAULT, DEBUG }; /* what run() returns */

Vcpu *vcpus;

/* Python itself may ask for memory, whose page tables may lie in a device that is in Python. */
void vcpu_enter_python(Vcpu *vcpu)
{
    if (vcpu->python_depth++ == 0)
        PyEval_RestoreThread(vcpu->thread);
}

void vcpu_leave_python(Vcpu *vcpu)
{
    if (--vcpu->python_depth)
        return;
    trace_end_run(&vcpu->block_run); /* it took time */
    vcpu->thread = PyEval_SaveThread();
}

void vcpu_kick(Vcpu *vcpu)
{
    atomic_store(&vcpu->cpu->interrupt_request, CPU_INTERRUPT_HARD);
    atomic_store(&vcpu->cpu->icount_decr->high, 0xffff);
}

void vcpu_fail(Vcpu *vcpu)
{
    if (vcpu->error_type)
        PyErr_Clear();
    else
        PyErr_Fetch(&vcpu->error_type, &vcpu->error_value, &vcpu->error_traceback);
    vcpu->stopping = true;
    vcpu_kick(vcpu);
}

int vcpu_check(int error, Vcpu *vcpu, const char *what)
{
    if (!error)
        return 0;
    PyErr_Format(EngineError, "%s: %s", what, vcpu->library.strerror(error));
    return -1;
}

void vcpu_raise(PyObject *type, const char *format, ...)
{
    char text[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    PyErr_SetString(type, text);
}

int hook_switch(Vcpu *vcpu, size_t *handle, bool on, int type, void *callback)
{
    int error = 0;
    FaultState state = save_fault_state(vcpu);
    if (on && !*handle) {
        error = vcpu->library.hook_add(vcpu->uc, handle, type, callback, vcpu, 1, 0);
    } else if (!on && *handle) {
        error = vcpu->library.hook_del(vcpu->uc, *handle);
        *handle = 0;
    }
    restore_fault_state(vcpu, state);
    return vcpu_check(error, vcpu, on ? "uc_hook_add" : "uc_hook_del");
}

/* --- methods --- */

PyDoc_STRVAR(run_doc,
"run() -> int\n--\n\n"
"Execute the guest until stop(), HLT or a triple fault: STOPPED, HALTED or TRIPLE_FAULT; DEBUG\n"
"at a breakpoint, after a watchpoint, and after one instruction while `stepping`.\n"
"In HLT it returns at once unless there is an interrupt to wake for.\n"
"Raises what a callback raised, or EngineError.");

static PyObject *run(Vcpu *vcpu, PyObject *unused)
{
    int error;
    (void)unused;
    if (vcpu->stopping) { /* before it starts, which would end HLT */
        vcpu->stopping = false;
        return PyLong_FromLong(STOPPED);
    }
    if (vcpu->cpu->halted && !deliver_pending(vcpu))
        return PyLong_FromLong(HALTED);
    vcpu->in_software_interrupt = false;
    vcpu->delivering = -1;
    debug_adapt(vcpu);
    do {
        vcpu->restart = false;
        if (tracing_changed(vcpu) && tracing_adapt(vcpu) < 0)
            return NULL;
        vcpu->executing = true;
        vcpu->waking = vcpu->cpu->halted;
        vcpu_leave_python(vcpu);
        doorbell_publish(vcpu);
        float_enter();
        tracing_first_block(vcpu);
        if (vcpu->intr || vcpu->nmi || vcpu->stopping || atomic_load(&vcpu->doorbell))
            vcpu_kick(vcpu);
        trace_api->tick();
        error = vcpu->library.emu_start(vcpu->uc, vcpu->env->eip, 0, 0, 0);
        vcpu_enter_python(vcpu);
        vcpu->executing = false;
    } while (vcpu->restart && !vcpu->stopping && !vcpu->debugged);

    if (vcpu->error_type) {
        PyErr_Restore(vcpu->error_type, vcpu->error_value, vcpu->error_traceback);
        vcpu->error_type = vcpu->error_value = vcpu->error_traceback = NULL;
        vcpu->stopping = false;
        return NULL;
    }
    if (error) {
        vcpu_raise(EngineError, "%s at %04x:%" PRIx64, vcpu->library.strerror(error),
                   vcpu->env->segs[CS].selector, vcpu->env->eip);
        return NULL;
    }
    if (vcpu->debugged) /* first: what else is to be done will still be so */
        return PyLong_FromLong(DEBUG);
    if (vcpu->stopping) {
        vcpu->stopping = false;
        return PyLong_FromLong(STOPPED);
    }
    if (!vcpu->cpu->halted && vcpu->env->old_exception == VECTOR_DOUBLE_FAULT) {
        vcpu->env->old_exception = -1;
        return PyLong_FromLong(TRIPLE_FAULT);
    }
    return PyLong_FromLong(vcpu->cpu->halted ? HALTED : STOPPED);
}

PyDoc_STRVAR(stop_doc, "stop()\n--\n\nHave run() return at the next block. On the vCPU's thread.");

static PyObject *stop(Vcpu *vcpu, PyObject *unused)
{
    (void)unused;
    vcpu->stopping = true;
    vcpu_kick(vcpu);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(ring_doc, "ring()\n--\n\nHave on_service called soon. From any thread.");

static PyObject *ring(Vcpu *vcpu, PyObject *unused)
{
    (void)unused;
    doorbell_ring(vcpu);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(arm_doc,
"arm(deadline)\n--\n\n"
"Ring at this time of the monotonic clock (ns); None: not before it is armed again.");

static PyObject *arm(Vcpu *vcpu, PyObject *deadline)
{
    int64_t ns = deadline == Py_None ? INT64_MAX : PyLong_AsLongLong(deadline);
    if (PyErr_Occurred())
        return NULL;
    doorbell_arm(vcpu, ns);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(sleep_doc, "sleep()\n--\n\nWait until the doorbell rings or the deadline comes.");

static PyObject *vcpu_sleep(Vcpu *vcpu, PyObject *unused)
{
    (void)unused;
    Py_BEGIN_ALLOW_THREADS
    doorbell_sleep(vcpu);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

PyDoc_STRVAR(set_intr_doc, "set_intr(level)\n--\n\nDrive the INTR pin.");

static PyObject *set_intr(Vcpu *vcpu, PyObject *level)
{
    int on = PyObject_IsTrue(level);
    if (on < 0)
        return NULL;
    vcpu->intr = on;
    if (on)
        vcpu_kick(vcpu);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(set_nmi_doc, "set_nmi()\n--\n\nA rising edge on the NMI pin.");

static PyObject *set_nmi(Vcpu *vcpu, PyObject *unused)
{
    (void)unused;
    vcpu->nmi = true;
    vcpu_kick(vcpu);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(set_a20_doc, "set_a20(on)\n--\n\nLet address line 20 through, or hold it low.");

static PyObject *set_a20(Vcpu *vcpu, PyObject *on)
{
    int level = PyObject_IsTrue(on);
    if (level < 0)
        return NULL;
    vcpu->library.set_a20(vcpu->cpu, level);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(reset_doc, "reset()\n--\n\nEnter the power-on state. Not while run() executes.");

static PyObject *reset(Vcpu *vcpu, PyObject *unused)
{
    (void)unused;
    state_reset(vcpu);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(count_blocks_doc,
"count_blocks(on)\n--\n\n"
"Count how often each block is executed. On the vCPU's thread, or while run() does not execute.");

static PyObject *count_blocks(Vcpu *vcpu, PyObject *on)
{
    int truth = PyObject_IsTrue(on);
    if (truth < 0)
        return NULL;
    vcpu->counting_blocks = truth;
    doorbell_ring(vcpu);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(block_counts_doc,
"block_counts() -> list[tuple[int, int, int]]\n--\n\n"
"(linear address, bytes, executions) of each block that was counted, in no order. On the vCPU's\n"
"thread, or while run() does not execute. Address spaces are not told apart.");

static PyObject *block_counts(Vcpu *vcpu, PyObject *unused)
{
    (void)unused;
    return counts_list(&vcpu->block_counts);
}

PyDoc_STRVAR(block_doc,
"block(pc) -> tuple[int, int, int, int, int] | None\n--\n\n"
"Host address, CS base, flags (hflags), translator's flags and size in bytes of the translated block\n"
"at a linear address, if the CPU knows it now. In callbacks about blocks.");

static PyObject *block(Vcpu *vcpu, PyObject *pc)
{
    unsigned long long address = PyLong_AsUnsignedLongLong(pc);
    if (PyErr_Occurred())
        return NULL;
    return tracing_block(vcpu, address);
}

PyDoc_STRVAR(cpuid_doc,
"cpuid(leaf) -> tuple[int, int, int, int]\n--\n\nEAX, EBX, ECX and EDX, as the guest sees them.");
PyDoc_STRVAR(get_identity_doc,
"get_identity() -> bytes\n--\n\nWhat CPUID is made of: see engine/identity.py.");
PyDoc_STRVAR(set_identity_doc,
"set_identity(identity)\n--\n\nChange it, before the first run(). ValueError if it has another length.");
PyDoc_STRVAR(map_ports_doc,
"map_ports(base, count, width, device)\n--\n\nLet the device answer at these I/O ports.");
PyDoc_STRVAR(unmap_ports_doc, "unmap_ports(base, count)\n--\n\nLeave these I/O ports to nobody.");

static PyMethodDef own_methods[] = {
    {"run", (PyCFunction)run, METH_NOARGS, run_doc},
    {"stop", (PyCFunction)stop, METH_NOARGS, stop_doc},
    {"ring", (PyCFunction)ring, METH_NOARGS, ring_doc},
    {"arm", (PyCFunction)arm, METH_O, arm_doc},
    {"sleep", (PyCFunction)vcpu_sleep, METH_NOARGS, sleep_doc},
    {"set_intr", (PyCFunction)set_intr, METH_O, set_intr_doc},
    {"set_nmi", (PyCFunction)set_nmi, METH_NOARGS, set_nmi_doc},
    {"set_a20", (PyCFunction)set_a20, METH_O, set_a20_doc},
    {"reset", (PyCFunction)reset, METH_NOARGS, reset_doc},
    {"count_blocks", (PyCFunction)count_blocks, METH_O, count_blocks_doc},
    {"block", (PyCFunction)block, METH_O, block_doc},
    {"block_counts", (PyCFunction)block_counts, METH_NOARGS, block_counts_doc},
    {"cpuid", (PyCFunction)identity_cpuid, METH_O, cpuid_doc},
    {"get_identity", (PyCFunction)identity_get, METH_NOARGS, get_identity_doc},
    {"set_identity", (PyCFunction)identity_set, METH_O, set_identity_doc},
    {"map_ports", (PyCFunction)io_map_ports, METH_VARARGS, map_ports_doc},
    {"unmap_ports", (PyCFunction)io_unmap_ports, METH_VARARGS, unmap_ports_doc},
};

static PyMemberDef members[] = {
    {"on_service", T_OBJECT, offsetof(Vcpu, on_service), 0, "called when the doorbell has rung"},
    {"on_acknowledge", T_OBJECT, offsetof(Vcpu, on_acknowledge), 0,
     "called for the vector of an interrupt that is taken; -1: none after all"},
    {"on_task_priority", T_OBJECT, offsetof(Vcpu, on_task_priority), 0,
     "called when CR8 was written while `interrupt_requested`"},
    {"on_apic_enable", T_OBJECT, offsetof(Vcpu, on_apic_enable), 0,
     "called with whether the local APIC is on, when IA32_APIC_BASE has changed it; None: nobody"},
    {"task_priority", T_UBYTE, offsetof(Vcpu, task_priority), 0,
     "TPR of the local APIC; bits 7-4 are CR8"},
    {"interrupt_requested", T_BOOL, offsetof(Vcpu, interrupt_requested), 0,
     "whether the local APIC holds an interrupt, which a change of TPR may let through"},
    {"clock_offset", T_LONGLONG, offsetof(Vcpu, clock_offset), 0,
     "monotonic time (ns) at which virtual time was 0; RDTSC follows it"},
    {"stepping", T_BOOL, offsetof(Vcpu, stepping), 0, "whether run() ends after one instruction"},
    {"library_sse", T_BOOL, offsetof(Vcpu, library_sse), 0,
     "whether code translated from now on does SSE by the library's functions, to compare"},
    {"intr", T_BOOL, offsetof(Vcpu, intr), READONLY, "level of the INTR pin"},
    {0},
};

/* --- life --- */

static int init(Vcpu *vcpu, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"library", "handle", "owner", NULL};
    const char *library;
    unsigned long long handle;
    PyObject *owner;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "sKO", names, &library, &handle, &owner))
        return -1;
    vcpu->uc = (Unicorn *)(uintptr_t)handle;
    vcpu->owner = Py_NewRef(owner);
    vcpu->on_service = Py_NewRef(Py_None); /* until they are set, to call them is a TypeError */
    vcpu->on_acknowledge = Py_NewRef(Py_None);
    vcpu->python_depth = 1;
    if (vcpu_attach(vcpu, library) < 0)
        return -1;
    vcpu->next = vcpus;
    vcpus = vcpu;
    syscall_install(vcpu);
    returns_install(vcpu);
    identity_install(vcpu);
    tsc_install(vcpu);
    msr_install(vcpu);
    if (abort_install(vcpu) < 0 || helpers_install(vcpu) < 0 || jumps_install(vcpu) < 0 ||
        deliver_install(vcpu) < 0 || control_install(vcpu) < 0 || memory_install(vcpu) < 0 ||
        io_install(vcpu) < 0 || tlb_install(vcpu) < 0 || doorbell_open(vcpu) < 0 ||
        simd_install(vcpu) < 0 || float_install(vcpu) < 0 || vectors_install(vcpu) < 0 ||
        shuffles_install(vcpu) < 0)
        return -1;
    state_reset(vcpu);
    return 0;
}

/* Devices hold the machine, which holds the CPU, which holds the devices. */
static int traverse(Vcpu *vcpu, visitproc visit, void *arg)
{
    Py_VISIT(vcpu->on_service);
    Py_VISIT(vcpu->on_acknowledge);
    Py_VISIT(vcpu->on_task_priority);
    Py_VISIT(vcpu->on_apic_enable);
    for (size_t i = 0; i < vcpu->region_count; i++) {
        Py_VISIT(vcpu->regions[i]->read);
        Py_VISIT(vcpu->regions[i]->write);
    }
    return io_traverse(vcpu, visit, arg);
}

static int clear(Vcpu *vcpu)
{
    Py_CLEAR(vcpu->on_service);
    Py_CLEAR(vcpu->on_acknowledge);
    Py_CLEAR(vcpu->on_task_priority);
    Py_CLEAR(vcpu->on_apic_enable);
    for (size_t i = 0; i < vcpu->region_count; i++) {
        Py_CLEAR(vcpu->regions[i]->read);
        Py_CLEAR(vcpu->regions[i]->write);
    }
    io_close(vcpu);
    return 0;
}

static void dealloc(Vcpu *vcpu)
{
    PyObject_GC_UnTrack(vcpu);
    if (vcpu->alarm)
        doorbell_close(vcpu);
    for (Vcpu **link = &vcpus; *link; link = &(*link)->next)
        if (*link == vcpu) {
            *link = vcpu->next;
            break;
        }
    clear(vcpu);
    Py_XDECREF(vcpu->owner); /* closes the uc_engine */
    memory_close(vcpu);
    counts_free(&vcpu->block_counts);
    debug_close(vcpu);
    tlb_close(vcpu);
    jumps_close(vcpu);
    Py_TYPE(vcpu)->tp_free((PyObject *)vcpu);
}

static PyTypeObject VcpuType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "pyemu.engine._native.Vcpu",
    .tp_doc = "Vcpu(library, handle, owner)\n--\n\n"
              "The CPU inside a uc_engine (handle, freed by its owner) of the libunicorn at a path.\n"
              "Raises EngineError if it is not the build whose private state is known.",
    .tp_basicsize = sizeof(Vcpu),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_traverse = (traverseproc)traverse,
    .tp_clear = (inquiry)clear,
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)init,
    .tp_dealloc = (destructor)dealloc,
    .tp_members = members,
    .tp_getset = state_members,
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "pyemu.engine._native",
    .m_doc = "The native half of the engine.",
    .m_size = -1,
};

static size_t count(const PyMethodDef *methods)
{
    size_t n = 0;
    while (methods[n].ml_name)
        n++;
    return n;
}

PyMODINIT_FUNC PyInit__native(void)
{
    static PyMethodDef methods[sizeof own_methods / sizeof *own_methods + 16];
    const PyMethodDef *const others[] = {memory_methods, dma_methods, debug_methods};
    PyMethodDef *end = methods + sizeof own_methods / sizeof *own_methods;
    memcpy(methods, own_methods, sizeof own_methods);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        memcpy(end, others[i], count(others[i]) * sizeof *end);
        end += count(others[i]);
    }
    VcpuType.tp_methods = methods;

    PyObject *native = PyModule_Create(&module);
    if (!native || PyType_Ready(&VcpuType) < 0 || tracing_import() < 0)
        return NULL;
    EngineError = PyErr_NewExceptionWithDoc("pyemu.engine.EngineError",
        "The translation core is not the one needed, or failed.", PyExc_RuntimeError, NULL);
    if (!EngineError || PyModule_AddObjectRef(native, "EngineError", EngineError) < 0 ||
        PyModule_AddObjectRef(native, "Vcpu", (PyObject *)&VcpuType) < 0 ||
        PyModule_AddIntMacro(native, STOPPED) < 0 || PyModule_AddIntMacro(native, HALTED) < 0 ||
        PyModule_AddIntMacro(native, TRIPLE_FAULT) < 0 || PyModule_AddIntMacro(native, DEBUG) < 0 ||
        PyModule_AddIntMacro(native, WATCH_READ) < 0 ||
        PyModule_AddIntMacro(native, WATCH_WRITE) < 0)
        return NULL;
    return native;
}
