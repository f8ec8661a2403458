/* Calls of a device's read() and write(), behind ports and memory alike.
 *
 * The method is held meanwhile: the device may unmap itself.
 */
#ifndef PYEMU_DEVICE_H
#define PYEMU_DEVICE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>

static inline PyObject *device_call_read(PyObject *read, uint64_t offset, unsigned size)
{
    PyObject *arguments[] = {
        Py_NewRef(read), PyLong_FromUnsignedLongLong(offset), PyLong_FromUnsignedLong(size),
    };
    PyObject *result = NULL;
    if (arguments[1] && arguments[2])
        result = PyObject_Vectorcall(read, arguments + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    for (int i = 0; i < 3; i++)
        Py_XDECREF(arguments[i]);
    return result;
}

static inline PyObject *device_call_write(PyObject *write, uint64_t offset, unsigned size,
                                          uint64_t value)
{
    PyObject *arguments[] = {
        Py_NewRef(write), PyLong_FromUnsignedLongLong(offset), PyLong_FromUnsignedLong(size),
        PyLong_FromUnsignedLongLong(value),
    };
    PyObject *result = NULL;
    if (arguments[1] && arguments[2] && arguments[3])
        result = PyObject_Vectorcall(write, arguments + 1, 3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    for (int i = 0; i < 4; i++)
        Py_XDECREF(arguments[i]);
    return result;
}

#endif
