/* Random accesses to all ports and to all memory that is not this kernel's, every device programmed
 * with garbage, tables of garbage loaded, and garbage executed, without end. The command line ends in
 * the seed, a decimal number. */
#include "machine.h"

asm(".section .header, \"ax\"\n"
    ".long 0x1badb002, 3, -0x1badb002 - 3\n"
    ".text\n");

#include "attacks.h"

enum { ROUNDS = 6000, SPARED = DEBUG_EXIT };

/* Of the ports that would soon end it all, most accesses are left out. */
static int is_spared(uint16_t port)
{
    if (port >= SPARED - 3 && port <= SPARED + 3)
        return 1;
    return (port == 0x92 || (port >= 0x60 && port <= 0x64) || port == 0xcf9) && random() & 63;
}

static void touch_port(void)
{
    uint16_t port = random();
    if (random() & 1)
        port &= 0x7ff; /* where most are */
    if (is_spared(port))
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
    if (is_spared(port))
        return;
    if (random() & 1)
        asm volatile("rep insw" : "+D"(buffer), "+c"(count) : "d"(port) : "memory");
    else
        asm volatile("rep outsw" : "+S"(buffer), "+c"(count) : "d"(port) : "memory");
}

/* Interrupts are acknowledged, whoever they are from, and NMIs borne. */
asm("interrupted: push %eax\n"
    "mov $0x20, %al\n"
    "out %al, $0x20\n"
    "out %al, $0xa0\n"
    "movl $0, 0xfee000b0\n"
    "pop %eax\n"
    "iret\n");

static void prepare(void)
{
    extern void interrupted(void);
    static const uint64_t segments[] = {0, 0x00cf9b000000ffff, 0x00cf93000000ffff};
    static uint64_t gates[256];
    struct { uint16_t limit; uint32_t base; } __attribute__((packed))
        descriptors = {sizeof segments - 1, (uintptr_t)segments},
        interrupts = {sizeof gates - 1, (uintptr_t)gates};
    uint64_t address = (uintptr_t)interrupted;
    for (uint32_t n = 0; n < 256; n++)
        gates[n] = (address & 0xffff) | 0x00008e0000080000 | address >> 16 << 48;
    asm volatile("lgdt %0; lidt %1" : : "m"(descriptors), "m"(interrupts));
    asm volatile("ljmp $8, $1f; 1: mov %0, %%ds; mov %0, %%es; mov %0, %%ss" : : "r"(16));
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
    if (!(random() & 3)) /* long mode, if PAE and paging are on next */
        asm volatile("wrmsr" : : "c"(0xc0000080), "a"(random() | 0x100), "d"(0));
    asm volatile("mov %%cr0, %0" : "=r"(control));
    asm volatile("mov %0, %%cr0" : : "r"(control | (random() & 1 ? 0x80000001 : 1)));
    asm volatile("sti; mov %0, %%ds; int $0x30; jmp *%1" : :
                 "r"((uint16_t)random()), "r"(TABLES + (random() & 0xfff0)));
}

/* Each boot after a reset does something else: they are counted in a byte of the CMOS memory, of which
 * nobody else makes use. */
static uint8_t count_boots(void)
{
    outb(0x70, 0x5c);
    uint8_t count = inb(0x71);
    outb(0x71, count + 1);
    return count;
}

void run(uint32_t magic, uint32_t information)
{
    (void)magic;
    const char *line = (void *)(uintptr_t)((uint32_t *)(uintptr_t)information)[4];
    for (; *line; line++)
        state = *line >= '0' && *line <= '9' ? state * 10 + *line - '0' : 0;
    uint8_t boots = count_boots();
    state = ((state + 1) * 0x9e3779b97f4a7c15 + boots * 0xd1342543de82ef95) | 1;
    print("chaos %x\n", (uint32_t)boots);
    prepare();
    for (uint32_t n = 0; n < ROUNDS; n++) {
        if (random() & 1)
            asm volatile("sti; nop; cli");
        switch (random() & 15) {
        case 0: string_access(); break;
        case 1: case 2: case 3: touch_memory(); break;
        case 4: case 5: case 6: case 7: attack_device(); break;
        default: touch_port(); break;
        }
    }
    garbage_tables();
    for (;;)
        asm volatile("hlt");
}
