/* knn_scan.c - sums of squares, 16 rows side by side in 16 bits. */
#include "m4a1/tmo/knn_scan.h"

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 4")
#define SIDE_BY_SIDE 4 /* blocks that are summed at once */
#define STEP 8         /* features between two looks at the limit */

typedef uint16_t lanes __attribute__((vector_size(2 * KNN_LANES), aligned(2), may_alias));
typedef int16_t signs __attribute__((vector_size(2 * KNN_LANES), aligned(2), may_alias));
typedef uint64_t quads __attribute__((vector_size(2 * KNN_LANES), aligned(2), may_alias));

#define AT(p) (*(lanes *)(p))
#define FROM(p) (*(const lanes *)(p))

INLINE int any(const signs *mask)
{
    const quads *q = (const quads *)mask;
    return ((*q)[0] | (*q)[1] | (*q)[2] | (*q)[3]) != 0;
}

/* The shared features of `width` blocks, a constant where this is inlined; stops where all
 * of their lanes are too far already. */
INLINE void shared_blocks(const int16_t *blocks, size_t d, const struct knn_terms *terms,
    unsigned limit, uint16_t *sums, const size_t width)
{
    lanes sum[SIDE_BY_SIDE];
    size_t step = limit < KNN_FAR ? STEP : terms->n;
    UNROLL for (size_t w = 0; w < width; w++) sum[w] = (lanes) { 0 };
    for (size_t i = 0; i < terms->n;) {
        size_t end = terms->n - i < step ? terms->n : i + step;
        for (; i < end; i++) {
            const int16_t *column = blocks + terms->offsets[i];
            lanes value = (lanes) { 0 } + (uint16_t)terms->values[i];
            UNROLL for (size_t w = 0; w < width; w++)
            {
                lanes off = FROM(column + w * d * KNN_LANES) - value;
                sum[w] += off * off;
            }
        }
        signs near = { 0 };
        UNROLL for (size_t w = 0; w < width; w++) near |= (signs)sum[w] <= (int16_t)limit;
        if (i < terms->n && !any(&near)) {
            UNROLL for (size_t w = 0; w < width; w++) sum[w] += KNN_FAR;
            break;
        }
    }
    UNROLL for (size_t w = 0; w < width; w++) AT(sums + w * KNN_LANES) = sum[w];
}

INLINE void shared_body(const struct knn_chunk *c, const struct knn_terms *terms,
    unsigned limit, uint16_t *sums)
{
    size_t b = 0, size = c->d * KNN_LANES;
    for (; b + SIDE_BY_SIDE <= c->n; b += SIDE_BY_SIDE)
        shared_blocks(
            c->blocks + b * size, c->d, terms, limit, sums + b * KNN_LANES, SIDE_BY_SIDE);
    for (; b < c->n; b++)
        shared_blocks(c->blocks + b * size, c->d, terms, limit, sums + b * KNN_LANES, 1);
    for (size_t lane = c->n_last; lane < KNN_LANES; lane++)
        sums[(c->n - 1) * KNN_LANES + lane] = KNN_FAR;
}

INLINE void tail_body(const struct knn_chunk *c, const struct knn_terms *terms,
    const uint16_t *sums, uint16_t *d2, uint16_t *least)
{
    signs low = { 0 };
    low += INT16_MAX;
    for (size_t b = 0; b < c->n; b++) {
        lanes sum = FROM(sums + b * KNN_LANES);
        const int16_t *block = c->blocks + b * c->d * KNN_LANES;
        for (size_t i = 0; i < terms->n; i++) {
            lanes off = FROM(block + terms->offsets[i]) - (uint16_t)terms->values[i];
            sum += off * off;
        }
        signs less = (signs)sum < low;
        low = (less & (signs)sum) | (~less & low);
        AT(d2 + b * KNN_LANES) = sum;
    }
    AT(least) = (lanes)low;
}

INLINE size_t select_body(const uint16_t *d2, size_t n, unsigned limit, uint16_t *hits)
{
    size_t n_hits = 0;
    for (size_t b = 0; b < n; b++) {
        signs near = (signs)FROM(d2 + b * KNN_LANES) <= (int16_t)limit;
        if (!any(&near))
            continue;
        for (size_t lane = 0; lane < KNN_LANES; lane++) {
            hits[n_hits] = (uint16_t)(b * KNN_LANES + lane);
            n_hits += near[lane] != 0;
        }
    }
    return n_hits;
}

static void plain_shared(const struct knn_chunk *c, const struct knn_terms *terms,
    unsigned limit, uint16_t *sums)
{
    shared_body(c, terms, limit, sums);
}

static void plain_tail(const struct knn_chunk *c, const struct knn_terms *terms,
    const uint16_t *sums, uint16_t *d2, uint16_t *least)
{
    tail_body(c, terms, sums, d2, least);
}

static size_t plain_select(const uint16_t *d2, size_t n, unsigned limit, uint16_t *hits)
{
    return select_body(d2, n, limit, hits);
}

static const struct knn_scan plain = { "plain", plain_shared, plain_tail, plain_select };

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2")))

AVX2 static void avx2_shared(const struct knn_chunk *c, const struct knn_terms *terms,
    unsigned limit, uint16_t *sums)
{
    shared_body(c, terms, limit, sums);
}

AVX2 static void avx2_tail(const struct knn_chunk *c, const struct knn_terms *terms,
    const uint16_t *sums, uint16_t *d2, uint16_t *least)
{
    tail_body(c, terms, sums, d2, least);
}

AVX2 static size_t avx2_select(
    const uint16_t *d2, size_t n, unsigned limit, uint16_t *hits)
{
    return select_body(d2, n, limit, hits);
}

static const struct knn_scan avx2 = { "avx2", avx2_shared, avx2_tail, avx2_select };
#endif

const struct knn_scan *knn_scan_fastest(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2"))
        return &avx2;
#endif
    return &plain;
}

const struct knn_scan *knn_scan_plain(void)
{
    return &plain;
}
