/* pyemu.trace._ring: the Hook type, which a chip calls, and the ring's Python side. */
#define PY_SSIZE_T_CLEAN
#include "ring.h"
#include "clock.h"
#include "lanes.h"

#include <errno.h>
#include <pthread.h>
#include <structmember.h>

#define FLAG_RECORD 1u /* into the ring */
#define FLAG_CALL 2u   /* to Python listeners */
#define MAX_GUESSES 16 /* emit_fast reads the clock at least this often */

struct hook {
    struct trace_hook_head head;
    uint8_t wanted; /* switched on; recorded while a trace file is open */
    uint8_t count, strings;
    char types[TRACE_MAX_ARGUMENTS + 2];
    uint32_t id;
    PyObject *name;
    PyObject *listeners; /* a tuple of callables, or NULL */
    PyObject *on_toggle; /* a callable, or NULL */
    struct hook *next;   /* all hooks there are */
};

static struct hook *all_hooks;
static int recording;
static uint32_t own_pid;

/* ---- recording ---- */

struct text {
    const char *bytes;
    uint32_t length;
};

static inline void read_clock(struct lane *lane)
{
    lane->last_ns = trace_now();
    lane->guesses = 0;
}

static inline void put_word(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, sizeof(value));
}

static inline uint8_t *put_header(uint8_t *at, const struct hook *hook, uint64_t ns, uint32_t length)
{
    put_word(at, RECORD_EVENT);
    put_word(at + 8, hook->id);
    put_word(at + 16, ns);
    put_word(at + 24, (uint64_t)own_pid << 32 | (length - 8));
    return at + RECORD_HEADER;
}

static inline void emit_numbers(PyObject *object, unsigned count, const uint64_t *args, int guess)
{
    const struct hook *hook = (const struct hook *)object;
    if (!(hook->head.flags & FLAG_RECORD) || hook->strings || count != hook->count)
        return;
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

static void tick(void)
{
    if (own_lane != NULL)
        own_lane->guesses = MAX_GUESSES;
}

static void record(const struct hook *hook, const uint64_t *values, const struct text *texts)
{
    uint32_t length = RECORD_HEADER + 8u * (uint32_t)(hook->count - hook->strings);
    for (int i = 0; i < hook->strings; i++)
        length += 4 + texts[i].length;
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
            memcpy(at, &texts->length, 4);
            memcpy(at + 4, texts->bytes, texts->length);
            at += 4 + texts->length;
            texts++;
        } else {
            put_word(at, values[i]);
            at += 8;
        }
    }
    ring_commit(lane, length);
}

/* ---- arguments ---- */

static int wrong_argument(const struct hook *hook, int number, const char *expected, PyObject *found)
{
    PyErr_Format(PyExc_TypeError, "trace_%U: argument %d must be %s, not %s", hook->name, number + 1,
                 expected, Py_TYPE(found)->tp_name);
    return -1;
}

/* As C would cast: the low bits of the value, extended to 64 bits by the type's sign. */
static inline uint64_t cast(char type, uint64_t value)
{
    switch (type) {
    case 'b': return (uint64_t)(int64_t)(int8_t)value;
    case 'B': return (uint8_t)value;
    case 'h': return (uint64_t)(int64_t)(int16_t)value;
    case 'H': return (uint16_t)value;
    case 'i': return (uint64_t)(int64_t)(int32_t)value;
    case 'I': return (uint32_t)value;
    default: return value;
    }
}

static int convert_number(const struct hook *hook, int number, PyObject *object, uint64_t *value)
{
    char type = hook->types[number];
    if (type == '?') {
        int truth = PyObject_IsTrue(object);
        *value = (uint64_t)truth;
        return truth < 0 ? -1 : 0;
    }
    if (PyLong_Check(object)) {
        *value = cast(type, PyLong_AsUnsignedLongLongMask(object));
        return 0;
    }
    if (type == 'P') {
        *value = object == Py_None ? 0 : (uint64_t)(uintptr_t)object;
        return 0;
    }
    PyObject *index = PyIndex_Check(object) ? PyNumber_Index(object) : NULL;
    if (index == NULL)
        return PyErr_Occurred() ? -1 : wrong_argument(hook, number, "an integer", object);
    *value = cast(type, PyLong_AsUnsignedLongLongMask(index));
    Py_DECREF(index);
    return 0;
}

/* A string's bytes, at most MAX_STRING of them and no half of a UTF-8 sequence. `*kept` is set to
 * an object to release once the bytes have been used, if there is one. */
static int convert_string(const struct hook *hook, int number, PyObject *object, struct text *text,
                          PyObject **kept)
{
    Py_ssize_t length = 0;
    *kept = NULL;
    if (PyUnicode_Check(object)) {
        text->bytes = PyUnicode_AsUTF8AndSize(object, &length);
        if (text->bytes == NULL) { /* lone surrogates: a file name that is not UTF-8 */
            PyErr_Clear();
            *kept = PyUnicode_AsEncodedString(object, "utf-8", "surrogateescape");
            if (*kept == NULL) {
                PyErr_Clear();
                *kept = PyUnicode_AsEncodedString(object, "utf-8", "backslashreplace");
            }
            if (*kept == NULL)
                return -1;
            text->bytes = PyBytes_AS_STRING(*kept);
            length = PyBytes_GET_SIZE(*kept);
        }
    } else if (PyBytes_Check(object)) {
        text->bytes = PyBytes_AS_STRING(object);
        length = PyBytes_GET_SIZE(object);
    } else if (object == Py_None) {
        text->bytes = "";
    } else {
        return wrong_argument(hook, number, "a string, bytes or None", object);
    }
    if (length > MAX_STRING) {
        length = MAX_STRING;
        while (length > 0 && ((unsigned char)text->bytes[length] & 0xc0) == 0x80
               && length > MAX_STRING - 4)
            length--;
    }
    text->length = (uint32_t)length;
    return 0;
}

static int record_python(const struct hook *hook, PyObject *const *args)
{
    uint64_t values[TRACE_MAX_ARGUMENTS];
    struct text texts[TRACE_MAX_ARGUMENTS];
    PyObject *kept[TRACE_MAX_ARGUMENTS];
    int strings = 0, error = 0;
    for (int i = 0; i < hook->count && !error; i++) {
        if (hook->types[i] == 's') {
            error = convert_string(hook, i, args[i], &texts[strings], &kept[strings]);
            strings += !error;
        } else {
            error = convert_number(hook, i, args[i], &values[i]);
        }
    }
    if (!error)
        record(hook, values, texts);
    while (strings-- > 0)
        Py_XDECREF(kept[strings]);
    return error;
}

static int call_listeners(const struct hook *hook, PyObject *const *args, size_t count)
{
    PyObject *listeners = Py_NewRef(hook->listeners);
    int error = 0;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(listeners) && !error; i++) {
        PyObject *result = PyObject_Vectorcall(PyTuple_GET_ITEM(listeners, i), args, count, NULL);
        error = result == NULL;
        Py_XDECREF(result);
    }
    Py_DECREF(listeners);
    return error ? -1 : 0;
}

static PyObject *hook_call(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *keywords)
{
    struct hook *hook = (struct hook *)self;
    size_t count = (size_t)PyVectorcall_NARGS(nargsf);
    if (count != hook->count || (keywords != NULL && PyTuple_GET_SIZE(keywords) != 0)) {
        if (keywords != NULL && PyTuple_GET_SIZE(keywords) != 0)
            PyErr_Format(PyExc_TypeError, "trace_%U: arguments are positional", hook->name);
        else
            PyErr_Format(PyExc_TypeError, "trace_%U takes %d arguments (%zu given)", hook->name,
                         hook->count, count);
        return NULL;
    }
    uint8_t flags = hook->head.flags;
    if (flags == 0)
        Py_RETURN_NONE;
    if ((flags & FLAG_RECORD) && record_python(hook, args) != 0)
        return NULL;
    if ((flags & FLAG_CALL) && hook->listeners != NULL && call_listeners(hook, args, count) != 0)
        return NULL;
    Py_RETURN_NONE;
}

/* ---- switching ---- */

static int refresh(struct hook *hook)
{
    uint8_t before = hook->head.flags;
    hook->head.flags = (uint8_t)((hook->wanted && recording ? FLAG_RECORD : 0)
                                 | (hook->listeners != NULL ? FLAG_CALL : 0));
    if (!before == !hook->head.flags || hook->on_toggle == NULL)
        return 0;
    PyObject *result = PyObject_CallOneArg(hook->on_toggle, hook->head.flags ? Py_True : Py_False);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* An exception of an on_toggle stays set. */
static void set_recording(int on)
{
    recording = on;
    for (struct hook *hook = all_hooks; hook != NULL; hook = hook->next)
        if (refresh(hook) != 0)
            return;
}

static void after_fork_child(void)
{
    for (struct hook *hook = all_hooks; hook != NULL; hook = hook->next)
        hook->head.flags = 0;
    recording = 0;
}

/* ---- the type ---- */

static PyObject *hook_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"name", "id", "types", NULL};
    PyObject *name;
    unsigned id;
    const char *types;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "UIs:Hook", names, &name, &id, &types))
        return NULL;
    if (strlen(types) > TRACE_MAX_ARGUMENTS || strspn(types, "?bBhHiIqQPs") != strlen(types)) {
        PyErr_Format(PyExc_ValueError, "Hook: bad argument types '%s'", types);
        return NULL;
    }
    struct hook *self = (struct hook *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->head.call = hook_call;
    self->name = Py_NewRef(name);
    self->id = id;
    self->count = (uint8_t)strlen(types);
    strcpy(self->types, types);
    for (const char *c = types; *c; c++)
        self->strings += *c == 's';
    self->next = all_hooks;
    all_hooks = self;
    Py_INCREF(self); /* native code holds plain pointers: a hook lives as long as the process */
    return (PyObject *)self;
}

static int hook_bool(PyObject *self)
{
    return ((struct hook *)self)->head.flags != 0;
}

static PyObject *hook_repr(PyObject *self)
{
    struct hook *hook = (struct hook *)self;
    return PyUnicode_FromFormat("<trace event %U, %s>", hook->name, hook->wanted ? "on" : "off");
}

static PyObject *get_enabled(PyObject *self, void *closure)
{
    (void)closure;
    return PyBool_FromLong(((struct hook *)self)->wanted);
}

static int set_enabled(PyObject *self, PyObject *value, void *closure)
{
    (void)closure;
    int truth = value == NULL ? 0 : PyObject_IsTrue(value);
    if (truth < 0)
        return -1;
    ((struct hook *)self)->wanted = (uint8_t)truth;
    return refresh((struct hook *)self);
}

static PyObject *get_listeners(PyObject *self, void *closure)
{
    (void)closure;
    PyObject *listeners = ((struct hook *)self)->listeners;
    return listeners ? Py_NewRef(listeners) : PyTuple_New(0);
}

static int set_listeners(PyObject *self, PyObject *value, void *closure)
{
    (void)closure;
    struct hook *hook = (struct hook *)self;
    PyObject *listeners = value ? PySequence_Tuple(value) : PyTuple_New(0);
    if (listeners == NULL)
        return -1;
    if (PyTuple_GET_SIZE(listeners) == 0)
        Py_CLEAR(listeners);
    Py_XSETREF(hook->listeners, listeners);
    return refresh(hook);
}

static PyObject *get_types(PyObject *self, void *closure)
{
    (void)closure;
    return PyUnicode_FromString(((struct hook *)self)->types);
}

static PyNumberMethods hook_number = {.nb_bool = hook_bool};

static PyMemberDef hook_members[] = {
    {"name", T_OBJECT, offsetof(struct hook, name), READONLY, "The event's name."},
    {"id", T_UINT, offsetof(struct hook, id), READONLY, "Its number in trace files."},
    {"on_toggle", T_OBJECT, offsetof(struct hook, on_toggle), 0,
     "Called with True or False when calling the hook begins or ceases to have an effect."},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef hook_getset[] = {
    {"enabled", get_enabled, set_enabled, "Whether the event is switched on.", NULL},
    {"listeners", get_listeners, set_listeners,
     "Callables that get the arguments of each call made from Python.", NULL},
    {"types", get_types, NULL, "One letter an argument (see pyemu.trace.grammar).", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyTypeObject HookType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "pyemu.trace._ring.Hook",
    .tp_doc = "Hook(name, id, types): what `trace_NAME` is. Call it to record the event; it is true "
              "while that has an effect.",
    .tp_basicsize = sizeof(struct hook),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_vectorcall_offset = offsetof(struct trace_hook_head, call),
    .tp_call = PyVectorcall_Call,
    .tp_new = hook_new,
    .tp_repr = hook_repr,
    .tp_as_number = &hook_number,
    .tp_members = hook_members,
    .tp_getset = hook_getset,
};

/* ---- the ring, for pyemu.trace.control ---- */

static PyObject *os_error(int error)
{
    errno = error;
    return PyErr_SetFromErrno(PyExc_OSError);
}

static PyObject *none_or_error(int error)
{
    if (PyErr_Occurred())
        return NULL;
    if (error != 0)
        return os_error(error);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(open_doc, "open(fd, offset, ring_path, size, overwrite=False, wait=False)\n\n"
"Begin recording to the file behind `fd`, from `offset` bytes on. The ring lies in the file\n"
"`ring_path` (bytes), or in anonymous memory if that is None; `size` bytes, a power of two, for\n"
"each thread. overwrite: keep the newest records, written by dump(). wait: a thread that finds\n"
"no room waits instead of dropping its event. Raises OSError.");

static PyObject *py_open(PyObject *module, PyObject *args, PyObject *keywords)
{
    (void)module;
    static char *names[] = {"fd", "offset", "ring_path", "size", "overwrite", "wait", NULL};
    int fd;
    unsigned long long offset, size;
    const char *path;
    struct ring_options options = {0};
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "iKzK|pp:open", names, &fd, &offset, &path,
                                     &size, &options.overwrite, &options.wait))
        return NULL;
    if (size < 16 * RING_PAGE || (size & (size - 1)) != 0 || size > (1ull << 32)) {
        PyErr_SetString(PyExc_ValueError, "open: size must be a power of two, 64 KiB to 4 GiB");
        return NULL;
    }
    options.size = size;
    int error = ring_open(fd, offset, path, &options);
    if (error != 0)
        return os_error(error);
    own_pid = ring_pid();
    set_recording(1);
    return none_or_error(0);
}

PyDoc_STRVAR(record_doc, "record(on)\n\nSuspend or resume recording; hooks keep their switches.");

static PyObject *py_record(PyObject *module, PyObject *on)
{
    (void)module;
    struct ring_numbers numbers;
    int truth = PyObject_IsTrue(on);
    if (truth < 0)
        return NULL;
    ring_numbers(&numbers);
    set_recording(truth && numbers.open);
    return none_or_error(0);
}

PyDoc_STRVAR(set_file_doc, "set_file(fd, offset)\n\nDrain to the old file, go on in another one.");

static PyObject *py_set_file(PyObject *module, PyObject *args)
{
    (void)module;
    int fd, error;
    unsigned long long offset;
    if (!PyArg_ParseTuple(args, "iK:set_file", &fd, &offset))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    error = ring_set_file(fd, offset);
    Py_END_ALLOW_THREADS
    return none_or_error(error);
}

PyDoc_STRVAR(flush_doc, "flush()\n\nWrite out all that has been recorded. Raises OSError.");

static PyObject *py_flush(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    int error;
    Py_BEGIN_ALLOW_THREADS
    error = ring_drain();
    Py_END_ALLOW_THREADS
    return none_or_error(error);
}

PyDoc_STRVAR(dump_doc, "dump()\n\nWith overwrite: make the ring's records the file's. "
             "Raises OSError.");

static PyObject *py_dump(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    int error;
    Py_BEGIN_ALLOW_THREADS
    error = ring_dump();
    Py_END_ALLOW_THREADS
    return none_or_error(error);
}

PyDoc_STRVAR(close_doc, "close()\n\nStop recording and drain. The ring file can be removed then. "
             "Raises OSError.");

static PyObject *py_close(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    int error;
    set_recording(0);
    Py_BEGIN_ALLOW_THREADS
    error = ring_close();
    Py_END_ALLOW_THREADS
    return none_or_error(error);
}

PyDoc_STRVAR(numbers_doc, "numbers() -> dict\n\nbytes (written), pending (bytes not yet written), "
             "dropped (events), error (errno or 0), open.");

static PyObject *py_numbers(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    struct ring_numbers numbers;
    ring_numbers(&numbers);
    return Py_BuildValue("{sKsKsKsisN}", "bytes", (unsigned long long)numbers.bytes, "pending",
                         (unsigned long long)numbers.pending, "dropped",
                         (unsigned long long)numbers.dropped, "error", numbers.error, "open",
                         PyBool_FromLong(numbers.open));
}

static PyObject *py_now(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    return PyLong_FromUnsignedLongLong(trace_now());
}

static PyMethodDef methods[] = {
    {"open", (PyCFunction)(void (*)(void))py_open, METH_VARARGS | METH_KEYWORDS, open_doc},
    {"record", py_record, METH_O, record_doc},
    {"set_file", py_set_file, METH_VARARGS, set_file_doc},
    {"flush", py_flush, METH_NOARGS, flush_doc},
    {"dump", py_dump, METH_NOARGS, dump_doc},
    {"close", py_close, METH_NOARGS, close_doc},
    {"numbers", py_numbers, METH_NOARGS, numbers_doc},
    {"now", py_now, METH_NOARGS, "now() -> int\n\nThe clock of the records, in nanoseconds."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "pyemu.trace._ring",
    .m_doc = "Hooks and the ring they record into (see trace/native/).",
    .m_size = -1,
    .m_methods = methods,
};

static const struct trace_api api = {TRACE_API_VERSION, emit, emit_fast, tick, trace_now};

PyMODINIT_FUNC PyInit__ring(void)
{
    if (PyType_Ready(&HookType) < 0)
        return NULL;
    PyObject *module = PyModule_Create(&definition);
    if (module == NULL)
        return NULL;
    PyObject *capsule = PyCapsule_New((void *)&api, TRACE_CAPSULE, NULL);
    if (PyModule_AddObjectRef(module, "Hook", (PyObject *)&HookType) < 0
        || PyModule_AddObjectRef(module, "_C_API", capsule) < 0) {
        Py_XDECREF(capsule);
        Py_DECREF(module);
        return NULL;
    }
    Py_DECREF(capsule);
    pthread_atfork(NULL, NULL, after_fork_child);
    return module;
}
