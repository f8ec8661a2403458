/* Nanoseconds of CLOCK_MONOTONIC, by the time-stamp counter where it is steady.
 *
 * clock_gettime costs about 25 ns, reading the counter about 10. So time is a line through the
 * counter: ns = base_ns + (tsc - base_tsc) * slope. The writer thread bends the line toward the
 * kernel's clock every now and then, without a step, so that it never runs backward.
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
    _Atomic uint32_t sequence; /* odd while the line is being changed */
    uint64_t base_tsc, base_ns;
    uint64_t slope; /* ns per tick, 32 binary digits after the point; 0: not known yet */
};

extern struct trace_line trace_line;

/* To be called now and then, by one thread at a time. */
void trace_clock_steer(void);

static inline uint64_t kernel_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#if defined(__x86_64__)
static inline uint64_t trace_now(void)
{
    struct trace_line *line = &trace_line;
    for (;;) {
        uint32_t before = atomic_load_explicit(&line->sequence, memory_order_acquire);
        uint64_t slope = line->slope, tsc = line->base_tsc, ns = line->base_ns;
        atomic_thread_fence(memory_order_acquire);
        if ((before & 1) || atomic_load_explicit(&line->sequence, memory_order_relaxed) != before)
            continue;
        if (slope == 0)
            return kernel_ns();
        int64_t ticks = (int64_t)(__rdtsc() - tsc);
        return ns + (uint64_t)(((__int128)ticks * (__int128)slope) >> 32);
    }
}
#else
static inline uint64_t trace_now(void)
{
    return kernel_ns();
}
#endif

#endif
