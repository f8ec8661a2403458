/* The time-stamp counter: virtual time in nanoseconds, a clock of 1 GHz.
 *
 * It agrees with the machine's timers whatever happens to virtual time: it stands still while the
 * machine is paused and jumps when the clock does. Unicorn's own would be the host's counter.
 */
#include <time.h>

#include "vcpu.h"

enum { UC_X86_INS_RDTSC = 608, UC_X86_INS_RDTSCP = 609 };

static void load_counter(Vcpu *vcpu)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    uint64_t ns = time.tv_sec * 1000000000ull + time.tv_nsec - vcpu->clock_offset;
    vcpu->env->regs[RAX] = (uint32_t)ns;
    vcpu->env->regs[RDX] = ns >> 32;
}

static int on_rdtsc(void *uc, void *user)
{
    (void)uc;
    load_counter(user);
    return 1; /* done: nothing is left to Unicorn */
}

static int on_rdtscp(void *uc, void *user)
{
    Vcpu *vcpu = user;
    (void)uc;
    load_counter(vcpu);
    vcpu->env->regs[RCX] = (uint32_t)vcpu->env->tsc_aux;
    return 1;
}

int tsc_install(Vcpu *vcpu)
{
    if (HOOK(vcpu, UC_HOOK_INSN, on_rdtsc, UC_X86_INS_RDTSC) < 0 ||
        HOOK(vcpu, UC_HOOK_INSN, on_rdtscp, UC_X86_INS_RDTSCP) < 0)
        return -1;
    return 0;
}
