/* The part of a device's region that is memory for now: accesses go there and not to the device.
 *
 * Byte n of it lies at (n & ~unit_mask) << spread | (n & unit_mask): a VGA keeps pairs of bytes, a
 * character and its attribute, in words of four. */
#ifndef PYEMU_WINDOW_H
#define PYEMU_WINDOW_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint64_t start, size; /* in the region; 0 bytes: none */
    uint64_t unit_mask;
    unsigned spread;
    Py_buffer buffer;
} Window;

int window_open(Window *window, uint64_t start, uint64_t size, PyObject *buffer, uint64_t unit,
                uint64_t stride); /* -1: raised */
void window_close(Window *window);

static inline bool window_has(const Window *window, uint64_t offset, unsigned size)
{
    uint64_t first = offset - window->start;
    return first < window->size && size <= window->size - first;
}

static inline uint8_t *window_byte(const Window *window, uint64_t offset)
{
    uint64_t n = offset - window->start;
    uint64_t place = (n & ~window->unit_mask) << window->spread | (n & window->unit_mask);
    return (uint8_t *)window->buffer.buf + place;
}

static inline uint64_t window_read(const Window *window, uint64_t offset, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)*window_byte(window, offset + i) << 8 * i;
    return value;
}

static inline void window_write(const Window *window, uint64_t offset, unsigned size,
                                uint64_t value)
{
    for (unsigned i = 0; i < size; i++)
        *window_byte(window, offset + i) = value >> 8 * i;
}

#endif
