/* What small test kernels need of the machine: ports, COM1, an exit status. */
#include <stdarg.h>
#include <stdint.h>

enum { COM1 = 0x3f8, LINE_STATUS = COM1 + 5, EMPTY = 0x20, DEBUG_EXIT = 0xf4 };

#define IN(width, type)                                             \
    static inline type in##width(uint16_t port)                     \
    {                                                               \
        type value;                                                 \
        asm volatile("in %1, %0" : "=a"(value) : "Nd"(port));       \
        return value;                                               \
    }                                                               \
    static inline void out##width(uint16_t port, type value)        \
    {                                                               \
        asm volatile("out %0, %1" : : "a"(value), "Nd"(port));      \
    }
IN(b, uint8_t)
IN(w, uint16_t)
IN(l, uint32_t)

static void put(char c)
{
    while (!(inb(LINE_STATUS) & EMPTY))
        ;
    outb(COM1, c);
}

static void put_hex(uint64_t value)
{
    if (value >> 4)
        put_hex(value >> 4);
    put("0123456789abcdef"[value & 15]);
}

/* %s a string, %x uint32_t, %X uint64_t, both in hexadecimal */
static void print(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    for (; *format; format++) {
        if (*format != '%') {
            put(*format);
            continue;
        }
        switch (*++format) {
        case 's':
            for (const char *text = va_arg(arguments, const char *); *text; text++)
                put(*text);
            break;
        case 'x':
            put_hex(va_arg(arguments, uint32_t));
            break;
        case 'X':
            put_hex(va_arg(arguments, uint64_t));
            break;
        }
    }
    va_end(arguments);
}

static inline _Noreturn void finish(uint32_t status)
{
    outl(DEBUG_EXIT, status);
    for (;;)
        asm volatile("hlt");
}

/* The kernel's first instructions: a stack, and its arguments to `run(eax, ebx)`. */
asm(".globl start\n"
    "start: mov $stack + 0x4000, %esp\n"
    "push %ebx\n"
    "push %eax\n"
    "call run\n"
    ".comm stack, 0x4000, 16\n");
