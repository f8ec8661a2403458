/* See log.h. */
#define _GNU_SOURCE
#include "log.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BUFFER (64 * 1024)
#define LINE 8192 /* ten strings of 512 bytes and their names fit */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char buffer[BUFFER];
static size_t used;
static int log_fd = -1, failed;
static bool buffer_lines, stamp_lines, flushing;

static void write_out(void)
{
    size_t done = 0;
    while (done < used && log_fd >= 0) {
        ssize_t count = write(log_fd, buffer + done, used - done);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0) {
            failed = errno;
            break;
        }
        done += (size_t)count;
    }
    used = 0;
}

static void append(const char *bytes, size_t length)
{
    while (length > 0) {
        size_t part = length < BUFFER - used ? length : BUFFER - used;
        memcpy(buffer + used, bytes, part);
        used += part;
        bytes += part;
        length -= part;
        if (used == BUFFER)
            write_out();
    }
    if (!buffer_lines)
        write_out();
}

/* Nothing is older than this before it is written; lives as long as the process. */
static void *flush_forever(void *unused)
{
    const struct timespec pause = {0, 500000000};
    (void)unused;
    for (;;) {
        nanosleep(&pause, NULL);
        pthread_mutex_lock(&lock);
        write_out();
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static void before_fork(void) { pthread_mutex_lock(&lock); }
static void after_fork_parent(void) { pthread_mutex_unlock(&lock); }

/* What is in the buffer is the parent's to write. */
static void after_fork_child(void)
{
    pthread_mutex_init(&lock, NULL);
    used = 0;
    log_fd = -1;
}

static void watch_forks(void)
{
    pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

static void start_flushing(void)
{
    pthread_t thread;
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &detached, flush_forever, NULL) != 0)
        buffer_lines = false;
    pthread_attr_destroy(&detached);
}

void log_open(int fd, int buffered, int stamped)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    pthread_mutex_lock(&lock);
    write_out();
    log_fd = fd;
    buffer_lines = buffered;
    stamp_lines = stamped;
    failed = 0;
    if (buffered && !flushing) {
        flushing = true;
        start_flushing();
    }
    pthread_mutex_unlock(&lock);
}

void log_text(const char *bytes, size_t length)
{
    pthread_mutex_lock(&lock);
    if (log_fd >= 0)
        append(bytes, length);
    pthread_mutex_unlock(&lock);
}

int log_flush(void)
{
    pthread_mutex_lock(&lock);
    write_out();
    int error = failed;
    failed = 0;
    pthread_mutex_unlock(&lock);
    return error;
}

/* ---- printf with arguments from a record ---- */

struct line {
    char text[LINE];
    size_t used;
};

static void put(struct line *line, const char *bytes, size_t length)
{
    if (length > LINE - 1 - line->used)
        length = LINE - 1 - line->used;
    memcpy(line->text + line->used, bytes, length);
    line->used += length;
}

/* What a conversion with that length modifier sees of a value. */
static uint64_t narrow(uint64_t value, const char *length, bool is_signed)
{
    int bits = strncmp(length, "hh", 2) == 0 ? 8 : *length == 'h' ? 16 : *length ? 64 : 32;
    if (bits == 64)
        return value;
    value &= ((uint64_t)1 << bits) - 1;
    if (is_signed && value >> (bits - 1))
        value |= ~(((uint64_t)1 << bits) - 1);
    return value;
}

static void put_string(struct line *line, const struct text *text, bool left, int width,
                       int precision)
{
    size_t length = strnlen(text->bytes, text->length);
    if (precision >= 0 && (size_t)precision < length)
        length = (size_t)precision;
    size_t padding = width > 0 && (size_t)width > length ? (size_t)width - length : 0;
    for (size_t i = 0; !left && i < padding; i++)
        put(line, " ", 1);
    put(line, text->bytes, length);
    for (size_t i = 0; left && i < padding; i++)
        put(line, " ", 1);
}

static int read_number(const char **at, const char *types, const uint64_t *values, int *next)
{
    int number = 0;
    if (**at == '*') {
        ++*at;
        number = *next < (int)strlen(types) ? (int)values[*next] : 0;
        ++*next;
        return number;
    }
    while (**at >= '0' && **at <= '9' && number < LINE)
        number = number * 10 + *(*at)++ - '0';
    return number;
}

/* One conversion; `at` is behind the '%'. Returns what follows it. */
static const char *put_conversion(struct line *line, const char *at, const char *types,
                                  const uint64_t *values, const struct text *texts, int *next)
{
    char spec[64], flags[8] = "", length[4] = "", out[128];
    size_t count = 0;
    int precision = -1;
    while (*at != 0 && strchr("-+ #0'", *at) != NULL) {
        if (count < sizeof(flags) - 1 && strchr(flags, *at) == NULL)
            flags[count++] = *at;
        at++;
    }
    int width = read_number(&at, types, values, next);
    if (*at == '.') {
        at++;
        precision = read_number(&at, types, values, next);
    }
    for (count = 0; *at != 0 && strchr("hljzt", *at) != NULL; at++)
        if (count < sizeof(length) - 1)
            length[count++] = *at;
    int argument = (*next)++;
    if (*at == 0 || argument >= (int)strlen(types))
        return at;
    char letter = *at++;
    if (width > 100)
        width = 100;
    if (precision > 100 && letter != 's')
        precision = 100;
    if (types[argument] == 's') {
        put_string(line, &texts[argument], strchr(flags, '-') != NULL, width, precision);
        return at;
    }
    bool is_signed = letter == 'd' || letter == 'i';
    uint64_t value = narrow(values[argument], length, is_signed);
    int written;
    if (letter == 'p') {
        written = snprintf(out, sizeof(out), values[argument] ? "%#llx" : "(nil)",
                           (unsigned long long)values[argument]);
    } else if (letter == 'c') {
        written = snprintf(out, sizeof(out), "%c", (int)(value & 0xff));
    } else {
        if (precision >= 0)
            snprintf(spec, sizeof(spec), "%%%s%d.%dll%c", flags, width, precision, letter);
        else if (width > 0)
            snprintf(spec, sizeof(spec), "%%%s%dll%c", flags, width, letter);
        else
            snprintf(spec, sizeof(spec), "%%%sll%c", flags, letter);
        written = snprintf(out, sizeof(out), spec, (unsigned long long)value);
    }
    put(line, out, written > 0 ? (size_t)written : 0);
    return at;
}

static void put_stamp(struct line *line)
{
    struct timespec now;
    char out[64];
    clock_gettime(CLOCK_REALTIME, &now);
    int written = snprintf(out, sizeof(out), "%ld@%lld.%06ld:", (long)syscall(SYS_gettid),
                           (long long)now.tv_sec, now.tv_nsec / 1000);
    put(line, out, (size_t)written);
}

void log_event(const char *name, const char *format, const char *types, const uint64_t *values,
               const struct text *texts)
{
    struct line line;
    int next = 0;
    line.used = 0;
    if (stamp_lines)
        put_stamp(&line);
    put(&line, name, strlen(name));
    if (*format != 0)
        put(&line, " ", 1);
    for (const char *at = format; *at != 0;) {
        size_t plain = strcspn(at, "%");
        put(&line, at, plain);
        at += plain;
        if (at[0] == '%' && at[1] == '%') {
            put(&line, "%", 1);
            at += 2;
        } else if (at[0] == '%') {
            at = put_conversion(&line, at + 1, types, values, texts, &next);
        }
    }
    put(&line, "\n", 1);
    log_text(line.text, line.used);
}
