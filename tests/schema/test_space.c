/* test_space.c - the order of actions and the layout of states. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "schema/space.h"

static struct space make(size_t n_views, size_t n_tasks, size_t tau)
{
    struct space space;
    struct error err = ERROR_INIT;
    assert_int_equal(space_init_published(&space, n_views, n_tasks, tau, &err), OK);
    return space;
}

static void test_order_of_actions(void **state)
{
    (void)state;
    struct space space = make(4, 1, 1);
    // Local, text only, singles, pairs in lexicographic order, triples, all four.
    static const uint32_t expected[] = { 0, 0, 1, 2, 4, 8, 3, 5, 9, 6, 10, 12, 7, 11, 13,
        14, 15 };
    assert_int_equal(space.n_actions, 17);
    for (size_t a = 0; a < space.n_actions; a++) {
        assert_int_equal(space.actions[a].views, expected[a]);
        assert_int_equal(space_find(&space, a > 0, expected[a]), a);
        assert_int_equal(space_is_cloud(&space, a), a > 0);
    }
    assert_int_equal(space_n_uploaded(&space, 0), 0);
    assert_int_equal(space_n_uploaded(&space, 11), 2);
    assert_int_equal(space_n_uploaded(&space, 16), 4);
    space_release(&space);
}

static void test_largest_space(void **state)
{
    (void)state;
    struct space space = make(SPACE_MAX_VIEWS, 1, 1);
    assert_int_equal(space.n_actions, 1025);
    for (size_t a = 1; a < space.n_actions; a++)
        assert_int_equal(space_find(&space, 1, space.actions[a].views), a);
    space_release(&space);
}

static void test_bits(void **state)
{
    (void)state;
    struct space space = make(3, 1, 1);
    int16_t bits[4];
    space_action_bits(&space, 0, bits);
    assert_memory_equal(bits, ((int16_t[]) { 0, 0, 0, 0 }), sizeof bits);
    space_action_bits(&space, 1, bits);
    assert_memory_equal(bits, ((int16_t[]) { 1, 0, 0, 0 }), sizeof bits);
    space_action_bits(&space, 6, bits); // views 0 and 2
    assert_memory_equal(bits, ((int16_t[]) { 1, 1, 0, 1 }), sizeof bits);
    space_release(&space);
}

static void test_window(void **state)
{
    (void)state;
    struct space space = make(2, 3, 2);
    int16_t obs[8];
    assert_int_equal(space.n_states, 8);
    space_clear(&space, obs);
    space_push(&space, obs, NULL, 0, 2);
    assert_memory_equal(obs, ((int16_t[]) { -1, -1, -1, -1, -1, 0, 0, 2 }), sizeof obs);
    // cloud with view 1, then task 1
    space_push(&space, obs, &(struct space_past) { 1, 2 }, 0, 1);
    assert_memory_equal(obs, ((int16_t[]) { -1, 0, 0, 2, 1, 0, 1, 1 }), sizeof obs);
    // local: the oldest state falls out
    space_push(&space, obs, &(struct space_past) { 0, 0 }, 0, 0);
    assert_memory_equal(obs, ((int16_t[]) { 1, 0, 1, 1, 0, 0, 0, 0 }), sizeof obs);
    space_release(&space);
}

static void test_limits(void **state)
{
    (void)state;
    struct space space;
    struct error err = ERROR_INIT;
    assert_int_equal(space_init_published(&space, 0, 1, 1, &err), E_ARG);
    assert_int_equal(
        space_init_published(&space, SPACE_MAX_VIEWS + 1, 1, 1, &err), E_ARG);
    assert_non_null(strstr(err.msg, "11"));
    assert_int_equal(space_init_published(&space, 1, 0, 1, &err), E_ARG);
    assert_int_equal(
        space_init_published(&space, 1, SPACE_MAX_TASKS + 1, 1, &err), E_ARG);
    assert_int_equal(space_init_published(&space, 1, 1, 0, &err), E_ARG);
    assert_int_equal(space_init_published(&space, 1, 1, SPACE_MAX_TAU + 1, &err), E_ARG);
    space_release(&space); // a failed one is empty
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_of_actions),
        cmocka_unit_test(test_largest_space),
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
