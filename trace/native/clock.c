/* Keeps trace_clock (see clock.h) close to CLOCK_MONOTONIC. */
#include "clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct trace_clock trace_clock;

#if defined(__x86_64__)

/* The first slope is taken over at least this long. Each end is known to half a microsecond, so the
 * clock may be wrong by 1 in 100 000 until it is steered again, which can take long on a busy host. */
#define FIRST_NS 100000000ull
#define STEER_NS 1000000000ull  /* and an error found is spread over so much */
#define STALE_NS 5000000000ull  /* a line that nobody has steered for so long is drawn anew */

#define TIGHT_TICKS 3000ull     /* between two readings of the counter, about a microsecond */
#define TRIES 50
#define FEWEST_TRIES 5

static uint64_t first_tsc, first_ns;
static int steady = -1; /* whether the kernel itself trusts the counter */

static int counter_is_steady(void)
{
    char name[16] = "";
    FILE *file = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "r");
    if (file != NULL) {
        if (fgets(name, sizeof(name), file) == NULL)
            name[0] = 0;
        fclose(file);
    }
    return strncmp(name, "tsc", 3) == 0 || strncmp(name, "kvm-clock", 9) == 0;
}

/* Both clocks at one moment: the tightest of a few tries. False if all were interrupted. */
static bool sample(uint64_t *tsc, uint64_t *ns)
{
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < TRIES && (i < FEWEST_TRIES || best > TIGHT_TICKS); i++) {
        uint64_t before = __rdtsc(), now = kernel_ns(), after = __rdtsc();
        if (after - before < best) {
            best = after - before;
            *tsc = before + (after - before) / 2;
            *ns = now;
        }
    }
    return best <= TIGHT_TICKS;
}

void trace_clock_steer(void)
{
    uint64_t tsc = 0, ns = 0;
    if (steady == 0 || !sample(&tsc, &ns))
        return;
    if (steady < 0) {
        steady = counter_is_steady();
        first_tsc = tsc;
        first_ns = ns;
    }
    if (!steady || ns - first_ns < FIRST_NS || tsc <= first_tsc)
        return;
    double slope = (double)(ns - first_ns) / (double)(tsc - first_tsc);
    uint32_t turn = atomic_load(&trace_clock.turn);
    const struct trace_line *line = &trace_clock.line[turn & 1];
    struct trace_line *next = &trace_clock.line[!(turn & 1)];
    if (line->slope != 0) {
        double error = (double)(int64_t)(ns - trace_line_at(line, tsc)) / (double)STEER_NS;
        if (error > 0.1 || error < -0.1) /* asleep, or stopped: so be it, once */
            error = error > 0 ? 0.1 : -0.1;
        slope *= 1 + error;
    }
    next->slope = (uint64_t)(slope * 4294967296.0);
    if (line->slope != 0) { /* from this very moment on: readers may be ahead of the sample */
        tsc = __rdtsc();
        ns = trace_line_at(line, tsc);
    }
    next->base_tsc = tsc;
    next->base_ns = ns;
    atomic_store(&trace_clock.turn, turn + 1);
}

void trace_clock_begin(void)
{
    uint32_t turn = atomic_load(&trace_clock.turn);
    const struct trace_line *line = &trace_clock.line[turn & 1];
    if (line->slope != 0 && kernel_ns() - line->base_ns > STALE_NS) {
        trace_clock.line[!(turn & 1)].slope = 0;
        atomic_store(&trace_clock.turn, turn + 1);
    }
    trace_clock_steer();
}

#else

void trace_clock_steer(void)
{
}

void trace_clock_begin(void)
{
}

#endif
