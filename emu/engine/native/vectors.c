/* SSE in translated code: what the library calls a function for, as a few instructions of the host.
 *
 * The library's own generator of vector operations, which it has for other guests, works on places in
 * the Env. It is told to do halves: the Env is not aligned as its loads of sixteen bytes need it.
 */
#include <dlfcn.h>

#include "operands.h"

#define HALF 8u /* bytes */

enum { BYTES, WORDS, LONGS, QUADS };
enum { BINARY, SWAPPED, EQUAL, GREATER, LEFT, RIGHT, ARITHMETIC };

typedef struct {
    const char *helper, *generator;
    int kind, element;
} Instruction;

static const Instruction instructions[] = {
    {"paddb", "add", BINARY, BYTES}, {"paddw", "add", BINARY, WORDS},
    {"paddl", "add", BINARY, LONGS}, {"paddq", "add", BINARY, QUADS},
    {"psubb", "sub", BINARY, BYTES}, {"psubw", "sub", BINARY, WORDS},
    {"psubl", "sub", BINARY, LONGS}, {"psubq", "sub", BINARY, QUADS},
    {"paddsb", "ssadd", BINARY, BYTES}, {"paddsw", "ssadd", BINARY, WORDS},
    {"psubsb", "sssub", BINARY, BYTES}, {"psubsw", "sssub", BINARY, WORDS},
    {"paddusb", "usadd", BINARY, BYTES}, {"paddusw", "usadd", BINARY, WORDS},
    {"psubusb", "ussub", BINARY, BYTES}, {"psubusw", "ussub", BINARY, WORDS},
    {"pminub", "umin", BINARY, BYTES}, {"pmaxub", "umax", BINARY, BYTES},
    {"pminsw", "smin", BINARY, WORDS}, {"pmaxsw", "smax", BINARY, WORDS},
    {"pminsb", "smin", BINARY, BYTES}, {"pmaxsb", "smax", BINARY, BYTES},
    {"pminuw", "umin", BINARY, WORDS}, {"pmaxuw", "umax", BINARY, WORDS},
    {"pminsd", "smin", BINARY, LONGS}, {"pmaxsd", "smax", BINARY, LONGS},
    {"pminud", "umin", BINARY, LONGS}, {"pmaxud", "umax", BINARY, LONGS},
    {"pmullw", "mul", BINARY, WORDS}, {"pmulld", "mul", BINARY, LONGS},
    {"pand", "and", BINARY, QUADS}, {"pandn", "andc", SWAPPED, QUADS},
    {"por", "or", BINARY, QUADS}, {"pxor", "xor", BINARY, QUADS},
    {"pcmpeqb", "cmp", EQUAL, BYTES}, {"pcmpeqw", "cmp", EQUAL, WORDS},
    {"pcmpeql", "cmp", EQUAL, LONGS}, {"pcmpeqq", "cmp", EQUAL, QUADS},
    {"pcmpgtb", "cmp", GREATER, BYTES}, {"pcmpgtw", "cmp", GREATER, WORDS},
    {"pcmpgtl", "cmp", GREATER, LONGS},
    {"psllw", "shli", LEFT, WORDS}, {"pslld", "shli", LEFT, LONGS}, {"psllq", "shli", LEFT, QUADS},
    {"psrlw", "shri", RIGHT, WORDS}, {"psrld", "shri", RIGHT, LONGS}, {"psrlq", "shri", RIGHT, QUADS},
    {"psraw", "sari", ARITHMETIC, WORDS}, {"psrad", "sari", ARITHMETIC, LONGS},
};

#define COUNT (sizeof instructions / sizeof *instructions)

static void *generators[COUNT];
static void (*gen_xor)(Tcg *, unsigned, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t);

static void gen_half(Tcg *tcg, size_t index, uint32_t d, uint32_t s, unsigned shift)
{
    const Instruction *instruction = &instructions[index];
    unsigned element = instruction->element;
    unsigned bits = 8u << element;
    void (*binary)(Tcg *, unsigned, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t) =
        generators[index];
    void (*compare)(Tcg *, int, unsigned, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t) =
        generators[index];
    void (*shifted)(Tcg *, unsigned, uint32_t, uint32_t, int64_t, uint32_t, uint32_t) =
        generators[index];

    switch (instruction->kind) {
    case BINARY: binary(tcg, element, d, d, s, HALF, HALF); break;
    case SWAPPED: binary(tcg, element, d, s, d, HALF, HALF); break;
    case EQUAL: compare(tcg, TCG_COND_EQ, element, d, d, s, HALF, HALF); break;
    case GREATER: compare(tcg, TCG_COND_GT, element, d, d, s, HALF, HALF); break;
    default:
        if (shift < bits)
            shifted(tcg, element, d, d, shift, HALF, HALF);
        else if (instruction->kind == ARITHMETIC)
            shifted(tcg, element, d, d, bits - 1, HALF, HALF);
        else
            gen_xor(tcg, QUADS, d, d, d, HALF, HALF);
    }
}

/* A call of the helper for instructions[index]: (env, d, s). Tells whether it is not needed. */
static bool gen_vector(Tcg *tcg, int index, void **arguments)
{
    Operations operations = operations_last(tcg);
    uintptr_t d, s, shift = 0, above;

    if (!operand_place(&operations, arguments[2], &s) ||
        !operand_place(&operations, arguments[1], &d))
        return false;
    if (instructions[index].kind >= LEFT && /* by an immediate, or a register? */
        (!operand_stored(&operations, s + 4, &above) || above ||
         !operand_stored(&operations, s, &shift)))
        return false;
    gen_half(tcg, index, d, s, shift);
    gen_half(tcg, index, d + HALF, s + HALF, shift);
    return true;
}

int vectors_install(Vcpu *vcpu)
{
    char symbol[64];
    if (!__builtin_cpu_supports("avx")) /* without which the library has no vectors */
        return 0;
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(symbol, sizeof symbol, "tcg_gen_gvec_%s_x86_64", instructions[i].generator);
        if (!(generators[i] = dlsym(vcpu->library.handle, symbol)))
            return vcpu_refuse(symbol);
        snprintf(symbol, sizeof symbol, "%s_xmm", instructions[i].helper);
        if (helper_replace_inline(vcpu, symbol, gen_vector, i) < 0)
            return -1;
    }
    gen_xor = dlsym(vcpu->library.handle, "tcg_gen_gvec_xor_x86_64");
    return 0;
}
