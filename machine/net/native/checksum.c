/* The Internet checksum over buffers, and the verdict on those of a frame.
 *
 * Sums are of 16-bit words in the machine's byte order, modulo FFFFh; see checksum.py.
 * Source: RFC 1071; RFC 791, 793, 768 and 8200 (headers). */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

enum { ONES = 0xffff };
enum { IPV4 = 0x0800, IPV6 = 0x86dd, TCP = 6, UDP = 17 };
enum { IPV4_HEADER = 20, IPV6_HEADER = 40, TCP_HEADER = 20, UDP_HEADER = 8 };
enum { FRAGMENT = 0x3fff }; /* more fragments, and the offset */

typedef enum { NONE, WRONG, RIGHT } Verdict;

/* Of 2^32 as of 2^16 remains 1: wide words do as well, and their carries are far above. */
static uint64_t sum(const uint8_t *at, size_t length)
{
    uint64_t value = 0;
    uint32_t word;
    for (; length >= sizeof word; at += sizeof word, length -= sizeof word) {
        memcpy(&word, at, sizeof word);
        value += word;
    }
    word = 0;
    memcpy(&word, at, length);
    return value + word;
}

static unsigned network16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

/* Of `length` bytes of TCP or UDP at `at`, whose IP addresses are at `addresses`. */
static Verdict transport(const uint8_t *at, size_t available, int length, unsigned protocol,
                         const uint8_t *addresses, size_t addresses_length)
{
    int least = protocol == TCP ? TCP_HEADER : UDP_HEADER;
    if ((protocol != TCP && protocol != UDP) || length < least || (size_t)length > available)
        return NONE;
    if (protocol == UDP && network16(at + 6) == 0)
        return NONE; /* the sender has left it out */
    uint8_t rest[4] = {0, (uint8_t)protocol, (uint8_t)(length >> 8), (uint8_t)length};
    uint64_t value = sum(at, (size_t)length) + sum(addresses, addresses_length)
                     + sum(rest, sizeof rest);
    return value % ONES == 0 ? RIGHT : WRONG;
}

static void examine(const uint8_t *frame, size_t size, size_t offset, Verdict *header,
                    Verdict *data)
{
    *header = *data = NONE;
    size_t start = offset + 2;
    if (size < start)
        return;
    const uint8_t *ip = frame + start;
    size_t left = size - start;
    unsigned kind = network16(frame + offset);
    if (kind == IPV4 && left >= IPV4_HEADER && ip[0] >> 4 == 4) {
        size_t length = (ip[0] & 0xfu) * 4;
        if (length < IPV4_HEADER || length > left)
            return;
        *header = sum(ip, length) % ONES == 0 ? RIGHT : WRONG;
        if (!(network16(ip + 6) & FRAGMENT))
            *data = transport(ip + length, left - length, (int)network16(ip + 2) - (int)length,
                              ip[9], ip + 12, 8);
    } else if (kind == IPV6 && left >= IPV6_HEADER) {
        *data = transport(ip + IPV6_HEADER, left - IPV6_HEADER, (int)network16(ip + 4), ip[6],
                          ip + 8, 32);
    }
}

/* --- Python --- */

static PyObject *py_total(PyObject *module, PyObject *data)
{
    (void)module;
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    uint64_t value = sum(view.buf, (size_t)view.len) % ONES;
    PyBuffer_Release(&view);
    return PyLong_FromUnsignedLongLong(value);
}

static PyObject *verdict_object(Verdict verdict)
{
    return verdict == NONE ? Py_None : verdict == RIGHT ? Py_True : Py_False;
}

static PyObject *py_examine(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    (void)module;
    if (count != 2)
        return PyErr_Format(PyExc_TypeError, "examine() takes 2 arguments");
    size_t offset = PyLong_AsSize_t(args[1]);
    Py_buffer view;
    if (PyErr_Occurred() || PyObject_GetBuffer(args[0], &view, PyBUF_SIMPLE) < 0)
        return NULL;
    Verdict header = NONE, data = NONE;
    if (offset <= (size_t)view.len)
        examine(view.buf, (size_t)view.len, offset, &header, &data);
    PyBuffer_Release(&view);
    return PyTuple_Pack(2, verdict_object(header), verdict_object(data));
}

static PyMethodDef methods[] = {
    {"total", py_total, METH_O,
     "total(data): the sum of all words, 0 to FFFEh; an odd byte at the end is padded with 0."},
    {"examine", (PyCFunction)(void (*)(void))py_examine, METH_FASTCALL,
     "examine(frame, offset): verdicts on the checksums of the IPv4 header and of TCP or UDP\n"
     "(over IPv4 or IPv6). offset: of the Ethernet type. None: there is none to check."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_checksum", NULL, 0, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__checksum(void);
PyMODINIT_FUNC PyInit__checksum(void)
{
    return PyModule_Create(&definition);
}
