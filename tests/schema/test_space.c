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

/* Two local and two cloud llms: one-hot, in the order they are given; views of the
 * dialogue stand behind those of the turn before. */
static void test_several_llms(void **state)
{
    (void)state;
    static const unsigned char cloud[] = { 0, 1, 0, 1 };
    const struct space_shape shape = { .n_llms = 4,
        .cloud = cloud,
        .n_views = 2,
        .n_tasks = 3,
        .tau = 2,
        .with_context = 1 };
    struct space space;
    int16_t obs[18], bits[6];
    assert_int_equal(space_init(&space, &shape, NULL), OK);
    assert_int_equal(space.n_actions, 2 + 2 * 4);
    assert_int_equal(space.llm_size, 4);
    assert_int_equal(space.state_size, 4 + 2 + 2 + 1);
    static const struct space_action expected[] = { { 0, 0 }, { 2, 0 }, { 1, 0 },
        { 1, 1 }, { 1, 2 }, { 1, 3 }, { 3, 0 }, { 3, 1 }, { 3, 2 }, { 3, 3 } };
    for (size_t a = 0; a < space.n_actions; a++) {
        assert_int_equal(space.actions[a].llm, expected[a].llm);
        assert_int_equal(space.actions[a].views, expected[a].views);
        assert_int_equal(space_is_cloud(&space, a), a > 1);
    }
    assert_int_equal(space.accepts[0] | space.accepts[2], 0);
    assert_int_equal(space.accepts[1] & space.accepts[3], 3);
    space_action_bits(&space, 8, bits);
    assert_memory_equal(bits, ((int16_t[]) { 0, 0, 0, 1, 0, 1 }), sizeof bits);
    space_clear(&space, obs);
    space_push(&space, obs, NULL, 0, 2);
    assert_memory_equal(
        obs + 9, ((int16_t[]) { 0, 0, 0, 0, 0, 0, 0, 0, 2 }), 9 * sizeof *obs);
    space_push(&space, obs, &(struct space_past) { 3, 2 }, 3, 1);
    assert_memory_equal(
        obs + 9, ((int16_t[]) { 0, 0, 0, 1, 0, 1, 1, 1, 1 }), 9 * sizeof *obs);
    space_release(&space);
}

static void test_listed_actions(void **state)
{
    (void)state;
    static const unsigned char cloud[] = { 0, 1 };
    static const struct space_action list[] = { { 1, 3 }, { 0, 0 }, { 1, 0 }, { 0, 1 } };
    struct space_shape shape = { .n_llms = 2,
        .cloud = cloud,
        .n_views = 2,
        .n_tasks = 1,
        .tau = 1,
        .actions = list,
        .n_actions = 4 };
    struct space space;
    struct error err = ERROR_INIT;
    assert_int_equal(space_init(&space, &shape, &err), OK);
    assert_int_equal(space.n_actions, 4);
    assert_int_equal(space_find(&space, 0, 1), 3); // a local llm may see views, too
    assert_true(space_find(&space, 1, 1) == SIZE_MAX);
    assert_int_equal(space.accepts[0], 1);
    space_release(&space);
    static const struct space_action twice[] = { { 1, 3 }, { 1, 3 } };
    static const struct space_action beyond[] = { { 1, 4 } }, nobody[] = { { 2, 0 } };
    const struct space_action *const bad[] = { twice, beyond, nobody };
    static const size_t sizes[] = { 2, 1, 1 };
    for (size_t i = 0; i < 3; i++) {
        shape.actions = bad[i];
        shape.n_actions = sizes[i];
        assert_int_equal(space_init(&space, &shape, &err), E_ARG);
    }
    shape.n_actions = 0;
    assert_int_equal(space_init(&space, &shape, &err), E_ARG);
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
    assert_int_equal(
        space_init(&space,
            &(struct space_shape) {
                .n_llms = SPACE_MAX_LLMS + 1, .n_views = 1, .n_tasks = 1, .tau = 1 },
            &err),
        E_ARG);
    static const unsigned char cloud[] = { 0, 1 };
    assert_int_equal(space_init(&space,
                         &(struct space_shape) { .n_llms = 2,
                             .cloud = cloud,
                             .n_views = 10,
                             .n_tasks = 1,
                             .tau = 64,
                             .with_context = 1 },
                         &err),
        E_ARG);
    assert_non_null(strstr(err.msg, "smaller tau"));
    space_release(&space); // a failed one is empty
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_of_actions),
        cmocka_unit_test(test_largest_space),
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_several_llms),
        cmocka_unit_test(test_listed_actions),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
