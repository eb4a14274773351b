/* Byte-pair encoding against the original's rule, written down plainly: find the pair of the
 * least rank, merge all of its places from left to right, again. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "annotate/clip/bpe.h"
#include "m4a1/base/random.h"

#define MAX_MERGES 60
#define LETTERS 4 /* ids 0 to 3 within a word, 4 to 7 at its end */
#define MAX_IDS (2 * LETTERS + MAX_MERGES)

/* Merges as they come, some made of what only a later one makes, some to one symbol.  What
 * two make has a greater id than they, as its text would be longer than theirs. */
static size_t random_merges(struct rng *rng, struct bpe_merge *merges)
{
    size_t n = 0, n_wanted = 1 + rng_below(rng, MAX_MERGES);
    for (size_t tries = 0; tries < 500 && n < n_wanted; tries++) {
        uint64_t n_ids = tries % 3 ? 2 * LETTERS + 6 : MAX_IDS; // most are often met
        int32_t left = (int32_t)rng_below(rng, n_ids),
                right = (int32_t)rng_below(rng, n_ids),
                merged = (int32_t)rng_below(rng, n_ids);
        int wanted = merged >= 2 * LETTERS && merged > left && merged > right;
        for (size_t i = 0; i < n; i++)
            wanted &= merges[i].left != left || merges[i].right != right;
        if (wanted)
            merges[n++] =
                (struct bpe_merge) { .left = left, .right = right, .merged = merged };
    }
    return n;
}

static size_t merge_everywhere(int32_t *ids, size_t n, const struct bpe_merge *m)
{
    size_t n_out = 0;
    for (size_t i = 0; i < n;) {
        int here = i + 1 < n && ids[i] == m->left && ids[i + 1] == m->right;
        ids[n_out++] = here ? m->merged : ids[i];
        i += here ? 2 : 1;
    }
    return n_out;
}

static size_t plain_encode(
    const struct bpe_merge *merges, size_t n_merges, int32_t *ids, size_t n)
{
    for (;;) {
        size_t best = n_merges;
        for (size_t i = 0; i + 1 < n; i++)
            for (size_t m = 0; m < best; m++)
                if (merges[m].left == ids[i] && merges[m].right == ids[i + 1])
                    best = m;
        if (best == n_merges)
            return n;
        n = merge_everywhere(ids, n, &merges[best]);
    }
}

static struct bpe *build(const struct bpe_merge *merges, size_t n)
{
    int32_t inner[256], last[256];
    for (int b = 0; b < 256; b++) {
        inner[b] = b % LETTERS;
        last[b] = LETTERS + b % LETTERS;
    }
    struct bpe_merge *copy = malloc((n + 1) * sizeof *copy);
    assert_non_null(copy);
    if (n)
        memcpy(copy, merges, n * sizeof *copy);
    struct bpe *bpe = NULL;
    assert_int_equal(bpe_new(copy, n, inner, last, MAX_IDS, &bpe, NULL), OK);
    return bpe;
}

static void expect_same(const struct bpe *bpe, const struct bpe_merge *merges,
    size_t n_merges, struct rng *rng, size_t len)
{
    uint8_t word[300];
    int32_t ids[300], expected[300];
    size_t n = 0;
    uint64_t letters = 1 + rng_below(rng, LETTERS); // few of them repeat more
    for (size_t i = 0; i < len; i++) {
        word[i] = (uint8_t)rng_below(rng, letters);
        expected[i] = word[i] + (i + 1 == len ? LETTERS : 0);
    }
    size_t n_expected = plain_encode(merges, n_merges, expected, len);
    assert_int_equal(bpe_encode(bpe, word, len, ids, 300, &n, NULL), OK);
    assert_int_equal(n, n_expected);
    assert_memory_equal(ids, expected, n * sizeof *ids);
    size_t n_cut = n / 2;
    int32_t cut[300];
    assert_int_equal(bpe_encode(bpe, word, len, cut, n_cut, &n, NULL), OK);
    assert_int_equal(n, n_cut);
    assert_memory_equal(cut, expected, n * sizeof *ids);
}

static void encodes_as_the_plain_rule_does(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 11, "bpe", 0);
    for (int round = 0; round < 2000; round++) {
        struct bpe_merge merges[MAX_MERGES];
        size_t n = random_merges(&rng, merges);
        struct bpe *bpe = build(merges, n);
        for (int i = 0; i < 8; i++) // words on both sides of what fits on the stack
            expect_same(bpe, merges, n, &rng, 1 + rng_below(&rng, i < 6 ? 20 : 200));
        bpe_free(bpe);
    }
}

static void works_without_merges(void **state)
{
    (void)state;
    struct bpe *bpe = build(NULL, 0);
    int32_t ids[3];
    size_t n = 0;
    assert_int_equal(bpe_encode(bpe, (const uint8_t *)"\0\1\2", 3, ids, 3, &n, NULL), OK);
    assert_int_equal(n, 3);
    assert_int_equal(ids[2], 2 + LETTERS);
    bpe_free(bpe);
    bpe_free(NULL);
}

static void refuses_a_pair_twice(void **state)
{
    (void)state;
    struct bpe_merge *merges = calloc(3, sizeof *merges);
    assert_non_null(merges);
    merges[0] = (struct bpe_merge) { .left = 0, .right = 1, .merged = 8 };
    merges[1] = (struct bpe_merge) { .left = 1, .right = 1, .merged = 9 };
    merges[2] = (struct bpe_merge) { .left = 0, .right = 1, .merged = 10 };
    int32_t bytes[256] = { 0 };
    struct bpe *bpe = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(bpe_new(merges, 3, bytes, bytes, MAX_IDS, &bpe, &err), E_DATA);
    assert_null(bpe);
    assert_non_null(strstr(err.msg, "merge 3 "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes_as_the_plain_rule_does),
        cmocka_unit_test(works_without_merges),
        cmocka_unit_test(refuses_a_pair_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
