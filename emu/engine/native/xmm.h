/* Vector registers of the guest in those of the host.
 *
 * Translated code moves vectors in halves, so they are loaded in halves here: a load of 16 bytes
 * that were stored as two times 8 waits until they have reached the cache.
 */
#ifndef PYEMU_XMM_H
#define PYEMU_XMM_H

#include <immintrin.h>

#include "layout.h"

static inline __m128i xmm_load(const Xmm *x)
{
    return _mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *)&x->low),
                              _mm_loadl_epi64((const __m128i *)&x->high));
}

static inline void xmm_store(Xmm *x, __m128i value)
{
    _mm_storeu_si128((__m128i *)&x->low, value);
}

#endif
