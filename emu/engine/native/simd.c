/* The integer instructions of SSE2 to SSE4.1, by the host's own.
 *
 * Those that vectors.c and shuffles.c put into translated code are not here, but for shifts by a
 * register. The count of a shift comes in halves of a half.
 */
#include "vcpu.h"
#include "xmm.h"

/* The low half of a vector, as a count for which all large numbers are the same. */
static inline unsigned count_of(const Xmm *x)
{
    uint32_t parts[2];
    memcpy(parts, &x->low, sizeof parts);
    return parts[1] ? UINT32_MAX : parts[0];
}

#define BINARY(name, operation) \
    static void name(Env *env, Xmm *d, const Xmm *s) \
    { \
        (void)env; \
        xmm_store(d, operation(xmm_load(d), xmm_load(s))); \
    }

#define SHIFT(name, operation) \
    static void name(Env *env, Xmm *d, const Xmm *s) \
    { \
        (void)env; \
        xmm_store(d, operation(xmm_load(d), _mm_cvtsi32_si128(count_of(s)))); \
    }

#define OF_SSE2(_) \
    _(pavgb, _mm_avg_epu8) _(pavgw, _mm_avg_epu16) _(psadbw, _mm_sad_epu8) \
    _(pmulhw, _mm_mulhi_epi16) _(pmulhuw, _mm_mulhi_epu16) \
    _(pmuludq, _mm_mul_epu32) _(pmaddwd, _mm_madd_epi16) \
    _(packsswb, _mm_packs_epi16) _(packssdw, _mm_packs_epi32) _(packuswb, _mm_packus_epi16) \
    _(punpcklbw, _mm_unpacklo_epi8) _(punpckhbw, _mm_unpackhi_epi8) \
    _(punpcklwd, _mm_unpacklo_epi16) _(punpckhwd, _mm_unpackhi_epi16)

#define SHIFTS(_) \
    _(psllw, _mm_sll_epi16) _(pslld, _mm_sll_epi32) _(psllq, _mm_sll_epi64) \
    _(psrlw, _mm_srl_epi16) _(psrld, _mm_srl_epi32) _(psrlq, _mm_srl_epi64) \
    _(psraw, _mm_sra_epi16) _(psrad, _mm_sra_epi32)

#define OF_SSE41(_) \
    _(pshufb, _mm_shuffle_epi8) \
    _(phaddw, _mm_hadd_epi16) _(phaddd, _mm_hadd_epi32) _(phaddsw, _mm_hadds_epi16) \
    _(phsubw, _mm_hsub_epi16) _(phsubd, _mm_hsub_epi32) _(phsubsw, _mm_hsubs_epi16) \
    _(psignb, _mm_sign_epi8) _(psignw, _mm_sign_epi16) _(psignd, _mm_sign_epi32) \
    _(pmaddubsw, _mm_maddubs_epi16) _(pmulhrsw, _mm_mulhrs_epi16) \
    _(pmuldq, _mm_mul_epi32) _(packusdw, _mm_packus_epi32)

OF_SSE2(BINARY)
SHIFTS(SHIFT)

#pragma GCC push_options
#pragma GCC target("sse4.1")
OF_SSE41(BINARY)
#pragma GCC pop_options

static unsigned __int128 whole(const Xmm *x)
{
    return (unsigned __int128)x->high << 64 | x->low;
}

static void set_whole(Xmm *x, unsigned __int128 value)
{
    x->low = value;
    x->high = value >> 64;
}

static uint32_t pmovmskb(Env *env, const Xmm *s)
{
    (void)env;
    return _mm_movemask_epi8(xmm_load(s));
}

static void pslldq(Env *env, Xmm *d, const Xmm *s)
{
    unsigned bytes = count_of(s);
    (void)env;
    set_whole(d, bytes < 16 ? whole(d) << 8 * bytes : 0);
}

static void psrldq(Env *env, Xmm *d, const Xmm *s)
{
    unsigned bytes = count_of(s);
    (void)env;
    set_whole(d, bytes < 16 ? whole(d) >> 8 * bytes : 0);
}

static void palignr(Env *env, Xmm *d, const Xmm *s, int32_t count)
{
    unsigned bytes = count;
    (void)env;
    if (bytes == 0)
        set_whole(d, whole(s));
    else if (bytes < 16)
        set_whole(d, whole(s) >> 8 * bytes | whole(d) << (128 - 8 * bytes));
    else
        set_whole(d, bytes < 32 ? whole(d) >> 8 * (bytes - 16) : 0);
}

static uint64_t words(uint64_t from, int order)
{
    uint64_t result = 0;
    for (int place = 0; place < 4; place++)
        result |= (from >> 16 * (order >> 2 * place & 3) & 0xffff) << 16 * place;
    return result;
}

static void pshuflw(Xmm *d, const Xmm *s, int order)
{
    d->low = words(s->low, order);
    d->high = s->high;
}

static void pshufhw(Xmm *d, const Xmm *s, int order)
{
    d->high = words(s->high, order);
    d->low = s->low;
}

int simd_install(Vcpu *vcpu)
{
#define ENTRY(name, ...) {#name "_xmm", name},
    static const SseHelper sse2[] = {
        OF_SSE2(ENTRY) SHIFTS(ENTRY)
        ENTRY(pslldq) ENTRY(psrldq) ENTRY(palignr) ENTRY(pmovmskb)
        ENTRY(pshuflw) ENTRY(pshufhw)
    };
    static const SseHelper sse41[] = {OF_SSE41(ENTRY)};
#undef ENTRY
    if (helper_replace_sse(vcpu, sse2, sizeof sse2 / sizeof *sse2) < 0)
        return -1;
    if (!__builtin_cpu_supports("sse4.1"))
        return 0;
    return helper_replace_sse(vcpu, sse41, sizeof sse41 / sizeof *sse41);
}
