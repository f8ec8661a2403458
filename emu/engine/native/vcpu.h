/* One virtual CPU: what the parts of the native engine share. */
#ifndef PYEMU_VCPU_H
#define PYEMU_VCPU_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <pthread.h>

#include "library.h"
#include "ring.h"
#include "window.h"
#include "x86.h"

/* A run of I/O ports and the bound methods of the device that answers there. */
typedef struct {
    unsigned references; /* ports of the table that point here */
    uint16_t base;
    uint8_t width; /* bytes; wider accesses are cut */
    PyObject *read, *write;
    PyObject *read_block, *write_block; /* or NULL */
} Port;

/* A mapped range of guest-physical memory: RAM or ROM (host != NULL), a device, or nothing. */
typedef struct {
    uint64_t start, end;
    void *mapping; /* Unicorn's MemoryRegion */
    uint8_t *host;
    uint64_t ram_address; /* where Unicorn counts this memory's pages, to find their code */
    bool writable;
    Py_buffer buffer;
    PyObject *read, *write;
    Window window;
    struct Vcpu *vcpu;
} Region;

/* A system call that has not returned yet, while returns are traced. */
typedef struct {
    uint64_t cr3, target, stack, number;
} SystemCall;

/* Executions by block, counts.c. */
typedef struct {
    struct BlockCount *table; /* NULL until the first */
    unsigned bits;
    size_t used;
} BlockCounts;

#define SYSTEM_CALL_BITS 10
#define PROBES 5 /* hooks of Unicorn that come and go with the events they feed */

/* Where an indirect jump goes, jumps.c. */
typedef struct {
    uint64_t pc; /* linear */
    void *code;
    uint32_t flags, cs_base;
    uint32_t age;  /* when it was last known to be so */
    uint32_t page; /* number of the page of RAM that holds the code */
} Jump;

#define NO_JUMP_PAGE UINT32_MAX /* page: there are two */
#define JUMP_BITS 15 /* of the index in the table of jumps */

/* What Unicorn's functions may disturb when they invalidate code, memory.c. */
typedef struct {
    int32_t exception_index, old_exception, error_code;
    uint64_t cr2;
} FaultState;

/* A range of guest-physical memory that a debugger watches. */
typedef struct {
    uint64_t start, length;
    int access; /* WATCH_READ | WATCH_WRITE */
} Watchpoint;

enum { WATCH_READ = 1, WATCH_WRITE = 2 };
#define WATCH_HOOKS 2

typedef struct Vcpu {
    PyObject_HEAD
    struct Vcpu *next;
    Library library;
    PyObject *owner; /* of uc, which it frees */
    Unicorn *uc;
    Cpu *cpu;
    Env *env;

    /* calls into Python */
    PyThreadState *thread; /* of the thread in run(), while the guest executes without the GIL */
    unsigned python_depth; /* 0: the guest executes; else how often Python has been entered */
    PyObject *on_service, *on_acknowledge, *on_task_priority, *on_apic_enable;
    PyObject *error_type, *error_value, *error_traceback; /* raised in a callback */

    /* interrupts, doorbell.c */
    _Atomic bool doorbell; /* there is work for on_service */
    bool stopping;         /* leave run() */
    bool intr, nmi;        /* the pins */
    bool executing;        /* in run() */
    bool waking;           /* leaving HLT for an interrupt that is not taken yet */
    int64_t deadline;      /* CLOCK_MONOTONIC ns of the next timer, INT64_MAX: none */
    _Atomic int64_t armed; /* what the alarm thread waits for; set under the mutex */
    bool closing;
    int64_t clock_offset;  /* virtual time = CLOCK_MONOTONIC - this */
    pthread_mutex_t mutex;
    pthread_cond_t rung, rearmed;
    pthread_t alarm;
    pid_t process; /* that the alarm thread belongs to */

    uint64_t apic_base; /* msr.c */
    uint8_t task_priority;    /* TPR of the local APIC, which has it here; CR8 is its upper half */
    bool interrupt_requested; /* in the local APIC, which wants to know when TPR changes */
    bool library_sse; /* helpers.c: what is translated calls the library's SSE, to compare */

    /* exceptions, deliver.c */
    uint64_t fault_eip;    /* of the instruction that raised the exception */
    uint64_t software_eip; /* of the INT n that is being delivered */
    bool in_software_interrupt;
    int32_t delivering; /* the exception, if another one now would make a double fault, or -1 */

    /* memory.c, tlb.c, io.c */
    Region **regions; /* by address */
    size_t region_count;
    Region *last_region;
    bool fetching; /* an instruction, from what is not RAM */
    bool keeps_tlb; /* pages are not flushed one by one: all will be */
    uint8_t *code_marks; /* by ram_addr page: may hold translated code */
    Port **ports;        /* 65536 */

    /* jumps.c */
    Jump *jumps;
    uint32_t jump_age, jump_oldest; /* now; of those whose code is still there */
    size_t jump_invalidations;      /* of blocks, when the oldest was found */

    /* tracing.c */
    size_t probes[PROBES]; /* handles of Unicorn's hooks; 0: none */
    SystemCall system_calls[1 << SYSTEM_CALL_BITS];
    struct trace_run block_run; /* of exec_tb */
    bool recording_blocks;      /* translated code calls on_block_executed() */
    bool started, first_block_pending;
    bool counting_blocks;
    BlockCounts block_counts;
    bool restart; /* leave Unicorn for tracing_adapt() and come back */

    /* debug.c */
    uint64_t *breakpoints; /* linear addresses */
    Watchpoint *watchpoints;
    size_t breakpoint_count, watchpoint_count;
    const Watchpoint *watch_hit;
    size_t watch_hooks[WATCH_HOOKS]; /* of Unicorn; 0: none */
    bool stepping;                   /* run() executes one instruction */
    bool debugged;                   /* run() has ended for the debugger */
} Vcpu;

/* vcpu.c */
extern Vcpu *vcpus;

/* NULL: it is being made, or closed. */
static inline Vcpu *vcpu_of(const Cpu *cpu)
{
    Vcpu *vcpu = vcpus;
    while (vcpu && vcpu->cpu != cpu)
        vcpu = vcpu->next;
    return vcpu;
}

void vcpu_enter_python(Vcpu *vcpu);
void vcpu_leave_python(Vcpu *vcpu);
/* Keep the pending Python exception for run() to raise, and stop the guest. */
void vcpu_fail(Vcpu *vcpu);
/* Have the main loop call exec_interrupt() at the next block start. Any thread. */
void vcpu_kick(Vcpu *vcpu);
int vcpu_check(int error, Vcpu *vcpu, const char *what); /* raises EngineError, -1 */
/* Have a hook of Unicorn for all addresses, or not; *handle is 0 while there is none. To delete one,
 * Unicorn looks up all the code that it was called from: the faults of what is not mapped any more
 * would reach the guest, and do not. */
int hook_switch(Vcpu *vcpu, size_t *handle, bool on, int type, void *callback);
/* Raise with a text in C's format: Python's knows no hexadecimal of 64 bits before 3.12. */
void vcpu_raise(PyObject *type, const char *format, ...) __attribute__((format(printf, 2, 3)));
extern PyObject *EngineError;

static inline Vcpu *vcpu_of_env(const Env *env)
{
    return vcpu_of((const Cpu *)((const char *)env - ENV_OFFSET));
}

/* Linear address of the byte at an offset from RIP. */
static inline uint64_t code_address(const Env *env, uint64_t offset)
{
    uint64_t address = env->segs[CS].base + env->eip + offset;
    return env->hflags & HF_CS64 ? address : (uint32_t)address;
}

/* check.c */
int vcpu_attach(Vcpu *vcpu, const char *library_path);
int vcpu_refuse(const char *what); /* raises EngineError, -1 */

/* abort.c */
int abort_install(Vcpu *vcpu);

/* doorbell.c */
int doorbell_open(Vcpu *vcpu);
void doorbell_close(Vcpu *vcpu);
void doorbell_ring(Vcpu *vcpu);
void doorbell_arm(Vcpu *vcpu, int64_t deadline);
void doorbell_sleep(Vcpu *vcpu);
void doorbell_publish(Vcpu *vcpu);

/* deliver.c */
int deliver_install(Vcpu *vcpu);
uint64_t vcpu_flags(Vcpu *vcpu);
/* Whether an interrupt would be taken now, shadows aside. */
bool deliver_pending(const Vcpu *vcpu);

/* tsc.c */
void tsc_install(Vcpu *vcpu);

/* slots.c */
/* Let a function of ours be called for the library's own of this name. For the whole process. */
int slot_replace(Vcpu *vcpu, const char *name, void *function);

/* msr.c */
#define APIC_ENABLE 0x800ull /* in apic_base */
void msr_install(Vcpu *vcpu);
void msr_reset(Vcpu *vcpu);

/* helpers.c */
int helpers_install(Vcpu *vcpu);
/* Let translated code call a function of ours for one of the library's helpers. For the process. */
void helper_replace(void *theirs, void *ours);
/* Likewise for helpers that work on vector registers: they leave the general ones alone. */
typedef struct {
    const char *name;
    void *ours;
    void **theirs; /* set to the library's, or NULL */
    bool flags;    /* it writes the arithmetic flags */
} SseHelper;
int helper_replace_sse(Vcpu *vcpu, const SseHelper *helpers, size_t count);
/* Ask, with a number, for something in place of the call; it is made if the answer is false. */
typedef bool Generator(Tcg *tcg, int number, void **arguments);
int helper_replace_inline(Vcpu *vcpu, const char *name, Generator *generator, int number);

/* vectors.c */
int vectors_install(Vcpu *vcpu);

/* shuffles.c */
int shuffles_install(Vcpu *vcpu);

/* float.c */
int float_install(Vcpu *vcpu);
void float_enter(void); /* before the guest executes, on this thread */

/* simd.c */
int simd_install(Vcpu *vcpu);

/* control.c */
int control_install(Vcpu *vcpu);
PyObject *control_get_cr8(Vcpu *vcpu, void *closure);
int control_set_cr8(Vcpu *vcpu, PyObject *value, void *closure);

/* returns.c */
void returns_install(Vcpu *vcpu);

/* syscall.c */
void syscall_install(Vcpu *vcpu);

/* identity.c */
void identity_install(Vcpu *vcpu);
PyObject *identity_cpuid(Vcpu *vcpu, PyObject *leaf);
enum { EAX, EBX, ECX, EDX };
/* What CPUID says, without what is hidden. */
void identity_read(Vcpu *vcpu, uint32_t leaf, uint32_t subleaf, uint32_t found[4]);
PyObject *identity_get(Vcpu *vcpu, PyObject *unused);
PyObject *identity_set(Vcpu *vcpu, PyObject *bytes);

/* debug.c */
extern PyMethodDef debug_methods[];
PyObject *debug_get_watch_hit(Vcpu *vcpu, void *closure);
bool debug_stop(Vcpu *vcpu);
void debug_exception_delivered(Vcpu *vcpu);
void debug_adapt(Vcpu *vcpu);
void debug_close(Vcpu *vcpu);

/* memory.c */
FaultState save_fault_state(const Vcpu *vcpu);
void restore_fault_state(Vcpu *vcpu, FaultState state);
int memory_install(Vcpu *vcpu);
void memory_close(Vcpu *vcpu);
/* Index of the first region that ends after the address. */
size_t memory_find(const Vcpu *vcpu, uint64_t address);
/* The region that an address lies in, or NULL. */
Region *memory_region_at(const Vcpu *vcpu, uint64_t address);
extern PyMethodDef memory_methods[];

/* dma.c */
extern PyMethodDef dma_methods[];

/* tlb.c */
int tlb_install(Vcpu *vcpu);
void tlb_close(Vcpu *vcpu);

/* jumps.c */
int jumps_install(Vcpu *vcpu);
void jumps_gen_check(Tcg *tcg);
void jumps_age(Vcpu *vcpu, bool code_gone);
void jumps_close(Vcpu *vcpu);

/* io.c */
int io_install(Vcpu *vcpu);
void io_close(Vcpu *vcpu);
int io_traverse(Vcpu *vcpu, visitproc visit, void *arg);
PyObject *io_map_ports(Vcpu *vcpu, PyObject *args);
PyObject *io_unmap_ports(Vcpu *vcpu, PyObject *args);

/* state.c */
extern PyGetSetDef state_members[];
void state_reset(Vcpu *vcpu);

/* Adds a hook for all addresses; type and callback as in unicorn.h. */
#define HOOK(vcpu, type, callback, ...) \
    vcpu_check((vcpu)->library.hook_add((vcpu)->uc, &(size_t){0}, type, (void *)(callback), vcpu, \
                                        1, 0 __VA_OPT__(, ) __VA_ARGS__), vcpu, "uc_hook_add")

#endif
