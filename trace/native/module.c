/* pyemu.trace._ring: hooks, and the ring they record into, for pyemu.trace.control. */
#define PY_SSIZE_T_CLEAN
#include "hook.h"
#include "clock.h"
#include "filter.h"
#include "lanes.h"
#include "log.h"
#include "scan.h"

#include <errno.h>
#include <pthread.h>

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
    hooks_record(1);
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
    Py_BEGIN_ALLOW_THREADS
    ring_numbers(&numbers);
    Py_END_ALLOW_THREADS
    hooks_record(truth && numbers.open);
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
    hooks_record(0);
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
    Py_BEGIN_ALLOW_THREADS
    ring_numbers(&numbers); /* waits while a slow file is being written */
    Py_END_ALLOW_THREADS
    return Py_BuildValue("{sKsKsKsisN}", "bytes", (unsigned long long)numbers.bytes, "pending",
                         (unsigned long long)numbers.pending, "dropped",
                         (unsigned long long)numbers.dropped, "error", numbers.error, "open",
                         PyBool_FromLong(numbers.open));
}

PyDoc_STRVAR(log_open_doc, "log_open(fd, buffered, stamped)\n\nSend the text log to `fd`; -1 ends "
             "it. Unbuffered, each line is\nwritten at once. stamped: lines begin with "
             "TID@SECONDS:");

static PyObject *py_log_open(PyObject *module, PyObject *args)
{
    (void)module;
    int fd, buffered, stamped;
    if (!PyArg_ParseTuple(args, "ipp:log_open", &fd, &buffered, &stamped))
        return NULL;
    log_open(fd, buffered, stamped);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(log_doc, "log(text)\n\nAdd text, whole lines, to the log.");

static PyObject *py_log(PyObject *module, PyObject *text)
{
    (void)module;
    Py_ssize_t length;
    const char *bytes = PyUnicode_AsUTF8AndSize(text, &length);
    if (bytes == NULL)
        return NULL;
    log_text(bytes, (size_t)length);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(log_flush_doc, "log_flush()\n\nWrite out what the log has buffered. Raises OSError.");

static PyObject *py_log_flush(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    int error;
    Py_BEGIN_ALLOW_THREADS
    error = log_flush();
    Py_END_ALLOW_THREADS
    return none_or_error(error);
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
    {"log_open", py_log_open, METH_VARARGS, log_open_doc},
    {"log", py_log, METH_O, log_doc},
    {"log_flush", py_log_flush, METH_NOARGS, log_flush_doc},
    {"scan", py_scan, METH_VARARGS, SCAN_DOC},
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

PyMODINIT_FUNC PyInit__ring(void)
{
    if (PyType_Ready(&HookType) < 0 || PyType_Ready(&FilterType) < 0)
        return NULL;
    PyObject *module = PyModule_Create(&definition);
    if (module == NULL)
        return NULL;
    PyObject *capsule = PyCapsule_New((void *)&hook_api, TRACE_CAPSULE, NULL);
    if (PyModule_AddObjectRef(module, "Hook", (PyObject *)&HookType) < 0
        || PyModule_AddObjectRef(module, "Filter", (PyObject *)&FilterType) < 0
        || PyModule_AddObjectRef(module, "_C_API", capsule) < 0) {
        Py_XDECREF(capsule);
        Py_DECREF(module);
        return NULL;
    }
    Py_DECREF(capsule);
    pthread_atfork(NULL, NULL, hooks_after_fork);
    return module;
}
