/* Between lanes.c and merge.c: records in memory, and their way to the file. */
#ifndef PYEMU_TRACE_MERGE_H
#define PYEMU_TRACE_MERGE_H

#include "lanes.h"

#include <string.h>

static inline uint64_t word(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, 8);
    return value;
}

/* Bytes of the record at `at`. Its length field leaves out the type word. */
static inline uint32_t record_length(const uint8_t *at)
{
    uint32_t length;
    memcpy(&length, at + 24, 4);
    return length + 8;
}

#define SOURCES (MAX_LANES + 1)

/* Write what is in the lanes and one more source from tail to head, in the order of time, and move
 * the tails there. `*offset` counts what was written. 0 or an errno. */
int merge_lanes(int fd, uint64_t *offset, uint8_t *const *data, uint64_t *tail,
                const uint64_t *head);

#endif
