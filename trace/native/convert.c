/* Arguments of a hook as they are recorded: see convert.h. */
#define PY_SSIZE_T_CLEAN
#include "convert.h"
#include "lanes.h"

static int wrong_argument(PyObject *name, int number, const char *expected, PyObject *found)
{
    PyErr_Format(PyExc_TypeError, "trace_%U: argument %d must be %s, not %s", name, number + 1,
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

int convert_number(PyObject *name, int number, char type, PyObject *object, uint64_t *value)
{
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
        return PyErr_Occurred() ? -1 : wrong_argument(name, number, "an integer", object);
    *value = cast(type, PyLong_AsUnsignedLongLongMask(index));
    Py_DECREF(index);
    return 0;
}

int convert_string(PyObject *name, int number, PyObject *object, struct text *text,
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
        return wrong_argument(name, number, "a string, bytes or None", object);
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
