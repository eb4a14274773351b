/* test_replay.c - what a ring of steps keeps, and what is drawn from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "m4a1/tmo/replay.h"

#define CAPACITY 5

/* Step i observed i, allowed action i % 2, did i % 3 and earned 10 i; every fourth ended. */
static void make_step(struct replay *r, size_t i)
{
    const float x[2] = { (float)i, -(float)i };
    const unsigned char allowed[2] = { i % 2 == 0, i % 2 == 1 };
    assert_int_equal(replay_observe(r, x, allowed, NULL), OK);
    replay_act(r, i % 3, 10.0 * (double)i, i % 4 == 3);
}

static void test_ring(void **state)
{
    (void)state;
    struct replay r;
    struct rng rng;
    rng_init(&rng, 0, "test", 0);
    replay_init(&r, 2, 2, CAPACITY, 1);
    for (size_t i = 0; i < 23; i++) {
        make_step(&r, i);
        const float ahead[2] = { (float)(i + 1), 0 };
        assert_int_equal(
            replay_observe(&r, ahead, (unsigned char[2]) { 0, 0 }, NULL), OK);
        size_t n = i + 1 < CAPACITY ? i + 1 : CAPACITY, seen = 0;
        assert_int_equal(r.n, n);
        for (int draw = 0; draw < 200; draw++) {
            size_t row = replay_draw(&r, &rng);
            size_t step = (size_t)r.x[row * 2];
            assert_true(step <= i && step + n > i); // one of the last n
            seen |= (size_t)1 << (i - step);
            assert_true(r.x[row * 2 + 1] == -(float)step);
            assert_int_equal(r.allowed[row * 2 + 1], step % 2);
            assert_int_equal(r.chosen[row], step % 3);
            assert_true(r.reward[row] == 10.0 * (double)step);
            assert_int_equal(r.ended[row], step % 4 == 3);
            assert_int_equal((size_t)r.x[replay_next(&r, row) * 2], step + 1);
        }
        assert_int_equal(seen, ((size_t)1 << n) - 1); // and each of them
    }
    replay_release(&r);
}

/* Memory follows what is stored, not the capacity. */
static void test_memory_grows(void **state)
{
    (void)state;
    struct replay r;
    replay_init(&r, 2, 2, 100000000, 0);
    for (size_t i = 0; i < 5000; i++)
        make_step(&r, i);
    assert_true(r.n_rows >= 5000 && r.n_rows <= 10000);
    assert_null(r.allowed);
    assert_true(r.x[2 * 4999] == 4999);
    replay_release(&r);
}

/* A step that takes the place of another has no answer of a target network yet. */
static void test_nothing_is_kept_of_the_old(void **state)
{
    (void)state;
    struct replay r;
    replay_init(&r, 2, 2, 1, 0);
    make_step(&r, 0);
    r.asked[0] = 7;
    make_step(&r, 1);
    make_step(&r, 2);
    assert_int_equal(r.asked[0], 0);
    assert_int_equal(r.n, 1);
    replay_release(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring),
        cmocka_unit_test(test_memory_grows),
        cmocka_unit_test(test_nothing_is_kept_of_the_old),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
