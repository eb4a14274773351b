/* test_knn_index.c - nearest rows against the plain reading, in every way of scanning. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/base/random.h"
#include "m4a1/tmo/knn_index.h"
#include "m4a1/tmo/knn_scan.h"

#define MAX_K 64

/* Rows and the values of their distinct rows. */
struct rows {
    int16_t *x;
    size_t n, d;
    struct knn_index *index;
    double *values; /* [U] */
};

static void draw(struct rng *rng, int16_t *x, size_t n, size_t d, int least, int most)
{
    for (size_t i = 0; i < n * d; i++)
        x[i] = (int16_t)(least + (int)rng_below(rng, (uint64_t)(most - least + 1)));
}

static void make(struct rows *r, struct rng *rng, size_t n, size_t d, int least, int most)
{
    struct error err = ERROR_INIT;
    r->n = n;
    r->d = d;
    r->x = malloc(n * d * sizeof *r->x);
    assert_non_null(r->x);
    draw(rng, r->x, n, d, least, most);
    assert_int_equal(knn_index_build(r->x, n, d, &r->index, &err), OK);
    size_t n_distinct = knn_index_n_distinct(r->index);
    r->values = malloc(n_distinct * sizeof *r->values);
    assert_non_null(r->values);
    // Whole numbers, so that sums are exact in any order.
    for (size_t u = 0; u < n_distinct; u++)
        r->values[u] = (double)rng_below(rng, 1000);
}

static void release(struct rows *r)
{
    knn_index_free(r->index);
    free(r->values);
    free(r->x);
}

static uint32_t distance(const int16_t *a, const int16_t *b, size_t d)
{
    uint32_t sum = 0;
    for (size_t j = 0; j < d; j++)
        sum += (uint32_t)((a[j] - b[j]) * (a[j] - b[j]));
    return sum;
}

/* The shells by the plain reading: the nearest distance that is left, until k rows are
 * in. */
static size_t plain(
    const struct rows *r, const int16_t *q, size_t k, struct knn_shell *shells)
{
    size_t n_shells = 0, places = 0;
    int64_t last = -1;
    while (places < k) {
        struct knn_shell shell = { UINT32_MAX, 0, 0 };
        for (size_t i = 0; i < r->n; i++) {
            uint32_t d2 = distance(r->x + i * r->d, q, r->d);
            if ((int64_t)d2 > last && d2 < shell.d2)
                shell.d2 = d2;
        }
        for (size_t u = 0; u < knn_index_n_distinct(r->index); u++) {
            size_t count;
            const uint32_t *rows = knn_index_rows(r->index, u, &count);
            if (distance(r->x + rows[0] * r->d, q, r->d) != shell.d2)
                continue;
            shell.count += count;
            shell.sum += r->values[u];
        }
        places += shell.count;
        last = shell.d2;
        shells[n_shells++] = shell;
    }
    return n_shells;
}

/* n queries that share n_shared features, against the plain reading. */
static void check_queries(const struct rows *r, struct rng *rng, size_t k, size_t n,
    size_t n_shared, int least, int most)
{
    struct knn_shell got[KNN_INDEX_MAX_QUERIES * MAX_K], expected[MAX_K];
    size_t n_got[KNN_INDEX_MAX_QUERIES], n_tail = r->d - n_shared;
    int16_t q[64], tails[KNN_INDEX_MAX_QUERIES * 64];
    draw(rng, q, 1, r->d, least, most);
    draw(rng, tails, n, n_tail, least, most);
    struct knn_queries queries = { q, n_shared, tails, n };
    knn_index_nearest(r->index, r->values, k, &queries, got, n_got);
    for (size_t i = 0; i < n; i++) {
        memcpy(q + n_shared, tails + i * n_tail, n_tail * sizeof *q);
        size_t n_expected = plain(r, q, k, expected);
        assert_int_equal(n_got[i], n_expected);
        for (size_t s = 0; s < n_expected; s++) {
            assert_int_equal(got[i * k + s].d2, expected[s].d2);
            assert_int_equal(got[i * k + s].count, expected[s].count);
            assert_true(got[i * k + s].sum == expected[s].sum);
        }
    }
}

static void test_against_plain(void **state)
{
    (void)state;
    // Few rows and many (more than a chunk), few values and many, values whose distances
    // need 32 bits; one query and several, with everything shared and with nothing.
    static const struct {
        size_t n, d;
        int least, most;
    } shapes[] = { { 1, 1, 0, 0 }, { 7, 3, -1, 2 }, { 40, 5, -1, 1 }, { 300, 4, 0, 3 },
        { 700, 29, -1, 1 }, { 1500, 12, -3, 3 }, { 900, 6, -500, 500 },
        { 100, 33, -200, 200 }, { 600, 2, 0, 1 } };
    struct rng rng;
    rng_init(&rng, 1, "test/knn_index", 0);
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        struct rows r;
        make(&r, &rng, shapes[s].n, shapes[s].d, shapes[s].least, shapes[s].most);
        for (int round = 0; round < 12; round++) {
            size_t most = r.n < MAX_K ? r.n : MAX_K;
            size_t k = 1 + rng_below(&rng, round % 2 ? most : most < 6 ? most : 6);
            size_t n = 1 + rng_below(&rng, KNN_INDEX_MAX_QUERIES);
            size_t n_shared = round % 3 ? rng_below(&rng, r.d + 1) : r.d;
            check_queries(
                &r, &rng, k, n, n_shared, shapes[s].least - 1, shapes[s].most + 1);
        }
        release(&r);
    }
}

/* Values that a query has and no row: distances may grow beyond what fits 16 bits. */
static void test_queries_far_outside(void **state)
{
    (void)state;
    struct rng rng;
    struct rows r;
    rng_init(&rng, 2, "test/knn_index", 0);
    make(&r, &rng, 50, 29, 0, 1);
    check_queries(&r, &rng, 5, 3, 20, -500, 500);
    check_queries(&r, &rng, 5, 3, 20, 400, 500);
    check_queries(&r, &rng, 5, 3, 29, 22, 24); // near the end of 16 bits
    release(&r);
}

static void test_groups(void **state)
{
    (void)state;
    struct rng rng;
    struct rows r;
    rng_init(&rng, 3, "test/knn_index", 0);
    for (size_t n = 100; n <= 1000; n += 900) { // sorted by features, and by hashes
        make(&r, &rng, n, 3, 0, 3);
        unsigned char *seen = calloc(n, 1);
        assert_non_null(seen);
        assert_true(knn_index_n_distinct(r.index) <= 64);
        for (size_t u = 0; u < knn_index_n_distinct(r.index); u++) {
            size_t count;
            const uint32_t *rows = knn_index_rows(r.index, u, &count);
            for (size_t i = 0; i < count; i++) {
                assert_int_equal(distance(r.x + rows[i] * 3, r.x + rows[0] * 3, 3), 0);
                assert_true(!i || rows[i] > rows[i - 1]);
                assert_false(seen[rows[i]]);
                seen[rows[i]] = 1;
            }
        }
        for (size_t i = 0; i < n; i++)
            assert_true(seen[i]);
        free(seen);
        release(&r);
    }
}

static void count_found(void *arg, size_t u, uint32_t d2)
{
    (void)u;
    uint32_t *most = arg;
    most[0]++;
    most[1] = d2 > most[1] ? d2 : most[1];
}

static void test_within(void **state)
{
    (void)state;
    struct rng rng;
    struct rows r;
    rng_init(&rng, 4, "test/knn_index", 0);
    make(&r, &rng, 700, 8, 0, 2);
    for (uint32_t limit = 0; limit < 12; limit++) {
        uint32_t found[2] = { 0 }, expected = 0;
        const int16_t *q = r.x + 5 * r.d;
        knn_index_within(r.index, q, limit, count_found, found);
        for (size_t u = 0; u < knn_index_n_distinct(r.index); u++) {
            size_t count;
            const uint32_t *rows = knn_index_rows(r.index, u, &count);
            expected += distance(r.x + rows[0] * r.d, q, r.d) <= limit;
        }
        assert_int_equal(found[0], expected);
        assert_true(found[0] >= 1 && found[1] <= limit);
    }
    release(&r);
}

/* Every loop of one variant gives what it gives in the other. */
static void test_scans_agree(void **state)
{
    (void)state;
    enum { D = 13, BLOCKS = 7, N = BLOCKS * KNN_LANES };
    const struct knn_scan *scans[] = { knn_scan_plain(), knn_scan_fastest() };
    struct rng rng;
    rng_init(&rng, 5, "test/knn_index", 0);
    for (int round = 0; round < 200; round++) {
        int16_t blocks[BLOCKS * D * KNN_LANES], values[D];
        uint32_t offsets[D];
        uint16_t sums[2][N], d2[2][N], least[2][KNN_LANES], hits[2][N + 1];
        draw(&rng, blocks, BLOCKS * D, KNN_LANES, -9, 9);
        draw(&rng, values, 1, D, -9, 9);
        for (uint32_t j = 0; j < D; j++)
            offsets[j] = j * KNN_LANES;
        struct knn_chunk chunk = { blocks, 1 + rng_below(&rng, BLOCKS), D,
            1 + rng_below(&rng, KNN_LANES) };
        struct knn_terms shared = { offsets, values, 9 };
        struct knn_terms tail = { offsets + 9, values + 9, 4 };
        unsigned limit = round % 2 ? KNN_FAR : (unsigned)rng_below(&rng, 900);
        size_t n = chunk.n * KNN_LANES, n_hits[2];
        size_t rows = n - KNN_LANES + chunk.n_last;
        for (size_t v = 0; v < 2; v++) {
            scans[v]->shared(&chunk, &shared, limit, sums[v]);
            scans[v]->tail(&chunk, &tail, sums[v], d2[v], least[v]);
            n_hits[v] =
                scans[v]->select(d2[v], chunk.n, limit < KNN_FAR ? limit : 800, hits[v]);
        }
        assert_memory_equal(sums[0], sums[1], n * sizeof **sums);
        assert_memory_equal(d2[0], d2[1], n * sizeof **d2);
        assert_memory_equal(least[0], least[1], sizeof *least);
        assert_int_equal(n_hits[0], n_hits[1]);
        assert_memory_equal(hits[0], hits[1], n_hits[0] * sizeof **hits);
        for (size_t i = 0; i < n; i++) {
            const int16_t *row = blocks + i / KNN_LANES * D * KNN_LANES + i % KNN_LANES;
            unsigned sum = 0;
            for (size_t j = 0; j < 9; j++)
                sum += (unsigned)((row[j * KNN_LANES] - values[j]) *
                                  (row[j * KNN_LANES] - values[j]));
            if (i >= rows)
                assert_true(sums[0][i] >= KNN_FAR);
            else
                assert_true(sums[0][i] == sum || (sum > limit && sums[0][i] >= KNN_FAR));
        }
    }
}

static void test_refusals(void **state)
{
    (void)state;
    struct knn_index *index;
    struct error err = ERROR_INIT;
    int16_t x[] = { 1, 2, 3, -501 };
    assert_int_equal(knn_index_build(x, 0, 1, &index, &err), E_ARG);
    assert_int_equal(knn_index_build(x, 1, 0, &index, &err), E_ARG);
    assert_int_equal(
        knn_index_build(x, 1, KNN_INDEX_MAX_FEATURES + 1, &index, &err), E_ARG);
    assert_int_equal(knn_index_build(x, 2, 2, &index, &err), E_ARG);
    assert_non_null(strstr(err.msg, "feature 1 of row 1 is -501"));
    assert_null(index);
    knn_index_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_plain),
        cmocka_unit_test(test_queries_far_outside),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_within),
        cmocka_unit_test(test_scans_agree),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
