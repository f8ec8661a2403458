/* The CPU's registers: read and written by name, and their state at power-on. */
#include "vcpu.h"

/* --- attributes --- */

#define SIZE_SHIFT 16
#define FIELD(field) \
    (void *)(offsetof(Env, field) | sizeof(((Env *)0)->field) << SIZE_SHIFT)

static PyObject *get_field(Vcpu *vcpu, void *closure)
{
    uint64_t value = 0;
    size_t offset = (size_t)closure & 0xffff, size = (size_t)closure >> SIZE_SHIFT;
    memcpy(&value, (char *)vcpu->env + offset, size);
    return PyLong_FromUnsignedLongLong(value);
}

static int set_field(Vcpu *vcpu, PyObject *object, void *closure)
{
    size_t offset = (size_t)closure & 0xffff, size = (size_t)closure >> SIZE_SHIFT;
    uint64_t value = object ? PyLong_AsUnsignedLongLongMask(object) : 0;
    if (PyErr_Occurred())
        return -1;
    memcpy((char *)vcpu->env + offset, &value, size);
    return 0;
}

#define FLAGS_DEFINED 0x3f7fd7u

static PyObject *get_rflags(Vcpu *vcpu, void *closure)
{
    (void)closure;
    return PyLong_FromUnsignedLongLong(vcpu_flags(vcpu));
}

static int set_rflags(Vcpu *vcpu, PyObject *object, void *closure)
{
    Env *env = vcpu->env;
    uint64_t value = object ? PyLong_AsUnsignedLongLongMask(object) : 0;
    (void)closure;
    if (PyErr_Occurred())
        return -1;
    env->cc_src = value & FLAGS_ARITHMETIC;
    env->cc_op = CC_OP_EFLAGS;
    env->df = value & FLAG_DF ? -1 : 1;
    env->eflags = (value & FLAGS_DEFINED & ~(FLAGS_ARITHMETIC | FLAG_DF)) | 2;
    return 0;
}

/* Softfloat is told, too. */
static int set_mxcsr(Vcpu *vcpu, PyObject *object, void *closure)
{
    uint32_t value = object ? PyLong_AsUnsignedLongMask(object) : 0;
    (void)closure;
    if (PyErr_Occurred())
        return -1;
    vcpu->library.ldmxcsr(vcpu->env, value);
    return 0;
}

static PyObject *get_segment(Vcpu *vcpu, void *closure)
{
    const Segment *segment = (Segment *)((char *)vcpu->env + (size_t)closure);
    return Py_BuildValue("IKII", segment->selector, segment->base, segment->limit, segment->flags);
}

static PyObject *get_can_wake(Vcpu *vcpu, void *closure)
{
    (void)closure;
    return PyBool_FromLong(vcpu->stopping || deliver_pending(vcpu));
}

static PyObject *get_halted(Vcpu *vcpu, void *closure)
{
    (void)closure;
    return PyBool_FromLong(vcpu->cpu->halted);
}

static PyObject *get_a20(Vcpu *vcpu, void *closure)
{
    (void)closure;
    return PyBool_FromLong(vcpu->env->a20_mask == -1);
}

#define REGISTER(name, field) {name, (getter)get_field, (setter)set_field, NULL, FIELD(field)}
/* The CPU goes by what it has derived from it, so it is for the guest alone to set. */
#define READ_ONLY(name, field) {name, (getter)get_field, NULL, NULL, FIELD(field)}
#define SEGMENT(name, field) \
    {name, (getter)get_segment, NULL, "(selector, base, limit, flags)", \
     (void *)offsetof(Env, field)}

PyGetSetDef state_members[] = {
    REGISTER("rax", regs[0]), REGISTER("rcx", regs[1]), REGISTER("rdx", regs[2]),
    REGISTER("rbx", regs[3]), REGISTER("rsp", regs[4]), REGISTER("rbp", regs[5]),
    REGISTER("rsi", regs[6]), REGISTER("rdi", regs[7]), REGISTER("r8", regs[8]),
    REGISTER("r9", regs[9]), REGISTER("r10", regs[10]), REGISTER("r11", regs[11]),
    REGISTER("r12", regs[12]), REGISTER("r13", regs[13]), REGISTER("r14", regs[14]),
    REGISTER("r15", regs[15]), REGISTER("rip", eip), REGISTER("hflags", hflags),
    READ_ONLY("cr0", cr[0]), REGISTER("cr2", cr[2]), READ_ONLY("cr3", cr[3]),
    READ_ONLY("cr4", cr[4]), READ_ONLY("efer", efer), READ_ONLY("dr0", dr[0]),
    READ_ONLY("dr1", dr[1]), READ_ONLY("dr2", dr[2]), READ_ONLY("dr3", dr[3]),
    REGISTER("dr6", dr[6]), READ_ONLY("dr7", dr[7]), READ_ONLY("fpu_control", fpu_control),
    {"mxcsr", (getter)get_field, (setter)set_mxcsr, NULL, FIELD(mxcsr)},
    REGISTER("kernel_gs_base", kernel_gs_base),
    {"cr8", (getter)control_get_cr8, (setter)control_set_cr8, NULL, NULL},
    REGISTER("star", star), REGISTER("lstar", lstar),
    SEGMENT("es", segs[ES]), SEGMENT("cs", segs[CS]), SEGMENT("ss", segs[SS]),
    SEGMENT("ds", segs[DS]), SEGMENT("fs", segs[FS]), SEGMENT("gs", segs[GS]),
    SEGMENT("ldt", ldt), SEGMENT("tr", tr), SEGMENT("gdt", gdt), SEGMENT("idt", idt),
    {"rflags", (getter)get_rflags, (setter)set_rflags, "flags, the arithmetic ones included", NULL},
    {"watch_hit", (getter)debug_get_watch_hit, NULL, "index of the watchpoint that ended run(), or -1",
     NULL},
    {"halted", (getter)get_halted, NULL, "whether the CPU is in HLT", NULL},
    {"a20", (getter)get_a20, NULL, "whether address line 20 is let through", NULL},
    {"can_wake", (getter)get_can_wake, NULL, "whether a CPU in HLT would go on", NULL},
    {0},
};

/* --- power-on: Intel SDM volume 3A, table 10-1 --- */

#define CR0_RESET 0x60000010 /* CD, NW, ET */
#define SIGNATURE_LEAF 1
#define MXCSR_RESET 0x1f80
#define PAT_RESET 0x0007040600070406
#define DR6_RESET 0xffff0ff0
#define DR7_RESET 0x400

#define CODE_RESET 0x9b00 /* descriptor flags: present, code, readable, accessed */
#define DATA_RESET 0x9300
#define LDT_RESET 0x8200
#define TSS_RESET 0x8b00

/* Model-specific registers that are 0, by their numbers: the library's WRMSR knows where they lie. */
static const uint32_t zero_msrs[] = {
    0x17a,      /* IA32_MCG_STATUS */
    0x1a0,      /* IA32_MISC_ENABLE */
    0x2ff,      /* IA32_MTRR_DEF_TYPE: MTRRs are off */
    0xd90,      /* IA32_BNDCFGS */
    0xc0000103, /* IA32_TSC_AUX */
};

static void reset_msrs(Vcpu *vcpu)
{
    Env *env = vcpu->env;
    for (size_t i = 0; i < sizeof zero_msrs / sizeof *zero_msrs; i++) {
        env->regs[RCX] = zero_msrs[i];
        env->regs[RAX] = env->regs[RDX] = 0;
        vcpu->library.wrmsr(env);
    }
    msr_reset(vcpu);
}

void state_reset(Vcpu *vcpu)
{
    Library *library = &vcpu->library;
    Env *env = vcpu->env;
    uint32_t signature, ebx, ecx, edx;

    library->set_a20(vcpu->cpu, 1);
    library->set_dr(env, 7, DR7_RESET); /* drops the breakpoints that stood in DR0-3 */
    library->update_cr0(env, CR0_RESET);
    library->update_cr4(env, 0);
    library->update_cr3(env, 0);
    library->cpuid(env, SIGNATURE_LEAF, 0, &signature, &ebx, &ecx, &edx);
    reset_msrs(vcpu);

    memset(env->regs, 0, sizeof env->regs);
    env->regs[RDX] = signature;
    env->eip = 0xfff0;
    env->eflags = 2;
    env->cc_op = CC_OP_EFLAGS;
    env->cc_src = 0;
    env->df = 1;
    env->hflags = HF_ADDSEG;
    env->hflags2 = HF2_GIF;
    for (int i = ES; i <= GS; i++)
        env->segs[i] = (Segment){0, 0, 0, 0xffff, DATA_RESET};
    env->segs[CS] = (Segment){0xf000, 0, 0xffff0000, 0xffff, CODE_RESET};
    env->ldt = (Segment){0, 0, 0, 0xffff, LDT_RESET};
    env->tr = (Segment){0, 0, 0, 0xffff, TSS_RESET};
    env->gdt = env->idt = (Segment){0, 0, 0, 0xffff, 0};
    env->cr[2] = 0;
    env->efer = 0;
    env->sysenter_cs = 0;
    env->sysenter_esp = env->sysenter_eip = 0;
    env->star = env->lstar = env->cstar = env->fmask = env->kernel_gs_base = 0;
    env->pat = PAT_RESET;
    for (int i = 0; i < 4; i++)
        env->dr[i] = 0;
    env->dr[6] = DR6_RESET;
    memset(env->xmm, 0, sizeof env->xmm);
    library->fninit(env);
    library->ldmxcsr(env, MXCSR_RESET);
    env->old_exception = -1;
    env->exception_is_int = 0;
    vcpu->cpu->exception_index = -1;
    vcpu->cpu->halted = 0;
    vcpu->intr = vcpu->nmi = false;
    library->tlb_flush(vcpu->cpu);
}
