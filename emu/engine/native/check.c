/* Finds the private state of the library at hand, and refuses any but the one it was written for. */
#define _GNU_SOURCE
#include <dlfcn.h>

#include "vcpu.h"

enum { /* x86.h */
    UC_X86_REG_CR2 = 52,
    UC_X86_REG_DR0 = 66,
    UC_X86_REG_FPCW = 246,
    UC_X86_REG_MSR = 248,
    UC_X86_REG_MXCSR = 249,
    UC_X86_REG_RAX = 35,
    UC_X86_REG_R15 = 113,
    UC_X86_REG_RIP = 41,
};

int vcpu_refuse(const char *what)
{
    PyErr_Format(EngineError, "needs the unicorn 2.1.4 wheel for Linux x86-64, found another: %s",
                 what);
    return -1;
}

static int load(Vcpu *vcpu, const char *path)
{
    void *library = vcpu->library.handle = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    if (!library) { /* no reason is given for a library that is sound, but was not loaded */
        const char *reason = dlerror();
        return vcpu_refuse(reason ? reason : "unicorn has loaded it from elsewhere");
    }
#define FUNCTION(type, member, symbol, parameters) \
    if (!(vcpu->library.member = (type(*) parameters)dlsym(library, symbol))) \
        return vcpu_refuse("no " symbol);
    LIBRARY_FUNCTIONS(FUNCTION)
#undef FUNCTION
    return 0;
}

/* Writes a value by the public API; it must appear at the place that layout.h says. */
static bool appears(Vcpu *vcpu, int id, uint64_t value, const void *place, size_t size)
{
    uint64_t before = 0;
    if (vcpu->library.reg_read(vcpu->uc, id, &before))
        return false;
    bool same = !vcpu->library.reg_write(vcpu->uc, id, &value) && !memcmp(place, &value, size);
    return !vcpu->library.reg_write(vcpu->uc, id, &before) && same;
}

static bool msr_appears(Vcpu *vcpu, uint32_t id, uint64_t value, const void *place, size_t size)
{
    struct { uint32_t id; uint64_t value; } msr = {id, value};
    bool same = !vcpu->library.reg_write(vcpu->uc, UC_X86_REG_MSR, &msr) &&
                !memcmp(place, &value, size);
    msr.value = 0;
    return !vcpu->library.reg_write(vcpu->uc, UC_X86_REG_MSR, &msr) && same;
}

static int check_layout(Vcpu *vcpu)
{
    Env *env = vcpu->env;
    const uint64_t sentinel = 0x0000112233445566;
    const struct { const char *name; int id; uint64_t value; const void *place; size_t size; } regs[] = {
        {"RAX", UC_X86_REG_RAX, sentinel, &env->regs[0], 8},
        {"R15", UC_X86_REG_R15, sentinel, &env->regs[15], 8},
        {"RIP", UC_X86_REG_RIP, sentinel, &env->eip, 8},
        {"CR2", UC_X86_REG_CR2, sentinel, &env->cr[2], 8},
        {"DR0", UC_X86_REG_DR0, sentinel, &env->dr[0], 8},
        {"FPCW", UC_X86_REG_FPCW, 0x27f, &env->fpu_control, 2},
        {"MXCSR", UC_X86_REG_MXCSR, 0x1f00, &env->mxcsr, 4},
    };
    const struct { uint32_t id; uint64_t value; const void *place; size_t size; } msrs[] = {
        {0x174, 0x1234, &env->sysenter_cs, 4},
        {0x175, sentinel, &env->sysenter_esp, 8},
        {0x176, sentinel, &env->sysenter_eip, 8},
        {0x277, sentinel, &env->pat, 8},
        {0xc0000081, sentinel, &env->star, 8},
        {0xc0000082, sentinel, &env->lstar, 8},
        {0xc0000083, sentinel, &env->cstar, 8},
        {0xc0000084, sentinel, &env->fmask, 8},
        {0xc0000102, sentinel, &env->kernel_gs_base, 8},
        {0xc0000103, 0x12345678, &env->tsc_aux, 8},
    };

    for (size_t i = 0; i < sizeof regs / sizeof *regs; i++)
        if (!appears(vcpu, regs[i].id, regs[i].value, regs[i].place, regs[i].size))
            return vcpu_refuse(regs[i].name);
    for (size_t i = 0; i < sizeof msrs / sizeof *msrs; i++)
        if (!msr_appears(vcpu, msrs[i].id, msrs[i].value, msrs[i].place, msrs[i].size))
            return vcpu_refuse("an MSR lies elsewhere");

    struct { uint32_t id; uint64_t value; } efer = {0xc0000080, 0};
    if (vcpu->library.reg_read(vcpu->uc, UC_X86_REG_MSR, &efer) || !efer.value ||
        efer.value != env->efer) /* which bits can be written depends on the CPU model */
        return vcpu_refuse("EFER");
    return 0;
}

static int check_identity(Vcpu *vcpu)
{
    const Identity *identity = &vcpu->env->identity;
    uint32_t level, eax, features, other, vendor[3];
    vcpu->library.cpuid(vcpu->env, 0, 0, &level, &vendor[0], &vendor[2], &vendor[1]);
    vcpu->library.cpuid(vcpu->env, 1, 0, &eax, &other, &other, &features);
    if (identity->level != level || memcmp(identity->vendor, vendor, sizeof vendor) ||
        identity->version != eax || identity->features[0] != features)
        return vcpu_refuse("CPUID");
    return 0;
}

/* Where softfloat's state for SSE lies, shown by what the library's own functions do to it. */
static int check_sse(Vcpu *vcpu)
{
    const uint32_t to_zero_without_denormals = 0x7fc0, flush_results = 0x9f80, reset = 0x1f80;
    Env *env = vcpu->env;
    Xmm one = {0x3ff0000000000000}, three = {0x4008000000000000};

    vcpu->library.ldmxcsr(env, to_zero_without_denormals);
    bool same = env->sse_status.rounding == FLOAT_ROUND_TO_ZERO && env->sse_status.flush_operands;
    vcpu->library.ldmxcsr(env, flush_results);
    same = same && (env->x87_status.flush_results || env->sse_status.flush_results);
    vcpu->library.ldmxcsr(env, reset);
    same = same && !env->sse_status.rounding && !env->sse_status.flush_operands;
    vcpu->library.divsd(env, &one, &three);
    same = same && env->sse_status.exceptions == FLOAT_INEXACT;
    env->sse_status.exceptions = 0;
    return same ? 0 : vcpu_refuse("sse_status");
}

static int check_pointers(Vcpu *vcpu)
{
    const Library *library = &vcpu->library;
    const CpuClass *class = vcpu->cpu->class;
    if (class->tlb_fill != library->tlb_fill)
        return vcpu_refuse("CPUClass.tlb_fill");
    if (class->cpu_exec_interrupt != library->exec_interrupt)
        return vcpu_refuse("CPUClass.cpu_exec_interrupt");
    if (class->debug_excp_handler != library->breakpoint_handler)
        return vcpu_refuse("CPUClass.debug_excp_handler");
    if (vcpu->uc->memory_mapping != library->find_mapping)
        return vcpu_refuse("memory_mapping");
    if (vcpu->uc->code_pages_size != 0x400 || vcpu->uc->code_pages_levels != 2)
        return vcpu_refuse("l1_map");
    if (vcpu->uc->tcg->uc != vcpu->uc)
        return vcpu_refuse("TCGContext");
    if (vcpu->uc->no_exit_request != 0)
        return vcpu_refuse("no_exit_request");

    Dl_info owner, ours;
    if (!dladdr((void *)vcpu->uc->stop_interrupt, &owner) ||
        !dladdr((void *)library->emu_start, &ours) || owner.dli_fbase != ours.dli_fbase)
        return vcpu_refuse("stop_interrupt");
    return 0;
}

int vcpu_attach(Vcpu *vcpu, const char *library_path)
{
    if (load(vcpu, library_path) < 0)
        return -1;
    unsigned major, minor;
    unsigned version = vcpu->library.version(&major, &minor);
    if (version >> 8 != 0x020104) {
        char found[32];
        snprintf(found, sizeof found, "version %u.%u.%u", version >> 24, version >> 16 & 255,
                 version >> 8 & 255);
        return vcpu_refuse(found);
    }
    uint64_t rip;
    if (vcpu_check(vcpu->library.reg_read(vcpu->uc, UC_X86_REG_RIP, &rip), vcpu, "uc_init") < 0)
        return -1; /* the first call that needs a CPU makes it */
    vcpu->cpu = vcpu->uc->cpu;
    vcpu->env = (Env *)((char *)vcpu->cpu + ENV_OFFSET);
    if (vcpu->cpu->env != vcpu->env || vcpu->cpu->uc != vcpu->uc ||
        vcpu->cpu->next_block_flags != UINT32_MAX)
        return vcpu_refuse("CPUState");
    if (check_layout(vcpu) < 0 || check_identity(vcpu) < 0 || check_sse(vcpu) < 0 ||
        check_pointers(vcpu) < 0)
        return -1;
    vcpu->uc->no_exit_request = 1;
    return 0;
}
