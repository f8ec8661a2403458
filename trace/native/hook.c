/* pyemu.trace._ring.Hook: what `trace_NAME` is. */
#define PY_SSIZE_T_CLEAN
#include "hook.h"
#include "convert.h"
#include "filter.h"
#include "lanes.h"

#include <structmember.h>

static struct hook *all_hooks;
static int recording;

static int deliver_python(const struct hook *hook, uint8_t flags, PyObject *const *args)
{
    uint64_t values[TRACE_MAX_ARGUMENTS];
    struct text texts[TRACE_MAX_ARGUMENTS];
    PyObject *kept[TRACE_MAX_ARGUMENTS];
    int done = 0, strings = 0, error = 0;
    for (; done < hook->count && !error; done++) {
        if (hook->types[done] == 's') {
            error = convert_string(hook->name, done, args[done], &texts[done], &kept[strings]);
            strings += !error;
        } else {
            error = convert_number(hook->name, done, hook->types[done], args[done], &values[done]);
        }
    }
    if (!error) {
        if (flags == FLAG_RECORD)
            hook_record(hook, values, texts);
        else if (hook_deliver(hook, flags, values, texts) && (flags & FLAG_CALL))
            hook_call_listeners(hook, values, texts, args);
    }
    while (strings-- > 0)
        Py_XDECREF(kept[strings]);
    return error;
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
    if (deliver_python(hook, flags, args) != 0)
        return NULL;
    Py_RETURN_NONE;
}

/* ---- switching ---- */

static int refresh(struct hook *hook)
{
    uint8_t before = hook->head.flags;
    uint8_t flags = (uint8_t)((hook->wanted && recording ? FLAG_RECORD : 0)
                              | (hook->logged ? FLAG_LOG : 0)
                              | (hook->listeners != NULL ? FLAG_CALL : 0));
    hook->head.flags = flags && hook->filter != NULL ? flags | FLAG_FILTER : flags;
    end_runs();
    if (!before == !hook->head.flags || hook->on_toggle == NULL)
        return 0;
    PyObject *result = PyObject_CallOneArg(hook->on_toggle, hook->head.flags ? Py_True : Py_False);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

void hooks_record(int on)
{
    recording = on;
    hooks_pid = ring_pid();
    for (struct hook *hook = all_hooks; hook != NULL; hook = hook->next)
        if (refresh(hook) != 0)
            return;
}

void hooks_after_fork(void)
{
    for (struct hook *hook = all_hooks; hook != NULL; hook = hook->next)
        hook->head.flags = 0;
    end_runs();
    recording = 0;
}

/* ---- the type ---- */

static PyObject *hook_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"name", "id", "types", "format", NULL};
    PyObject *name, *format = NULL;
    unsigned id;
    const char *types;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "UIs|U:Hook", names, &name, &id, &types,
                                     &format))
        return NULL;
    if (PyUnicode_AsUTF8(name) == NULL || (format != NULL && PyUnicode_AsUTF8(format) == NULL))
        return NULL; /* both are in UTF-8 from now on, also for threads without the GIL */
    if (strlen(types) > TRACE_MAX_ARGUMENTS || strspn(types, "?bBhHiIqQPs") != strlen(types)) {
        PyErr_Format(PyExc_ValueError, "Hook: bad argument types '%s'", types);
        return NULL;
    }
    struct hook *self = (struct hook *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->head.call = hook_call;
    self->name = Py_NewRef(name);
    self->format = format != NULL ? Py_NewRef(format) : PyUnicode_FromString("");
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

static PyObject *get_logged(PyObject *self, void *closure)
{
    (void)closure;
    return PyBool_FromLong(((struct hook *)self)->logged);
}

static int set_logged(PyObject *self, PyObject *value, void *closure)
{
    (void)closure;
    int truth = value == NULL ? 0 : PyObject_IsTrue(value);
    if (truth < 0)
        return -1;
    ((struct hook *)self)->logged = (uint8_t)truth;
    return refresh((struct hook *)self);
}

static PyObject *get_filter(PyObject *self, void *closure)
{
    (void)closure;
    PyObject *filter = ((struct hook *)self)->filter;
    return Py_NewRef(filter ? filter : Py_None);
}

/* An old filter is never freed: another thread may be at it, without the GIL. */
static int set_filter(PyObject *self, PyObject *value, void *closure)
{
    (void)closure;
    struct hook *hook = (struct hook *)self;
    if (value != NULL && value != Py_None && !Py_IS_TYPE(value, &FilterType)) {
        PyErr_SetString(PyExc_TypeError, "filter must be a Filter or None");
        return -1;
    }
    hook->filter = value == NULL || value == Py_None ? NULL : Py_NewRef(value);
    return refresh(hook);
}

/* A tuple of callables and (Filter, callable) pairs, nothing else. */
static int are_listeners(PyObject *listeners)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(listeners); i++) {
        PyObject *one = PyTuple_GET_ITEM(listeners, i);
        if (PyTuple_CheckExact(one)) {
            if (PyTuple_GET_SIZE(one) != 2 || !Py_IS_TYPE(PyTuple_GET_ITEM(one, 0), &FilterType))
                return 0;
            one = PyTuple_GET_ITEM(one, 1);
        }
        if (!PyCallable_Check(one))
            return 0;
    }
    return 1;
}

static PyObject *get_listeners(PyObject *self, void *closure)
{
    (void)closure;
    PyObject *listeners = ((struct hook *)self)->listeners;
    return listeners ? Py_NewRef(listeners) : PyTuple_New(0);
}

/* Old listeners are never freed, as old filters. */
static int set_listeners(PyObject *self, PyObject *value, void *closure)
{
    (void)closure;
    struct hook *hook = (struct hook *)self;
    PyObject *listeners = value ? PySequence_Tuple(value) : PyTuple_New(0);
    if (listeners == NULL)
        return -1;
    if (!are_listeners(listeners)) {
        PyErr_SetString(PyExc_TypeError, "listeners are callables or (Filter, callable) pairs");
        Py_DECREF(listeners);
        return -1;
    }
    if (PyTuple_GET_SIZE(listeners) == 0)
        Py_CLEAR(listeners);
    hook->listeners = listeners;
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
    {"format", T_OBJECT, offsetof(struct hook, format), READONLY, "Its printf format."},
    {"id", T_UINT, offsetof(struct hook, id), READONLY, "Its number in trace files."},
    {"on_toggle", T_OBJECT, offsetof(struct hook, on_toggle), 0,
     "Called with True or False when calling the hook begins or ceases to have an effect."},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef hook_getset[] = {
    {"enabled", get_enabled, set_enabled, "Whether the event is switched on.", NULL},
    {"logged", get_logged, set_logged, "Whether the event goes to the text log.", NULL},
    {"filter", get_filter, set_filter, "A Filter that decides on all of that, or None.", NULL},
    {"listeners", get_listeners, set_listeners,
     "Callables that get the event's arguments, or (Filter, callable) pairs.", NULL},
    {"types", get_types, NULL, "One letter an argument (see pyemu.trace.grammar).", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject HookType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "pyemu.trace._ring.Hook",
    .tp_doc = "Hook(name, id, types, format=\"\"): what `trace_NAME` is. Call it to record the "
              "event; it is true while that has an effect.",
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
