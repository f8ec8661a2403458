/* The private structures of libunicorn 2.1.4 (x86-64 Linux wheel) that the engine reaches into.
 *
 * Unicorn is QEMU 5.0.1's TCG without a machine: exceptions, interrupts and system calls need state
 * that its public API does not show. Only this file knows where it lies; check.c verifies it all
 * against the library at hand before the first guest instruction.
 */
#ifndef PYEMU_LAYOUT_H
#define PYEMU_LAYOUT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AT(type, field, offset) \
    _Static_assert(offsetof(type, field) == (offset), #type "." #field)

typedef struct {
    uint32_t selector, unused;
    uint64_t base;
    uint32_t limit;
    uint32_t flags; /* the descriptor's second word: type, DPL, P, L, D/B, G */
} Segment;

#define SEGMENT_PRESENT 0x8000u
#define TSS_AVAILABLE 1 /* the low three bits of a descriptor's type, 16 and 32 bit */
#define TSS_BUSY 3

enum { ES, CS, SS, DS, FS, GS };
enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI };

typedef struct {
    uint64_t low, high, unused[6];
} Xmm;

/* float_status: how softfloat computes, and what exceptions it has met */
typedef struct {
    uint8_t gap;
    uint8_t rounding; /* 0: to nearest even */
    uint8_t exceptions;
    uint8_t gap2;
    uint8_t flush_results, flush_operands; /* denormals are zero */
    uint8_t gap3[2];
} FloatStatus;

#define FLOAT_ROUND_TO_ZERO 3
#define FLOAT_INEXACT 0x20

/* What CPUID tells, as a part of the CPUX86State. A word for each register of features. */
#define FEATURE_WORDS 34
typedef struct __attribute__((packed)) {
    uint32_t level, extended_level, unused;
    char vendor[12];
    uint32_t version;
    uint64_t features[FEATURE_WORDS];
    uint64_t unused2[FEATURE_WORDS];
    char name[48];
} Identity;

/* CPUX86State */
typedef struct {
    uint64_t regs[16];
    uint64_t eip;
    uint64_t eflags; /* without the arithmetic flags and DF */
    uint64_t cc_dst, cc_src, cc_src2;
    uint32_t cc_op;
    int32_t df; /* 1 or -1 */
    uint32_t hflags, hflags2;
    Segment segs[6], ldt, tr, gdt, idt;
    uint64_t cr[9];
    int32_t a20_mask;
    uint8_t gap1[0x5c];
    uint64_t efer;
    uint8_t gap2[0xa];
    uint16_t fpu_control;
    uint8_t gap3[0xa4];
    FloatStatus x87_status;
    uint8_t gap4[0x18];
    FloatStatus sse_status;
    uint32_t mxcsr;
    uint8_t gap5[4];
    Xmm xmm[16];
    uint8_t gap6[0xb88];
    uint32_t sysenter_cs, unused1;
    uint64_t sysenter_esp, sysenter_eip;
    uint64_t star, vm_hsave, lstar, cstar, fmask, kernel_gs_base;
    uint8_t gap7[0x18];
    uint64_t tsc_aux;
    uint8_t gap8[0x178];
    uint64_t pat;
    uint8_t gap9[0x60];
    int32_t error_code;
    int32_t exception_is_int;
    uint64_t exception_next_eip;
    uint64_t dr[8];
    uint8_t gap10[0x20];
    int32_t old_exception;
    uint8_t gap11[0x68];
    Identity identity;
} Env;

AT(Env, eip, 0x80);
AT(Env, hflags, 0xb0);
AT(Env, segs, 0xb8);
AT(Env, ldt, 0x148);
AT(Env, cr, 0x1a8);
AT(Env, a20_mask, 0x1f0);
AT(Env, efer, 0x250);
AT(Env, fpu_control, 0x262);
AT(Env, x87_status, 0x308);
AT(Env, sse_status, 0x328);
AT(Env, mxcsr, 0x330);
AT(Env, xmm, 0x338);
AT(Env, sysenter_cs, 0x12c0);
AT(Env, star, 0x12d8);
AT(Env, kernel_gs_base, 0x1300);
AT(Env, tsc_aux, 0x1320);
AT(Env, pat, 0x14a0);
AT(Env, error_code, 0x1508);
AT(Env, dr, 0x1518);
AT(Env, old_exception, 0x1578);
AT(Env, identity, 0x15e4);
AT(Env, identity.name, 0x1820);

#define CC_OP_EFLAGS 1 /* cc_src holds the arithmetic flags */

/* hflags: what of the CPU's state the translator depends on */
#define HF_CPL 3u
#define HF_INHIBIT_IRQ (1u << 3) /* the shadow of STI and MOV SS */
#define HF_CS32 (1u << 4)
#define HF_SS32 (1u << 5)
#define HF_ADDSEG (1u << 6)
#define HF_LMA (1u << 14)
#define HF_CS64 (1u << 15)
#define HF_SVME (1u << 20)
#define HF_SMAP (1u << 23)
#define HF2_GIF (1u << 0)
#define HF2_NMI (1u << 2) /* in an NMI handler */

/* CPUClass: the virtual functions of a CPU; those that are replaced */
typedef struct Cpu Cpu;
typedef struct {
    uint8_t gap1[0x48];
    bool (*tlb_fill)(Cpu *, uint64_t address, int size, int access, int mode, bool probe,
                     uintptr_t return_address);
    uint8_t gap2[0x28];
    void (*debug_excp_handler)(Cpu *);
    uint8_t gap3[0x10];
    bool (*cpu_exec_interrupt)(Cpu *, int request);
} CpuClass;

AT(CpuClass, tlb_fill, 0x48);
AT(CpuClass, debug_excp_handler, 0x78);
AT(CpuClass, cpu_exec_interrupt, 0x90);

/* TranslationBlock */
typedef struct {
    uint64_t pc, cs_base;
    uint32_t flags;
    uint16_t size, instructions;
    uint32_t cflags, trace_state;
    void *code;
    uint8_t gap[0x20];
    uint64_t pages[2]; /* ram_addr of the pages it lies in */
} TranslationBlock;

AT(TranslationBlock, code, 0x20);
AT(TranslationBlock, pages, 0x48);
#define NO_CODE_PAGE (~0ull)

/* CPUState; the Env follows it */
struct Cpu {
    uint8_t gap1[0x18];
    uint32_t next_block_flags; /* for the translator, once; -1: as ever */
    _Atomic uint32_t interrupt_request;
    int32_t single_step;
    uint8_t gap2[0x104];
    Env *env;
    struct { uint16_t low; _Atomic uint16_t high; } *icount_decr;
    TranslationBlock *jump_cache[1 << 12];
    uint8_t gap3[0x60];
    uint32_t halted;
    uint32_t can_do_io;
    int32_t exception_index;
    void *uc;
    CpuClass *class;
};

AT(Cpu, next_block_flags, 0x18);
AT(Cpu, interrupt_request, 0x1c);
AT(Cpu, single_step, 0x20);
AT(Cpu, env, 0x128);
AT(Cpu, jump_cache, 0x138);
AT(Cpu, halted, 0x8198);
AT(Cpu, exception_index, 0x81a0);
AT(Cpu, class, 0x81b0);

#define ENV_OFFSET 0x8a50 /* of the Env in its Cpu */

#define CPU_INTERRUPT_HARD 2u

/* The block that was last jumped to at a linear address, if the cache still has it. */
static inline const TranslationBlock *find_block(const Cpu *cpu, uint64_t pc)
{
    uint64_t mixed = pc ^ pc >> 6;
    const TranslationBlock *block = cpu->jump_cache[(mixed >> 6 & 0xfc0) | (mixed & 0x3f)];
    return block && block->pc == pc ? block : NULL;
}

/* The software TLB, which lies before the Env: three modes, direct-mapped, with a victim TLB each. */
typedef struct {
    uint64_t read, write, code; /* page address and flags for each kind of access; -1: none */
    uint64_t physical;
    uint64_t addend; /* host address = guest virtual address + addend */
    uint64_t unused[3];
} TlbEntry;

#define TLB_INVALID 0x800ull
#define TLB_NOTDIRTY 0x400ull /* the store must look for translated code first */
#define TLB_MMIO 0x200ull
#define TLB_NONE (~0ull)
#define PAGE_BITS 12
#define PAGE_SIZE (1ull << PAGE_BITS)
#define PAGE_MASK (~(PAGE_SIZE - 1))

typedef struct { uint64_t address, attributes; } IoTlbEntry; /* address + page = ram_addr */

enum { MODE_KERNEL_SMAP, MODE_USER, MODE_KERNEL, TLB_MODES };
#define TLB_VICTIMS 8

typedef struct { uint64_t mask; TlbEntry *table; } TlbFast; /* mask: (entries - 1) * 64 */

typedef struct {
    uint8_t gap1[0x20];
    size_t used; /* entries since the last flush, which sets the size by it */
    uint8_t gap2[8];
    TlbEntry victims[TLB_VICTIMS];
    IoTlbEntry victim_io[TLB_VICTIMS];
    IoTlbEntry *io;
} TlbSlow;

_Static_assert(sizeof(TlbEntry) == 64 && sizeof(TlbSlow) == 0x2b8, "TLB");

static inline TlbFast *tlb_fast(Env *env, int mode)
{
    return (TlbFast *)((char *)env - 0x40) + mode;
}

static inline TlbSlow *tlb_slow(Env *env, int mode)
{
    return (TlbSlow *)((char *)env - 0x48) - (TLB_MODES - mode);
}

/* A bit for each mode whose TLB is not empty. */
static inline uint16_t *tlb_dirty(Env *env)
{
    return (uint16_t *)((char *)tlb_slow(env, 0) - 0x20);
}

static inline uint64_t tlb_index(Env *env, int mode, uint64_t address)
{
    return address >> 12 & tlb_fast(env, mode)->mask >> 6;
}

/* PageDesc: what is known of the translated code in a page of RAM */
typedef struct {
    uintptr_t first_block;
    void *bitmap;
    unsigned writes;
} CodePage;

#define CODE_PAGE_BITS 10 /* of index in a lower level of the radix tree of CodePages */

#define EXIT_REQUESTED 3 /* how a block ends that has seen at its start that the main loop is wanted */

/* TCGOp */
typedef struct {
    uint8_t opcode;
    uint8_t gap[7];
    void *link[2]; /* next, and the previous one's link */
    uintptr_t arguments[];
} Op;

AT(Op, arguments, 0x18);

/* Which argument of a call is the function, after so many results and parameters. */
#define CALL_FUNCTION(results, parameters) ((results) + (parameters))
#define CALL_NO_GLOBALS 0x10 /* in the argument after it: registers need not be in memory */

enum {
    TCG_SET_LABEL = 1,
    TCG_MOVI_I32 = 6,
    TCG_LD_I32 = 13,
    TCG_MOVI_I64 = 64,
    TCG_LD_I64 = 73,
    TCG_ST32_I64 = 76,
    TCG_ST_I64 = 77,
    TCG_ADD_I64 = 78,
};
enum { TCG_TYPE_I32 = 0, TCG_TYPE_I64 = 1 };
enum { TCG_COND_LT = 2, TCG_COND_EQ = 8, TCG_COND_GT = 11 };

/* TCGLabel */
typedef struct {
    uint16_t present : 1, unused : 15;
} Label;

/* TCGContext */
typedef struct {
    uint8_t gap1[0x98];
    void *epilogue; /* code that goes back to the main loop */
    uint8_t gap2[0x38];
    size_t invalidations; /* of blocks, ever */
    uint8_t gap3[0x72a8];
    void *first_op; /* and the links of the list that it begins */
    void *last_link; /* that of the last op */
    uint8_t gap4[0x2558];
    ptrdiff_t env; /* the temporary that stands for the Env, counted from the TCGContext */
    uint8_t gap5[0x78];
    struct Unicorn *uc;
} Tcg;

AT(Tcg, epilogue, 0x98);
AT(Tcg, invalidations, 0xd8);
AT(Tcg, last_link, 0x7390);
AT(Tcg, env, 0x98f0);
AT(Tcg, uc, 0x9970);

/* uc_struct */
typedef struct Unicorn {
    uint8_t gap1[0xe0];
    bool (*stop_interrupt)(void *uc, int number);
    uint8_t gap2[0x38];
    void *(*memory_mapping)(void *uc, uint64_t address);
    uint8_t gap3[0x90];
    Cpu *cpu;
    uint8_t gap4[0x120];
    void **code_pages; /* by ram_addr page: l1_map */
    uint8_t gap5[8];
    int32_t code_pages_size, code_pages_shift, code_pages_levels;
    Tcg *tcg;
    uint8_t gap6[0x4ea];
    uint8_t no_exit_request; /* see stop requests at block starts only */
} Unicorn;

AT(Unicorn, stop_interrupt, 0xe0);
AT(Unicorn, memory_mapping, 0x120);
AT(Unicorn, cpu, 0x1b8);
AT(Unicorn, code_pages, 0x2e0);
AT(Unicorn, code_pages_size, 0x2f0);
AT(Unicorn, tcg, 0x300);
AT(Unicorn, no_exit_request, 0x7f2);

#endif
