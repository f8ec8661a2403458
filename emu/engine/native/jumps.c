/* From block to block: what is done at each joint of translated code, made shorter.
 *
 * - Stock code calls a helper at the start of each block to see whether the main loop is wanted. Here
 *   that is a load and a branch, to a way out behind the block's end.
 * - At an indirect jump stock code finds the next block by two dependent loads that tend to miss the
 *   cache: a slot of the jump cache, then the block it points at. Here one line of a table of our
 *   own tells all, and the stock helper is asked when it does not know.
 *   What was found survives a change of the page tables, if the code is still there afterwards.
 * In mini.img, seconds of CPU time: shell loop 6.4 -> 4.1, gzip 2.1 -> 1.6, 300 fork+exec 1.0 -> 0.75.
 *
 * What TranslationBlocks, ops and temporaries are: QEMU's docs/devel/tcg.rst, tcg/README.
 */
#include "vcpu.h"

#define FLAGS_OF_BLOCK 0x73100u /* of EFLAGS: TF, IOPL, RF, VM, AC; translated code depends on them */

static Library own; /* as it was before */

/* --- the check at a block's start --- */

static _Thread_local Label *way_out; /* of the block that is being translated */

static void *temporary(Tcg *tcg, ptrdiff_t offset)
{
    return (char *)tcg + offset;
}

void jumps_gen_check(Tcg *tcg)
{
    char *count = own.temp_new(tcg, TCG_TYPE_I32, false);
    ptrdiff_t place = (char *)tcg->uc->cpu->icount_decr - (char *)tcg->uc->cpu->env;
    own.op3(tcg, TCG_LD_I32, (uintptr_t)count, (uintptr_t)temporary(tcg, tcg->env), place);
    way_out = own.new_label(tcg);
    own.branch_i32(tcg, TCG_COND_LT, count - (char *)tcg, 0, way_out);
    own.temp_free(tcg, count);
}

/* A chained jump has not stored RIP, so the way out does. */
static void place_way_out(Tcg *tcg, const TranslationBlock *block)
{
    way_out->present = 1;
    own.op1(tcg, TCG_SET_LABEL, (uintptr_t)way_out);
    ptrdiff_t eip = own.const_i64(tcg, block->pc - block->cs_base);
    own.op3(tcg, TCG_ST_I64, (uintptr_t)temporary(tcg, eip), (uintptr_t)temporary(tcg, tcg->env),
            offsetof(Env, eip));
    own.temp_free(tcg, temporary(tcg, eip));
    way_out = NULL;
}

static void gen_exit(Tcg *tcg, const TranslationBlock *block, unsigned index)
{
    if (index == EXIT_REQUESTED && way_out)
        place_way_out(tcg, block);
    own.gen_exit(tcg, block, index);
}

/* --- indirect jumps --- */

/* Forget what is known of all jumps, or have it looked at again: the code may be gone, or just be
 * mapped elsewhere. */
void jumps_age(Vcpu *vcpu, bool code_gone)
{
    if (!vcpu) /* it is being made, or closed */
        return;
    if (++vcpu->jump_age == 0) { /* once in 2^32 times: no age tells anything any more */
        memset(vcpu->jumps, 0, sizeof *vcpu->jumps << JUMP_BITS);
        vcpu->jump_age = 1;
        code_gone = true;
    }
    if (code_gone)
        vcpu->jump_oldest = vcpu->jump_age;
}

static bool is_jump(const Jump *jump, const Env *env)
{
    uint64_t cs_base = env->segs[CS].base;
    return jump->pc == env->eip + cs_base && jump->cs_base == (uint32_t)cs_base &&
           jump->flags == (env->hflags | (env->eflags & FLAGS_OF_BLOCK));
}

/* The number of the page of RAM that holds a block, if that is one page. */
static uint32_t page_of_code(const Cpu *cpu, uint64_t pc, const void *code)
{
    const TranslationBlock *block = find_block(cpu, pc);
    bool known = block && block->code == code && block->pages[1] == NO_CODE_PAGE;
    return known ? block->pages[0] >> PAGE_BITS : NO_JUMP_PAGE;
}

static __attribute__((noinline)) void *find_slowly(Vcpu *vcpu, Jump *jump)
{
    Env *env = vcpu->env;
    uint64_t cs_base = env->segs[CS].base, pc = env->eip + cs_base;

    if (vcpu->jump_invalidations != vcpu->uc->tcg->invalidations) {
        vcpu->jump_invalidations = vcpu->uc->tcg->invalidations;
        jumps_age(vcpu, true);
    }
    if (is_jump(jump, env) && jump->age >= vcpu->jump_oldest && jump->page != NO_JUMP_PAGE &&
        own.page_of_fetch(env, pc) >> PAGE_BITS == jump->page) {
        jump->age = vcpu->jump_age;
        return jump->code;
    }
    void *code = own.find_code(env);
    if (code != vcpu->uc->tcg->epilogue) /* it is translated */
        *jump = (Jump){pc, code, env->hflags | (env->eflags & FLAGS_OF_BLOCK), (uint32_t)cs_base,
                       vcpu->jump_age, page_of_code(vcpu->cpu, pc, code)};
    return code;
}

/* Called by translated code with the CPU's state in memory; returns the code to go on with. */
static void *find_code(Env *env)
{
    Vcpu *vcpu = vcpu_of_env(env);
    uint64_t pc = env->eip + env->segs[CS].base;
    uint64_t slot = pc * 0x9e3779b97f4a7c15 >> (64 - JUMP_BITS); /* Knuth, volume 3, 6.4 */
    Jump *jump = vcpu->jumps + slot;

    if (is_jump(jump, env) && jump->age == vcpu->jump_age &&
        vcpu->jump_invalidations == vcpu->uc->tcg->invalidations)
        return jump->code;
    return find_slowly(vcpu, jump);
}

static void flush_page(Cpu *cpu, uint64_t address)
{
    jumps_age(vcpu_of(cpu), false);
    own.flush_page(cpu, address);
}

static void flush_code(Cpu *cpu)
{
    jumps_age(vcpu_of(cpu), true);
    own.tb_flush(cpu);
}

int jumps_install(Vcpu *vcpu)
{
    vcpu->jumps = PyMem_RawCalloc(1 << JUMP_BITS, sizeof *vcpu->jumps);
    if (!vcpu->jumps) {
        PyErr_NoMemory();
        return -1;
    }
    vcpu->jump_age = vcpu->jump_oldest = 1; /* empty entries are older */
    own = vcpu->library;
    vcpu->library.tb_flush = flush_code;
    helper_replace(own.find_code, find_code);
    if (slot_replace(vcpu, "tcg_gen_exit_tb_x86_64", gen_exit) < 0 ||
        slot_replace(vcpu, "tb_flush_jmp_cache_x86_64", flush_page) < 0 ||
        slot_replace(vcpu, "tb_flush_x86_64", flush_code) < 0)
        return -1;
    return 0;
}

void jumps_close(Vcpu *vcpu)
{
    PyMem_RawFree(vcpu->jumps);
}
