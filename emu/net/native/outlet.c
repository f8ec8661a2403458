/* Where libslirp leaves the packets that it has for the guest.
 *
 * It calls back for each one, twice: for the time and with the packet. Here that costs no more than
 * making a bytes object. The library is called with the GIL held, so these are.
 * Source: libslirp.h, SlirpCb. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

typedef struct {
    PyObject_HEAD
    long long now;
    PyObject *packets; /* list */
} Outlet;

static Py_ssize_t send_packet(const void *data, size_t length, void *opaque)
{
    Outlet *outlet = opaque;
    PyObject *packet = PyBytes_FromStringAndSize(data, (Py_ssize_t)length);
    if (!packet || PyList_Append(outlet->packets, packet) < 0)
        PyErr_Clear(); /* it is lost, as packets are */
    Py_XDECREF(packet);
    return (Py_ssize_t)length;
}

static int64_t clock_get_ns(void *opaque)
{
    return ((Outlet *)opaque)->now;
}

static PyObject *take(Outlet *outlet, PyObject *unused)
{
    (void)unused;
    PyObject *packets = outlet->packets, *empty = PyList_New(0);
    if (!empty)
        return NULL;
    outlet->packets = empty;
    return packets;
}

static PyObject *new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    (void)args, (void)keywords;
    Outlet *outlet = (Outlet *)type->tp_alloc(type, 0);
    if (outlet && !(outlet->packets = PyList_New(0)))
        Py_CLEAR(outlet);
    return (PyObject *)outlet;
}

static void dealloc(Outlet *outlet)
{
    Py_XDECREF(outlet->packets);
    Py_TYPE(outlet)->tp_free(outlet);
}

static PyMethodDef methods[] = {
    {"take", (PyCFunction)take, METH_NOARGS,
     "take() -> list[bytes]\n--\n\nThe packets that have been left since."},
    {0},
};

static PyMemberDef members[] = {
    {"now", T_LONGLONG, offsetof(Outlet, now), 0, "the time (ns) that the library is told"},
    {0},
};

static PyTypeObject OutletType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "pyemu.net._outlet.Outlet",
    .tp_doc = "The `opaque` of a SlirpCb whose send_packet and clock_get_ns are SEND_PACKET and\n"
              "CLOCK_GET_NS; id() is its address.",
    .tp_basicsize = sizeof(Outlet),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = new,
    .tp_dealloc = (destructor)dealloc,
    .tp_methods = methods,
    .tp_members = members,
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "_outlet", .m_size = -1};

static int add_address(PyObject *module, const char *name, void *function)
{
    PyObject *address = PyLong_FromVoidPtr(function);
    int error = PyModule_AddObjectRef(module, name, address);
    Py_XDECREF(address);
    return error;
}

PyMODINIT_FUNC PyInit__outlet(void);
PyMODINIT_FUNC PyInit__outlet(void)
{
    PyObject *module = PyModule_Create(&definition);
    if (!module || PyModule_AddType(module, &OutletType) < 0 ||
        add_address(module, "SEND_PACKET", (void *)send_packet) < 0 ||
        add_address(module, "CLOCK_GET_NS", (void *)clock_get_ns) < 0)
        return NULL;
    return module;
}
