/* The time-stamp counter: virtual time in nanoseconds, a clock of 1 GHz.
 *
 * It agrees with the machine's timers whatever happens to virtual time: it stands still while the
 * machine is paused and jumps when the clock does. Unicorn's own would be the host's counter.
 */
#include <time.h>

#include "vcpu.h"

static void rdtsc(Env *env)
{
    struct timespec time;
    Vcpu *vcpu = vcpu_of_env(env);
    if (env->cr[4] & CR4_TSD && env->hflags & HF_CPL)
        vcpu->library.raise_exception_error(env, VECTOR_PROTECTION, 0); /* does not return */
    clock_gettime(CLOCK_MONOTONIC, &time);
    uint64_t ns = time.tv_sec * 1000000000ull + time.tv_nsec - vcpu->clock_offset;
    env->regs[RAX] = (uint32_t)ns;
    env->regs[RDX] = ns >> 32;
}

static void rdtscp(Env *env)
{
    rdtsc(env);
    env->regs[RCX] = (uint32_t)env->tsc_aux;
}

void tsc_install(Vcpu *vcpu)
{
    helper_replace(vcpu->library.rdtsc, rdtsc);
    helper_replace(vcpu->library.rdtscp, rdtscp);
}
