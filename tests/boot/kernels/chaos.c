/* Random accesses to all ports and to all memory that is not this kernel's, tables of garbage
 * loaded, and garbage executed, without end. The command line ends in the seed, a decimal number. */
#include "machine.h"

asm(".section .header, \"ax\"\n"
    ".long 0x1badb002, 3, -0x1badb002 - 3\n"
    ".text\n");

enum { RAM_END = 0x2000000, TABLES = 0x400000, TABLES_SIZE = 0x10000 };
enum { ROUNDS = 20000, SPARED = DEBUG_EXIT };

static uint64_t state;

static uint32_t random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state >> 16;
}

static void touch_port(void)
{
    uint16_t port = random();
    if (random() & 1)
        port &= 0x7ff; /* where most are */
    if (port >= SPARED - 3 && port <= SPARED + 3)
        return;
    switch (random() % 6) {
    case 0: inb(port); break;
    case 1: inw(port); break;
    case 2: inl(port); break;
    case 3: outb(port, random()); break;
    case 4: outw(port, random()); break;
    case 5: outl(port, random()); break;
    }
}

static void touch_memory(void)
{
    static const uint32_t windows[] = {0xa0000, 0xc0000, 0xe0000000, 0xfe000000, 0xfec00000,
                                       0xfee00000, 0xfeb00000, 0xff000000};
    uint32_t address = windows[random() % 8] + (random() & (random() & 1 ? 0xfff : 0x1ffff));
    if (random() & 1)
        *(volatile uint32_t *)address = random();
    else
        *(volatile uint32_t *)address;
}

static void string_access(void)
{
    uint16_t port = random() & 0x7ff;
    void *buffer = (void *)(uintptr_t)(TABLES + (random() & 0xffff));
    uint32_t count = random() & 0x3ff;
    if (port >= SPARED - 3 && port <= SPARED + 3)
        return;
    if (random() & 1)
        asm volatile("rep insw" : "+D"(buffer), "+c"(count) : "d"(port) : "memory");
    else
        asm volatile("rep outsw" : "+S"(buffer), "+c"(count) : "d"(port) : "memory");
}

/* Paging, descriptors and interrupts from garbage: nothing comes back from here but a reset. */
static void garbage_tables(void)
{
    struct { uint16_t limit; uint32_t base; } __attribute__((packed)) table = {0xffff, TABLES};
    uint32_t *entries = (void *)TABLES, control;
    for (uint32_t n = 0; n < TABLES_SIZE / 4; n++)
        entries[n] = random() & 1 ? random() : random() & (RAM_END - 1);
    for (uint32_t n = 0; n < 64; n++) /* code that runs on for a while */
        if (random() & 3)
            entries[n] = n << 22 | 0x87 | (random() & 0x60);
    asm volatile("lidt %0" : : "m"(table));
    if (random() & 1)
        asm volatile("lgdt %0" : : "m"(table));
    asm volatile("mov %0, %%cr3" : : "r"(TABLES + (random() & 1) * 0x1000));
    asm volatile("mov %%cr4, %0" : "=r"(control));
    asm volatile("mov %0, %%cr4" : : "r"(control | (random() & 0x7ff)));
    asm volatile("mov %%cr0, %0" : "=r"(control));
    asm volatile("mov %0, %%cr0" : : "r"(control | (random() & 1 ? 0x80000001 : 1)));
    asm volatile("sti; mov %0, %%ds; int $0x30; jmp *%1" : :
                 "r"((uint16_t)random()), "r"(TABLES + (random() & 0xfff0)));
}

void run(uint32_t magic, uint32_t information)
{
    (void)magic;
    const char *line = (void *)(uintptr_t)((uint32_t *)(uintptr_t)information)[4];
    uint64_t counter;
    for (; *line; line++)
        state = *line >= '0' && *line <= '9' ? state * 10 + *line - '0' : 0;
    asm volatile("rdtsc" : "=A"(counter)); /* each boot after a reset does something else */
    state = (((state + 1) * 0x9e3779b97f4a7c15) ^ counter << 8) | 1;
    print("chaos\n");
    for (uint32_t n = 0; n < ROUNDS; n++) {
        switch (random() & 15) {
        case 0: string_access(); break;
        case 1: case 2: case 3: touch_memory(); break;
        default: touch_port(); break;
        }
    }
    garbage_tables();
    for (;;)
        asm volatile("hlt");
}
