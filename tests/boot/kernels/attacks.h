/* What chaos.c does to each device: programmed as a driver would, but with garbage, above all where
 * the device is to find things in memory. Registers: the sources named in pyemu's machine/. */

enum { RAM_END = 0x2000000, TABLES = 0x400000, TABLES_SIZE = 0x10000 };

static uint64_t state;

static uint32_t random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state >> 16;
}

static uint32_t pick(const uint32_t *list, uint32_t count)
{
    return list[random() % count];
}
#define PICK(...) \
    pick((const uint32_t[]){__VA_ARGS__}, sizeof(const uint32_t[]){__VA_ARGS__} / sizeof(uint32_t))

/* An address for DMA: seldom below TABLES, where this kernel is. */
static uint32_t somewhere(void)
{
    uint32_t chance = random() & 255;
    if (chance == 0)
        return random();
    if (chance == 1)
        return PICK(0, 0xa0000, 0xc0000, 0xf0000) + (random() & 0xff);
    if (chance < 16)
        return PICK(RAM_END - 4, RAM_END, 0xfec00000, 0xfee00000, 0xfffffff0, 0xe0000000, 0x80000000) +
               (random() & 0xff);
    return TABLES + (random() & 0x3fffff);
}

static uint32_t some_length(void)
{
    return PICK(0, 1, 2, 16, 511, 512, 4096, 65535, 65536, 0x100000, 0x7fffffff, 0xffffffff,
                random() & 0xffff, random());
}

/* A table of garbage to be found by a device. */
static uint32_t *garbage(void)
{
    uint32_t *words = (void *)(uintptr_t)(TABLES + (random() & 0xf000));
    for (uint32_t n = 0; n < 64; n++)
        words[n] = random() & 1 ? somewhere() : random() & 1 ? some_length() : random();
    return words;
}

/* --- PCI --- */

enum { CONFIG_ADDRESS = 0xcf8, CONFIG_DATA = 0xcfc, VENDOR = 0, COMMAND = 4, BAR0 = 0x10 };
enum { FIRST_NIC = 3 << 3, IDE = 1 << 3 | 1, PM = 1 << 3 | 3 };

static void config_write(uint32_t devfn, uint32_t number, uint32_t value)
{
    outl(CONFIG_ADDRESS, 0x80000000 | devfn << 8 | number);
    outl(CONFIG_DATA, value);
}

static uint32_t config_read(uint32_t devfn, uint32_t number)
{
    outl(CONFIG_ADDRESS, 0x80000000 | devfn << 8 | number);
    return inl(CONFIG_DATA);
}

static void enable(uint32_t devfn, uint32_t bar, uint32_t address)
{
    config_write(devfn, BAR0 + 4 * bar, address);
    config_write(devfn, COMMAND, 7);
}

static uint32_t find_vendor(uint16_t vendor)
{
    for (uint32_t devfn = FIRST_NIC; devfn < FIRST_NIC + 64; devfn += 8)
        if ((config_read(devfn, VENDOR) & 0xffff) == vendor)
            return devfn;
    return 0;
}

/* Base addresses over RAM, ROM, APICs and each other; PAM; interrupt routes. */
static void attack_pci(void)
{
    uint32_t devfn = PICK(0, 1 << 3, IDE, PM, 2 << 3, 3 << 3, 4 << 3, 5 << 3);
    uint32_t number = PICK(COMMAND, 0x10, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x30, 0x3c, 0x40, 0x58, 0x5c,
                           0x60, 0x80, 0x90, 0xd0, random() & 0xfc);
    uint32_t value = PICK(0, 7, 0xffffffff, 0xfffff000, 0x2000000, 0x1000000, 0x8000000, 0xa0000,
                          0xe0000, 0xfec00000, 0xfee00000, 0xfeb00000, 0xe8000000, 0xfffc0000,
                          0xc001, 0x1f1, 0x61, 0xcf9, 0x11111111, 0x33333333, random());
    if (devfn == 0 && number < 0x58)
        return; /* the host bridge has nothing there */
    config_write(devfn, number, value);
}

/* --- who reads and writes memory --- */

static void attack_fw_cfg(void)
{
    uint32_t *request = garbage();
    uint32_t length = some_length();
    if (length > 0x1000000 && random() & 7)
        length &= 0xffff;
    request[0] = __builtin_bswap32((random() & 0x3f) << 16 | (random() & 0x1f));
    request[1] = __builtin_bswap32(length);
    request[2] = random() & 7 ? 0 : random();
    request[3] = __builtin_bswap32(somewhere());
    outl(0x514, random() & 15 ? 0 : random());
    outl(0x518, __builtin_bswap32(random() & 15 ? (uintptr_t)request : somewhere()));
}

static void attack_ide(void)
{
    uint16_t base = random() & 1 ? 0x1f0 : 0x170, bus_master = 0xe000 + (base == 0x170 ? 8 : 0);
    uint32_t *table = garbage();
    enable(IDE, 4, 0xe001);
    for (uint32_t n = 0; n < 64; n += 2) {
        table[n] = somewhere();
        table[n + 1] = PICK(0, 512, 2, 0x80000200, random(), 0xfffe, 0x80000000);
    }
    outb(bus_master, 0);
    outl(bus_master + 4, random() & 7 ? (uintptr_t)table : somewhere());
    outb(bus_master + 2, random());
    outb(base + 6, PICK(0xe0, 0xf0, 0xa0, 0xb0, random()));
    for (uint32_t n = 1; n < 6; n++)
        outb(base + n, random() & 1 ? PICK(0, 1, 8) : random());
    outb(base + 7, PICK(0x20, 0x30, 0x24, 0x34, 0x29, 0x39, 0xc4, 0xc5, 0xc6, 0xc8, 0xca, 0x25, 0x35,
                        0xa0, 0xa1, 0xec, 0xe7, 0xef, 0x06, 0x08, 0x10, 0x90, 0x91, 0xf8, random()));
    outb(bus_master, random() & 9);
    switch (random() & 3) {
    case 0: /* a packet, or data */
        for (uint32_t n = random() & 255; n; n--)
            outw(base, random());
        break;
    case 1:
        for (uint32_t n = random() & 255; n; n--)
            inw(base);
        break;
    case 2:
        outb(base + 0x206, random() & 6);
        break;
    }
    outb(bus_master, random() & 9);
}

static void attack_nic(void)
{
    enum { CTRL = 0, RCTL = 0x100, TCTL = 0x400, RDBAL = 0x2800, TDBAL = 0x3800 };
    uint32_t devfn = find_vendor(0x8086);
    volatile uint32_t *registers = (void *)0xe8000000;
    if (!devfn)
        return;
    enable(devfn, 0, (uintptr_t)registers);
    for (uint32_t ring = RDBAL; ring <= TDBAL; ring += TDBAL - RDBAL) {
        uint32_t *table = garbage();
        for (uint32_t n = 0; n < 64; n += 4) { /* address, then lengths, commands and offloads */
            table[n + 1] = random() & 7 ? 0 : random();
            table[n + 2] = (random() & 0xff30ffff) | (random() & 1 ? 0x100000 : 0);
        }
        registers[ring / 4] = random() & 7 ? (uintptr_t)table : somewhere();
        registers[ring / 4 + 1] = random() & 15 ? 0 : random();
        registers[ring / 4 + 2] = PICK(128, 256, 4096, 0xfff80, random());
        registers[ring / 4 + 4] = random() & 7 ? 0 : random();
        registers[ring / 4 + 6] = random() & 7 ? 15 : random();
    }
    registers[RCTL / 4] = random() | 2;
    registers[TCTL / 4] = random() | 2;
    registers[TDBAL / 4 + 6] = random() & 15;
    for (uint32_t n = 0; n < 8; n++)
        registers[PICK(random() & 0x1ff, random() & 0x7fff)] = random();
}

static void attack_virtio(void)
{
    enum { FEATURES = 4, QUEUE_PAGE = 8, QUEUE = 14, NOTIFY = 16, STATUS = 18, SIZE = 256 };
    const uint16_t base = 0xd000;
    uint32_t devfn = find_vendor(0x1af4);
    uint32_t *descriptor = (void *)TABLES;
    uint16_t *available = (void *)(TABLES + 16 * SIZE);
    if (!devfn)
        return;
    enable(devfn, 0, base | 1);
    for (uint32_t n = 0; n < SIZE; n++, descriptor += 4) {
        descriptor[0] = somewhere();
        descriptor[1] = random() & 15 ? 0 : random();
        descriptor[2] = PICK(1, 16, 16, 512, 512, 4096, some_length());
        descriptor[3] = (random() & 7) | (random() & (SIZE - 1)) << 16;
    }
    for (uint32_t n = 0; n < 8; n++) { /* what a request begins with */
        uint32_t *request = (void *)(uintptr_t)(TABLES + 0x100000 + 16 * n);
        ((uint32_t *)TABLES)[4 * n] = (uintptr_t)request;
        ((uint32_t *)TABLES)[4 * n + 2] = 16;
        request[0] = PICK(0, 1, 4, 8, 11, 13, random());
        request[2] = random() & 0xfff;
        request[3] = random() & 7 ? 0 : random();
    }
    available[1] = PICK(1, 4, 100, SIZE, random());
    for (uint32_t n = 0; n < SIZE; n++)
        available[2 + n] = random() & 15 ? random() & 7 : random();
    outb(base + STATUS, 0);
    outb(base + STATUS, 7);
    outl(base + FEATURES, random());
    outw(base + QUEUE, random() & 7 ? 0 : random());
    outl(base + QUEUE_PAGE, random() & 7 ? TABLES >> 12 : random());
    outw(base + NOTIFY, random() & 7 ? 0 : random());
}

/* The floppy controller and the DMA controllers behind it. */
static void attack_floppy(void)
{
    for (uint32_t n = 0; n < 8; n++)
        outb(PICK(random() & 15, 0x80 + (random() & 15), 0xc0 + (random() & 31)), random());
    outb(0x0b, PICK(0x46, 0x4a, 0x56, 0x42, 0x66, random()));
    outb(0x0a, 2);
    outb(0x3f2, PICK(0x1c, 0x1d, 0x0c, 0, random()));
    outb(0x3f5, PICK(0xe6, 0xc5, 0x4d, 0x4a, 0x07, 0x0f, 0x08, 0x03, 0x13, 0x12, 0x10, random()));
    for (uint32_t n = random() & 15; n; n--)
        outb(0x3f5, random() & 3 ? random() & 3 : random());
    for (uint32_t n = random() & 15; n; n--)
        inb(0x3f5);
}

/* --- screen, time, interrupts, power --- */

static void attack_screen(void)
{
    static const uint16_t indexed[] = {0x3c4, 0x3ce, 0x3d4, 0x3b4};
    for (uint32_t n = 0; n < 4; n++) {
        outw(indexed[n], (random() & 0x1f) | random() << 8);
        outb(0x3c0, random());
        outb(PICK(0x3c2, 0x3c6, 0x3c7, 0x3c8, 0x3c9), random());
        outw(0x1ce, random() & 15);
        outw(0x1d0, PICK(0, 1, 0x41, 640, 480, 8, 15, 24, 32, 0xffff, random()));
    }
    for (uint32_t n = random() & 63; n; n--)
        *(volatile uint16_t *)(uintptr_t)(0xa0000 + (random() & 0x1fffe)) = random();
}

static void attack_time(void)
{
    volatile uint32_t *local = (void *)0xfee00000, *select = (void *)0xfec00000;
    outb(0x43, random());
    outb(0x40 + random() % 3, random() & 1 ? random() & 3 : random());
    outb(0x61, random() & 3);
    outb(0x70, PICK(0, 4, 9, 10, 11, 12, random()) & 0x7f);
    outb(0x71, random());
    local[PICK(0x80, 0xb0, 0xd0, 0xe0, 0xf0, 0x280, 0x310, 0x320, 0x350, 0x360, 0x370) / 4] = random();
    local[0x3e0 / 4] = random();
    local[0x380 / 4] = PICK(0, 1, 2, 1000, 0xffffffff, random());
    if (!(random() & 63))
        local[0x300 / 4] = random();
    *select = random() & 0x3f;
    select[4] = random() | (random() & 15 ? 0x10000 : 0);
}

static void attack_power(void)
{
    config_write(PM, 0x40, 0xb001);
    config_write(PM, 0x80, random() & 1);
    outw(0xb000 + PICK(0, 2, 6, 8, 12, 14, 32, 54), random());
    outb(0xb2, random());
    if (!(random() & 4095))
        outw(0xb004, random()); /* sleep, or switch off */
    config_write(PM, 0x90, 0xb101);
    outb(0xb100 + (random() & 15), random());
}

static void attack_device(void)
{
    static void (*const attacks[])(void) = {
        attack_pci, attack_fw_cfg, attack_ide, attack_nic, attack_virtio, attack_floppy,
        attack_screen, attack_time, attack_power, attack_ide, attack_nic, attack_virtio};
    attacks[random() % (sizeof attacks / sizeof *attacks)]();
}
