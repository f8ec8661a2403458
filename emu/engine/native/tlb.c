/* Stores at full speed: which pages hold translated code, and memory_mapping by binary search.
 *
 * Stock Unicorn keeps every page that may be executed on the slow store path, whether or not it
 * holds code, and looks the page's region up in a list at each such store. Here an entry of the TLB
 * has a valid `code` address only while its page is marked as holding code, so that
 * - a store to an unmarked page is fast,
 * - the first fetch from it comes to tlb_fill() and marks it,
 * - a store to a marked page goes the slow way, through whichever virtual address it comes, which
 *   also cures stale code behind non-executable aliases.
 * Boot of a 6.1 kernel, loader to kernel: 4.3 s stock, 0.6 s so.
 *
 * And its size: stock lets the TLB grow from 256 entries when it is flushed, which without paging
 * happens seldom; what boot loaders copy from one MiB to another meets in one entry until then.
 * GRUB of cirros.img: 6.1 -> 3.8 s.
 */
#include <sys/mman.h>

#include "vcpu.h"

#define ALL_MODES ((1 << TLB_MODES) - 1)
#define UNPAGED_ENTRIES (1u << 13) /* of each mode's TLB while paging is off: 32 MiB */
#define MARKS (1ull << 24) /* pages of ram_addr space: 64 GiB, of which only touched ones cost */

enum { ACCESS_LOAD, ACCESS_STORE, ACCESS_FETCH };

static uint64_t page_address(const TlbEntry *entry)
{
    return entry->write != TLB_NONE  ? entry->write
           : entry->read != TLB_NONE ? entry->read
                                     : entry->code;
}

static bool maps(const TlbEntry *entry, uint64_t host_page)
{
    uint64_t address = page_address(entry);
    return address != TLB_NONE && (address & PAGE_MASK) + entry->addend == host_page;
}

/* The page has got code: stores must look for it, and a fetch through this entry must be seen. */
static void make_slow(TlbEntry *entry, uint64_t host_page)
{
    if (!maps(entry, host_page) || (entry->write != TLB_NONE && entry->write & TLB_MMIO))
        return;
    uint64_t page = page_address(entry) & PAGE_MASK;
    if (entry->write != TLB_NONE)
        entry->write |= TLB_NOTDIRTY;
    if (entry->code == TLB_NONE)
        entry->code = page | TLB_INVALID;
}

/* The page has no code any more: the next fetch must be seen as the first. */
static void forget_code(TlbEntry *entry, uint64_t host_page)
{
    if (maps(entry, host_page))
        entry->code = TLB_NONE;
}

static void for_each_entry(Env *env, void (*change)(TlbEntry *, uint64_t), uint64_t host_page)
{
    for (int mode = 0; mode < TLB_MODES; mode++) {
        TlbFast *fast = tlb_fast(env, mode);
        TlbSlow *slow = tlb_slow(env, mode);
        uint64_t entries = (fast->mask >> 6) + 1;
        for (uint64_t i = 0; i < entries; i++)
            change(fast->table + i, host_page);
        for (int i = 0; i < TLB_VICTIMS; i++)
            change(slow->victims + i, host_page);
    }
}

static bool has_code(const Unicorn *uc, uint64_t page)
{
    void **level = uc->code_pages + (page >> uc->code_pages_shift & (uc->code_pages_size - 1));
    for (int i = uc->code_pages_levels; i > 0; i--) {
        void **lower = *level;
        if (!lower)
            return false;
        level = lower + (page >> i * CODE_PAGE_BITS & ((1 << CODE_PAGE_BITS) - 1));
    }
    const CodePage *pages = *level;
    return pages && pages[page & ((1 << CODE_PAGE_BITS) - 1)].first_block;
}

static bool tlb_fill(Cpu *cpu, uint64_t address, int size, int access, int mode, bool probe,
                     uintptr_t return_address)
{
    Vcpu *vcpu = vcpu_of(cpu);
    Env *env = vcpu->env;

    if (!vcpu->library.tlb_fill(cpu, address, size, access, mode, probe, return_address))
        return false; /* or it left by siglongjmp with a page fault */

    uint64_t index = tlb_index(env, mode, address);
    TlbEntry *entry = tlb_fast(env, mode)->table + index;
    uint64_t page = address & PAGE_MASK;
    uint64_t any = page_address(entry);
    if (any & (TLB_MMIO | TLB_INVALID) || (any & PAGE_MASK) != page)
        return true;
    uint64_t ram_page = (tlb_slow(env, mode)->io[index].address + page) >> 12;
    if (ram_page >= MARKS)
        return true;

    uint64_t host_page = page + entry->addend;
    uint8_t *mark = vcpu->code_marks + ram_page;
    if (access == ACCESS_FETCH) {
        if (!*mark) {
            *mark = 1;
            for_each_entry(env, make_slow, host_page);
        }
        return true;
    }
    if (*mark) {
        if (has_code(vcpu->uc, ram_page)) {
            if (entry->code == TLB_NONE)
                entry->code = page | TLB_INVALID;
            return true;
        }
        *mark = 0;
        for_each_entry(env, forget_code, host_page);
    }
    entry->code = TLB_NONE;
    if ((entry->write & ~PAGE_MASK) == TLB_NOTDIRTY)
        entry->write &= ~TLB_NOTDIRTY;
    return true;
}

static Library own; /* as it was before */

/* Have the flush find the TLB full: it doubles. */
static void grow_tlb(Env *env)
{
    for (int mode = 0; mode < TLB_MODES; mode++)
        tlb_slow(env, mode)->used = UNPAGED_ENTRIES;
    *tlb_dirty(env) = ALL_MODES;
}

static bool is_small(Env *env)
{
    return tlb_fast(env, MODE_KERNEL)->mask / sizeof(TlbEntry) + 1 < UNPAGED_ENTRIES;
}

static void flush_tlb(Cpu *cpu, uint16_t modes)
{
    Vcpu *vcpu = vcpu_of(cpu);
    jumps_age(vcpu, false);
    own.flush_tlb(cpu, modes);
    while (vcpu && !(vcpu->env->cr[0] & CR0_PG) && is_small(vcpu->env)) {
        grow_tlb(vcpu->env);
        own.flush_tlb(cpu, ALL_MODES);
    }
}

static void flush_page(Cpu *cpu, uint64_t address)
{
    Vcpu *vcpu = vcpu_of(cpu);
    if (!vcpu || !vcpu->keeps_tlb)
        own.tlb_flush_page(cpu, address);
}

static void *memory_mapping(void *uc, uint64_t address)
{
    Vcpu *vcpu = vcpu_of(((Unicorn *)uc)->cpu);
    Region *region = vcpu->last_region;
    if (region && address - region->start < region->end - region->start)
        return region->mapping;

    region = memory_region_at(vcpu, address);
    if (!region)
        return vcpu->library.find_mapping(uc, address);
    vcpu->last_region = region;
    return region->mapping;
}

/* With a hook of this kind, though it never matches, Unicorn leaves stores to tlb_fill() above and
 * does not scan the whole TLB at each translation. */
static bool no_fetch(void *uc, int type, uint64_t address, int size, int64_t value, void *user)
{
    (void)uc, (void)type, (void)address, (void)size, (void)value, (void)user;
    return false;
}

int tlb_install(Vcpu *vcpu)
{
    void *marks = mmap(NULL, MARKS, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (marks == MAP_FAILED) {
        PyErr_SetFromErrno(EngineError);
        return -1;
    }
    vcpu->code_marks = marks;
    vcpu->uc->memory_mapping = memory_mapping;
    vcpu->cpu->class->tlb_fill = tlb_fill;
    own = vcpu->library;
    if (slot_replace(vcpu, "tlb_flush_by_mmuidx_x86_64", flush_tlb) < 0 ||
        slot_replace(vcpu, "tlb_flush_page_x86_64", flush_page) < 0)
        return -1;
    vcpu->library.tlb_flush(vcpu->cpu);
    return HOOK(vcpu, UC_HOOK_MEM_FETCH_UNMAPPED, no_fetch);
}

void tlb_close(Vcpu *vcpu)
{
    if (vcpu->code_marks)
        munmap(vcpu->code_marks, MARKS);
}
