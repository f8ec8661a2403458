/* Lanes, the writer thread, the file: see lanes.h. */
#define _GNU_SOURCE
#include "lanes.h"
#include "clock.h"
#include "merge.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DRAIN_NS 500000000ull /* nothing is older than this before it is written, well below 1 s */
#define FIRST_STEER_NS 10000000ull
#define WAIT_US 50
#define LANELESS MAX_LANES /* the source that tells of losses */

static struct lane lanes[MAX_LANES];
static struct ring_header *header; /* NULL: never opened */
static uint8_t *area;              /* all lanes, each mapped twice */
static int ring_fd = -1, out_fd = -1;
static bool overwrite, wait_for_room;
static _Atomic bool open_now;
static _Atomic int last_error;
static _Atomic uint64_t bytes_written, dropped_total, laneless;
static uint32_t pid;

static pthread_mutex_t drain_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t lane_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_t writer;
static sem_t wake;
static bool stop_writer;

__thread struct lane *own_lane __attribute__((tls_model("initial-exec")));
uint64_t ring_size;
_Atomic uint32_t ring_generation = 1;
static pthread_key_t at_thread_exit;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* ---- producers ---- */

static void leave_lane(void *lane)
{
    own_lane = NULL;
    atomic_store(&((struct lane *)lane)->taken, 0);
}

static void before_fork(void) { pthread_mutex_lock(&drain_lock); }
static void after_fork_parent(void) { pthread_mutex_unlock(&drain_lock); }

/* A forked child has no writer and must not touch the shared ring. */
static void after_fork_child(void)
{
    pthread_mutex_init(&drain_lock, NULL);
    pthread_mutex_init(&lane_lock, NULL);
    atomic_store(&open_now, false);
    out_fd = -1;
}

static void initialise(void)
{
    pthread_key_create(&at_thread_exit, leave_lane);
    pthread_atfork(before_fork, after_fork_parent, after_fork_child);
    sem_init(&wake, 0, 0);
}

/* Give `lane` memory, real blocks of it: a full disk must not become a SIGBUS later. */
static int map_lane(struct lane *lane)
{
    size_t number = (size_t)(lane - lanes);
    uint64_t offset = 2 * RING_PAGE + number * ring_size;
    uint8_t *place = area + number * 2 * ring_size;
    int error = posix_fallocate(ring_fd, (off_t)offset, (off_t)ring_size);
    if (error != 0)
        return error;
    for (int half = 0; half < 2; half++)
        if (mmap(place + (uint64_t)half * ring_size, ring_size, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_FIXED, ring_fd, (off_t)offset) == MAP_FAILED)
            return errno;
    lane->data = place;
    return 0;
}

struct lane *take_lane(void)
{
    struct lane *found = NULL;
    if (!atomic_load(&open_now))
        return NULL;
    pthread_mutex_lock(&lane_lock);
    for (int i = 0; i < MAX_LANES && found == NULL; i++) {
        if (atomic_load(&lanes[i].taken))
            continue;
        if (lanes[i].data == NULL && map_lane(&lanes[i]) != 0)
            break;
        found = &lanes[i];
        found->shared->thread = (uint64_t)syscall(SYS_gettid);
        atomic_store(&found->taken, 1);
    }
    pthread_mutex_unlock(&lane_lock);
    if (found == NULL) {
        atomic_fetch_add(&laneless, 1);
        return NULL;
    }
    own_lane = found;
    pthread_setspecific(at_thread_exit, found);
    return found;
}

void end_runs(void)
{
    atomic_fetch_add(&ring_generation, 1);
    for (int i = 0; i < MAX_LANES; i++)
        atomic_store(&lanes[i].run_end, 0);
}

static void put_dropped(uint8_t *at, uint64_t ns, uint64_t count)
{
    uint64_t words[5] = {RECORD_EVENT, EVENT_DROPPED, ns,
                         (uint64_t)pid << 32 | (DROPPED_LENGTH - 8), count};
    memcpy(at, words, sizeof(words));
}

/* Forget old records, a sixteenth of the lane at a time, so that this is seldom needed. */
static void forget_oldest(struct lane *lane, uint64_t head, uint32_t length)
{
    uint64_t oldest = atomic_load_explicit(&lane->shared->oldest, memory_order_relaxed);
    uint64_t target = head + length + ring_size / 16 - ring_size;
    while (oldest < target && oldest < head)
        oldest += record_length(lane->data + (oldest & (ring_size - 1)));
    atomic_store_explicit(&lane->shared->oldest, oldest, memory_order_seq_cst);
    atomic_store_explicit(&lane->limit, oldest + ring_size, memory_order_relaxed);
}

uint8_t *reserve_slowly(struct lane *lane, uint32_t length, uint64_t now)
{
    struct lane_shared *shared = lane->shared;
    uint64_t head = atomic_load(&shared->head);
    uint32_t needed = length;
    if (atomic_load_explicit(&shared->dropped, memory_order_relaxed) != 0)
        needed += DROPPED_LENGTH;
    if (overwrite)
        forget_oldest(lane, head, needed);
    while (wait_for_room && head + needed > atomic_load(&lane->limit)
           && atomic_load(&open_now) && atomic_load(&last_error) == 0) {
        sem_post(&wake);
        usleep(WAIT_US);
    }
    if (head + needed > atomic_load_explicit(&lane->limit, memory_order_acquire)) {
        if (atomic_load(&shared->dropped) == 0)
            atomic_store(&shared->dropped_ns, now); /* first, as draining may tell it at once */
        atomic_fetch_add(&shared->dropped, 1);
        return NULL;
    }
    uint64_t ns = atomic_load(&shared->dropped_ns);
    uint64_t dropped = atomic_exchange(&shared->dropped, 0);
    if (dropped != 0) {
        put_dropped(lane->data + (head & (ring_size - 1)), ns, dropped);
        atomic_fetch_add(&dropped_total, dropped);
        head += DROPPED_LENGTH;
        atomic_store_explicit(&shared->head, head, memory_order_release);
    }
    return lane->data + (head & (ring_size - 1));
}

void wake_writer(struct lane *lane, uint64_t head)
{
    lane->wake_at = head + ring_size / 4;
    sem_post(&wake);
}

/* ---- draining: everything below is under drain_lock ---- */

/* What was lost at the end of lanes, with no record after it to tell of it. */
struct losses {
    uint64_t count[SOURCES], ns[SOURCES], length;
    uint8_t records[SOURCES * DROPPED_LENGTH]; /* in the order of time: one more source */
};

static void add_loss(struct losses *losses, int source, uint64_t ns, uint64_t count)
{
    losses->count[source] = count;
    losses->ns[source] = ns;
    if (count == 0)
        return;
    uint8_t *at = losses->records + losses->length;
    for (; at > losses->records && word(at - DROPPED_LENGTH + 16) > ns; at -= DROPPED_LENGTH)
        memcpy(at, at - DROPPED_LENGTH, DROPPED_LENGTH);
    put_dropped(at, ns, count);
    losses->length += DROPPED_LENGTH;
}

static void take_losses(struct losses *losses, const uint64_t *head)
{
    losses->length = 0;
    for (int i = 0; i < MAX_LANES; i++) {
        struct lane_shared *shared = lanes[i].shared;
        bool at_end = atomic_load(&shared->head) == head[i];
        uint64_t ns = atomic_load(&shared->dropped_ns);
        add_loss(losses, i, ns, at_end ? atomic_exchange(&shared->dropped, 0) : 0);
    }
    add_loss(losses, LANELESS, trace_now(), atomic_exchange(&laneless, 0));
}

/* They are in the file, or else still to be told. */
static void settle_losses(const struct losses *losses, bool written)
{
    for (int i = 0; i < SOURCES; i++) {
        if (losses->count[i] == 0)
            continue;
        if (written) {
            atomic_fetch_add(&dropped_total, losses->count[i]);
        } else if (i == LANELESS) {
            atomic_fetch_add(&laneless, losses->count[i]);
        } else {
            atomic_store(&lanes[i].shared->dropped_ns, losses->ns[i]);
            atomic_fetch_add(&lanes[i].shared->dropped, losses->count[i]);
        }
    }
}

static int drain(void)
{
    if (out_fd < 0 || overwrite)
        return 0;
    uint64_t head[SOURCES], tail[SOURCES];
    uint8_t *data[SOURCES];
    struct losses losses;
    unsigned current = atomic_load(&header->current);
    const struct ring_state *now = &header->state[current];
    struct ring_state *next = &header->state[!current];
    for (int i = 0; i < MAX_LANES; i++) {
        head[i] = atomic_load_explicit(&lanes[i].shared->head, memory_order_acquire);
        tail[i] = now->tail[i];
        data[i] = lanes[i].data;
    }
    take_losses(&losses, head);
    data[LANELESS] = losses.records;
    tail[LANELESS] = 0;
    head[LANELESS] = losses.length;
    next->file_offset = now->file_offset;
    int error = merge_lanes(out_fd, &next->file_offset, data, tail, head);
    settle_losses(&losses, error == 0);
    if (error != 0) {
        /* Keep whole what is there: cut off what was written of this batch and try again later. */
        if (ftruncate(out_fd, (off_t)now->file_offset) == 0)
            lseek(out_fd, (off_t)now->file_offset, SEEK_SET);
        atomic_store(&last_error, error);
        return error;
    }
    memcpy(next->tail, head, sizeof(next->tail));
    atomic_fetch_add(&bytes_written, next->file_offset - now->file_offset);
    atomic_store(&header->current, !current);
    for (int i = 0; i < MAX_LANES; i++)
        atomic_store_explicit(&lanes[i].limit, head[i] + ring_size, memory_order_release);
    atomic_store(&last_error, 0);
    return 0;
}

int ring_drain(void)
{
    pthread_mutex_lock(&drain_lock);
    int error = atomic_load(&open_now) ? drain() : 0;
    pthread_mutex_unlock(&drain_lock);
    return error;
}

/* Producers go on meanwhile: what they overwrite during the copy is left out. */
static int dump(void)
{
    uint8_t *copy[SOURCES] = {0};
    uint64_t tail[SOURCES] = {0}, head[SOURCES] = {0};
    int error = 0;
    for (int i = 0; i < MAX_LANES && error == 0; i++) {
        struct lane_shared *shared = lanes[i].shared;
        uint64_t oldest, length;
        do {
            oldest = atomic_load(&shared->oldest);
            length = atomic_load(&shared->head) - oldest;
        } while (length > ring_size); /* a lap of the producer's in between */
        if (length == 0)
            continue;
        copy[i] = malloc(length);
        if (copy[i] == NULL) {
            error = ENOMEM;
            break;
        }
        memcpy(copy[i], lanes[i].data + (oldest & (ring_size - 1)), length);
        atomic_thread_fence(memory_order_seq_cst);
        uint64_t lost = atomic_load(&shared->oldest) - oldest;
        tail[i] = lost < length ? lost : length;
        head[i] = length;
    }
    uint64_t start = header->state[atomic_load(&header->current)].file_offset, end = start;
    if (ftruncate(out_fd, (off_t)start) == 0)
        lseek(out_fd, (off_t)start, SEEK_SET);
    if (error == 0)
        error = merge_lanes(out_fd, &end, copy, tail, head);
    for (int i = 0; i < MAX_LANES; i++)
        free(copy[i]);
    atomic_store(&bytes_written, end - start);
    atomic_store(&last_error, error);
    return error;
}

int ring_dump(void)
{
    pthread_mutex_lock(&drain_lock);
    int error = atomic_load(&open_now) && out_fd >= 0 ? dump() : 0;
    pthread_mutex_unlock(&drain_lock);
    return error;
}

static void *write_forever(void *unused)
{
    (void)unused;
    uint64_t pause = FIRST_STEER_NS;
    pthread_setname_np(pthread_self(), "trace-writer");
    for (;;) {
        uint64_t until = kernel_ns() + pause;
        struct timespec deadline = {(time_t)(until / 1000000000u), (long)(until % 1000000000u)};
        while (sem_clockwait(&wake, CLOCK_MONOTONIC, &deadline) != 0 && errno == EINTR)
            ;
        while (sem_trywait(&wake) == 0)
            ; /* several wishes, one drain */
        trace_clock_steer();
        pthread_mutex_lock(&drain_lock);
        bool stop = stop_writer;
        if (!stop)
            drain();
        pthread_mutex_unlock(&drain_lock);
        if (stop)
            return NULL;
        pause = pause * 2 < DRAIN_NS ? pause * 2 : DRAIN_NS; /* the clock's slope gets better */
    }
}

/* ---- opening and closing ---- */

static int map_ring(const char *path, const struct ring_options *options)
{
    ring_fd = path ? open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)
                   : memfd_create("pyemu-ring", MFD_CLOEXEC);
    if (ring_fd < 0)
        return errno;
    ring_size = options->size;
    if (ftruncate(ring_fd, (off_t)(2 * RING_PAGE + MAX_LANES * ring_size)) != 0)
        return errno;
    int error = posix_fallocate(ring_fd, 0, 2 * RING_PAGE);
    if (error != 0)
        return error;
    void *page = mmap(NULL, 2 * RING_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ring_fd, 0);
    if (page == MAP_FAILED)
        return errno;
    header = page;
    end_runs();
    area = mmap(NULL, MAX_LANES * 2 * ring_size, PROT_NONE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (area == MAP_FAILED)
        return errno;
    struct lane_shared *shared = (void *)((uint8_t *)page + RING_PAGE);
    for (int i = 0; i < MAX_LANES; i++) {
        lanes[i].shared = &shared[i];
        lanes[i].data = NULL;
        lanes[i].wake_at = ring_size / 4;
        atomic_store(&lanes[i].limit, ring_size);
        if (atomic_load(&lanes[i].taken)) { /* its thread still holds on to it */
            error = map_lane(&lanes[i]);
            if (error != 0)
                return error;
        }
    }
    return 0;
}

/* Not done at closing: a native producer may be in the middle of its last record. */
static void unmap_ring(void)
{
    if (area != NULL && area != MAP_FAILED)
        munmap(area, MAX_LANES * 2 * ring_size);
    if (header != NULL)
        munmap(header, 2 * RING_PAGE);
    area = NULL;
    header = NULL;
}

static void close_ring_file(void)
{
    if (ring_fd >= 0)
        close(ring_fd);
    ring_fd = -1;
}

int ring_open(int fd, uint64_t offset, const char *path, const struct ring_options *options)
{
    _Static_assert(sizeof(struct ring_header) <= RING_PAGE, "the header is one page");
    _Static_assert(sizeof(struct lane_shared) * MAX_LANES <= RING_PAGE, "so are the lanes");
    pthread_once(&once, initialise);
    if (atomic_load(&open_now))
        return EBUSY;
    unmap_ring();
    int error = map_ring(path, options);
    if (error != 0) {
        close_ring_file();
        unmap_ring();
        return error;
    }
    overwrite = options->overwrite;
    wait_for_room = options->wait && !overwrite;
    pid = (uint32_t)getpid();
    out_fd = fd;
    header->state_offset[0] = (uint64_t)((uint8_t *)&header->state[0] - (uint8_t *)header);
    header->state_offset[1] = (uint64_t)((uint8_t *)&header->state[1] - (uint8_t *)header);
    header->state[0].file_offset = offset;
    header->version = RING_VERSION;
    header->pid = pid;
    header->size = ring_size;
    header->lanes = MAX_LANES;
    header->overwrite = (uint32_t)overwrite;
    header->magic = RING_MAGIC;
    atomic_store(&last_error, 0);
    atomic_store(&bytes_written, 0);
    atomic_store(&dropped_total, 0);
    trace_clock_begin();
    atomic_store(&open_now, true);
    stop_writer = false;
    error = pthread_create(&writer, NULL, write_forever, NULL);
    if (error != 0) {
        atomic_store(&open_now, false);
        close_ring_file();
    }
    return error;
}

int ring_set_file(int fd, uint64_t offset)
{
    pthread_mutex_lock(&drain_lock);
    int error = 0;
    if (atomic_load(&open_now)) {
        error = drain();
        out_fd = fd;
        unsigned current = atomic_load(&header->current);
        header->state[!current] = header->state[current];
        header->state[!current].file_offset = offset;
        atomic_store(&header->current, !current);
    }
    pthread_mutex_unlock(&drain_lock);
    return error;
}

int ring_close(void)
{
    if (!atomic_load(&open_now))
        return 0;
    pthread_mutex_lock(&drain_lock);
    int error = drain();
    stop_writer = true;
    atomic_store(&open_now, false);
    pthread_mutex_unlock(&drain_lock);
    sem_post(&wake);
    pthread_join(writer, NULL);
    out_fd = -1;
    close_ring_file();
    return error;
}

void ring_numbers(struct ring_numbers *numbers)
{
    memset(numbers, 0, sizeof(*numbers));
    pthread_mutex_lock(&drain_lock);
    numbers->open = atomic_load(&open_now);
    numbers->error = atomic_load(&last_error);
    numbers->bytes = atomic_load(&bytes_written);
    numbers->dropped = atomic_load(&dropped_total) + atomic_load(&laneless);
    if (numbers->open) {
        const struct ring_state *state = &header->state[atomic_load(&header->current)];
        for (int i = 0; i < MAX_LANES; i++) {
            numbers->pending += atomic_load(&lanes[i].shared->head) - state->tail[i];
            numbers->dropped += atomic_load(&lanes[i].shared->dropped);
        }
    }
    pthread_mutex_unlock(&drain_lock);
}

uint32_t ring_pid(void)
{
    return pid;
}
