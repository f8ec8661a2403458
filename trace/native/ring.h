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
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#define TRACE_CAPSULE "pyemu.trace._ring._C_API"
#define TRACE_MAX_ARGUMENTS 10

/* The head of every Hook. `flags` is not 0 while its event is recorded or listened to. */
struct trace_hook_head {
    PyObject_HEAD
    vectorcallfunc call;
    volatile uint8_t flags;
};

/* Room in the ring for some records in a row, all of one event with two arguments. Begin with
 * TRACE_NO_RUN. */
struct trace_run {
    _Atomic uint64_t *head; /* of the thread's lane: where the next record goes */
    _Atomic uint64_t *end;  /* of the room; 0 when something has ended the run */
    uint8_t *base;          /* a record at `head` lies at base + head */
    uint64_t header[4];     /* of each: they share their time, too */
};

static _Atomic uint64_t trace_no_room __attribute__((unused));
#define TRACE_NO_RUN ((struct trace_run){&trace_no_room, &trace_no_room})

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
    /* Record the event as the first of a new run, where it is only to be recorded. */
    void (*start_run)(PyObject *hook, struct trace_run *run, uint64_t first, uint64_t second);
};

#define TRACE_API_VERSION 4

static inline int hook_enabled(PyObject *hook)
{
    return ((struct trace_hook_head *)hook)->flags != 0;
}

/* emit() in a few stores, for what happens hundreds of millions of times: two arguments, and a time
 * that many records in a row share. 0: no run goes on, start_run() is to be called. The run belongs
 * to one hook and thread. It ends with its room, when its thread records anything else, and when
 * hooks are switched or files change. */
static inline int trace_put_pair(const struct trace_run *run, uint64_t first, uint64_t second)
{
    uint64_t head = atomic_load_explicit(run->head, memory_order_relaxed);
    if (__builtin_expect(head >= atomic_load_explicit(run->end, memory_order_relaxed), 0))
        return 0;
    uint64_t *at = (uint64_t *)(run->base + head);
    memcpy(at, run->header, sizeof(run->header));
    at[4] = first;
    at[5] = second;
    atomic_store_explicit(run->head, head + 48, memory_order_release);
    return 1;
}

/* The next record is to have a time of its own. */
static inline void trace_end_run(const struct trace_run *run)
{
    atomic_store_explicit(run->end, 0, memory_order_relaxed);
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
