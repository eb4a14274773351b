/* What two sides share, counted by hand and on the public data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include "m4a1/tmo/overlap.h"
#include "tests/support/tmo_data.h"

static const double scores[2][2] = { { 1, 2 }, { 1, 2 } };

static void assert_count(const struct overlap_count *one, size_t n, size_t n_shared,
    size_t n_carriers, size_t n_carriers_shared)
{
    assert_int_equal(one->n, n);
    assert_int_equal(one->n_shared, n_shared);
    assert_int_equal(one->n_carriers, n_carriers);
    assert_int_equal(one->n_carriers_shared, n_carriers_shared);
}

/* Sessions of 2 turns repeat every 4 sessions, each over a scene of its own; one prompt. */
static void by_hand(void **state)
{
    (void)state;
    struct dataset *data = simple_dataset(9, 2, scores);
    struct recorded_settings settings = recorded_defaults();
    struct recorded *rec;
    struct overlap o;
    assert_int_equal(recorded_build(data, &settings, &rec, NULL), OK);
    size_t train[] = { 0, 1, 2 }, test[] = { 8, 3 };
    assert_int_equal(overlap_count(rec, train, 3, test, 2, &o, NULL), OK);
    assert_count(&o.of[OVERLAP_SCENES], 2, 0, 2, 0);
    assert_count(&o.of[OVERLAP_FRAMES], 4, 0, 4, 0);
    assert_count(&o.of[OVERLAP_PROMPTS], 1, 1, 4, 4);
    /* Session 8 does what session 0 did.  Session 3 begins as session 1 does, in a task
     * of the first turn, but shows other views. */
    assert_count(&o.of[OVERLAP_ROWS], 4, 2, 4, 2);
    assert_int_equal(overlap_count(rec, train, 3, test, 0, &o, NULL), OK);
    assert_count(&o.of[OVERLAP_PROMPTS], 0, 0, 0, 0);
    recorded_free(rec);
    dataset_free(data);
}

/* The reference: of 20 test sessions of seeds 0, 1, 2, 15, 18 and 12 are over a scene that
 * training sessions share. */
static void public_data(void **state)
{
    (void)state;
    static const size_t over[] = { 15, 18, 12 };
    struct dataset *data = golden_dataset();
    struct json *splits = golden_json("golden/tmo/split.json");
    if (!data || !splits) {
        print_message("no shared golden/tmo or public data\n");
        dataset_free(data);
        json_free(splits);
        skip();
    }
    struct recorded_settings settings = recorded_defaults();
    struct recorded *rec;
    assert_int_equal(recorded_build(data, &settings, &rec, NULL), OK);
    for (int seed = 0; seed < 3; seed++) {
        char key[16];
        size_t *sides[2], n[2];
        static const char *const names[] = { "train", "test" };
        struct overlap o;
        snprintf(key, sizeof key, "seed%d", seed);
        for (int i = 0; i < 2; i++) {
            int64_t *ids = golden_ids(json_get(json_get(splits, key), names[i]), &n[i]);
            assert_int_equal(recorded_indices(rec, ids, n[i], &sides[i], NULL), OK);
            free(ids);
        }
        assert_int_equal(
            overlap_count(rec, sides[0], n[0], sides[1], n[1], &o, NULL), OK);
        assert_int_equal(o.of[OVERLAP_SCENES].n_carriers, 20);
        assert_int_equal(o.of[OVERLAP_SCENES].n_carriers_shared, over[seed]);
        assert_int_equal(
            o.of[OVERLAP_PROMPTS].n_carriers_shared, o.of[OVERLAP_PROMPTS].n_carriers);
        free(sides[0]);
        free(sides[1]);
    }
    recorded_free(rec);
    dataset_free(data);
    json_free(splits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand),
        cmocka_unit_test(public_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
