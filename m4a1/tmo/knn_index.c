/* knn_index.c - distinct rows in blocks, and searches that scan them.
 *
 * Each call scans in 16 bits where no distance can be too large for that (knn_scan.h), else
 * in 32.  Of several queries the shared features are summed once. */
#include "m4a1/tmo/knn_index.h"

#include <stdlib.h>
#include <string.h>

#include "m4a1/tmo/knn_group.h"
#include "m4a1/tmo/knn_scan.h"

#define LANES KNN_LANES

struct knn_index {
    size_t n, n_distinct, n_blocks, d;
    int16_t *blocks;     /* [n_blocks][d][LANES], features that vary most first; owned */
    uint32_t *first;     /* [U + 1] where a distinct row's rows begin; owned */
    uint32_t *rows;      /* [n] owned */
    int16_t *low, *high; /* [d] of each feature; owned */
    uint16_t *place;     /* [d] a feature's position in a block; owned */
    const struct knn_scan *scan;
};

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

static void lay_out(struct knn_index *index, const int16_t *x)
{
    size_t d = index->d, u = 0;
    for (size_t i = 0; i < index->n; i++) {
        const int16_t *row = x + index->rows[i] * d;
        if (i && !memcmp(x + index->rows[i - 1] * d, row, d * sizeof *x))
            continue;
        int16_t *block = index->blocks + u / LANES * d * LANES + u % LANES;
        for (size_t j = 0; j < d; j++)
            block[j * LANES] = row[j];
        index->first[u++] = (uint32_t)i;
    }
    index->first[u] = (uint32_t)index->n;
    fill_up(index);
}

struct spread {
    double variance; /* times the number of values, squared */
    uint16_t feature;
};

static int by_spread(const void *va, const void *vb)
{
    const struct spread *a = va, *b = vb;
    if (a->variance != b->variance)
        return a->variance > b->variance ? -1 : 1;
    return a->feature < b->feature ? -1 : a->feature > b->feature;
}

/* One feature's range and spread over the distinct rows. */
static double survey(
    const struct knn_index *index, size_t feature, int16_t *least, int16_t *most)
{
    int low[LANES], high[LANES];
    int64_t sums[LANES] = { 0 }, squares[LANES] = { 0 }, sum = 0, square = 0;
    for (size_t lane = 0; lane < LANES; lane++)
        low[lane] = high[lane] = index->blocks[feature * LANES];
    for (size_t b = 0; b < index->n_blocks; b++) {
        const int16_t *column = index->blocks + (b * index->d + feature) * LANES;
        for (size_t lane = 0; lane < LANES; lane++) {
            int value = column[lane];
            low[lane] = value < low[lane] ? value : low[lane];
            high[lane] = value > high[lane] ? value : high[lane];
            sums[lane] += value;
            squares[lane] += value * value;
        }
    }
    for (size_t lane = 0; lane < LANES; lane++) {
        low[0] = low[lane] < low[0] ? low[lane] : low[0];
        high[0] = high[lane] > high[0] ? high[lane] : high[0];
        sum += sums[lane];
        square += squares[lane];
    }
    *least = (int16_t)low[0];
    *most = (int16_t)high[0];
    double n = (double)(index->n_blocks * LANES);
    return n * (double)square - (double)sum * (double)sum;
}

/* Put the features that vary most first, so that a scan knows early what is far.  Returns
 * -1 where there is no memory. */
static int order_features(struct knn_index *index)
{
    size_t d = index->d;
    struct spread *all = malloc(d * sizeof *all);
    int16_t *block = malloc(d * LANES * sizeof *block);
    int failed = !all || !block;
    for (size_t j = 0; !failed && j < d; j++) {
        all[j].feature = (uint16_t)j;
        all[j].variance = survey(index, j, &index->low[j], &index->high[j]);
    }
    if (!failed)
        qsort(all, d, sizeof *all, by_spread);
    for (size_t at = 0; !failed && at < d; at++)
        index->place[all[at].feature] = (uint16_t)at;
    for (size_t b = 0; !failed && b < index->n_blocks; b++) {
        int16_t *columns = index->blocks + b * d * LANES;
        memcpy(block, columns, d * LANES * sizeof *block);
        for (size_t at = 0; at < d; at++)
            memcpy(columns + at * LANES, block + all[at].feature * LANES,
                LANES * sizeof *block);
    }
    free(all);
    free(block);
    return failed ? -1 : 0;
}

static size_t count_distinct(const int16_t *x, size_t n, size_t d, const uint32_t *rows)
{
    size_t count = 1;
    for (size_t i = 1; i < n; i++)
        count += memcmp(x + rows[i - 1] * d, x + rows[i] * d, d * sizeof *x) ? 1 : 0;
    return count;
}

enum status knn_index_build(
    const int16_t *x, size_t n, size_t d, struct knn_index **out, struct error *err)
{
    *out = NULL;
    enum status s = check(x, n, d, err);
    if (s)
        return s;
    struct knn_index *index = calloc(1, sizeof *index);
    if (!index)
        return error_nomem(err, sizeof *index);
    index->n = n;
    index->d = d;
    index->scan = knn_scan_fastest();
    s = knn_group_rows(x, n, d, &index->rows, err);
    if (s)
        goto fail;
    index->n_distinct = count_distinct(x, n, d, index->rows);
    index->n_blocks = (index->n_distinct + LANES - 1) / LANES;
    index->blocks = malloc(index->n_blocks * d * LANES * sizeof *index->blocks);
    index->first = malloc((index->n_distinct + 1) * sizeof *index->first);
    index->low = malloc(d * sizeof *index->low);
    index->high = malloc(d * sizeof *index->high);
    index->place = malloc(d * sizeof *index->place);
    if (index->blocks && index->first && index->low && index->high && index->place) {
        lay_out(index, x);
        if (!order_features(index)) {
            *out = index;
            return OK;
        }
    }
    s = error_nomem(err, n * d * sizeof *x);
fail:
    knn_index_free(index);
    return s;
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
    free(index->place);
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
        if (shared + farthest(index, q->tails + i * n_tail, q->n_shared, index->d) >=
            KNN_FAR)
            return 0;
    return 1;
}

/* The k-th smallest of the lanes' least: k different rows are at least that near. */
static unsigned limit_of(const uint16_t *least, size_t k)
{
    uint16_t sorted[LANES];
    size_t n = 0;
    if (k > LANES)
        return KNN_FAR - 1;
    for (size_t lane = 0; lane < LANES; lane++) {
        size_t at = n++;
        for (; at > 0 && sorted[at - 1] > least[lane]; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = least[lane];
    }
    return sorted[k - 1] < KNN_FAR ? sorted[k - 1] : KNN_FAR - 1;
}

/* What the queries of one call have in common. */
struct plan {
    uint32_t shared[KNN_INDEX_MAX_FEATURES]; /* offsets, rising */
    int16_t values[KNN_INDEX_MAX_FEATURES];  /* of the shared features, in that order */
    uint32_t tails[KNN_INDEX_MAX_FEATURES];  /* offsets */
    size_t n_shared, n_tail;
};

static void make_plan(
    const struct knn_index *index, const struct knn_queries *q, struct plan *plan)
{
    uint16_t feature_at[KNN_INDEX_MAX_FEATURES];
    plan->n_shared = 0;
    plan->n_tail = index->d - q->n_shared;
    for (size_t j = 0; j < index->d; j++)
        feature_at[index->place[j]] = (uint16_t)j;
    for (size_t at = 0; at < index->d; at++) {
        if (feature_at[at] >= q->n_shared)
            continue;
        plan->shared[plan->n_shared] = (uint32_t)(at * LANES);
        plan->values[plan->n_shared++] = q->shared[feature_at[at]];
    }
    for (size_t i = 0; i < plan->n_tail; i++)
        plan->tails[i] = (uint32_t)(index->place[q->n_shared + i] * LANES);
}

static void scan_chunk(const struct knn_index *index, const struct knn_chunk *chunk,
    size_t first_row, const struct knn_queries *q, const struct plan *plan,
    struct search *searches)
{
    uint16_t sums[KNN_CHUNK * LANES], d2[KNN_CHUNK * LANES], least[LANES];
    uint16_t hits[KNN_CHUNK * LANES + 1];
    uint32_t limit = 0;
    for (size_t i = 0; i < q->n; i++) {
        uint32_t one = search_limit(&searches[i]);
        limit = one > limit ? one : limit;
    }
    struct knn_terms shared = { plan->shared, plan->values, plan->n_shared };
    index->scan->shared(chunk, &shared, limit < KNN_FAR ? limit : KNN_FAR, sums);
    for (size_t i = 0; i < q->n; i++) {
        struct knn_terms tail = { plan->tails, q->tails + i * plan->n_tail,
            plan->n_tail };
        index->scan->tail(chunk, &tail, sums, d2, least);
        uint32_t wanted = search_limit(&searches[i]);
        if (wanted == UINT32_MAX)
            wanted = searches[i].n ? KNN_FAR - 1 : limit_of(least, searches[i].k);
        size_t n_hits = index->scan->select(d2, chunk->n, wanted, hits);
        for (size_t h = 0; h < n_hits; h++)
            if (d2[hits[h]] <= search_limit(&searches[i]))
                search_add(&searches[i], first_row + hits[h], d2[hits[h]]);
    }
}

static void scan_narrow(
    const struct knn_index *index, const struct knn_queries *q, struct search *searches)
{
    size_t step = KNN_CHUNK * LANES;
    struct plan plan;
    make_plan(index, q, &plan);
    for (size_t first = 0; first < index->n_distinct; first += step) {
        size_t n = index->n_distinct - first < step ? index->n_distinct - first : step;
        size_t n_blocks = (n + LANES - 1) / LANES;
        struct knn_chunk chunk = { .blocks = index->blocks + first * index->d,
            .n = n_blocks,
            .d = index->d,
            .n_last = n - (n_blocks - 1) * LANES };
        scan_chunk(index, &chunk, first, q, &plan, searches);
    }
}

/* The distances of one block, in 32 bits. */
static void wide_block(const struct knn_index *index, size_t block, const int16_t *q,
    size_t from, size_t to, uint32_t *sums)
{
    for (size_t j = from; j < to; j++) {
        const int16_t *column =
            index->blocks + (block * index->d + index->place[j]) * LANES;
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
