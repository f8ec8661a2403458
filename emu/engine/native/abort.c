/* Keeps the process alive where Unicorn aborts it for what a guest has done.
 *
 * A change of rings wants a stack from the task register. Where that names no task, cpu_abort() is
 * called, in the middle of a call gate too, which no hook sees. The chip raises #TS, and so does
 * this. cpu_abort() does nothing but call abort() through the library's jump table: the slot there
 * leads here, and other callers on to the real one.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>

#include "vcpu.h"

#define VECTOR_TSS 10
#define CALLER_SIZE 16 /* bytes of cpu_abort(), at most */

/* The argument is that of cpu_abort(), still in its register. */
static void on_abort(Cpu *cpu)
{
    uintptr_t caller = (uintptr_t)__builtin_return_address(0);
    Vcpu *vcpu = vcpus;
    while (vcpu && vcpu->cpu != cpu)
        vcpu = vcpu->next;
    if (!vcpu || caller - (uintptr_t)vcpu->library.cpu_abort > CALLER_SIZE)
        abort();
    const Segment *tr = &vcpu->env->tr;
    if (tr->flags & SEGMENT_PRESENT && (tr->flags >> 8 & 7) == TSS_AVAILABLE)
        abort(); /* for some other reason */
    /* RIP may be that of the block's start: no matter, since to deliver this takes a stack, too. */
    vcpu->library.raise_exception_error(vcpu->env, VECTOR_TSS, tr->selector & 0xfffc);
}

static void **find_slot(const struct link_map *map, const char *wanted)
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

int abort_install(Vcpu *vcpu)
{
    Dl_info info;
    struct link_map *map;
    if (!dladdr1((void *)vcpu->library.cpu_abort, &info, (void **)&map, RTLD_DL_LINKMAP))
        return vcpu_refuse("dladdr1");
    void **slot = find_slot(map, "abort");
    if (!slot)
        return vcpu_refuse("abort");
    *slot = (void *)on_abort;
    return 0;
}
