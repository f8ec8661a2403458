/* pyemu.trace._ring.Filter: see filter.h. */
#define PY_SSIZE_T_CLEAN
#include "filter.h"

#include <fnmatch.h>
#include <stdatomic.h>
#include <string.h>

#define MAX_DEPTH 32
#define MAX_TEXT 512

struct step {
    uint8_t code;
    uint8_t argument;
    __int128 number;
    char *text;
    uint32_t length;
};

struct filter {
    PyObject_HEAD
    _Atomic uint64_t accepted;
    uint32_t count;
    struct step *steps;
};

static __int128 unary(uint8_t code, __int128 a)
{
    switch (code) {
    case FILTER_NOT: return !a;
    case FILTER_NEGATE: return -a;
    default: return ~a;
    }
}

static __int128 binary(uint8_t code, __int128 a, __int128 b)
{
    switch (code) {
    case FILTER_OR: return a || b;
    case FILTER_AND: return a && b;
    case FILTER_EQ: return a == b;
    case FILTER_NE: return a != b;
    case FILTER_LT: return a < b;
    case FILTER_LE: return a <= b;
    case FILTER_GT: return a > b;
    case FILTER_GE: return a >= b;
    case FILTER_BIT_OR: return a | b;
    case FILTER_BIT_XOR: return a ^ b;
    case FILTER_BIT_AND: return a & b;
    case FILTER_SHIFT_LEFT: return b < 0 || b > 63 ? 0 : (__int128)((unsigned __int128)a << b);
    case FILTER_SHIFT_RIGHT: return b < 0 || b > 127 ? 0 : a >> b;
    case FILTER_ADD: return (__int128)((unsigned __int128)a + (unsigned __int128)b);
    case FILTER_SUBTRACT: return (__int128)((unsigned __int128)a - (unsigned __int128)b);
    case FILTER_MULTIPLY: return (__int128)((unsigned __int128)a * (unsigned __int128)b);
    case FILTER_DIVIDE: return b == 0 || b == -1 ? 0 : a / b;
    default: return b == 0 || b == -1 ? 0 : a % b;
    }
}

static int text_matches(const struct step *step, const struct text *text)
{
    char copy[MAX_TEXT + 1];
    if (step->code == FILTER_EQUAL)
        return text->length == step->length && memcmp(text->bytes, step->text, step->length) == 0;
    memcpy(copy, text->bytes, text->length);
    copy[text->length] = 0;
    return fnmatch(step->text, copy, 0) == 0;
}

static int evaluate(const struct filter *filter, const uint64_t *values, const struct text *texts)
{
    __int128 stack[MAX_DEPTH];
    int top = -1;
    for (uint32_t i = 0; i < filter->count; i++) {
        const struct step *step = &filter->steps[i];
        switch (step->code) {
        case FILTER_NUMBER:
            stack[++top] = step->number;
            break;
        case FILTER_ARGUMENT:
            stack[++top] = (__int128)values[step->argument];
            break;
        case FILTER_SIGNED:
            stack[++top] = (__int128)(int64_t)values[step->argument];
            break;
        case FILTER_COUNT:
            stack[++top] = (__int128)atomic_load_explicit(&filter->accepted, memory_order_relaxed);
            break;
        case FILTER_EQUAL:
        case FILTER_MATCHES:
            stack[++top] = text_matches(step, &texts[step->argument]);
            break;
        case FILTER_NOT:
        case FILTER_NEGATE:
        case FILTER_INVERT:
            stack[top] = unary(step->code, stack[top]);
            break;
        default:
            top--;
            stack[top] = binary(step->code, stack[top], stack[top + 1]);
        }
    }
    return stack[0] != 0;
}

int filter_accepts(PyObject *object, const uint64_t *values, const struct text *texts)
{
    struct filter *filter = (struct filter *)object;
    int yes = evaluate(filter, values, texts);
    if (yes)
        atomic_fetch_add_explicit(&filter->accepted, 1, memory_order_relaxed);
    return yes;
}

int filter_would_accept(PyObject *filter, const uint64_t *values)
{
    return evaluate((struct filter *)filter, values, NULL);
}

/* ---- making one ---- */

/* How a step changes the depth of the stack; -2 for a code there is none of. */
static int depth_change(int code)
{
    if (code < 0 || code >= FILTER_CODES)
        return -2;
    return code <= FILTER_MATCHES ? 1 : code <= FILTER_INVERT ? 0 : -1;
}

static int read_number(PyObject *operand, __int128 *number)
{
    int overflow;
    long long value = PyLong_AsLongLongAndOverflow(operand, &overflow);
    if (value == -1 && PyErr_Occurred())
        return -1;
    if (overflow > 0) {
        unsigned long long large = PyLong_AsUnsignedLongLong(operand);
        if (large == (unsigned long long)-1 && PyErr_Occurred())
            return -1;
        *number = (__int128)large;
        return 0;
    }
    *number = value;
    return overflow ? -1 : 0;
}

static int read_step(PyObject *item, const char *types, struct step *step)
{
    int code;
    PyObject *operand = Py_None;
    const char *text = NULL;
    Py_ssize_t length = 0;
    if (!PyArg_ParseTuple(item, "i|Oy#;Filter: a step is (code, operand, text)", &code, &operand,
                          &text, &length))
        return -1;
    step->code = (uint8_t)code;
    if (depth_change(code) == -2)
        goto bad;
    if (code == FILTER_NUMBER) {
        if (read_number(operand, &step->number) != 0)
            goto bad;
    } else if (code != FILTER_COUNT && code <= FILTER_MATCHES) {
        long argument = PyLong_AsLong(operand);
        if (argument < 0 || (size_t)argument >= strlen(types)
            || (types[argument] == 's') != (code >= FILTER_EQUAL))
            goto bad;
        step->argument = (uint8_t)argument;
    }
    if (code == FILTER_EQUAL || code == FILTER_MATCHES) {
        step->text = PyMem_Malloc((size_t)length + 1);
        if (step->text == NULL || text == NULL)
            goto bad;
        memcpy(step->text, text, (size_t)length);
        step->text[length] = 0;
        step->length = (uint32_t)length;
    }
    return 0;
bad:
    if (!PyErr_Occurred())
        PyErr_SetString(PyExc_ValueError, "Filter: a step that makes no sense");
    return -1;
}

static void filter_free(PyObject *self)
{
    struct filter *filter = (struct filter *)self;
    for (uint32_t i = 0; filter->steps != NULL && i < filter->count; i++)
        PyMem_Free(filter->steps[i].text);
    PyMem_Free(filter->steps);
    Py_TYPE(self)->tp_free(self);
}

static PyObject *filter_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    PyObject *program;
    const char *types;
    if (keywords != NULL && PyDict_GET_SIZE(keywords) != 0) {
        PyErr_SetString(PyExc_TypeError, "Filter takes no keywords");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "Os:Filter", &program, &types))
        return NULL;
    program = PySequence_Fast(program, "Filter: the program is a sequence of steps");
    if (program == NULL)
        return NULL;
    Py_ssize_t count = PySequence_Fast_GET_SIZE(program);
    struct filter *self = (struct filter *)type->tp_alloc(type, 0);
    int depth = 0;
    if (self != NULL)
        self->steps = PyMem_Calloc((size_t)count + 1, sizeof(struct step));
    if (self == NULL || self->steps == NULL)
        goto failed;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *item = PySequence_Fast_GET_ITEM(program, i);
        self->count = (uint32_t)i + 1;
        if (!PyTuple_Check(item)) {
            PyErr_SetString(PyExc_TypeError, "Filter: a step is a tuple");
            goto failed;
        }
        if (read_step(item, types, &self->steps[i]) != 0)
            goto failed;
        int change = depth_change(self->steps[i].code), needed = change < 0 ? 2 : change == 0;
        if (depth < needed || depth + change > MAX_DEPTH) {
            PyErr_SetString(PyExc_ValueError, "Filter: too deep, or too little on the stack");
            goto failed;
        }
        depth += change;
    }
    if (depth != 1) {
        PyErr_SetString(PyExc_ValueError, "Filter: a program leaves one value");
        goto failed;
    }
    Py_DECREF(program);
    return (PyObject *)self;
failed:
    Py_DECREF(program);
    Py_XDECREF(self);
    return NULL;
}

PyTypeObject FilterType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "pyemu.trace._ring.Filter",
    .tp_doc = "Filter(program, types): a condition, made by pyemu.trace.conditions.",
    .tp_basicsize = sizeof(struct filter),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = filter_new,
    .tp_dealloc = filter_free,
};
