/* Shuffles of 32 and 64 bits in translated code: halves of vectors loaded, put together and stored.
 *
 * Source: Intel SDM volume 2, PSHUFD, SHUFPS, SHUFPD, PUNPCK.
 */
#include "operands.h"

#define LONG 32u /* bits */
#define HALF 8u  /* bytes */

enum { PSHUFD, SHUFPS, SHUFPD, PUNPCKLDQ, PUNPCKHDQ, PUNPCKLQDQ, PUNPCKHQDQ };

static const char *const names[] = {
    "pshufd_xmm", "shufps", "shufpd", "punpckldq_xmm", "punpckhdq_xmm", "punpcklqdq_xmm",
    "punpckhqdq_xmm",
};

/* Where the four parts of a result come from: 0 to 3 are those of the destination, 4 to 7 those of
 * the source. */
typedef struct { unsigned part[4]; } Plan;

static Plan plan(int shuffle, unsigned order)
{
    unsigned one = order & 3, two = order >> 2 & 3, three = order >> 4 & 3, four = order >> 6 & 3;
    unsigned low = order & 1 ? 2 : 0, high = order & 2 ? 6 : 4;
    switch (shuffle) {
    case PSHUFD: return (Plan){{4 + one, 4 + two, 4 + three, 4 + four}};
    case SHUFPS: return (Plan){{one, two, 4 + three, 4 + four}};
    case SHUFPD: return (Plan){{low, low + 1, high, high + 1}};
    case PUNPCKLDQ: return (Plan){{0, 4, 1, 5}};
    case PUNPCKHDQ: return (Plan){{2, 6, 3, 7}};
    case PUNPCKLQDQ: return (Plan){{0, 1, 4, 5}};
    default: return (Plan){{2, 3, 6, 7}};
    }
}

static const Library *library;

/* A new temporary with one part in its lower half, or with the whole half that the part begins. */
static ptrdiff_t gen_load(Tcg *tcg, const uintptr_t places[], unsigned part)
{
    void *temporary = library->temp_new(tcg, TCG_TYPE_I64, false);
    library->op3(tcg, TCG_LD_I64, (uintptr_t)temporary, (uintptr_t)tcg + tcg->env,
                 places[part / 4] + part / 2 % 2 * HALF);
    ptrdiff_t result = (char *)temporary - (char *)tcg;
    if (part % 2)
        library->shift_right_i64(tcg, result, result, LONG);
    return result;
}

/* A new temporary with two parts. */
static ptrdiff_t gen_join(Tcg *tcg, const uintptr_t places[], unsigned low, unsigned high)
{
    ptrdiff_t result = gen_load(tcg, places, low);
    if (low % 2 || high != low + 1) {
        ptrdiff_t upper = gen_load(tcg, places, high);
        library->deposit_i64(tcg, result, result, upper, LONG, LONG);
        library->temp_free(tcg, (char *)tcg + upper);
    }
    return result;
}

static void gen_store(Tcg *tcg, ptrdiff_t temporary, uintptr_t place)
{
    library->op3(tcg, TCG_ST_I64, (uintptr_t)tcg + temporary, (uintptr_t)tcg + tcg->env, place);
    library->temp_free(tcg, (char *)tcg + temporary);
}

/* A call of the helper: (d, s, order), or (env, d, s). Tells whether it is not needed. */
static bool gen_shuffle(Tcg *tcg, int shuffle, void **arguments)
{
    Operations operations = operations_last(tcg);
    uintptr_t places[2], order = 0;
    void **pointers = arguments + (shuffle >= PUNPCKLDQ);

    if (shuffle < PUNPCKLDQ && !operand_immediate(&operations, arguments[2], &order))
        return false;
    if (!operand_place(&operations, pointers[1], &places[1]) ||
        !operand_place(&operations, pointers[0], &places[0]))
        return false;
    Plan from = plan(shuffle, order);
    ptrdiff_t low = gen_join(tcg, places, from.part[0], from.part[1]);
    ptrdiff_t high = gen_join(tcg, places, from.part[2], from.part[3]);
    gen_store(tcg, low, places[0]);
    gen_store(tcg, high, places[0] + HALF);
    return true;
}

int shuffles_install(Vcpu *vcpu)
{
    static Library own;
    own = vcpu->library;
    library = &own;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (helper_replace_inline(vcpu, names[i], gen_shuffle, i) < 0)
            return -1;
    return 0;
}
