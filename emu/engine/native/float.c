/* Doubles and floats of SSE by the host's FPU, where it gives what the library's softfloat gives.
 *
 * It does when it rounds to nearest, denormal operands count, the inexact exception is noted already,
 * and a result is a normal number: then no other exception can have happened, and there is nothing to
 * flush. A result of zero is as good where it is exact. All else is left to the library.
 */
#include <float.h>
#include <math.h>

#include "vcpu.h"
#include "xmm.h"

#define HOST_MXCSR 0x1f80 /* to nearest, exceptions masked, denormals count */

static inline bool counts_denormals(const Env *env)
{
    return !env->sse_status.flush_operands;
}

static inline bool rounds_as_host(const Env *env)
{
    static const FloatStatus wanted = {.exceptions = FLOAT_INEXACT}, looked_at = {
        .rounding = 0xff, .exceptions = FLOAT_INEXACT, .flush_operands = 0xff,
    };
    uint64_t status, mask, value;
    memcpy(&status, &env->sse_status, sizeof status);
    memcpy(&mask, &looked_at, sizeof mask);
    memcpy(&value, &wanted, sizeof value);
    return (status & mask) == value;
}

static inline double low_double(const Xmm *x)
{
    return _mm_cvtsd_f64(_mm_castsi128_pd(_mm_loadl_epi64((const __m128i *)&x->low)));
}

static inline float low_float(const Xmm *x)
{
    return _mm_cvtss_f32(_mm_castsi128_ps(_mm_loadu_si32(&x->low)));
}

static inline void set_low_double(Xmm *x, double value)
{
    memcpy(&x->low, &value, sizeof value);
}

static inline void set_low_float(Xmm *x, float value)
{
    memcpy(&x->low, &value, sizeof value);
}

typedef void Binary(Env *, Xmm *d, const Xmm *s);

/* --- vectors: pd, ps; and of a single number: sd, ss --- */

#define LANES_pd 3
#define LANES_ps 15
#define LANES_sd 1
#define LANES_ss 1

static inline __m128d load_pd(const Xmm *x) { return _mm_castsi128_pd(xmm_load(x)); }
static inline __m128 load_ps(const Xmm *x) { return _mm_castsi128_ps(xmm_load(x)); }
static inline __m128d load_sd(const Xmm *x) { return _mm_set_sd(low_double(x)); }
static inline __m128 load_ss(const Xmm *x) { return _mm_set_ss(low_float(x)); }
static inline void store_pd(Xmm *x, __m128d value) { xmm_store(x, _mm_castpd_si128(value)); }
static inline void store_ps(Xmm *x, __m128 value) { xmm_store(x, _mm_castps_si128(value)); }
static inline void store_sd(Xmm *x, __m128d value) { set_low_double(x, _mm_cvtsd_f64(value)); }
static inline void store_ss(Xmm *x, __m128 value) { set_low_float(x, _mm_cvtss_f32(value)); }

static inline int normal_pd(__m128d x)
{
    __m128d size = _mm_andnot_pd(_mm_set1_pd(-0.0), x);
    return _mm_movemask_pd(_mm_and_pd(_mm_cmpgt_pd(size, _mm_set1_pd(DBL_MIN)),
                                      _mm_cmple_pd(size, _mm_set1_pd(DBL_MAX))));
}

static inline int normal_ps(__m128 x)
{
    __m128 size = _mm_andnot_ps(_mm_set1_ps(-0.0f), x);
    return _mm_movemask_ps(_mm_and_ps(_mm_cmpgt_ps(size, _mm_set1_ps(FLT_MIN)),
                                      _mm_cmple_ps(size, _mm_set1_ps(FLT_MAX))));
}

static inline int zero_pd(__m128d x) { return _mm_movemask_pd(_mm_cmpeq_pd(x, _mm_setzero_pd())); }
static inline int zero_ps(__m128 x) { return _mm_movemask_ps(_mm_cmpeq_ps(x, _mm_setzero_ps())); }

/* Which results of zero are exact: a sum, a root; a product of zero; a quotient of zero. */
#define ZERO_add(zero, a, b, r) zero(r)
#define ZERO_sub(zero, a, b, r) zero(r)
#define ZERO_mul(zero, a, b, r) (zero(r) & (zero(a) | zero(b)))
#define ZERO_div(zero, a, b, r) (zero(r) & zero(a))
#define ZERO_sqrt(zero, a, b, r) zero(r)

#define RESULT_add(form, a, b) _mm_add_##form(a, b)
#define RESULT_sub(form, a, b) _mm_sub_##form(a, b)
#define RESULT_mul(form, a, b) _mm_mul_##form(a, b)
#define RESULT_div(form, a, b) _mm_div_##form(a, b)
#define RESULT_sqrt(form, a, b) SQRT_##form(a, b)
#define SQRT_pd(a, b) _mm_sqrt_pd(b)
#define SQRT_ps(a, b) _mm_sqrt_ps(b)
#define SQRT_sd(a, b) _mm_sqrt_sd(a, b)
#define SQRT_ss(a, b) _mm_sqrt_ss(b)

#define ARITHMETIC(name, form, type, vector) \
    static Binary *library_##name##form; \
    static void name##form(Env *env, Xmm *d, const Xmm *s) \
    { \
        vector a = load_##form(d), b = load_##form(s), r = RESULT_##name(form, a, b); \
        int right = normal_##type(r) & LANES_##form; \
        (void)a; /* of a root */ \
        if (right != LANES_##form) \
            right |= ZERO_##name(zero_##type, a, b, r) & LANES_##form; \
        if (right == LANES_##form && rounds_as_host(env)) \
            store_##form(d, r); \
        else \
            library_##name##form(env, d, s); \
    }

/* Comparisons are exact but for NaNs, which raise exceptions or are told apart. */
#define COMPARISON(name, form, type, vector) \
    static Binary *library_##name##form; \
    static void name##form(Env *env, Xmm *d, const Xmm *s) \
    { \
        vector a = load_##form(d), b = load_##form(s); \
        int ordered = _mm_movemask_##type(_mm_cmpord_##type(a, b)) & LANES_##form; \
        if (ordered == LANES_##form && counts_denormals(env)) \
            store_##form(d, _mm_##name##_##type(a, b)); \
        else \
            library_##name##form(env, d, s); \
    }

#define FORMS(_, name) \
    _(name, pd, pd, __m128d) _(name, sd, pd, __m128d) _(name, ps, ps, __m128) _(name, ss, ps, __m128)

#define ALL(_) \
    FORMS(_##_RESULT, add) FORMS(_##_RESULT, sub) FORMS(_##_RESULT, mul) FORMS(_##_RESULT, div) \
    FORMS(_##_RESULT, sqrt) \
    FORMS(_##_ORDER, min) FORMS(_##_ORDER, max) \
    FORMS(_##_ORDER, cmpeq) FORMS(_##_ORDER, cmplt) FORMS(_##_ORDER, cmple) \
    FORMS(_##_ORDER, cmpneq) FORMS(_##_ORDER, cmpnlt) FORMS(_##_ORDER, cmpnle)

#define DEFINE_RESULT ARITHMETIC
#define DEFINE_ORDER COMPARISON
ALL(DEFINE)

/* --- comparisons into the flags --- */

#define INTO_FLAGS(name, real) \
    static Binary *library_##name; \
    static void name(Env *env, Xmm *d, const Xmm *s) \
    { \
        real a = low_##real(d), b = low_##real(s); \
        if (isunordered(a, b) || !counts_denormals(env)) \
            library_##name(env, d, s); \
        else \
            env->cc_src = a < b ? FLAG_CF : a == b ? FLAG_ZF : 0; \
    }

INTO_FLAGS(ucomisd, double)
INTO_FLAGS(comisd, double)
INTO_FLAGS(ucomiss, float)
INTO_FLAGS(comiss, float)

/* --- conversions --- */

static void cvtsi2sd(Env *env, Xmm *d, uint32_t value)
{
    (void)env;
    set_low_double(d, (int32_t)value); /* always exact */
}

#define FROM_INTEGER(name, integer, store) \
    static void (*library_##name)(Env *, Xmm *, integer); \
    static void name(Env *env, Xmm *d, integer value) \
    { \
        if (rounds_as_host(env)) \
            store; \
        else \
            library_##name(env, d, value); \
    }

FROM_INTEGER(cvtsq2sd, uint64_t, set_low_double(d, (int64_t)value))
FROM_INTEGER(cvtsq2ss, uint64_t, set_low_float(d, (int64_t)value))
FROM_INTEGER(cvtsi2ss, uint32_t, set_low_float(d, (int32_t)value))

#define TO_INTEGER(name, integer, most, real, convert) \
    static integer (*library_##name)(Env *, const Xmm *); \
    static integer name(Env *env, const Xmm *s) \
    { \
        real value = low_##real(s); \
        if (fabs(value) < most && rounds_as_host(env)) \
            return convert; \
        return library_##name(env, s); \
    }

#define MOST32 2147483647.0
#define MOST64 9223372036854774784.0 /* the largest double below 2^63 */

TO_INTEGER(cvttsd2si, int32_t, MOST32, double, (int32_t)value)
TO_INTEGER(cvttsd2sq, int64_t, MOST64, double, (int64_t)value)
TO_INTEGER(cvttss2si, int32_t, MOST32, float, (int32_t)value)
TO_INTEGER(cvttss2sq, int64_t, MOST64, float, (int64_t)value)
TO_INTEGER(cvtsd2si, int32_t, MOST32, double, _mm_cvtsd_si32(_mm_set_sd(value)))
TO_INTEGER(cvtsd2sq, int64_t, MOST64, double, _mm_cvtsd_si64(_mm_set_sd(value)))
TO_INTEGER(cvtss2si, int32_t, MOST32, float, _mm_cvtss_si32(_mm_set_ss(value)))
TO_INTEGER(cvtss2sq, int64_t, MOST64, float, _mm_cvtss_si64(_mm_set_ss(value)))

static Binary *library_cvtss2sd, *library_cvtsd2ss;

static void cvtss2sd(Env *env, Xmm *d, const Xmm *s)
{
    float value = low_float(s);
    if ((fabsf(value) >= FLT_MIN && fabsf(value) <= FLT_MAX) || value == 0)
        set_low_double(d, value);
    else
        library_cvtss2sd(env, d, s);
}

static void cvtsd2ss(Env *env, Xmm *d, const Xmm *s)
{
    double from = low_double(s);
    float value = from;
    bool right = fabsf(value) > FLT_MIN && fabsf(value) <= FLT_MAX && rounds_as_host(env);
    if (right || from == 0)
        set_low_float(d, value);
    else
        library_cvtsd2ss(env, d, s);
}

#define MXCSR_FTZ 0x8000

static void (*library_update_mxcsr)(Env *);

/* Stock has FTZ flush what the x87 computes, rather than SSE. */
static void update_mxcsr(Env *env)
{
    library_update_mxcsr(env);
    env->sse_status.flush_results = (env->mxcsr & MXCSR_FTZ) != 0;
    env->x87_status.flush_results = 0;
}

int float_install(Vcpu *vcpu)
{
#define ENTRY(name) {#name, name, (void **)&library_##name},
#define ENTRY_RESULT(name, form, ...) ENTRY(name##form)
#define ENTRY_ORDER ENTRY_RESULT
#define FLAGS_ENTRY(name) {#name, name, (void **)&library_##name, .flags = true},
    static const SseHelper helpers[] = {
        ALL(ENTRY)
        {"cvtsi2sd", cvtsi2sd, NULL},
        ENTRY(cvtsi2ss) ENTRY(cvtsq2sd) ENTRY(cvtsq2ss)
        ENTRY(cvttsd2si) ENTRY(cvttsd2sq) ENTRY(cvttss2si) ENTRY(cvttss2sq)
        ENTRY(cvtsd2si) ENTRY(cvtsd2sq) ENTRY(cvtss2si) ENTRY(cvtss2sq)
        ENTRY(cvtss2sd) ENTRY(cvtsd2ss)
        FLAGS_ENTRY(ucomisd) FLAGS_ENTRY(comisd) FLAGS_ENTRY(ucomiss) FLAGS_ENTRY(comiss)
    };
#undef ENTRY
    library_update_mxcsr = vcpu->library.update_mxcsr;
    if (slot_replace(vcpu, "update_mxcsr_status_x86_64", update_mxcsr) < 0)
        return -1;
    return helper_replace_sse(vcpu, helpers, sizeof helpers / sizeof *helpers);
}

void float_enter(void)
{
    _mm_setcsr(HOST_MXCSR);
}
