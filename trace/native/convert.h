/* Python objects as arguments of an event. `name` is the event's and `number` the argument's, for
 * messages. -1 with an exception set if the object cannot be one. */
#ifndef PYEMU_TRACE_CONVERT_H
#define PYEMU_TRACE_CONVERT_H

#include "filter.h"

/* type: a letter of pyemu.trace.grammar, but for s. */
int convert_number(PyObject *name, int number, char type, PyObject *object, uint64_t *value);

/* A string's bytes, at most MAX_STRING of them and no half of a UTF-8 sequence. `*kept` becomes
 * NULL, or an object to release once the bytes have been used. */
int convert_string(PyObject *name, int number, PyObject *object, struct text *text,
                   PyObject **kept);

#endif
