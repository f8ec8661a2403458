/* What other C code of pyemu needs to trace: hooks, without the GIL.
 *
 *     #include "ring.h"                       (in trace/native/)
 *     static const struct trace_api *trace;
 *     trace = trace_import();                 (once, with the GIL; NULL with an exception set)
 *     if (hook_enabled(hook))                 (hook: a pyemu.trace._ring.Hook, reference held)
 *         trace->emit(hook, 2, (uint64_t[]){cs, pc});
 *
 * `emit` takes the arguments as they are recorded: sign- or zero-extended to 64 bits.
 */
#ifndef PYEMU_TRACE_RING_H
#define PYEMU_TRACE_RING_H

#include <Python.h>
#include <stdint.h>

#define TRACE_CAPSULE "pyemu.trace._ring._C_API"
#define TRACE_MAX_ARGUMENTS 10

/* The head of every Hook. `flags` is not 0 while its event is recorded or listened to. */
struct trace_hook_head {
    PyObject_HEAD
    vectorcallfunc call;
    volatile uint8_t flags;
};

struct trace_api {
    uint32_t version; /* TRACE_API_VERSION */
    /* Record the event. No GIL needed; callable from every thread. A hook that is off, or whose
     * arguments include a string, records nothing. */
    void (*emit)(PyObject *hook, unsigned count, const uint64_t *args);
    /* The same for what happens many million times a second: reading the clock is half of the cost,
     * so only one record in 16 does; the others have the time of the one before. Call `tick` when
     * the thread has been idle, so that the next record does not take over an old time. */
    void (*emit_fast)(PyObject *hook, unsigned count, const uint64_t *args);
    void (*tick)(void);
    /* The clock of the records: nanoseconds of CLOCK_MONOTONIC. */
    uint64_t (*now)(void);
};

#define TRACE_API_VERSION 1

static inline int hook_enabled(PyObject *hook)
{
    return ((struct trace_hook_head *)hook)->flags != 0;
}

static inline const struct trace_api *trace_import(void)
{
    const struct trace_api *api = PyCapsule_Import(TRACE_CAPSULE, 0);
    if (api != NULL && api->version != TRACE_API_VERSION) {
        PyErr_Format(PyExc_ImportError, "pyemu.trace._ring has interface %u, not %u: run "
                     "`make setup` again", api->version, TRACE_API_VERSION);
        return NULL;
    }
    return api;
}

#endif
