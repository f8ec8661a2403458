/* The engine's events. A TRACE() whose event is off costs one load and a branch. */
#ifndef PYEMU_TRACING_H
#define PYEMU_TRACING_H

#include "ring.h"
#include "vcpu.h"

#define ENGINE_EVENTS(EVENT) \
    EVENT(tcg_gen_code) EVENT(translate_block) EVENT(exec_tb) EVENT(cpu_in) EVENT(cpu_out) \
    EVENT(mmio_read) EVENT(mmio_write) EVENT(dma_read) EVENT(dma_write) \
    EVENT(memory_unassigned) EVENT(cpu_exception) EVENT(cpu_check_exception) \
    EVENT(cpu_interrupt) EVENT(cpu_cr_write) EVENT(cpu_mode_change) EVENT(guest_user_syscall) \
    EVENT(guest_user_syscall_ret) EVENT(guest_mem_read) EVENT(guest_mem_write)

enum {
#define EVENT(name) EVENT_##name,
    ENGINE_EVENTS(EVENT)
#undef EVENT
    EVENTS
};

extern const struct trace_api *trace_api;
extern PyObject *trace_hooks[EVENTS];

#define TRACE_BY(function, event, ...) \
    do { \
        if (hook_enabled(trace_hooks[EVENT_##event])) { \
            const uint64_t arguments_[] = {__VA_ARGS__}; \
            trace_api->function(trace_hooks[EVENT_##event], \
                                sizeof arguments_ / sizeof *arguments_, arguments_); \
        } \
    } while (0)
#define TRACE(event, ...) TRACE_BY(emit, event, __VA_ARGS__)
/* The same for what happens many million times a second, with a coarser time. */
#define TRACE_FAST(event, ...) TRACE_BY(emit_fast, event, __VA_ARGS__)

typedef struct BlockReport BlockReport;

/* probes.c: the callbacks of Unicorn's hooks */
void on_block_translated(void *uc, BlockReport *block, BlockReport *previous, void *user);
void on_block_counted(void *uc, uint64_t address, uint32_t size, void *user); /* counts.c */
void on_block_after_syscall(void *uc, uint64_t address, uint32_t size, void *user);
void on_memory_read(void *uc, int type, uint64_t address, int size, int64_t value, void *user);
void on_memory_written(void *uc, int type, uint64_t address, int size, int64_t value, void *user);
/* Called by translated code while vcpu->recording_blocks, without a hook of Unicorn: see helpers.c. */
void on_block_executed(const TranslationBlock *block, uint64_t address, struct trace_run *run);
/* A system call that is to return to the address. */
void tracing_system_call(Vcpu *vcpu, uint64_t target);
/* One with the registers of 32-bit Linux. */
void tracing_system_call_32(Vcpu *vcpu);

/* (code, cs_base, flags, cflags, size) of the translated block at a linear address, or None. */
PyObject *tracing_block(const Vcpu *vcpu, uint64_t pc);

/* counts.c: [(address, bytes, executions), ...] */
PyObject *counts_list(const BlockCounts *counts);
void counts_free(BlockCounts *counts);

/* Find the hooks; once, at import. */
int tracing_import(void);
/* Whether events of the translator have been switched since its hooks were last adapted. */
bool tracing_changed(const Vcpu *vcpu);
/* Adapt them. Not while the guest executes. */
int tracing_adapt(Vcpu *vcpu);
/* The first block of all is translated without a report. */
void tracing_first_block(Vcpu *vcpu);

#endif
