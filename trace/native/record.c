/* What happens when an event does: the record, the log, the listeners; and native code's way there. */
#define PY_SSIZE_T_CLEAN
#include "hook.h"
#include "clock.h"
#include "lanes.h"
#include "log.h"

#define MAX_GUESSES 16 /* emit_fast reads the clock at least this often */

uint32_t hooks_pid;

/* Within a lane time never goes back: merging the lanes relies on it. */
static inline void read_clock(struct lane *lane)
{
    uint64_t now = trace_now();
    if (now > lane->last_ns)
        lane->last_ns = now;
    lane->guesses = 0;
}

static inline void put_word(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, sizeof(value));
}

static inline uint8_t *put_header(uint8_t *at, const struct hook *hook, uint64_t ns,
                                  uint32_t length)
{
    put_word(at, RECORD_EVENT);
    put_word(at + 8, hook->id);
    put_word(at + 16, ns);
    put_word(at + 24, (uint64_t)hooks_pid << 32 | (length - 8));
    return at + RECORD_HEADER;
}

void hook_record(const struct hook *hook, const uint64_t *values, const struct text *texts)
{
    uint32_t length = RECORD_HEADER;
    for (int i = 0; i < hook->count; i++)
        length += hook->types[i] == 's' ? 4 + texts[i].length : 8;
    struct lane *lane = ring_lane();
    if (lane == NULL)
        return;
    read_clock(lane);
    uint8_t *at = ring_reserve(lane, length, lane->last_ns);
    if (at == NULL)
        return;
    at = put_header(at, hook, lane->last_ns, length);
    for (int i = 0; i < hook->count; i++) {
        if (hook->types[i] == 's') {
            memcpy(at, &texts[i].length, 4);
            memcpy(at + 4, texts[i].bytes, texts[i].length);
            at += 4 + texts[i].length;
        } else {
            put_word(at, values[i]);
            at += 8;
        }
    }
    ring_commit(lane, length);
}

void hook_call_listeners(const struct hook *hook, const uint64_t *values, const struct text *texts,
                         PyObject *const *args)
{
    PyObject *listeners = Py_XNewRef(hook->listeners);
    for (Py_ssize_t i = 0; listeners != NULL && i < PyTuple_GET_SIZE(listeners); i++) {
        PyObject *listener = PyTuple_GET_ITEM(listeners, i);
        if (PyTuple_CheckExact(listener)) {
            if (!filter_accepts(PyTuple_GET_ITEM(listener, 0), values, texts))
                continue;
            listener = PyTuple_GET_ITEM(listener, 1);
        }
        PyObject *result = PyObject_Vectorcall(listener, args, hook->count, NULL);
        if (result == NULL)
            PyErr_WriteUnraisable(listener);
        Py_XDECREF(result);
    }
    Py_XDECREF(listeners);
}

int hook_deliver(const struct hook *hook, uint8_t flags, const uint64_t *values,
                 const struct text *texts)
{
    PyObject *filter = hook->filter;
    if ((flags & FLAG_FILTER) && filter != NULL && !filter_accepts(filter, values, texts))
        return 0;
    if (flags & FLAG_RECORD)
        hook_record(hook, values, texts);
    if (flags & FLAG_LOG)
        log_event(PyUnicode_AsUTF8(hook->name), PyUnicode_AsUTF8(hook->format), hook->types,
                  values, texts);
    return 1;
}

static void call_from_native(const struct hook *hook, const uint64_t *values)
{
    PyGILState_STATE state = PyGILState_Ensure();
    PyObject *args[TRACE_MAX_ARGUMENTS] = {0};
    int count = 0, error = 0;
    for (; count < hook->count && !error; count++) {
        int is_signed = strchr("bhiq", hook->types[count]) != NULL;
        args[count] = is_signed ? PyLong_FromLongLong((long long)values[count])
                                : PyLong_FromUnsignedLongLong(values[count]);
        error = args[count] == NULL;
    }
    if (!error)
        hook_call_listeners(hook, values, NULL, args);
    else
        PyErr_Clear();
    while (count-- > 0)
        Py_XDECREF(args[count]);
    PyGILState_Release(state);
}

/* Whether a listener may want the event: one without a filter, or whose range it is in. The GIL,
 * which is not held, is worth the test. */
static int may_be_wanted(const struct hook *hook, const uint64_t *values)
{
    PyObject *listeners = hook->listeners;
    for (Py_ssize_t i = 0; listeners != NULL && i < PyTuple_GET_SIZE(listeners); i++) {
        PyObject *listener = PyTuple_GET_ITEM(listeners, i);
        if (!PyTuple_CheckExact(listener) || filter_would_accept(PyTuple_GET_ITEM(listener, 0), values))
            return 1;
    }
    return 0;
}

static void emit_slowly(const struct hook *hook, uint8_t flags, const uint64_t *args)
{
    if (hook_deliver(hook, flags, args, NULL) && (flags & FLAG_CALL) && may_be_wanted(hook, args))
        call_from_native(hook, args);
}

static inline void emit_numbers(PyObject *object, unsigned count, const uint64_t *args, int guess)
{
    const struct hook *hook = (const struct hook *)object;
    uint8_t flags = hook->head.flags;
    if (flags == 0 || hook->strings || count != hook->count)
        return;
    if (__builtin_expect(flags != FLAG_RECORD, 0)) {
        emit_slowly(hook, flags, args);
        return;
    }
    struct lane *lane = ring_lane();
    if (lane == NULL)
        return;
    if (!guess || lane->guesses++ >= MAX_GUESSES)
        read_clock(lane);
    uint32_t length = RECORD_HEADER + 8 * count;
    uint8_t *at = ring_reserve(lane, length, lane->last_ns);
    if (at == NULL)
        return;
    at = put_header(at, hook, lane->last_ns, length);
    for (unsigned i = 0; i < count; i++)
        put_word(at + 8 * i, args[i]);
    ring_commit(lane, length);
}

static void emit(PyObject *hook, unsigned count, const uint64_t *args)
{
    emit_numbers(hook, count, args, 0);
}

static void emit_fast(PyObject *hook, unsigned count, const uint64_t *args)
{
    emit_numbers(hook, count, args, 1);
}

/* At most this many records of a run: some microseconds of translated code. */
#define RUN_RECORDS 512

static void start_run(PyObject *object, struct trace_run *run, uint64_t first, uint64_t second)
{
    const uint32_t length = RECORD_HEADER + 16;
    const struct hook *hook = (const struct hook *)object;
    uint32_t generation = atomic_load(&ring_generation);
    struct lane *lane = ring_lane();
    if (hook->head.flags != FLAG_RECORD || hook->strings || hook->count != 2 || lane == NULL) {
        emit(object, 2, (const uint64_t[]){first, second});
        return;
    }
    read_clock(lane);
    uint8_t *at = ring_reserve(lane, length, lane->last_ns);
    if (at == NULL)
        return;
    uint64_t head = atomic_load_explicit(&lane->shared->head, memory_order_relaxed);
    uint64_t room = atomic_load_explicit(&lane->limit, memory_order_acquire) - head;
    uint64_t records = room / length < RUN_RECORDS ? room / length : RUN_RECORDS;
    put_header((uint8_t *)run->header, hook, lane->last_ns, length);
    run->head = &lane->shared->head;
    run->end = &lane->run_end;
    run->base = at - head;
    atomic_store(run->end, head + records * length);
    trace_put_pair(run, first, second);
    if (atomic_load(&ring_generation) != generation) /* an end_runs() may have come too early */
        trace_end_run(run);
    if (head >= lane->wake_at)
        wake_writer(lane, head);
}

static void tick(void)
{
    if (own_lane != NULL)
        own_lane->guesses = MAX_GUESSES;
}

const struct trace_api hook_api = {
    TRACE_API_VERSION, emit, emit_fast, tick, trace_now, start_run,
};
