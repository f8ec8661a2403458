/* RDMSR and WRMSR: the registers that Unicorn lacks. Source: Intel SDM volume 4, table 2-2. */
#include "vcpu.h"

#define IA32_APIC_BASE 0x1bu
#define APIC_BASE_RESET 0xfee00900ull /* enabled, of the bootstrap processor */
#define APIC_BASE_BSP 0x100ull
#define APIC_BASE_ADDRESS 0xfffff000ull /* and above, up to the address bits that there are */
#define ADDRESS_SIZES 0x80000008u /* leaf of CPUID */
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

static bool apic_base_takes(Vcpu *vcpu, uint64_t value)
{
    uint32_t found[4];
    identity_read(vcpu, ADDRESS_SIZES, 0, found);
    uint64_t address = (1ull << (found[EAX] & 0xff)) - 1;
    return !(value & ~(APIC_BASE_BSP | APIC_ENABLE | APIC_BASE_ADDRESS) & ~(address & ~0xfffull));
}

static void tell_apic(Vcpu *vcpu)
{
    vcpu_enter_python(vcpu);
    PyObject *on = vcpu->apic_base & APIC_ENABLE ? Py_True : Py_False;
    PyObject *result = PyObject_CallOneArg(vcpu->on_apic_enable, on);
    if (!result)
        vcpu_fail(vcpu);
    Py_XDECREF(result);
    vcpu_leave_python(vcpu);
}

/* The address is kept for who asks: the local APIC stays where it is. */
static void write_apic_base(Vcpu *vcpu, uint64_t value)
{
    if (!apic_base_takes(vcpu, value))
        own.raise_exception_error(vcpu->env, VECTOR_PROTECTION, 0); /* does not return */
    bool switched = (vcpu->apic_base ^ value) & APIC_ENABLE;
    vcpu->apic_base = value;
    if (switched && vcpu->on_apic_enable && vcpu->on_apic_enable != Py_None)
        tell_apic(vcpu);
}

/* SVM cannot be switched on: CPUID does not show it, and the translator has but half of it. */
static void wrmsr(Env *env)
{
    uint32_t number = (uint32_t)env->regs[RCX];
    if (number == IA32_APIC_BASE) {
        write_apic_base(vcpu_of_env(env),
                        (uint32_t)env->regs[RAX] | (uint64_t)(uint32_t)env->regs[RDX] << 32);
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
