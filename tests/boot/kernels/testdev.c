/* Goes through the windows of pc-testdev and prints what each answers. */
#include "machine.h"

asm(".section .header, \"ax\"\n"
    ".long 0x1badb002, 0, -0x1badb002\n"
    ".text\n");

enum { REGISTER = 0xe0, FLUSH = 0xe4, BYTES = 0xe8, LINES = 0x2000 };
enum { PIC1 = 0x20, PIC2 = 0xa0, READ_IRR = 0x0a };
#define MEMORY 0xff000000

static void show_register(void)
{
    print(" ");
    for (uint32_t n = 0; n < 4; n++)
        print(" %x %x %x,", inb(REGISTER + n), inw(REGISTER + n), inl(REGISTER + n));
    print(" by bytes %x %x %x\n", inb(BYTES + 1), inw(BYTES + 1), inl(BYTES));
}

static void registers(void)
{
    print("register\n");
    show_register();
    outl(REGISTER, 0x11223344);
    show_register();
    outw(REGISTER + 2, 0x5566);
    show_register();
    outb(REGISTER + 1, 0x77);
    show_register();
    outl(BYTES, 0x8899aabb);
    show_register();
    outw(BYTES + 1, 0xccdd);
    show_register();
    outl(FLUSH, 0x1000);
    print("flush %x %x %x\n", inb(FLUSH), inw(FLUSH), inl(FLUSH));
}

static void memory(void)
{
    static const uint32_t offsets[] = {0, 1, 2, 3, 4, 8, 0x100, 0xfff8, 0xfffc};
    *(volatile uint32_t *)(MEMORY + 0) = 0x01234567;
    *(volatile uint16_t *)(MEMORY + 6) = 0x89ab;
    *(volatile uint8_t *)(MEMORY + 0x100) = 0xcd;
    *(volatile uint32_t *)(MEMORY + 0xfffc) = 0xdeadbeef;
    print("memory\n");
    for (uint32_t n = 0; n < sizeof offsets / sizeof *offsets; n++) {
        uintptr_t at = MEMORY + offsets[n];
        print("  %x: %x %x %x\n", offsets[n], *(volatile uint8_t *)at, *(volatile uint16_t *)at,
              *(volatile uint32_t *)at);
    }
}

static void initialize(uint16_t pic, uint8_t vector, uint8_t cascade)
{
    outb(pic, 0x11);
    outb(pic + 1, vector);
    outb(pic + 1, cascade);
    outb(pic + 1, 1);
    outb(pic + 1, 0xff);
    outb(pic, READ_IRR);
}

static void lines(void)
{
    print("lines\n");
    for (uint32_t n = 1; n < 16; n++) { /* 0 is the timer's, and QEMU's PC has no more */
        if (n == 2)
            continue; /* the cascade, which is nobody's here */
        initialize(PIC1, 0x20, 4); /* which forgets the edge of the last one */
        initialize(PIC2, 0x28, 2);
        print("  %x: read %x, lowered %x %x", n, inb(LINES + n), inb(PIC1) & ~1, inb(PIC2));
        outb(LINES + n, 1);
        print(", raised %x %x\n", inb(PIC1) & ~1, inb(PIC2));
        outb(LINES + n, 0);
    }
}

void run(uint32_t magic, uint32_t address)
{
    (void)magic, (void)address;
    registers();
    memory();
    lines();
    finish(0x123);
}
