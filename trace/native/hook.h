/* Between hook.c (the Python type), record.c (what happens when an event does) and module.c. */
#ifndef PYEMU_TRACE_HOOK_H
#define PYEMU_TRACE_HOOK_H

#include "filter.h"
#include "ring.h"

#define FLAG_RECORD 1u /* into the ring */
#define FLAG_CALL 2u   /* to Python listeners */
#define FLAG_LOG 4u    /* as text to the log */
#define FLAG_FILTER 8u /* all that only if the filter says so; never alone */

struct hook {
    struct trace_hook_head head;
    uint8_t wanted; /* switched on; recorded while a trace file is open */
    uint8_t logged; /* switched on for the log */
    uint8_t count, strings;
    char types[TRACE_MAX_ARGUMENTS + 2];
    uint32_t id;
    PyObject *name, *format;
    PyObject *filter;    /* or NULL */
    PyObject *listeners; /* a tuple of callables and (Filter, callable) pairs, or NULL */
    PyObject *on_toggle; /* a callable, or NULL */
    struct hook *next;   /* all hooks there are */
};

extern PyTypeObject HookType;
extern const struct trace_api hook_api;
extern uint32_t hooks_pid; /* of the process whose events are recorded */

/* Into the ring. */
void hook_record(const struct hook *hook, const uint64_t *values, const struct text *texts);

/* Everything that is to happen but the calls; false if the filter said no. */
int hook_deliver(const struct hook *hook, uint8_t flags, const uint64_t *values,
                 const struct text *texts);

/* Needs the GIL. What a listener raises is shown, and the machine goes on. */
void hook_call_listeners(const struct hook *hook, const uint64_t *values, const struct text *texts,
                         PyObject *const *args);

/* All hooks: whether what is enabled is recorded. An exception of an on_toggle stays set. */
void hooks_record(int on);

/* A forked child traces nothing. */
void hooks_after_fork(void);

#endif
