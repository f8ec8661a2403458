/* IN and OUT: one lookup and one call from the instruction to the chip.
 *
 * REP INS and REP OUTS move as many items as the device gives or takes in one call: the hook moves
 * all but one itself and leaves count and index as if the instruction had looped so often. A kernel
 * read by firmware through IDE is 8 million IN otherwise, as it is while somebody watches each.
 */
#include "device.h"
#include "tracing.h"

enum { UC_X86_INS_IN = 218, UC_X86_INS_OUT = 500 };

#define PORTS 0x10000

static uint32_t ones(int size)
{
    return size == 4 ? 0xffffffff : (1u << 8 * size) - 1;
}

/* --- string instructions --- */

typedef struct {
    uint8_t *host; /* where the second item lies or goes */
    uint64_t index_mask, index;
    uint64_t items; /* that the instruction would still move within this page, this one included */
    int index_register;
} String;

typedef struct {
    uint8_t opcode;
    int segment;
    bool repeated, address_size_prefix;
} Prefixed;

static Prefixed decode(Vcpu *vcpu)
{
    Env *env = vcpu->env;
    Prefixed found = {.segment = DS};
    for (int i = 0; i < 15; i++) {
        uint8_t byte = vcpu->library.fetch_byte(env, code_address(env, i)) & 0xff;
        switch (byte) {
        case 0xf2: case 0xf3: found.repeated = true; break;
        case 0x67: found.address_size_prefix = true; break;
        case 0x66: break;
        case 0x26: found.segment = ES; break;
        case 0x2e: found.segment = CS; break;
        case 0x36: found.segment = SS; break;
        case 0x3e: found.segment = DS; break;
        case 0x64: found.segment = FS; break;
        case 0x65: found.segment = GS; break;
        default:
            if (!(env->hflags & HF_CS64 && (byte & 0xf0) == 0x40)) { /* not REX */
                found.opcode = byte;
                return found;
            }
        }
    }
    return found;
}

/* Whether somebody is to see each item by itself. */
static bool is_watched(const Vcpu *vcpu, bool input)
{
    int port = input ? EVENT_cpu_in : EVENT_cpu_out;
    int memory = input ? EVENT_guest_mem_write : EVENT_guest_mem_read;
    return vcpu->stepping || vcpu->watchpoint_count || hook_enabled(trace_hooks[port]) ||
           hook_enabled(trace_hooks[memory]);
}

/* Whether the instruction at RIP is a repeated string access to a port that can go on in this page
 * of ordinary memory. */
static bool find_string(Vcpu *vcpu, bool input, int size, String *string)
{
    Env *env = vcpu->env;
    if (env->df < 0 || env->eflags & FLAG_TF || is_watched(vcpu, input))
        return false;
    Prefixed prefixed = decode(vcpu);
    uint8_t opcode = (input ? 0x6c : 0x6e) + (size > 1);
    if (prefixed.opcode != opcode || !prefixed.repeated)
        return false;

    bool code64 = env->hflags & HF_CS64, code32 = env->hflags & HF_CS32;
    if (code64)
        string->index_mask = prefixed.address_size_prefix ? 0xffffffff : ~0ull;
    else
        string->index_mask = code32 != prefixed.address_size_prefix ? 0xffffffff : 0xffff;
    int segment = input ? ES : prefixed.segment;
    uint64_t base = code64 && segment != FS && segment != GS ? 0 : env->segs[segment].base;
    string->index_register = input ? RDI : RSI;
    string->index = env->regs[string->index_register] & string->index_mask;
    uint64_t address = base + string->index;
    if (!code64)
        address = (uint32_t)address;

    /* The instruction has just touched its first item, so the page is in the TLB. */
    int mode = (env->hflags & HF_CPL) == 3                         ? MODE_USER
               : env->hflags & HF_SMAP && !(env->eflags & FLAG_AC) ? MODE_KERNEL_SMAP
                                                                   : MODE_KERNEL;
    const TlbEntry *entry = tlb_fast(env, mode)->table + tlb_index(env, mode, address);
    uint64_t tag = input ? entry->write : entry->read;
    if ((tag & ~TLB_NOTDIRTY) != (address & PAGE_MASK))
        return false;

    uint64_t count = env->regs[RCX] & string->index_mask;
    uint64_t room = (PAGE_SIZE - (address & ~PAGE_MASK)) / size;
    if ((string->index_mask - string->index) / size < room) /* the index wraps before */
        room = (string->index_mask - string->index) / size + 1;
    string->items = count < room ? count : room;
    string->host = (uint8_t *)(address + entry->addend + size);
    return string->items > 1;
}

/* Leave the registers so that the instruction, when it has done its item, has done them all. */
static void advance(Env *env, const String *string, uint64_t items, int size)
{
    uint64_t mask = string->index_mask, keep = mask == 0xffff ? ~mask : 0;
    uint64_t *count = &env->regs[RCX], *index = &env->regs[string->index_register];
    *count = (*count & keep) | ((*count - (items - 1)) & mask);
    *index = (*index & keep) | ((*index + (items - 1) * size) & mask);
}

/* The first item; the others are in memory. -1: the device has no block to give. */
static int64_t read_block(Vcpu *vcpu, Port *port, const String *string, int size)
{
    int64_t first = -1;
    PyObject *limit = PyLong_FromUnsignedLongLong(string->items * size);
    PyObject *result = limit ? PyObject_CallOneArg(port->read_block, limit) : NULL;
    Py_buffer block;
    if (result && PyObject_GetBuffer(result, &block, PyBUF_SIMPLE) == 0) {
        uint64_t items = block.len / size;
        if (items >= 1 && items <= string->items) {
            uint32_t item = 0;
            memcpy(&item, block.buf, size);
            first = item;
            if (items > 1) {
                uint64_t ram = vcpu->library.ram_address(vcpu->uc, string->host);
                memcpy(string->host, (uint8_t *)block.buf + size, (items - 1) * size);
                vcpu->library.invalidate_code(vcpu->uc, ram, ram + (items - 1) * size);
            }
            advance(vcpu->env, string, items, size);
        }
        PyBuffer_Release(&block);
    }
    Py_XDECREF(result);
    Py_XDECREF(limit);
    return first;
}

static bool write_block(Vcpu *vcpu, Port *port, const String *string, int size)
{
    uint64_t taken = 0;
    PyObject *data = PyBytes_FromStringAndSize((char *)string->host - size, string->items * size);
    PyObject *result = data ? PyObject_CallOneArg(port->write_block, data) : NULL;
    if (result)
        taken = PyLong_AsUnsignedLongLongMask(result) / size;
    if (taken >= 1 && taken <= string->items)
        advance(vcpu->env, string, taken, size);
    else
        taken = 0;
    Py_XDECREF(result);
    Py_XDECREF(data);
    return taken;
}

/* --- single accesses --- */

/* Unicorn lets every ring at the ports. Without the right this raises #GP, by siglongjmp. */
static void check_rights(Vcpu *vcpu, uint32_t number, int size)
{
    Library *library = &vcpu->library;
    Env *env = vcpu->env;
    if ((env->hflags & HF_CPL) <= (env->eflags >> 12 & 3) && !(env->eflags & FLAG_VM))
        return;
    (size == 1 ? library->check_io8 : size == 2 ? library->check_io16 : library->check_io32)
        (env, number);
}

static uint32_t read_port(Vcpu *vcpu, uint16_t number, int size)
{
    Port *port = vcpu->ports[number];
    if (!port)
        return ones(size);
    if (size > port->width) {
        int half = size / 2;
        uint32_t low = read_port(vcpu, number, half);
        return low | read_port(vcpu, number + half, half) << 8 * half;
    }
    uint32_t value = ones(size);
    PyObject *result = device_call_read(port->read, number - port->base, size);
    if (result)
        value = (uint32_t)PyLong_AsUnsignedLongMask(result) & ones(size);
    Py_XDECREF(result);
    return value;
}

static void write_port(Vcpu *vcpu, uint16_t number, int size, uint32_t value)
{
    Port *port = vcpu->ports[number];
    if (!port)
        return;
    if (size > port->width) {
        int half = size / 2;
        write_port(vcpu, number, half, value & ones(half));
        write_port(vcpu, number + half, half, value >> 8 * half);
        return;
    }
    Py_XDECREF(device_call_write(port->write, number - port->base, size, value));
}

static char size_letter(int size)
{
    return size == 1 ? 'b' : size == 2 ? 'w' : 'l';
}

static uint32_t on_in(void *uc, uint32_t number, int size, void *user)
{
    Vcpu *vcpu = user;
    Port *port = vcpu->ports[number & 0xffff];
    uint32_t value = ones(size);
    String string;
    (void)uc;

    check_rights(vcpu, number, size);
    if (port) {
        bool block = port->read_block && size <= port->width && find_string(vcpu, true, size, &string);
        vcpu_enter_python(vcpu);
        int64_t first = block ? read_block(vcpu, port, &string, size) : -1;
        if (first < 0 && !PyErr_Occurred())
            first = read_port(vcpu, number, size);
        if (PyErr_Occurred())
            vcpu_fail(vcpu);
        else
            value = (uint32_t)first;
        vcpu_leave_python(vcpu);
    }
    TRACE(cpu_in, number, size_letter(size), value);
    return value;
}

static void on_out(void *uc, uint32_t number, int size, uint32_t value, void *user)
{
    Vcpu *vcpu = user;
    Port *port = vcpu->ports[number & 0xffff];
    String string;
    (void)uc;

    check_rights(vcpu, number, size);
    TRACE(cpu_out, number, size_letter(size), value);
    if (port) {
        bool block = port->write_block && size <= port->width && find_string(vcpu, false, size, &string);
        vcpu_enter_python(vcpu);
        if (!(block && write_block(vcpu, port, &string, size)) && !PyErr_Occurred())
            write_port(vcpu, number, size, value & ones(size));
        if (PyErr_Occurred())
            vcpu_fail(vcpu);
        vcpu_leave_python(vcpu);
    }
}

/* --- the table --- */

static void release(Port *port)
{
    if (port && --port->references == 0) {
        Py_XDECREF(port->read);
        Py_XDECREF(port->write);
        Py_XDECREF(port->read_block);
        Py_XDECREF(port->write_block);
        PyMem_Free(port);
    }
}

static PyObject *optional(PyObject *device, const char *name)
{
    PyObject *method = PyObject_GetAttrString(device, name);
    if (!method && PyErr_ExceptionMatches(PyExc_AttributeError))
        PyErr_Clear();
    return method;
}

PyObject *io_map_ports(Vcpu *vcpu, PyObject *args)
{
    int base, count, width;
    PyObject *device;
    if (!PyArg_ParseTuple(args, "iiiO", &base, &count, &width, &device))
        return NULL;
    if (base < 0 || count < 1 || base + count > PORTS) {
        PyErr_SetString(PyExc_ValueError, "beyond the last port");
        return NULL;
    }
    Port *port = PyMem_Calloc(1, sizeof *port);
    if (!port)
        return PyErr_NoMemory();
    port->base = base;
    port->width = width;
    port->references = 1;
    port->read = PyObject_GetAttrString(device, "read");
    port->write = port->read ? PyObject_GetAttrString(device, "write") : NULL;
    if (port->write) {
        port->read_block = optional(device, "read_block");
        port->write_block = optional(device, "write_block");
    }
    if (PyErr_Occurred()) {
        release(port);
        return NULL;
    }
    for (int i = base; i < base + count; i++) {
        release(vcpu->ports[i]);
        vcpu->ports[i] = port;
        port->references++;
    }
    release(port);
    Py_RETURN_NONE;
}

PyObject *io_unmap_ports(Vcpu *vcpu, PyObject *args)
{
    int base, count;
    if (!PyArg_ParseTuple(args, "ii", &base, &count))
        return NULL;
    for (int i = base; i < base + count && i < PORTS; i++) {
        release(vcpu->ports[i & (PORTS - 1)]);
        vcpu->ports[i & (PORTS - 1)] = NULL;
    }
    Py_RETURN_NONE;
}

int io_install(Vcpu *vcpu)
{
    vcpu->ports = PyMem_Calloc(PORTS, sizeof *vcpu->ports);
    if (!vcpu->ports) {
        PyErr_NoMemory();
        return -1;
    }
    if (HOOK(vcpu, UC_HOOK_INSN, on_in, UC_X86_INS_IN) < 0 ||
        HOOK(vcpu, UC_HOOK_INSN, on_out, UC_X86_INS_OUT) < 0)
        return -1;
    return 0;
}

int io_traverse(Vcpu *vcpu, visitproc visit, void *arg)
{
    for (int i = 0; vcpu->ports && i < PORTS; i++) {
        Port *port = vcpu->ports[i];
        if (port && port->base == i) { /* once for the run of ports */
            Py_VISIT(port->read);
            Py_VISIT(port->write);
            Py_VISIT(port->read_block);
            Py_VISIT(port->write_block);
        }
    }
    return 0;
}

void io_close(Vcpu *vcpu)
{
    for (int i = 0; vcpu->ports && i < PORTS; i++)
        release(vcpu->ports[i]);
    PyMem_Free(vcpu->ports);
    vcpu->ports = NULL;
}
