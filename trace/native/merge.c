/* Lanes become one stream in the order of time, written from where they lie: see merge.h. */
#define _GNU_SOURCE
#include "merge.h"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#define BATCH 512 /* pieces for one writev */

struct batch {
    struct iovec piece[BATCH];
    int count, fd;
    uint64_t written;
};

static int write_all(struct batch *batch)
{
    struct iovec *piece = batch->piece;
    int count = batch->count;
    batch->count = 0;
    while (count > 0) {
        ssize_t done = writev(batch->fd, piece, count);
        if (done < 0) {
            if (errno == EINTR)
                continue;
            return errno;
        }
        batch->written += (uint64_t)done;
        while (count > 0 && (size_t)done >= piece->iov_len) {
            done -= (ssize_t)piece->iov_len;
            piece++;
            count--;
        }
        if (count > 0) {
            piece->iov_base = (uint8_t *)piece->iov_base + done;
            piece->iov_len -= (size_t)done;
        }
    }
    return 0;
}

static int add_piece(struct batch *batch, const void *start, uint64_t length)
{
    if (length == 0)
        return 0;
    batch->piece[batch->count++] = (struct iovec){(void *)start, length};
    return batch->count == BATCH ? write_all(batch) : 0;
}

/* Where in `data` (a lane from `from` to `to`) the first record later than `ns` begins. */
static uint64_t run_until(const uint8_t *data, uint64_t from, uint64_t to, uint64_t ns)
{
    while (from < to && word(data + (from & (ring_size - 1)) + 16) <= ns)
        from += record_length(data + (from & (ring_size - 1)));
    return from;
}

/* Write what is in the lanes from tail to head, in the order of time. */
static int merge(struct batch *batch, uint8_t *const *data, uint64_t *tail, const uint64_t *head)
{
    for (;;) {
        int first = -1;
        uint64_t first_ns = UINT64_MAX, next_ns = UINT64_MAX;
        for (int i = 0; i < SOURCES; i++) {
            if (tail[i] == head[i])
                continue;
            uint64_t ns = word(data[i] + (tail[i] & (ring_size - 1)) + 16);
            if (first < 0 || ns < first_ns) {
                next_ns = first < 0 ? UINT64_MAX : first_ns;
                first_ns = ns;
                first = i;
            } else if (ns < next_ns) {
                next_ns = ns;
            }
        }
        if (first < 0)
            return batch->count ? write_all(batch) : 0;
        uint64_t end = head[first];
        if (next_ns != UINT64_MAX)
            end = run_until(data[first], tail[first], end, next_ns);
        const uint8_t *start = data[first] + (tail[first] & (ring_size - 1));
        int error = add_piece(batch, start, end - tail[first]);
        if (error)
            return error;
        tail[first] = end;
    }
}

int merge_lanes(int fd, uint64_t *offset, uint8_t *const *data, uint64_t *tail,
                const uint64_t *head)
{
    struct batch batch;
    batch.count = 0;
    batch.fd = fd;
    batch.written = 0;
    int error = merge(&batch, data, tail, head);
    *offset += batch.written;
    return error;
}
