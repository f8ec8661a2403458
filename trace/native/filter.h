/* Conditions on an event's arguments, evaluated when it is about to be recorded.
 *
 * A filter is a program for a small stack machine, made by pyemu.trace.conditions. Numbers are 128
 * bits wide inside, so that signed and unsigned arguments of 64 bits compare as they should.
 */
#ifndef PYEMU_TRACE_FILTER_H
#define PYEMU_TRACE_FILTER_H

#include <Python.h>
#include <stdint.h>

struct text {
    const char *bytes;
    uint32_t length;
};

enum filter_code {
    FILTER_NUMBER,   /* push the operand */
    FILTER_ARGUMENT, /* push argument number `operand` */
    FILTER_SIGNED,   /* the same, as a signed number */
    FILTER_COUNT,    /* push how often this filter has said yes */
    FILTER_EQUAL,    /* string argument number `operand` is `text` */
    FILTER_MATCHES,  /* ... matches the glob `text` */
    FILTER_NOT, FILTER_NEGATE, FILTER_INVERT,
    FILTER_OR, FILTER_AND, FILTER_EQ, FILTER_NE, FILTER_LT, FILTER_LE, FILTER_GT, FILTER_GE,
    FILTER_BIT_OR, FILTER_BIT_XOR, FILTER_BIT_AND, FILTER_SHIFT_LEFT, FILTER_SHIFT_RIGHT,
    FILTER_ADD, FILTER_SUBTRACT, FILTER_MULTIPLY, FILTER_DIVIDE, FILTER_REMAINDER,
    FILTER_CODES
};

extern PyTypeObject FilterType;

/* Whether the arguments pass. values: by argument number; texts: the strings among the arguments,
 * by argument number too. Any thread, no GIL. */
int filter_accepts(PyObject *filter, const uint64_t *values, const struct text *texts);
/* The same for an event without strings, and without counting a yes. */
int filter_would_accept(PyObject *filter, const uint64_t *values);

#endif
