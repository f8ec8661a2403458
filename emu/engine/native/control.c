/* Writes of control registers, which no hook of Unicorn shows: the functions that do them are called
 * by way of ours, which trace. */
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

int control_install(Vcpu *vcpu)
{
    static Library own;
    if (library) /* the slots are the process's */
        return 0;
    own = vcpu->library;
    library = &own;
    if (slot_replace(vcpu, "cpu_x86_update_cr0_x86_64", update_cr0) < 0 ||
        slot_replace(vcpu, "cpu_x86_update_cr3_x86_64", update_cr3) < 0 ||
        slot_replace(vcpu, "cpu_x86_update_cr4_x86_64", update_cr4) < 0)
        return -1;
    return 0;
}
