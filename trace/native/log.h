/* The text log: `-d` and `-D`. Lines of events and of others, in the order they happened. */
#ifndef PYEMU_TRACE_LOG_H
#define PYEMU_TRACE_LOG_H

#include "filter.h"

#include <stddef.h>
#include <stdint.h>

/* Log to `fd`, which stays the caller's; -1: to nowhere. buffered: write when much has come
 * together, after half a second, and at log_flush(); else each line at once. stamped: lines begin
 * with TID@SECONDS.MICROSECONDS:. */
void log_open(int fd, int buffered, int stamped);
void log_text(const char *bytes, size_t length);
/* One line for an event: its name and its arguments by its printf format. */
void log_event(const char *name, const char *format, const char *types, const uint64_t *values,
               const struct text *texts);
int log_flush(void); /* 0 or the errno of a write that failed since the last time */

#endif
