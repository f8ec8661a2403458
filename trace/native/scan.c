/* scan(): finds the records of a trace, for numpy. Each costs about a nanosecond. */
#define PY_SSIZE_T_CLEAN
#include "scan.h"
#include "lanes.h"

#include <string.h>

#define SHORTEST 24u
#define LONGEST 65536u
#define TYPE_BYTES 8u

static inline uint64_t word(const char *at)
{
    uint64_t value;
    memcpy(&value, at, 8);
    return value;
}

PyObject *py_scan(PyObject *module, PyObject *args)
{
    (void)module;
    Py_buffer data;
    unsigned long long start, end;
    Py_ssize_t most;
    if (!PyArg_ParseTuple(args, "y*KKn:scan", &data, &start, &end, &most))
        return NULL;
    if (end > (uint64_t)data.len)
        end = (uint64_t)data.len;
    if (most < 1)
        most = 1;
    PyObject *columns[3] = {NULL, NULL, NULL}, *result = NULL;
    uint64_t *out[3];
    for (int i = 0; i < 3; i++) {
        columns[i] = PyBytes_FromStringAndSize(NULL, most * 8);
        if (columns[i] == NULL)
            goto done;
        out[i] = (uint64_t *)PyBytes_AS_STRING(columns[i]);
    }
    Py_ssize_t count = 0;
    const char *bytes = data.buf;
    Py_BEGIN_ALLOW_THREADS
    while (count < most && start + RECORD_HEADER <= end) {
        const char *at = bytes + start;
        uint32_t length;
        memcpy(&length, at + 24, 4);
        if (word(at) != RECORD_EVENT || length < SHORTEST || length > LONGEST
            || start + TYPE_BYTES + length > end)
            break;
        out[0][count] = start;
        out[1][count] = word(at + 8);
        out[2][count] = word(at + 16);
        count++;
        start += TYPE_BYTES + length;
    }
    Py_END_ALLOW_THREADS
    for (int i = 0; i < 3; i++)
        if (_PyBytes_Resize(&columns[i], count * 8) != 0)
            goto done;
    result = Py_BuildValue("OOOK", columns[0], columns[1], columns[2], start);
done:
    for (int i = 0; i < 3; i++)
        Py_XDECREF(columns[i]);
    PyBuffer_Release(&data);
    return result;
}
