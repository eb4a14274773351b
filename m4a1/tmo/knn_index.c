/* knn_index.c - group equal rows, lay them out in blocks, scan the blocks.
 *
 * Grouping sorts rows by a hash of their features (a radix sort), and by the features
 * themselves where hashes are equal and features are not.  The loops over blocks are one
 * text, compiled for AVX2 and for the processor that the program is built for; all numbers
 * are integers, so both give the same. */
#include "m4a1/tmo/knn_index.h"

#include <stdlib.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define LANES 16   /* rows a block */
#define CHUNK 32   /* blocks whose distances are held at once */
#define FAR 0x4000 /* above every distance of a narrow scan, twice it fits 16 bits */
#define FEW 256    /* rows that are sorted without hashing */
#define RADIX_BITS 11
#define RADIX_PASSES 4

typedef uint16_t lanes __attribute__((vector_size(2 * LANES), aligned(2), may_alias));
typedef int16_t signs __attribute__((vector_size(2 * LANES), aligned(2), may_alias));
typedef uint64_t quads __attribute__((vector_size(2 * LANES), aligned(2), may_alias));

#define AT(p) (*(lanes *)(p))
#define FROM(p) (*(const lanes *)(p))

/* A chunk of blocks, narrow. */
struct chunk {
    const int16_t *blocks; /* [n][d][LANES] */
    size_t n, d;
    size_t n_last; /* rows in the last of its blocks */
};

struct scan_kernels {
    /* sums [n][LANES] of the shared features; FAR or more where it is above limit */
    void (*shared)(const struct chunk *c, const struct knn_queries *q, unsigned limit,
        uint16_t *sums);
    /* d2 [n][LANES] = sums + the tail's; least [LANES] of each lane */
    void (*tail)(const struct chunk *c, const int16_t *tail, size_t n_shared,
        const uint16_t *sums, uint16_t *d2, uint16_t *least);
    /* hits: where d2 [n][LANES] is at most limit; returns how many */
    size_t (*select)(const uint16_t *d2, size_t n, unsigned limit, uint16_t *hits);
};

struct knn_index {
    size_t n, n_distinct, d;
    int16_t *blocks;     /* [blocks][d][LANES] owned */
    uint32_t *first;     /* [U + 1] where a distinct row's rows begin; owned */
    uint32_t *rows;      /* [n] owned */
    int16_t *low, *high; /* [d] owned */
    const struct scan_kernels *kernels;
};

/* --- kernels --- */

INLINE int any(const signs *mask)
{
    const quads *q = (const quads *)mask;
    return ((*q)[0] | (*q)[1] | (*q)[2] | (*q)[3]) != 0;
}

INLINE void add_squares(
    lanes *sum, const int16_t *column, const int16_t *q, size_t n_features)
{
    for (size_t j = 0; j < n_features; j++) {
        lanes off = FROM(column + j * LANES) - (uint16_t)q[j];
        *sum += off * off;
    }
}

INLINE void shared_body(
    const struct chunk *c, const struct knn_queries *q, unsigned limit, uint16_t *sums)
{
    size_t early = limit < FAR ? q->n_shared * 5 / 8 : 0;
    for (size_t b = 0; b < c->n; b++) {
        const int16_t *block = c->blocks + b * c->d * LANES;
        lanes sum = { 0 };
        add_squares(&sum, block, q->shared, early);
        signs near = (signs)sum <= (int16_t)limit;
        if (early && !any(&near))
            sum += FAR; // every lane is too far already
        else
            add_squares(
                &sum, block + early * LANES, q->shared + early, q->n_shared - early);
        AT(sums + b * LANES) = sum;
    }
    for (size_t lane = c->n_last; lane < LANES; lane++)
        sums[(c->n - 1) * LANES + lane] = FAR;
}

INLINE void tail_body(const struct chunk *c, const int16_t *tail, size_t n_shared,
    const uint16_t *sums, uint16_t *d2, uint16_t *least)
{
    signs low = { 0 };
    low += INT16_MAX;
    for (size_t b = 0; b < c->n; b++) {
        lanes sum = FROM(sums + b * LANES);
        add_squares(
            &sum, c->blocks + (b * c->d + n_shared) * LANES, tail, c->d - n_shared);
        signs less = (signs)sum < low;
        low = (less & (signs)sum) | (~less & low);
        AT(d2 + b * LANES) = sum;
    }
    AT(least) = (lanes)low;
}

INLINE size_t select_body(const uint16_t *d2, size_t n, unsigned limit, uint16_t *hits)
{
    size_t n_hits = 0;
    for (size_t b = 0; b < n; b++) {
        signs near = (signs)FROM(d2 + b * LANES) <= (int16_t)limit;
        if (!any(&near))
            continue;
        for (size_t lane = 0; lane < LANES; lane++) {
            hits[n_hits] = (uint16_t)(b * LANES + lane);
            n_hits += near[lane] != 0;
        }
    }
    return n_hits;
}

#define KERNELS(name, target)                                                            \
    target static void name##_shared(const struct chunk *c, const struct knn_queries *q, \
        unsigned limit, uint16_t *sums)                                                  \
    {                                                                                    \
        shared_body(c, q, limit, sums);                                                  \
    }                                                                                    \
    target static void name##_tail(const struct chunk *c, const int16_t *tail,           \
        size_t n_shared, const uint16_t *sums, uint16_t *d2, uint16_t *least)            \
    {                                                                                    \
        tail_body(c, tail, n_shared, sums, d2, least);                                   \
    }                                                                                    \
    target static size_t name##_select(                                                  \
        const uint16_t *d2, size_t n, unsigned limit, uint16_t *hits)                    \
    {                                                                                    \
        return select_body(d2, n, limit, hits);                                          \
    }                                                                                    \
    static const struct scan_kernels name##_kernels = { name##_shared, name##_tail,      \
        name##_select };

KERNELS(plain, )
#if defined(__x86_64__)
KERNELS(avx2, __attribute__((target("avx2"))))
#endif

static const struct scan_kernels *find_kernels(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2"))
        return &avx2_kernels;
#endif
    return &plain_kernels;
}

/* --- grouping --- */

struct keyed {
    uint64_t key;
    uint32_t row;
};

/* A mix of multiplications (splitmix64's) over eight bytes at a time. */
static uint64_t hash_row(const int16_t *x, size_t d)
{
    const unsigned char *bytes = (const unsigned char *)x;
    size_t n = d * sizeof *x;
    uint64_t h = n;
    for (size_t i = 0; i < n; i += 8) {
        uint64_t part = 0;
        memcpy(&part, bytes + i, n - i < 8 ? n - i : 8);
        h = (h ^ part) * UINT64_C(0xbf58476d1ce4e5b9);
        h ^= h >> 32;
    }
    h *= UINT64_C(0x94d049bb133111eb);
    return h ^ h >> 31;
}

/* Stable, by RADIX_PASSES * RADIX_BITS low bits of the key; the result is in `all`. */
static void radix_sort(struct keyed *all, struct keyed *scratch, size_t n)
{
    struct keyed *from = all, *to = scratch;
    for (int pass = 0; pass < RADIX_PASSES; pass++) {
        size_t counts[1 << RADIX_BITS] = { 0 }, at = 0;
        int shift = pass * RADIX_BITS;
        const uint64_t mask = (UINT64_C(1) << RADIX_BITS) - 1;
        for (size_t i = 0; i < n; i++)
            counts[from[i].key >> shift & mask]++;
        for (size_t v = 0; v <= mask; v++) {
            size_t count = counts[v];
            counts[v] = at;
            at += count;
        }
        for (size_t i = 0; i < n; i++)
            to[counts[from[i].key >> shift & mask]++] = from[i];
        struct keyed *swap = from;
        from = to;
        to = swap;
    }
}

static int compare_rows(
    const int16_t *x, size_t d, const struct keyed *a, const struct keyed *b)
{
    int c = memcmp(x + a->row * d, x + b->row * d, d * sizeof *x);
    return c ? c : a->row < b->row ? -1 : a->row > b->row;
}

/* Merge sort by features, since qsort() takes no context. */
static void sort_rows(
    const int16_t *x, size_t d, struct keyed *all, struct keyed *scratch, size_t n)
{
    if (n < 2)
        return;
    size_t half = n / 2;
    sort_rows(x, d, all, scratch, half);
    sort_rows(x, d, all + half, scratch, n - half);
    memcpy(scratch, all, half * sizeof *all);
    size_t i = 0, j = half, out = 0;
    while (i < half && j < n)
        all[out++] =
            compare_rows(x, d, &scratch[i], &all[j]) <= 0 ? scratch[i++] : all[j++];
    while (i < half)
        all[out++] = scratch[i++];
}

static int same_row(
    const int16_t *x, size_t d, const struct keyed *a, const struct keyed *b)
{
    return !memcmp(x + a->row * d, x + b->row * d, d * sizeof *x);
}

/* Equal keys lie side by side; where their rows differ after all, sort those. */
static void part_collisions(
    const int16_t *x, size_t d, struct keyed *all, struct keyed *scratch, size_t n)
{
    const uint64_t mask = (UINT64_C(1) << RADIX_PASSES * RADIX_BITS) - 1;
    for (size_t i = 0, end = 0; i < n; i = end) {
        int differ = 0;
        for (end = i + 1; end < n && !((all[i].key ^ all[end].key) & mask); end++)
            differ |= !same_row(x, d, &all[i], &all[end]);
        if (differ)
            sort_rows(x, d, all + i, scratch, end - i);
    }
}

/* Rows in an order in which equal ones are neighbours, rising among themselves. */
static enum status order_rows(
    const int16_t *x, size_t n, size_t d, struct keyed **out, struct error *err)
{
    struct keyed *all = malloc(n * sizeof *all), *scratch = malloc(n * sizeof *all);
    *out = NULL;
    if (!all || !scratch) {
        free(all);
        free(scratch);
        return error_nomem(err, n * sizeof *all);
    }
    for (size_t i = 0; i < n; i++)
        all[i] = (struct keyed) { n < FEW ? 0 : hash_row(x + i * d, d), (uint32_t)i };
    if (n < FEW) {
        sort_rows(x, d, all, scratch, n);
    } else {
        radix_sort(all, scratch, n);
        part_collisions(x, d, all, scratch, n);
    }
    free(scratch);
    *out = all;
    return OK;
}

/* --- building --- */

static enum status check(const int16_t *x, size_t n, size_t d, struct error *err)
{
    if (!n || n >= UINT32_MAX || !d || d > KNN_INDEX_MAX_FEATURES ||
        n > SIZE_MAX / sizeof *x / d)
        return error_set(err, E_ARG, "nearest rows: %zu rows of %zu features", n, d);
    for (size_t i = 0; i < n * d; i++)
        if (x[i] < -KNN_INDEX_MAX_FEATURE || x[i] > KNN_INDEX_MAX_FEATURE)
            return error_set(err, E_ARG,
                "nearest rows: feature %zu of row %zu is %d, beyond +-%d", i % d, i / d,
                x[i], KNN_INDEX_MAX_FEATURE);
    return OK;
}

/* The unused lanes of the last block repeat a row, so that no distance there is greater
 * than one that can be. */
static void fill_up(struct knn_index *index)
{
    size_t last = index->n_distinct - 1, d = index->d;
    int16_t *block = index->blocks + last / LANES * d * LANES;
    for (size_t lane = last % LANES + 1; lane < LANES; lane++)
        for (size_t j = 0; j < d; j++)
            block[j * LANES + lane] = block[j * LANES + last % LANES];
}

static void lay_out(struct knn_index *index, const int16_t *x, const struct keyed *order)
{
    size_t d = index->d, u = 0;
    for (size_t j = 0; j < d; j++)
        index->low[j] = index->high[j] = x[j];
    for (size_t i = 0; i < index->n; i++) {
        index->rows[i] = order[i].row;
        if (i && same_row(x, d, &order[i - 1], &order[i]))
            continue;
        const int16_t *row = x + order[i].row * d;
        int16_t *block = index->blocks + u / LANES * d * LANES + u % LANES;
        for (size_t j = 0; j < d; j++) {
            block[j * LANES] = row[j];
            index->low[j] = row[j] < index->low[j] ? row[j] : index->low[j];
            index->high[j] = row[j] > index->high[j] ? row[j] : index->high[j];
        }
        index->first[u++] = (uint32_t)i;
    }
    index->first[u] = (uint32_t)index->n;
    fill_up(index);
}

static size_t count_distinct(
    const int16_t *x, size_t n, size_t d, const struct keyed *order)
{
    size_t count = 1;
    for (size_t i = 1; i < n; i++)
        count += same_row(x, d, &order[i - 1], &order[i]) ? 0 : 1;
    return count;
}

enum status knn_index_build(
    const int16_t *x, size_t n, size_t d, struct knn_index **out, struct error *err)
{
    *out = NULL;
    struct keyed *order;
    enum status s = check(x, n, d, err);
    if (!s)
        s = order_rows(x, n, d, &order, err);
    if (s)
        return s;
    struct knn_index *index = calloc(1, sizeof *index);
    if (!index)
        goto no_memory;
    index->n = n;
    index->d = d;
    index->n_distinct = count_distinct(x, n, d, order);
    index->kernels = find_kernels();
    size_t n_blocks = (index->n_distinct + LANES - 1) / LANES;
    index->blocks = calloc(n_blocks * d * LANES, sizeof *index->blocks);
    index->first = malloc((index->n_distinct + 1) * sizeof *index->first);
    index->rows = malloc(n * sizeof *index->rows);
    index->low = malloc(d * sizeof *index->low);
    index->high = malloc(d * sizeof *index->high);
    if (!index->blocks || !index->first || !index->rows || !index->low || !index->high)
        goto no_memory;
    lay_out(index, x, order);
    free(order);
    *out = index;
    return OK;
no_memory:
    free(order);
    knn_index_free(index);
    return error_nomem(err, n * d * sizeof *x);
}

void knn_index_free(struct knn_index *index)
{
    if (!index)
        return;
    free(index->blocks);
    free(index->first);
    free(index->rows);
    free(index->low);
    free(index->high);
    free(index);
}

size_t knn_index_n_distinct(const struct knn_index *index)
{
    return index->n_distinct;
}

const uint32_t *knn_index_rows(const struct knn_index *index, size_t u, size_t *count)
{
    *count = index->first[u + 1] - index->first[u];
    return index->rows + index->first[u];
}

/* --- searching --- */

/* What one query has seen. */
struct search {
    const struct knn_index *index;
    const double *values;
    size_t k, n, places;
    struct knn_shell *shells; /* [k] nearest first */
};

/* The distance beyond which nothing is wanted any more. */
static uint32_t search_limit(const struct search *s)
{
    return s->places >= s->k ? s->shells[s->n - 1].d2 : UINT32_MAX;
}

/* Put a distinct row into its shell, and forget the shells that the k places no longer
 * reach. */
static void search_add(struct search *s, size_t u, uint32_t d2)
{
    const uint32_t *first = s->index->first;
    size_t count = first[u + 1] - first[u], at = s->n;
    while (at > 0 && s->shells[at - 1].d2 > d2)
        at--;
    if (at > 0 && s->shells[at - 1].d2 == d2) {
        s->shells[at - 1].count += count;
        s->shells[at - 1].sum += s->values[u];
        s->places += count;
    } else if (at < s->k) {
        // There are never more than k shells, for each holds a row or more.
        if (s->n == s->k)
            s->places -= s->shells[--s->n].count;
        memmove(s->shells + at + 1, s->shells + at, (s->n - at) * sizeof *s->shells);
        s->shells[at] = (struct knn_shell) { d2, count, s->values[u] };
        s->places += count;
        s->n++;
    }
    while (s->places - s->shells[s->n - 1].count >= s->k)
        s->places -= s->shells[--s->n].count;
}

/* The greatest distance that a row can have from q. */
static uint32_t farthest(
    const struct knn_index *index, const int16_t *q, size_t from, size_t to)
{
    uint32_t sum = 0;
    for (size_t j = from; j < to; j++) {
        int a = q[j - from] - index->low[j], b = index->high[j] - q[j - from];
        int most = abs(a) > abs(b) ? abs(a) : abs(b);
        sum += (uint32_t)(most * most);
    }
    return sum;
}

static int is_narrow(const struct knn_index *index, const struct knn_queries *q)
{
    uint32_t shared = farthest(index, q->shared, 0, q->n_shared);
    size_t n_tail = index->d - q->n_shared;
    for (size_t i = 0; i < q->n; i++)
        if (shared + farthest(index, q->tails + i * n_tail, q->n_shared, index->d) >= FAR)
            return 0;
    return 1;
}

/* The k-th smallest of the lanes' least: k different rows are at least that near. */
static unsigned limit_of(const uint16_t *least, size_t k)
{
    uint16_t sorted[LANES];
    size_t n = 0;
    if (k > LANES)
        return FAR - 1;
    for (size_t lane = 0; lane < LANES; lane++) {
        size_t at = n++;
        for (; at > 0 && sorted[at - 1] > least[lane]; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = least[lane];
    }
    return sorted[k - 1] < FAR ? sorted[k - 1] : FAR - 1;
}

static void scan_chunk(const struct knn_index *index, const struct chunk *chunk,
    size_t first_row, const struct knn_queries *q, struct search *searches)
{
    uint16_t sums[CHUNK * LANES], d2[CHUNK * LANES], least[LANES];
    uint16_t hits[CHUNK * LANES + 1];
    size_t n_tail = index->d - q->n_shared;
    uint32_t limit = 0;
    for (size_t i = 0; i < q->n; i++) {
        uint32_t one = search_limit(&searches[i]);
        limit = one > limit ? one : limit;
    }
    index->kernels->shared(chunk, q, limit < FAR ? limit : FAR, sums);
    for (size_t i = 0; i < q->n; i++) {
        index->kernels->tail(chunk, q->tails + i * n_tail, q->n_shared, sums, d2, least);
        uint32_t wanted = search_limit(&searches[i]);
        if (wanted == UINT32_MAX)
            wanted = searches[i].n ? FAR - 1 : limit_of(least, searches[i].k);
        size_t n_hits = index->kernels->select(d2, chunk->n, wanted, hits);
        for (size_t h = 0; h < n_hits; h++)
            if (d2[hits[h]] <= search_limit(&searches[i]))
                search_add(&searches[i], first_row + hits[h], d2[hits[h]]);
    }
}

static void scan_narrow(
    const struct knn_index *index, const struct knn_queries *q, struct search *searches)
{
    size_t step = CHUNK * LANES;
    for (size_t first = 0; first < index->n_distinct; first += step) {
        size_t n = index->n_distinct - first < step ? index->n_distinct - first : step;
        size_t n_blocks = (n + LANES - 1) / LANES;
        struct chunk chunk = { .blocks = index->blocks + first * index->d,
            .n = n_blocks,
            .d = index->d,
            .n_last = n - (n_blocks - 1) * LANES };
        scan_chunk(index, &chunk, first, q, searches);
    }
}

/* The distances of one block, in 32 bits. */
static void wide_block(const struct knn_index *index, size_t block, const int16_t *q,
    size_t from, size_t to, uint32_t *sums)
{
    for (size_t j = from; j < to; j++) {
        const int16_t *column = index->blocks + (block * index->d + j) * LANES;
        for (size_t lane = 0; lane < LANES; lane++) {
            int off = column[lane] - q[j - from];
            sums[lane] += (uint32_t)(off * off);
        }
    }
}

static size_t rows_in(const struct knn_index *index, size_t block)
{
    size_t left = index->n_distinct - block * LANES;
    return left < LANES ? left : LANES;
}

static void scan_wide(
    const struct knn_index *index, const struct knn_queries *q, struct search *searches)
{
    size_t n_tail = index->d - q->n_shared;
    for (size_t block = 0; block * LANES < index->n_distinct; block++) {
        uint32_t shared[LANES] = { 0 }, d2[LANES];
        wide_block(index, block, q->shared, 0, q->n_shared, shared);
        for (size_t i = 0; i < q->n; i++) {
            memcpy(d2, shared, sizeof d2);
            wide_block(index, block, q->tails + i * n_tail, q->n_shared, index->d, d2);
            for (size_t lane = 0; lane < rows_in(index, block); lane++)
                if (d2[lane] <= search_limit(&searches[i]))
                    search_add(&searches[i], block * LANES + lane, d2[lane]);
        }
    }
}

void knn_index_nearest(const struct knn_index *index, const double *values, size_t k,
    const struct knn_queries *queries, struct knn_shell *shells, size_t *n_shells)
{
    struct search searches[KNN_INDEX_MAX_QUERIES];
    for (size_t i = 0; i < queries->n; i++)
        searches[i] = (struct search) {
            .index = index, .values = values, .k = k, .shells = shells + i * k
        };
    if (is_narrow(index, queries))
        scan_narrow(index, queries, searches);
    else
        scan_wide(index, queries, searches);
    for (size_t i = 0; i < queries->n; i++)
        n_shells[i] = searches[i].n;
}

void knn_index_within(const struct knn_index *index, const int16_t *q, uint32_t limit,
    void (*found)(void *arg, size_t u, uint32_t d2), void *arg)
{
    for (size_t block = 0; block * LANES < index->n_distinct; block++) {
        uint32_t d2[LANES] = { 0 };
        wide_block(index, block, q, 0, index->d, d2);
        for (size_t lane = 0; lane < rows_in(index, block); lane++)
            if (d2[lane] <= limit)
                found(arg, block * LANES + lane, d2[lane]);
    }
}
