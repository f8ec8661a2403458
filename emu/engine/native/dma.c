/* Guest-physical memory as devices and debuggers read and write it. */
#include "tracing.h"

static void copy_window(const Window *window, uint64_t offset, uint8_t *data, uint64_t length,
                        bool writing)
{
    for (; length; offset++, data++, length--) {
        if (!window_has(window, offset, 1)) {
            if (!writing)
                *data = 0xff;
        } else if (writing) {
            *window_byte(window, offset) = *data;
        } else {
            *data = *window_byte(window, offset);
        }
    }
}

/* Copy between the buffer and memory. Devices read as ones and ignore writes, but in their windows. */
static void copy(Vcpu *vcpu, uint64_t address, uint8_t *data, uint64_t length, bool writing)
{
    while (length) {
        size_t index = memory_find(vcpu, address);
        Region *region = index < vcpu->region_count ? vcpu->regions[index] : NULL;
        bool inside = region && address >= region->start;
        uint64_t end = !region ? address + length : inside ? region->end : region->start;
        uint64_t part = end - address < length ? end - address : length;
        uint64_t offset = inside ? address - region->start : 0;

        if (inside && region->read) {
            copy_window(&region->window, offset, data, part, writing);
        } else if (writing && inside && region->host && region->writable) {
            memcpy(region->host + offset, data, part);
            vcpu->library.invalidate_code(vcpu->uc, region->ram_address + offset,
                                          region->ram_address + offset + part);
        } else if (!writing) {
            if (inside && region->host)
                memcpy(data, region->host + offset, part);
            else
                memset(data, 0xff, part);
        }
        address += part;
        data += part;
        length -= part;
    }
}

PyDoc_STRVAR(physical_read_doc,
"physical_read(address, length) -> bytes\n--\n\nRead guest-physical memory as DMA does.");

static PyObject *physical_read(Vcpu *vcpu, PyObject *args)
{
    unsigned long long address;
    Py_ssize_t length;
    if (!PyArg_ParseTuple(args, "Kn", &address, &length))
        return NULL;
    TRACE(dma_read, address, length);
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, length);
    if (bytes)
        copy(vcpu, address, (uint8_t *)PyBytes_AS_STRING(bytes), length, false);
    return bytes;
}

PyDoc_STRVAR(physical_write_doc,
"physical_write(address, data)\n--\n\n"
"Write guest-physical memory as DMA does: code translated from it is forgotten.");

static PyObject *physical_write(Vcpu *vcpu, PyObject *args)
{
    unsigned long long address;
    Py_buffer data;
    if (!PyArg_ParseTuple(args, "Ky*", &address, &data))
        return NULL;
    TRACE(dma_write, address, data.len);
    copy(vcpu, address, data.buf, data.len, true);
    PyBuffer_Release(&data);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(translate_doc,
"translate(address) -> int\n--\n\n"
"Guest-physical address of a virtual one, by the current page tables; -1 where there is none.");

static PyObject *translate(Vcpu *vcpu, PyObject *args)
{
    unsigned long long address;
    uint32_t attributes;
    if (!PyArg_ParseTuple(args, "K", &address))
        return NULL;
    uint64_t page = vcpu->library.physical_page(vcpu->cpu, address & PAGE_MASK, &attributes);
    if (page == ~0ull)
        return PyLong_FromLong(-1);
    return PyLong_FromUnsignedLongLong(page | (address & ~PAGE_MASK));
}

PyMethodDef dma_methods[] = {
    {"physical_read", (PyCFunction)physical_read, METH_VARARGS, physical_read_doc},
    {"physical_write", (PyCFunction)physical_write, METH_VARARGS, physical_write_doc},
    {"translate", (PyCFunction)translate, METH_VARARGS, translate_doc},
    {0},
};
