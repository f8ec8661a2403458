/* Control and debug registers: writes of CR0-4, which no hook of Unicorn shows, go by way of functions of ours, which
 * trace; and CR8, which is the task priority of the local APIC.
 *
 * That lies here, where the guest changes it at every interrupt of some systems without a call. Only
 * while the APIC holds an interrupt it is told, since then its pin may change.
 * Sources: Intel SDM volume 3A, 2.5 and 11.8.6 "Task Priority in IA-32e Mode"; 3B, 17.2.
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

/* --- CR4 --- */

/* Bits that CPUID announces, and where. */
static const struct { uint8_t bit, leaf, word, feature; } cr4_bits[] = {
    {11, 7, ECX, 2},  /* UMIP */
    {12, 7, ECX, 16}, /* LA57 */
    {13, 1, ECX, 5},  /* VMXE */
    {14, 1, ECX, 6},  /* SMXE */
    {16, 7, EBX, 0},  /* FSGSBASE */
    {17, 1, ECX, 17}, /* PCIDE */
    {18, 1, ECX, 26}, /* OSXSAVE */
    {20, 7, EBX, 7},  /* SMEP */
    {21, 7, EBX, 20}, /* SMAP */
    {22, 7, ECX, 3},  /* PKE */
};

static bool cr4_takes(Vcpu *vcpu, uint64_t value)
{
    value &= ~CR4_ALWAYS;
    for (size_t i = 0; value && i < sizeof cr4_bits / sizeof *cr4_bits; i++) {
        uint32_t found[4];
        if (!(value >> cr4_bits[i].bit & 1))
            continue;
        identity_read(vcpu, cr4_bits[i].leaf, 0, found);
        if (found[cr4_bits[i].word] >> cr4_bits[i].feature & 1)
            value &= ~(1ull << cr4_bits[i].bit);
    }
    return !value;
}

/* --- CR8 --- */

#define CR8 8
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
    if (number == CR8) {
        write_cr8(vcpu_of_env(env), value);
        return;
    }
    if (number == 4 && !cr4_takes(vcpu_of_env(env), value))
        library->raise_exception_error(env, VECTOR_PROTECTION, 0); /* does not return */
    library->write_control(env, number, value);
}

/* --- debug registers --- */

static void check_debug_access(Env *env, int number, uintptr_t return_address)
{
    if ((number == 4 || number == 5) && env->cr[4] & CR4_DE)
        library->raise_exception_from(env, VECTOR_INVALID_OPCODE, 0, return_address);
    if (!(env->dr[7] & DR7_GD))
        return;
    env->dr[7] &= ~DR7_GD;
    env->dr[6] |= DR6_BD;
    library->raise_exception_from(env, VECTOR_DEBUG, 0, return_address);
}

static uint64_t read_debug(Env *env, int number)
{
    check_debug_access(env, number, (uintptr_t)__builtin_return_address(0));
    return library->get_dr(env, number);
}

static void write_debug(Env *env, int number, uint64_t value)
{
    check_debug_access(env, number, (uintptr_t)__builtin_return_address(0));
    library->set_dr(env, number, value);
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
    helper_replace(own.get_dr, read_debug);
    helper_replace(own.set_dr, write_debug);
    if (slot_replace(vcpu, "cpu_x86_update_cr0_x86_64", update_cr0) < 0 ||
        slot_replace(vcpu, "cpu_x86_update_cr3_x86_64", update_cr3) < 0 ||
        slot_replace(vcpu, "cpu_x86_update_cr4_x86_64", update_cr4) < 0)
        return -1;
    return 0;
}
