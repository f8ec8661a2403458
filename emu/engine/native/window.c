/* Opening and closing the windows of devices. */
#include "window.h"

static bool is_power_of_two(uint64_t number)
{
    return number && !(number & (number - 1));
}

int window_open(Window *window, uint64_t start, uint64_t size, PyObject *buffer, uint64_t unit,
                uint64_t stride)
{
    if (!is_power_of_two(unit) || !is_power_of_two(stride) || stride < unit) {
        PyErr_Format(PyExc_ValueError, "%llu bytes cannot begin %llu apart", unit, stride);
        return -1;
    }
    Window opened = {start, size, unit - 1, __builtin_ctzll(stride / unit)};
    if (PyObject_GetBuffer(buffer, &opened.buffer, PyBUF_WRITABLE) < 0)
        return -1;
    uint64_t rest = opened.buffer.len % stride;
    uint64_t room = opened.buffer.len / stride * unit + (rest < unit ? rest : unit);
    if (size > room) {
        PyErr_Format(PyExc_ValueError, "%llu bytes are more than the buffer's %llu", size, room);
        PyBuffer_Release(&opened.buffer);
        return -1;
    }
    *window = opened;
    return 0;
}

void window_close(Window *window)
{
    if (window->size)
        PyBuffer_Release(&window->buffer);
    window->size = 0;
}
