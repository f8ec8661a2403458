/* The library's procedure linkage table: it calls even its own functions through slots that are
 * data, by which a function of ours can take the place of one of its own. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>

#include "vcpu.h"

static void **find(const struct link_map *map, const char *wanted)
{
    const Elf64_Rela *jumps = NULL;
    const Elf64_Sym *symbols = NULL;
    const char *names = NULL;
    size_t size = 0;
    for (const Elf64_Dyn *entry = map->l_ld; entry->d_tag != DT_NULL; entry++) {
        switch (entry->d_tag) {
        case DT_JMPREL: jumps = (void *)entry->d_un.d_ptr; break;
        case DT_PLTRELSZ: size = entry->d_un.d_val; break;
        case DT_SYMTAB: symbols = (void *)entry->d_un.d_ptr; break;
        case DT_STRTAB: names = (void *)entry->d_un.d_ptr; break;
        }
    }
    for (size_t i = 0; jumps && symbols && names && i < size / sizeof *jumps; i++)
        if (!strcmp(names + symbols[ELF64_R_SYM(jumps[i].r_info)].st_name, wanted))
            return (void **)(map->l_addr + jumps[i].r_offset);
    return NULL;
}

int slot_replace(Vcpu *vcpu, const char *name, void *function)
{
    Dl_info info;
    struct link_map *map;
    if (!dladdr1((void *)vcpu->library.emu_start, &info, (void **)&map, RTLD_DL_LINKMAP))
        return vcpu_refuse("dladdr1");
    void **slot = find(map, name);
    if (!slot)
        return vcpu_refuse(name);
    *slot = function;
    return 0;
}
