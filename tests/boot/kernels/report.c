/* Prints all that a boot loader has told it. With -DFLAT its multiboot header has addresses, as
 * needed without the ELF file; with -DPVH there is a PVH entry instead of that header. */
#include "machine.h"

#define STRING(x) #x
#define VALUE(x) STRING(x)

#if defined PVH
asm(".section .note.Xen, \"a\"\n"
    ".long 4, 4, 18\n" /* XEN_ELFNOTE_PHYS32_ENTRY */
    ".asciz \"Xen\"\n"
    ".long start\n"
    ".text\n");
#else
#ifdef FLAT
#define FLAGS 0x10003
#else
#define FLAGS 0x3
#endif
asm(".section .header, \"ax\"\n"
    "header: .long 0x1badb002, " VALUE(FLAGS) ", -0x1badb002 - " VALUE(FLAGS) "\n"
    ".long header, image, image_end, bss_end, start\n"
    ".text\n");
#endif

struct module { uint32_t start, end, text, reserved; };
struct range { uint32_t size; uint64_t base, length; uint32_t type; } __attribute__((packed));
struct information {
    uint32_t flags, memory_lower, memory_upper, boot_device, command_line, module_count, modules;
    uint32_t symbols[4], map_length, map, drives_length, drives, table, loader_name;
};

struct pvh_start { uint32_t magic, version, flags, module_count; uint64_t modules, command_line, rsdp, map; uint32_t map_entries, reserved; };
struct pvh_module { uint64_t address, size, command_line, reserved; };
struct pvh_range { uint64_t base, length; uint32_t type, reserved; };

static uint32_t sum(const uint8_t *data, const uint8_t *end)
{
    uint32_t sum = 0;
    while (data < end)
        sum = sum * 31 + *data++;
    return sum;
}

static void report_multiboot(const struct information *info)
{
    print("flags %x memory %x %x device %x\n", info->flags, info->memory_lower,
          info->memory_upper, info->boot_device);
    print("line '%s' loader '%s'\n", info->command_line, info->loader_name);
    const struct module *module = (void *)info->modules;
    for (uint32_t n = 0; n < info->module_count; n++, module++)
        print("module %x-%x '%s' sum %x\n", module->start, module->end, module->text,
              sum((void *)module->start, (void *)module->end));
    for (uint32_t at = 0; at < info->map_length;) {
        const struct range *range = (void *)(info->map + at);
        print("range %X+%X type %x\n", range->base, range->length, range->type);
        at += range->size + sizeof range->size;
    }
}

static void report_pvh(const struct pvh_start *info)
{
    print("version %x flags %x line '%s' rsdp %s\n", info->version, info->flags,
          (uint32_t)info->command_line, info->rsdp ? "there" : "missing");
    const struct pvh_module *module = (void *)(uint32_t)info->modules;
    for (uint32_t n = 0; n < info->module_count; n++, module++) {
        const uint8_t *data = (void *)(uint32_t)module->address;
        print("module size %X sum %x\n", module->size, sum(data, data + module->size));
    }
    const struct pvh_range *range = (void *)(uint32_t)info->map;
    for (uint32_t n = 0; n < info->map_entries; n++, range++)
        print("range %X+%X type %x\n", range->base, range->length, range->type);
}

/* The boot loader's magic number and the address of its information; for PVH only the latter. */
void run(uint32_t magic, uint32_t address)
{
    uint32_t multiboot = magic == 0x2badb002;
    print("\nbooted by %s\n", multiboot ? "multiboot" : "PVH");
    if (multiboot)
        report_multiboot((void *)address);
    else
        report_pvh((void *)address);
    finish(multiboot ? 21 : 42);
}
