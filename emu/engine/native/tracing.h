/* The engine's events. A TRACE() whose event is off costs one load and a branch. */
#ifndef PYEMU_TRACING_H
#define PYEMU_TRACING_H

#include "ring.h"
#include "vcpu.h"

#define ENGINE_EVENTS(EVENT) \
    EVENT(tcg_gen_code) EVENT(translate_block) EVENT(exec_tb) EVENT(cpu_in) EVENT(cpu_out) \
    EVENT(mmio_read) EVENT(mmio_write) EVENT(dma_read) EVENT(dma_write) EVENT(cpu_exception) \
    EVENT(cpu_interrupt) EVENT(guest_user_syscall)

enum {
#define EVENT(name) EVENT_##name,
    ENGINE_EVENTS(EVENT)
#undef EVENT
    EVENTS
};

extern const struct trace_api *trace_api;
extern PyObject *trace_hooks[EVENTS];

#define TRACE(event, ...) \
    do { \
        if (hook_enabled(trace_hooks[EVENT_##event])) { \
            const uint64_t arguments_[] = {__VA_ARGS__}; \
            trace_api->emit(trace_hooks[EVENT_##event], sizeof arguments_ / sizeof *arguments_, \
                            arguments_); \
        } \
    } while (0)

/* Find the hooks; once, at import. */
int tracing_import(void);
/* Whether events of the translator have been switched since its hooks were last adapted. */
bool tracing_changed(const Vcpu *vcpu);
/* Adapt them. Not while the guest executes. */
int tracing_adapt(Vcpu *vcpu);
/* The first block of all is translated without a report. */
void tracing_first_block(Vcpu *vcpu);

#endif
