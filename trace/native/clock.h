/* Nanoseconds of CLOCK_MONOTONIC, by the time-stamp counter where it is steady.
 *
 * clock_gettime costs about 25 ns, reading the counter about 10. So time is a line through the
 * counter: ns = base_ns + (tsc - base_tsc) * slope. The writer thread bends the line toward the
 * kernel's clock every now and then, without a step. There are two lines, one of which is true, so
 * that nobody waits for a writer thread that the scheduler has stopped halfway.
 */
#ifndef PYEMU_TRACE_CLOCK_H
#define PYEMU_TRACE_CLOCK_H

#include <stdatomic.h>
#include <stdint.h>
#include <time.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

struct trace_line {
    uint64_t base_tsc, base_ns;
    uint64_t slope; /* ns per tick, 32 binary digits after the point; 0: not known yet */
};

struct trace_clock {
    _Atomic uint32_t turn; /* how often the line has been changed; odd: the second one is true */
    struct trace_line line[2];
};

extern struct trace_clock trace_clock;

/* To be called now and then, by one thread at a time. */
void trace_clock_steer(void);

/* To be called while nobody records: a line that has gone astray since the last file is given up, so
 * the first record of a file may be earlier than the last one of the file before. */
void trace_clock_begin(void);

static inline uint64_t kernel_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#if defined(__x86_64__)
static inline uint64_t trace_line_at(const struct trace_line *line, uint64_t tsc)
{
    int64_t ticks = (int64_t)(tsc - line->base_tsc);
    return line->base_ns + (uint64_t)(((__int128)ticks * (__int128)line->slope) >> 32);
}

static inline uint64_t trace_now(void)
{
    for (;;) {
        uint32_t turn = atomic_load_explicit(&trace_clock.turn, memory_order_acquire);
        struct trace_line line = trace_clock.line[turn & 1];
        uint64_t tsc = __rdtsc(); /* while the line is true: a later one may be below it */
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&trace_clock.turn, memory_order_relaxed) != turn)
            continue;
        return line.slope != 0 ? trace_line_at(&line, tsc) : kernel_ns();
    }
}
#else
static inline uint64_t trace_now(void)
{
    return kernel_ns();
}
#endif

#endif
