/* Guest-physical memory: mapping it while the guest runs, and the accesses to devices in it. */
#include <inttypes.h>

#include "device.h"
#include "tracing.h"

/* What Unicorn's map functions leave behind, since they take physical addresses for virtual ones:
 * the next page fault would arrive as a double fault. */
FaultState save_fault_state(const Vcpu *vcpu)
{
    return (FaultState){vcpu->cpu->exception_index, vcpu->env->old_exception,
                        vcpu->env->error_code, vcpu->env->cr[2]};
}

void restore_fault_state(Vcpu *vcpu, FaultState state)
{
    vcpu->cpu->exception_index = state.exception_index;
    vcpu->env->old_exception = state.old_exception;
    vcpu->env->error_code = state.error_code;
    vcpu->env->cr[2] = state.cr2;
}

/* Unicorn flushes each page of what it maps and unmaps by itself: of gigabytes, all at once is quicker. */
#define FLUSHED_BY_PAGE (16ull << 20)

static FaultState begin_mapping(Vcpu *vcpu, uint64_t size)
{
    vcpu->keeps_tlb = size > FLUSHED_BY_PAGE;
    return save_fault_state(vcpu);
}

static void end_mapping(Vcpu *vcpu, FaultState state)
{
    restore_fault_state(vcpu, state);
    if (vcpu->keeps_tlb) {
        vcpu->keeps_tlb = false;
        vcpu->library.tlb_flush(vcpu->cpu);
    }
}

size_t memory_find(const Vcpu *vcpu, uint64_t address)
{
    size_t low = 0, high = vcpu->region_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (address >= vcpu->regions[middle]->end)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

Region *memory_region_at(const Vcpu *vcpu, uint64_t address)
{
    size_t index = memory_find(vcpu, address);
    if (index == vcpu->region_count || address < vcpu->regions[index]->start)
        return NULL;
    return vcpu->regions[index];
}

static void refresh_mappings(Vcpu *vcpu)
{
    vcpu->last_region = NULL;
    for (size_t i = 0; i < vcpu->region_count; i++)
        vcpu->regions[i]->mapping = vcpu->library.find_mapping(vcpu->uc, vcpu->regions[i]->start);
}

static void free_region(Region *region)
{
    window_close(&region->window);
    if (region->buffer.obj)
        PyBuffer_Release(&region->buffer);
    Py_XDECREF(region->read);
    Py_XDECREF(region->write);
    PyMem_Free(region);
}

static Region *insert(Vcpu *vcpu, uint64_t start, uint64_t size)
{
    size_t index = memory_find(vcpu, start);
    if (size == 0 || (start | size) & ~PAGE_MASK) {
        vcpu_raise(PyExc_ValueError, "%#" PRIx64 " bytes at %#" PRIx64 " are not whole pages", size,
                   start);
        return NULL;
    }
    if (index < vcpu->region_count && vcpu->regions[index]->start < start + size) {
        vcpu_raise(PyExc_ValueError, "memory at %#" PRIx64 " is already mapped", start);
        return NULL;
    }
    Region **regions = PyMem_Realloc(vcpu->regions, (vcpu->region_count + 1) * sizeof *regions);
    Region *region = regions ? PyMem_Calloc(1, sizeof *region) : NULL;
    if (regions)
        vcpu->regions = regions;
    if (!region) {
        PyErr_NoMemory();
        return NULL;
    }
    memmove(regions + index + 1, regions + index, (vcpu->region_count - index) * sizeof *regions);
    regions[index] = region;
    vcpu->region_count++;
    region->start = start;
    region->end = start + size;
    region->vcpu = vcpu;
    return region;
}

static void discard(Vcpu *vcpu, Region *region)
{
    size_t index = memory_find(vcpu, region->start);
    vcpu->region_count--;
    memmove(vcpu->regions + index, vcpu->regions + index + 1,
            (vcpu->region_count - index) * sizeof *vcpu->regions);
    free_region(region);
}

static PyObject *mapped(Vcpu *vcpu, Region *region, int error)
{
    refresh_mappings(vcpu);
    if (vcpu_check(error, vcpu, "mapping memory") < 0) {
        discard(vcpu, region);
        refresh_mappings(vcpu);
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(map_ram_doc,
"map_ram(address, buffer, writable)\n--\n\n"
"Map a page-aligned writable buffer, as RAM or, if not writable, as ROM.");

static PyObject *map_ram(Vcpu *vcpu, PyObject *args)
{
    unsigned long long address;
    PyObject *buffer;
    int writable;
    if (!PyArg_ParseTuple(args, "KOp", &address, &buffer, &writable))
        return NULL;
    Py_buffer view;
    if (PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE) < 0)
        return NULL;
    Region *region = insert(vcpu, address, view.len);
    if (!region) {
        PyBuffer_Release(&view);
        return NULL;
    }
    region->buffer = view;
    region->host = view.buf;
    region->writable = writable;

    FaultState state = begin_mapping(vcpu, view.len);
    int error = vcpu->library.mem_map_ptr(vcpu->uc, address, view.len, UC_PROT_ALL, view.buf);
    refresh_mappings(vcpu);
    if (!error && !writable) /* mapping without the right would let stores through to the host */
        error = vcpu->library.mem_protect(vcpu->uc, address, view.len, UC_PROT_READ | UC_PROT_EXEC);
    end_mapping(vcpu, state);
    if (!error)
        region->ram_address = vcpu->library.ram_address(vcpu->uc, view.buf);
    return mapped(vcpu, region, error);
}

static uint64_t device_read(void *uc, uint64_t offset, unsigned size, void *user)
{
    const Region *region = user; /* not to be looked at once its device may have unmapped it */
    uint64_t value = region->vcpu->fetching ? ~0ull : 0, address = region->start + offset;
    bool assigned = region->read;
    (void)uc;
    region->vcpu->fetching = false;
    if (window_has(&region->window, offset, size)) {
        value = window_read(&region->window, offset, size);
    } else if (assigned) {
        Vcpu *vcpu = region->vcpu;
        vcpu_enter_python(vcpu);
        PyObject *result = device_call_read(region->read, offset, size);
        if (result) {
            value = PyLong_AsUnsignedLongLongMask(result);
            Py_DECREF(result);
        }
        if (PyErr_Occurred())
            vcpu_fail(vcpu);
        vcpu_leave_python(vcpu);
    }
    if (size < 8)
        value &= (1ull << 8 * size) - 1;
    TRACE(mmio_read, address, size, value);
    if (!assigned)
        TRACE(memory_unassigned, false, address, size);
    return value;
}

static void device_write(void *uc, uint64_t offset, unsigned size, uint64_t value, void *user)
{
    Region *region = user;
    (void)uc;
    TRACE(mmio_write, region->start + offset, size, value);
    if (window_has(&region->window, offset, size)) {
        window_write(&region->window, offset, size, value);
        return;
    }
    if (!region->write) {
        TRACE(memory_unassigned, true, region->start + offset, size);
        return;
    }
    Vcpu *vcpu = region->vcpu;
    vcpu_enter_python(vcpu);
    PyObject *result = device_call_write(region->write, offset, size, value);
    if (!result)
        vcpu_fail(vcpu);
    Py_XDECREF(result);
    vcpu_leave_python(vcpu);
}

PyDoc_STRVAR(map_device_doc,
"map_device(address, size, device)\n--\n\n"
"Let device.read(offset, size) and device.write(offset, size, value) answer; None: nobody, which\n"
"reads as zeros.");

static PyObject *map_device(Vcpu *vcpu, PyObject *args)
{
    unsigned long long address, size;
    PyObject *device;
    if (!PyArg_ParseTuple(args, "KKO", &address, &size, &device))
        return NULL;
    Region *region = insert(vcpu, address, size);
    if (!region)
        return NULL;
    if (device != Py_None) {
        region->read = PyObject_GetAttrString(device, "read");
        region->write = PyObject_GetAttrString(device, "write");
        if (!region->read || !region->write) {
            discard(vcpu, region);
            return NULL;
        }
    }
    FaultState state = begin_mapping(vcpu, size);
    int error = vcpu->library.mmio_map(vcpu->uc, address, size, device_read, region, device_write,
                                       region);
    end_mapping(vcpu, state);
    return mapped(vcpu, region, error);
}

PyDoc_STRVAR(show_doc,
"show(address, start, size, buffer, unit, stride)\n--\n\n"
"Answer for the device at the address, at offsets start to start + size, from a writable buffer:\n"
"runs of `unit` bytes begin `stride` apart there, both powers of two. Size 0: ask the device.");

static PyObject *show(Vcpu *vcpu, PyObject *args)
{
    unsigned long long address, start, size, unit, stride;
    PyObject *buffer;
    if (!PyArg_ParseTuple(args, "KKKOKK", &address, &start, &size, &buffer, &unit, &stride))
        return NULL;
    Region *region = memory_region_at(vcpu, address);
    if (!region || region->start != address || !region->read) {
        vcpu_raise(PyExc_ValueError, "no device begins at %#llx", address);
        return NULL;
    }
    window_close(&region->window);
    if (size && window_open(&region->window, start, size, buffer, unit, stride) < 0)
        return NULL;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(unmap_doc, "unmap(address)\n--\n\nUndo the mapping that begins at the address.");

static PyObject *unmap(Vcpu *vcpu, PyObject *args)
{
    unsigned long long address;
    if (!PyArg_ParseTuple(args, "K", &address))
        return NULL;
    Region *region = memory_region_at(vcpu, address);
    if (!region || region->start != address) {
        vcpu_raise(PyExc_ValueError, "no mapping begins at %#llx", address);
        return NULL;
    }
    uint64_t size = region->end - region->start;
    FaultState state = begin_mapping(vcpu, size);
    if (region->host)
        vcpu->library.invalidate_code(vcpu->uc, region->ram_address, region->ram_address + size);
    vcpu->last_region = NULL;
    int error = vcpu->library.mem_unmap(vcpu->uc, address, size);
    end_mapping(vcpu, state);
    if (vcpu_check(error, vcpu, "unmapping memory") < 0)
        return NULL;
    discard(vcpu, region);
    refresh_mappings(vcpu);
    Py_RETURN_NONE;
}

/* A store to ROM is dropped. */
static bool ignore(void *uc, int type, uint64_t address, int size, int64_t value, void *user)
{
    (void)uc, (void)type, (void)address, (void)size, (void)value, (void)user;
    return true;
}

/* What follows is the read. Where nobody answers it gives FF FF, which is #UD: the guest has lost
 * its way. */
static bool fetch(void *uc, int type, uint64_t address, int size, int64_t value, void *user)
{
    (void)uc, (void)type, (void)address, (void)size, (void)value;
    ((Vcpu *)user)->fetching = true;
    return true;
}

int memory_install(Vcpu *vcpu)
{
    if (HOOK(vcpu, UC_HOOK_MEM_WRITE_PROT, ignore) < 0 ||
        HOOK(vcpu, UC_HOOK_MEM_FETCH_PROT, fetch) < 0)
        return -1;
    return 0;
}

void memory_close(Vcpu *vcpu)
{
    for (size_t i = 0; i < vcpu->region_count; i++)
        free_region(vcpu->regions[i]);
    PyMem_Free(vcpu->regions);
}

PyMethodDef memory_methods[] = {
    {"map_ram", (PyCFunction)map_ram, METH_VARARGS, map_ram_doc},
    {"map_device", (PyCFunction)map_device, METH_VARARGS, map_device_doc},
    {"show", (PyCFunction)show, METH_VARARGS, show_doc},
    {"unmap", (PyCFunction)unmap, METH_VARARGS, unmap_doc},
    {0},
};
