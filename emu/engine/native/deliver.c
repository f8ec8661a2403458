/* Exceptions and interrupts: what the machine cut out of QEMU used to do for its CPU loop.
 *
 * Everything here runs in C alone where the guest may fault, since a fault leaves by siglongjmp,
 * which must never cross a Python frame.
 */
#include "tracing.h"

#define VECTOR_LINUX_CALL 0x80
#define ERROR_IDT 2
#define OPCODE_ICEBP 0xf1
#define DR6_HITS 0xfull

uint64_t vcpu_flags(Vcpu *vcpu)
{
    Env *env = vcpu->env;
    return env->eflags | vcpu->library.compute_flags(env->cc_dst, env->cc_src, env->cc_src2, env->cc_op) |
           (env->df & FLAG_DF) | 2;
}

/* The task register of the reset state is marked as busy, as on the chip, which Unicorn does not
 * take for a task when it looks for a stack. */
static void guard_task_register(Env *env)
{
    if ((env->tr.flags >> 8 & 7) == TSS_BUSY)
        env->tr.flags &= ~0x200u;
}

/* Called first for each exception: RIP is still that of its instruction, prefixes and all. Unicorn
 * itself stops the guest here at #UD; returning false lets it come to on_interrupt() like the rest. */
static bool stop_interrupt(void *uc, int number)
{
    Vcpu *vcpu = vcpu_of(((Unicorn *)uc)->cpu);
    (void)number;
    vcpu->fault_eip = vcpu->env->eip;
    return false;
}

static void on_interrupt(void *uc, uint32_t vector, void *user)
{
    Vcpu *vcpu = user;
    Env *env = vcpu->env;
    (void)uc;

    if (vcpu->in_software_interrupt)
        env->eip = vcpu->software_eip; /* its gate faulted: the fault returns to the INT */
    vcpu->in_software_interrupt = env->exception_is_int;
    vcpu->software_eip = vcpu->fault_eip;

    if (vector == VECTOR_INVALID_OPCODE && !env->exception_is_int &&
        (vcpu->library.fetch_byte(env, code_address(env, 0)) & 0xff) == OPCODE_ICEBP) {
        vcpu->cpu->exception_index = VECTOR_DEBUG;
        env->old_exception = -1;
        env->eip += 1;
    }
    if (env->hflags & HF_LMA && (vector == VECTOR_NOT_PRESENT || vector == VECTOR_PROTECTION) &&
        env->error_code & ERROR_IDT) /* which gate, counted in units of 16 bytes: it is 8 */
        env->error_code = (env->error_code >> 1 & ~7) | ERROR_IDT;
    int number = vcpu->cpu->exception_index;
    if (!env->exception_is_int && number != VECTOR_DOUBLE_FAULT) /* of that, Unicorn does not tell */
        TRACE(cpu_check_exception, vcpu->delivering, number);
    if (env->exception_is_int && number == VECTOR_LINUX_CALL && (env->hflags & HF_CPL) == 3)
        tracing_system_call_32(vcpu);
    TRACE(cpu_exception, number, env->exception_is_int, env->error_code,
          env->segs[CS].selector, env->eip, env->cr[2]);
    guard_task_register(env);
    vcpu->delivering = env->old_exception;
    vcpu->library.do_interrupt(vcpu->cpu);
    vcpu->delivering = -1;
    vcpu->in_software_interrupt = false;
    debug_exception_delivered(vcpu);
}

/* An execution breakpoint of DR0-3: stock compares offsets with linear addresses, and loops for ever
 * where CS has a base. */
static void on_breakpoint(Cpu *cpu)
{
    Vcpu *vcpu = vcpu_of(cpu);
    Env *env = vcpu->env;
    uint64_t address = code_address(env, 0);
    uint64_t hits = 0;

    if (debug_stop(vcpu))
        return;
    for (int i = 0; i < 4; i++) {
        bool enabled = env->dr[7] >> 2 * i & 3;
        bool execution = !(env->dr[7] >> (16 + 4 * i) & 3);
        if (enabled && execution && env->dr[i] == address)
            hits |= 1ull << i;
    }
    env->dr[6] = (env->dr[6] & ~DR6_HITS) | hits;
    if (hits)
        vcpu->library.raise_exception(env, VECTOR_DEBUG);
    vcpu->library.loop_exit(cpu);
}

bool deliver_pending(const Vcpu *vcpu)
{
    return (vcpu->nmi && !(vcpu->env->hflags2 & HF2_NMI)) ||
           (vcpu->intr && vcpu->env->eflags & FLAG_IF);
}

static int acknowledge(Vcpu *vcpu)
{
    int vector = -1;
    vcpu_enter_python(vcpu);
    PyObject *result = PyObject_CallNoArgs(vcpu->on_acknowledge);
    if (result) {
        vector = (int)PyLong_AsLong(result);
        Py_DECREF(result);
    }
    if (PyErr_Occurred()) {
        vector = -1;
        vcpu_fail(vcpu);
    }
    vcpu_leave_python(vcpu);
    return vector;
}

static void service(Vcpu *vcpu)
{
    vcpu_enter_python(vcpu);
    PyObject *result = PyObject_CallNoArgs(vcpu->on_service);
    if (!result)
        vcpu_fail(vcpu);
    Py_XDECREF(result);
    vcpu_leave_python(vcpu);
}

/* The main loop calls this at a block boundary while interrupt_request is not 0. Returns whether an
 * interrupt was taken. */
static bool exec_interrupt(Cpu *cpu, int request)
{
    Vcpu *vcpu = vcpu_of(cpu);
    Env *env = vcpu->env;
    bool waking = vcpu->waking;
    int vector = -1;
    (void)request;

    vcpu->waking = false;
    atomic_store(&cpu->interrupt_request, 0);
    vcpu->restart = false;
    if (atomic_exchange(&vcpu->doorbell, false)) {
        service(vcpu);
        vcpu->restart = tracing_changed(vcpu); /* who switches an event rings */
    }
    if (vcpu->stopping || vcpu->restart) {
        cpu->halted = waking;
        vcpu->library.emu_stop(vcpu->uc);
        return false;
    }
    if (vcpu->stepping) {
        /* no interrupt gets between: the debugger is to see the next instruction, behind HLT too */
    } else if (vcpu->nmi && !(env->hflags2 & HF2_NMI)) {
        vcpu->nmi = false;
        env->hflags2 |= HF2_NMI;
        vector = VECTOR_NMI;
    } else if (vcpu->intr && env->eflags & FLAG_IF && !(env->hflags & HF_INHIBIT_IRQ)) {
        vector = acknowledge(vcpu);
    }
    if (vcpu->intr || vcpu->nmi || atomic_load(&vcpu->doorbell))
        atomic_store(&cpu->interrupt_request, CPU_INTERRUPT_HARD);
    if (vector < 0) {
        if (waking && !vcpu->stepping) { /* the interrupt was withdrawn: back into HLT */
            cpu->halted = 1;
            vcpu->library.emu_stop(vcpu->uc);
        }
        return false;
    }
    TRACE(cpu_interrupt, vector, env->segs[CS].selector, env->eip);
    guard_task_register(env);
    vcpu->library.do_hardirq(env, vector, 1);
    return true;
}

int deliver_install(Vcpu *vcpu)
{
    vcpu->uc->stop_interrupt = stop_interrupt;
    vcpu->cpu->class->cpu_exec_interrupt = exec_interrupt;
    vcpu->cpu->class->debug_excp_handler = on_breakpoint;
    return HOOK(vcpu, UC_HOOK_INTR, on_interrupt);
}
