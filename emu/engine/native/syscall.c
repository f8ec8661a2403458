/* SYSCALL and SYSENTER, which Unicorn only reports.
 *
 * They are told the length of their instruction, since translated code does not know it.
 *
 * Sources: AMD64 APM volume 3, SYSCALL; Intel SDM volume 2, SYSENTER.
 */
#include "tracing.h"

#define FLAT_CODE64 0xa09b00u /* descriptor flags, DPL 0, accessed */
#define FLAT_CODE32 0xc09b00u
#define FLAT_DATA 0xc09300u

static void load_flat(Segment *segment, uint32_t selector, uint32_t flags)
{
    *segment = (Segment){selector & 0xfffc, 0, 0, 0xffffffff, flags};
}

/* Enter ring 0 with the flat segments that both instructions load. */
static void enter_kernel(Env *env, uint32_t selector, bool code64)
{
    load_flat(&env->segs[CS], selector, code64 ? FLAT_CODE64 : FLAT_CODE32);
    load_flat(&env->segs[SS], selector + 8, FLAT_DATA);
    env->hflags &= ~(HF_CPL | HF_CS64 | HF_ADDSEG);
    env->hflags |= HF_CS32 | HF_SS32 | (code64 ? HF_CS64 : 0);
    if (!code64 && (env->segs[DS].base | env->segs[ES].base))
        env->hflags |= HF_ADDSEG;
}

static void load_flags(Env *env, uint64_t flags)
{
    env->cc_op = CC_OP_EFLAGS;
    env->cc_src = flags & FLAGS_ARITHMETIC;
    env->df = flags & FLAG_DF ? -1 : 1;
    env->eflags = (flags & ~(FLAGS_ARITHMETIC | FLAG_DF)) | 2;
}

static void on_syscall(Env *env, int length)
{
    Vcpu *vcpu = vcpu_of_env(env);
    uint32_t selector = env->star >> 32 & 0xffff;

    if (!(env->efer & EFER_SCE) || !(env->cr[0] & CR0_PE))
        vcpu->library.raise_exception_error(env, VECTOR_INVALID_OPCODE, 0); /* does not return */
    tracing_system_call(vcpu, env->eip + length);
    if (env->hflags & HF_LMA) {
        uint64_t flags = vcpu_flags(vcpu) & ~FLAG_RF;
        uint64_t target = env->hflags & HF_CS64 ? env->lstar : env->cstar;
        env->regs[RCX] = env->eip + length;
        env->regs[11] = flags;
        load_flags(env, flags & ~env->fmask);
        enter_kernel(env, selector, true);
        env->eip = target;
    } else {
        env->regs[RCX] = (uint32_t)(env->eip + length);
        env->eflags &= ~(FLAG_IF | FLAG_RF | FLAG_VM);
        enter_kernel(env, selector, false);
        env->eip = (uint32_t)env->star;
    }
}

static void on_sysenter(Env *env, int length)
{
    (void)length;
    if (!(env->sysenter_cs & 0xfffc) || !(env->cr[0] & CR0_PE)) /* RIP is not stored before this one */
        vcpu_of_env(env)->library.raise_exception_from(env, VECTOR_PROTECTION, 0,
                                                       (uintptr_t)__builtin_return_address(0));
    if ((env->hflags & HF_CPL) == 3)
        tracing_system_call_32(vcpu_of_env(env));
    env->eflags &= ~(FLAG_IF | FLAG_RF | FLAG_VM);
    enter_kernel(env, env->sysenter_cs, env->hflags & HF_LMA);
    env->regs[RSP] = env->sysenter_esp;
    env->eip = env->sysenter_eip;
}

void syscall_install(Vcpu *vcpu)
{
    helper_replace(vcpu->library.syscall, on_syscall);
    helper_replace(vcpu->library.sysenter, on_sysenter);
}
