/* Between hook.c and module.c. */
#ifndef PYEMU_TRACE_HOOK_H
#define PYEMU_TRACE_HOOK_H

#include "ring.h"

extern PyTypeObject HookType;
extern const struct trace_api hook_api;

/* All hooks: whether what is enabled is recorded. An exception of an on_toggle stays set. */
void hooks_record(int on);

/* A forked child traces nothing. */
void hooks_after_fork(void);

#endif
