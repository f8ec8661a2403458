/* See scan.c. */
#ifndef PYEMU_TRACE_SCAN_H
#define PYEMU_TRACE_SCAN_H

#include <Python.h>

#define SCAN_DOC "scan(data, start, end, most) -> (offsets, ids, times, stop)\n\n" \
    "The event records of `data` from byte `start` on, at most so many, as 64-bit words.\n" \
    "`stop` is where the first thing lies that is no whole event record, or was not looked at."

PyObject *py_scan(PyObject *module, PyObject *args);

#endif
