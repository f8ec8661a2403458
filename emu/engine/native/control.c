/* Control registers: writes, which no hook of Unicorn shows, go by way of functions of ours, which
 * trace; and CR8, which is the task priority of the local APIC.
 *
 * That lies here, where the guest changes it at every interrupt of some systems without a call. Only
 * while the APIC holds an interrupt it is told, since then its pin may change.
 * Source: Intel SDM volume 3A, 11.8.6 "Task Priority in IA-32e Mode".
 */
#include "tracing.h"

enum { MODE_REAL, MODE_PROTECTED, MODE_PAGED, MODE_LONG };

static int mode_of(const Env *env)
{
    if (env->hflags & HF_LMA)
        return MODE_LONG;
    if (env->cr[0] & CR0_PG)
        return MODE_PAGED;
    return env->cr[0] & CR0_PE ? MODE_PROTECTED : MODE_REAL;
}

static const Library *library; /* whose slots they are */

static void update_cr0(Env *env, uint32_t value)
{
    uint64_t old = env->cr[0];
    int old_mode = mode_of(env);
    library->update_cr0(env, value);
    TRACE(cpu_cr_write, 0, old, env->cr[0]);
    if (mode_of(env) != old_mode)
        TRACE(cpu_mode_change, old_mode, mode_of(env));
}

static void update_cr3(Env *env, uint64_t value)
{
    uint64_t old = env->cr[3];
    library->update_cr3(env, value);
    TRACE(cpu_cr_write, 3, old, env->cr[3]);
}

static void update_cr4(Env *env, uint32_t value)
{
    uint64_t old = env->cr[4];
    library->update_cr4(env, value);
    TRACE(cpu_cr_write, 4, old, env->cr[4]);
}

/* --- CR8 --- */

#define CR8 8
#define VECTOR_PROTECTION 13
#define PRIORITY_CLASSES 16

/* A Python exception is left to the caller. */
static int set_task_priority(Vcpu *vcpu, unsigned class)
{
    vcpu->task_priority = class << 4;
    if (!vcpu->interrupt_requested)
        return 0;
    PyObject *result = PyObject_CallNoArgs(vcpu->on_task_priority);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

PyObject *control_get_cr8(Vcpu *vcpu, void *closure)
{
    (void)closure;
    return PyLong_FromLong(vcpu->task_priority >> 4);
}

int control_set_cr8(Vcpu *vcpu, PyObject *value, void *closure)
{
    unsigned long class = value ? PyLong_AsUnsignedLongMask(value) : 0;
    (void)closure;
    return PyErr_Occurred() ? -1 : set_task_priority(vcpu, class % PRIORITY_CLASSES);
}

static uint64_t read_control(Env *env, int number)
{
    return number == CR8 ? vcpu_of_env(env)->task_priority >> 4 : library->read_control(env, number);
}

static void write_cr8(Vcpu *vcpu, uint64_t value)
{
    if (value >= PRIORITY_CLASSES)
        library->raise_exception_error(vcpu->env, VECTOR_PROTECTION, 0); /* does not return */
    if (!vcpu->interrupt_requested) {
        vcpu->task_priority = value << 4;
        return;
    }
    vcpu_enter_python(vcpu);
    if (set_task_priority(vcpu, value) < 0)
        vcpu_fail(vcpu);
    vcpu_leave_python(vcpu);
}

static void write_control(Env *env, int number, uint64_t value)
{
    if (number == CR8)
        write_cr8(vcpu_of_env(env), value);
    else
        library->write_control(env, number, value);
}

int control_install(Vcpu *vcpu)
{
    static Library own;
    if (library) /* the slots are the process's */
        return 0;
    own = vcpu->library;
    library = &own;
    helper_replace(own.read_control, read_control);
    helper_replace(own.write_control, write_control);
    if (slot_replace(vcpu, "cpu_x86_update_cr0_x86_64", update_cr0) < 0 ||
        slot_replace(vcpu, "cpu_x86_update_cr3_x86_64", update_cr3) < 0 ||
        slot_replace(vcpu, "cpu_x86_update_cr4_x86_64", update_cr4) < 0)
        return -1;
    return 0;
}
