/* Writes of control registers, which no hook of Unicorn shows.
 *
 * The library calls its own functions for them through its procedure linkage table, whose slots are
 * data: ours point to functions that trace and then call the originals.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <link.h>

#include "tracing.h"

#define CR0_PE 1u
#define CR0_PG 0x80000000u

enum { MODE_REAL, MODE_PROTECTED, MODE_PAGED, MODE_LONG };

static int mode_of(const Env *env)
{
    if (env->hflags & HF_LMA)
        return MODE_LONG;
    if (env->cr[0] & CR0_PG)
        return MODE_PAGED;
    return env->cr[0] & CR0_PE ? MODE_PROTECTED : MODE_REAL;
}

static const Library *library; /* whose slots they are */

static void update_cr0(Env *env, uint32_t value)
{
    uint64_t old = env->cr[0];
    int old_mode = mode_of(env);
    library->update_cr0(env, value);
    TRACE(cpu_cr_write, 0, old, env->cr[0]);
    if (mode_of(env) != old_mode)
        TRACE(cpu_mode_change, old_mode, mode_of(env));
}

static void update_cr3(Env *env, uint64_t value)
{
    uint64_t old = env->cr[3];
    library->update_cr3(env, value);
    TRACE(cpu_cr_write, 3, old, env->cr[3]);
}

static void update_cr4(Env *env, uint32_t value)
{
    uint64_t old = env->cr[4];
    library->update_cr4(env, value);
    TRACE(cpu_cr_write, 4, old, env->cr[4]);
}

static const struct { const char *name; void *function; } replaced[] = {
    {"cpu_x86_update_cr0_x86_64", update_cr0},
    {"cpu_x86_update_cr3_x86_64", update_cr3},
    {"cpu_x86_update_cr4_x86_64", update_cr4},
};

#define REPLACED (sizeof replaced / sizeof *replaced)

typedef struct {
    const void *inside; /* any address in the library */
    unsigned found;
} Search;

/* Point the library's slots to our functions. Called for each object in the process. */
static int patch(struct dl_phdr_info *object, size_t size, void *user)
{
    Search *search = user;
    const ElfW(Dyn) *dynamic = NULL;
    bool inside = false;
    (void)size;

    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        uintptr_t start = object->dlpi_addr + segment->p_vaddr;
        if (segment->p_type == PT_DYNAMIC)
            dynamic = (const ElfW(Dyn) *)start;
        else if (segment->p_type == PT_LOAD)
            inside |= (uintptr_t)search->inside - start < segment->p_memsz;
    }
    if (!inside || !dynamic)
        return 0;

    const ElfW(Sym) *symbols = NULL;
    const char *strings = NULL;
    const ElfW(Rela) *slots = NULL;
    size_t slots_size = 0;
    for (; dynamic->d_tag != DT_NULL; dynamic++) {
        switch (dynamic->d_tag) {
        case DT_SYMTAB: symbols = (const ElfW(Sym) *)dynamic->d_un.d_ptr; break;
        case DT_STRTAB: strings = (const char *)dynamic->d_un.d_ptr; break;
        case DT_JMPREL: slots = (const ElfW(Rela) *)dynamic->d_un.d_ptr; break;
        case DT_PLTRELSZ: slots_size = dynamic->d_un.d_val; break;
        }
    }
    if (!symbols || !strings || !slots)
        return 1;
    for (size_t i = 0; i < slots_size / sizeof *slots; i++) {
        const char *name = strings + symbols[ELF64_R_SYM(slots[i].r_info)].st_name;
        for (size_t n = 0; n < REPLACED; n++)
            if (!strcmp(name, replaced[n].name)) {
                *(void **)(object->dlpi_addr + slots[i].r_offset) = replaced[n].function;
                search->found++;
            }
    }
    return 1;
}

int control_install(Vcpu *vcpu)
{
    static Library own;
    if (library) /* the slots are the process's */
        return 0;
    own = vcpu->library;
    library = &own;
    Search search = {(void *)own.emu_start, 0};
    dl_iterate_phdr(patch, &search);
    if (search.found != REPLACED) {
        PyErr_SetString(EngineError, "the unicorn library has no slots for CR writes");
        return -1;
    }
    return 0;
}
