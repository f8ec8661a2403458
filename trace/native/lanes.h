/* The ring: one lane of memory for each thread that traces, and one writer thread.
 *
 * A lane has one producer, so reserving and committing a record take no atomic operation: the
 * producer stores the record and then moves `head`. The lanes lie in a mapped file, FILE.ring, in
 * the very bytes of the trace file: draining is one write(2) of memory. Each lane is mapped twice
 * in a row, so a record that wraps around is in one piece all the same. Since only whole records
 * are before `head`, whatever kills the process, the decoder finds them in the file.
 *
 * Layout of the ring file, host byte order, page by page:
 *   0  struct ring_header;  1  struct lane_shared for each lane;  2...  the lanes, `size` each.
 */
#ifndef PYEMU_TRACE_LANES_H
#define PYEMU_TRACE_LANES_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define RING_MAGIC 0x474e4952554d4559ull /* "YEMURING" */
#define RING_VERSION 1
#define RING_PAGE 4096u
#define MAX_LANES 32
#define MAX_STRING 512u   /* bytes of a string in a record, as in QEMU */
#define RECORD_HEADER 32u /* type, id, time, length, pid */
#define DROPPED_LENGTH (RECORD_HEADER + 8u)
#define EVENT_DROPPED 0xfffffffffffffffeull
#define RECORD_EVENT 1ull

/* How far the file is written, and up to where in each lane that is. */
struct ring_state {
    uint64_t file_offset;
    uint64_t tail[MAX_LANES];
};

struct ring_header {
    uint64_t magic;
    uint32_t version, pid;
    uint64_t size; /* bytes of a lane, a power of two */
    uint32_t lanes, overwrite;
    uint64_t state_offset[2];
    _Atomic uint32_t current; /* which of the states is true */
    uint32_t unused;
    struct ring_state state[2];
};

/* What a producer tells: free-running byte counts. */
struct lane_shared {
    _Atomic uint64_t head;
    _Atomic uint64_t oldest;     /* overwrite: the oldest whole record */
    _Atomic uint64_t dropped;    /* events lost since the last record */
    _Atomic uint64_t dropped_ns; /* when the first of them was */
    uint64_t thread;             /* its id, as gettid() has it */
    uint64_t unused[3];
};

struct lane {
    _Alignas(64) uint8_t *data;
    struct lane_shared *shared;
    uint64_t wake_at; /* the head at which the writer is woken */
    uint64_t last_ns; /* time of the newest record */
    uint32_t guesses; /* records since that took over this time */
    _Atomic int taken;
    _Atomic uint64_t run_end; /* see struct trace_run; 0: none goes on */
    _Alignas(64) _Atomic uint64_t limit; /* the producer stops here; moved on by draining */
};

struct ring_options {
    uint64_t size;
    int overwrite; /* keep the newest instead of draining */
    int wait;      /* wait for room instead of dropping */
};

struct ring_numbers {
    uint64_t bytes, dropped, pending;
    int error, open;
};

extern __thread struct lane *own_lane __attribute__((tls_model("initial-exec")));
extern uint64_t ring_size;
extern _Atomic uint32_t ring_generation; /* another one at each end_runs() */
void end_runs(void);                     /* those of all threads */
struct lane *take_lane(void);
uint8_t *reserve_slowly(struct lane *lane, uint32_t length, uint64_t now);
void wake_writer(struct lane *lane, uint64_t head);

/* The lane of this thread, or NULL if there is none to have. */
static inline struct lane *ring_lane(void)
{
    struct lane *lane = own_lane;
    return __builtin_expect(lane != NULL, 1) ? lane : take_lane();
}

/* A place for `length` bytes of record, or NULL: dropped and counted. */
static inline uint8_t *ring_reserve(struct lane *lane, uint32_t length, uint64_t now)
{
    struct lane_shared *shared = lane->shared;
    uint64_t head = atomic_load_explicit(&shared->head, memory_order_relaxed);
    atomic_store_explicit(&lane->run_end, 0, memory_order_relaxed);
    if (__builtin_expect(head + length > atomic_load_explicit(&lane->limit, memory_order_acquire)
                         || atomic_load_explicit(&shared->dropped, memory_order_relaxed), 0))
        return reserve_slowly(lane, length, now);
    return lane->data + (head & (ring_size - 1));
}

static inline void ring_commit(struct lane *lane, uint32_t length)
{
    struct lane_shared *shared = lane->shared;
    uint64_t head = atomic_load_explicit(&shared->head, memory_order_relaxed) + length;
    atomic_store_explicit(&shared->head, head, memory_order_release);
    if (__builtin_expect(head >= lane->wake_at, 0))
        wake_writer(lane, head);
}

/* 0 or an errno. `fd` is written from `offset` on; it stays the caller's. ring_path NULL: the ring
 * lies in anonymous memory. */
int ring_open(int fd, uint64_t offset, const char *ring_path, const struct ring_options *options);
int ring_set_file(int fd, uint64_t offset); /* drains to the old one first; -1: to none */
int ring_drain(void);                       /* everything recorded by now is in the file */
int ring_dump(void);                        /* overwrite: what is in the lanes to the file */
int ring_close(void);                       /* drains and stops; the ring file stays */
void ring_numbers(struct ring_numbers *numbers);
uint32_t ring_pid(void);

#endif
