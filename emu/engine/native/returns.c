/* IRET and far RET out of long mode's ring 0, which take away the segments of the inner ring.
 *
 * The library makes the base of FS and GS zero when it does. 64-bit code goes on using the base,
 * whatever the selector: a processor loads a null selector and leaves the base alone. Kernels that
 * keep a selector of theirs in GS, and its base in an MSR, depend on it.
 *
 * Sources: Intel SDM volume 2, IRET and RET; AMD64 APM volume 2, 4.5.3, null selectors.
 */
#include "vcpu.h"

#define SELECTOR_INDEX 0xfffcu

static Library own;

/* Whether FS or GS is one that a return to an outer ring takes away. */
static bool at_stake(const Env *env)
{
    return (env->hflags & HF_LMA) && !(env->hflags & HF_CPL) &&
           ((env->segs[FS].selector | env->segs[GS].selector) & SELECTOR_INDEX);
}

static void keep_base(Segment *segment, const Segment *before)
{
    if (segment->selector & SELECTOR_INDEX || !(before->selector & SELECTOR_INDEX))
        return;
    *segment = *before;
    segment->selector = 0;
    segment->flags &= ~SEGMENT_PRESENT;
}

/* What the instruction raises is raised from the state at its start, which is stored first: the
 * library finds that state by the address in translated code, and we are between. */
static void far_return(Env *env, int shift, int argument, uintptr_t return_address,
                       void (*theirs)(Env *, int, int))
{
    const Segment fs = env->segs[FS], gs = env->segs[GS];
    own.restore_state(vcpu_of_env(env)->cpu, return_address, true);
    theirs(env, shift, argument);
    keep_base(&env->segs[FS], &fs);
    keep_base(&env->segs[GS], &gs);
}

static void iret(Env *env, int shift, int next_ip)
{
    if (at_stake(env))
        far_return(env, shift, next_ip, (uintptr_t)__builtin_return_address(0), own.iret);
    else
        own.iret(env, shift, next_ip); /* a jump: translated code stays its caller */
}

static void far_ret(Env *env, int shift, int released)
{
    if (at_stake(env))
        far_return(env, shift, released, (uintptr_t)__builtin_return_address(0), own.far_ret);
    else
        own.far_ret(env, shift, released);
}

void returns_install(Vcpu *vcpu)
{
    own = vcpu->library;
    helper_replace(own.iret, iret);
    helper_replace(own.far_ret, far_ret);
}
