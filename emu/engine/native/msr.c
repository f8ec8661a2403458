/* RDMSR and WRMSR: the registers that Unicorn lacks. Source: Intel SDM volume 4, table 2-2. */
#include "vcpu.h"

#define IA32_APIC_BASE 0x1bu
#define APIC_BASE_RESET 0xfee00900ull /* enabled, of the bootstrap processor */
#define APIC_ENABLE 0x800ull
#define IA32_EFER 0xc0000080u

static Library own;

static void rdmsr(Env *env)
{
    if ((uint32_t)env->regs[RCX] != IA32_APIC_BASE) {
        own.rdmsr(env);
        return;
    }
    const Vcpu *vcpu = vcpu_of_env(env);
    env->regs[RAX] = (uint32_t)vcpu->apic_base;
    env->regs[RDX] = vcpu->apic_base >> 32;
}

/* The local APIC stays where it is. Its enable bit is kept for who asks, and is without effect.
 * SVM cannot be switched on: CPUID does not show it, and the translator has but half of it. */
static void wrmsr(Env *env)
{
    uint32_t number = (uint32_t)env->regs[RCX];
    if (number == IA32_APIC_BASE) {
        vcpu_of_env(env)->apic_base =
            (APIC_BASE_RESET & ~APIC_ENABLE) | (env->regs[RAX] & APIC_ENABLE);
        return;
    }
    own.wrmsr(env);
    if (number == IA32_EFER) {
        env->efer &= ~EFER_SVME;
        env->hflags &= ~HF_SVME;
    }
}

void msr_reset(Vcpu *vcpu)
{
    vcpu->apic_base = APIC_BASE_RESET;
}

void msr_install(Vcpu *vcpu)
{
    own = vcpu->library;
    helper_replace(own.rdmsr, rdmsr);
    helper_replace(own.wrmsr, wrmsr);
}
