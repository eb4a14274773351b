/* Cells: what can occur, what is counted, and where it is thin. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "collectors/cells.h"
#include "collectors/fill_aim.h"
#include "collectors/plan.h"
#include "collectors/tally.h"
#include "m4a1/base/text.h"
#include "tests/support/plan_case.h"

static struct plan_inputs in;
static struct cells cells;

static void look(void)
{
    struct error err = ERROR_INIT;
    cells_release(&cells);
    plan_inputs_release(&in);
    assert_int_equal(plan_inputs_load(plan_store, &in, NULL), OK);
    if (cells_load(plan_store, &in, &in.recipe->plan.minima, &cells, &err))
        fail_msg("%s", err.msg);
}

static int tear_down(void **state)
{
    cells_release(&cells);
    plan_inputs_release(&in);
    return plan_tear_down(state);
}

static void draw(int64_t fan_out)
{
    struct plan_options options = plan_options_init();
    struct plan_counts counts;
    options.fan_out = fan_out;
    assert_int_equal(plan_make(plan_store, &options, &counts, NULL), OK);
}

/* phi adds nothing; gpt adds any of two views; dialogues of up to two turns. */
static void what_can_occur_is_listed(void **state)
{
    (void)state;
    plan_apply_with("{\"n\": 6, \"turns\": [2, 2], \"seed\": 1}", "", "{}");
    plan_add_scene(1, "a", "[\"tool\"]", 2);
    look();
    /* two tasks; turn 0: phi with none, gpt with 4 sets; turn 1: both with 4 sets */
    assert_int_equal(cells_n(&cells, CELL_CONTEXT), 2 * (1 + 4 + 4 + 4));
    assert_int_equal(cells_n(&cells, CELL_ACTION), 2 * (1 + 4));
    assert_int_equal(cells_n(&cells, CELL_PROMPT), 3);
    assert_int_equal(cells_n(&cells, CELL_STATE), 0); /* nobody came to any */
    assert_int_equal(cells_n_thin(&cells, CELL_CONTEXT, 0), 26);
    struct cell_key key = cells_context_key(1, 0, in.llms[0].llm_id, 1);
    assert_null(cells_find(&cells, &key)); /* phi cannot have seen a view in turn 0 */
    key.turn = 1;
    assert_non_null(cells_find(&cells, &key));
}

static void what_is_there_is_counted(void **state)
{
    (void)state;
    plan_apply_with("{\"n\": 6, \"turns\": [2, 2], \"seed\": 1}", "",
        "{\"samples\": 3, \"minima\": {\"per_state\": 3}}");
    plan_add_scene(1, "a", "[\"tool\"]", 2);
    draw(-1);
    look();
    int64_t planned[N_CELL_KINDS] = { 0 }, answered = 0;
    for (size_t i = 0; i < cells.n; i++) {
        planned[cells.cell[i].key.kind] += cells.cell[i].planned;
        answered += cells.cell[i].answered;
    }
    /* samples count once */
    int64_t calls = plan_number(
        "SELECT count(*) FROM call WHERE purpose IN ('path', 'fan_out') AND sample = 0");
    assert_int_equal(planned[CELL_CONTEXT], calls);
    assert_int_equal(planned[CELL_ACTION], calls);
    assert_int_equal(planned[CELL_PROMPT], calls);
    assert_int_equal(answered, 0);
    /* everything eligible was fanned out: a state has all its actions */
    for (size_t i = 0; i < cells.n; i++) {
        const struct cell *c = &cells.cell[i];
        if (c->key.kind == CELL_STATE) {
            assert_int_equal(c->planned, c->offered);
            assert_int_equal(cell_lacks(c, 1), 3);
        }
    }
    assert_true(cells_n(&cells, CELL_STATE) > 2);
    plan_answer_all(1);
    look();
    for (size_t i = 0; i < cells.n; i++)
        assert_int_equal(cells.cell[i].answered, cells.cell[i].planned);
    assert_int_equal(cells.n_first, 1);
    assert_int_equal(cells.n_histories, 6); /* each first turn is a past of its own */
    assert_int_equal(cells_n_thin(&cells, CELL_STATE, 1),
        plan_number("SELECT count(*) FROM (SELECT DISTINCT m.task_id, p.llm_id FROM call "
                    "c JOIN turn t USING (turn_id) JOIN prompt m USING (prompt_id) JOIN "
                    "call p ON p.call_id = c.parent_id WHERE c.purpose = 'path' AND "
                    "p.views_context = 3)"));
}

static void failures_are_taken_off(void **state)
{
    (void)state;
    plan_apply_with("{\"n\": 1, \"turns\": [2, 2], \"seed\": 1}", "", "{}");
    plan_add_scene(1, "a", "[\"tool\"]", 2);
    draw(0);
    plan_refuse(plan_number(
        "SELECT call_id FROM call WHERE purpose = 'path' AND parent_id IS NULL"));
    look();
    int64_t failed = 0, planned = 0;
    for (size_t i = 0; i < cells.n; i++) {
        failed += cells.cell[i].key.kind == CELL_CONTEXT ? cells.cell[i].failed : 0;
        planned += cells.cell[i].planned;
    }
    assert_int_equal(failed, 2); /* the refused one, and the one blocked behind it */
    assert_int_equal(planned, 0);
    struct tally tally;
    assert_int_equal(tally_load(plan_store, &tally, NULL), OK);
    assert_int_equal(tally.n, 0);
    tally_release(&tally);
}

static void cells_have_names(void **state)
{
    (void)state;
    char what[200];
    plan_apply_with("{\"n\": 6, \"turns\": [2, 2], \"seed\": 1}", "", "{}");
    plan_add_scene(1, "a", "[\"tool\"]", 2);
    look();
    struct cell_key key = cells_context_key(1, 1, in.llms[1].llm_id, 3);
    cell_describe(&in, &key, what, sizeof what);
    assert_string_equal(what, "Query, turn 1, gpt with head+bench in context");
    key = cells_state_key(2, in.llms[0].llm_id, 0);
    cell_describe(&in, &key, what, sizeof what);
    assert_string_equal(what, "Advice after phi with no view in context");
    key = cells_prompt_key(2);
    cell_describe(&in, &key, what, sizeof what);
    assert_string_equal(what, "prompt q2 (Query)");
    assert_non_null(cells_thinnest(&cells, 1));
}

/* Whatever is aimed at is hit, by actions that were eligible. */
static void aims_hit(void **state)
{
    (void)state;
    plan_apply_with("{\"n\": 6, \"turns\": [2, 3], \"seed\": 1}", "", "{}");
    plan_add_scene(1, "a", "[\"tool\"]", 2);
    look();
    struct rng rng;
    rng_init(&rng, 1, "test", 0);
    for (size_t i = 0; i < cells.n; i++) {
        const struct cell_key *key = &cells.cell[i].key;
        for (int again = 0; again < 20 && key->kind <= CELL_ACTION; again++) {
            struct aim aim;
            struct error err = ERROR_INIT;
            if (aim_draw(&in, key, 2, 3, &rng, &aim, &err))
                fail_msg("%s", err.msg);
            uint32_t context = 0;
            assert_in_range(aim.n_turns, 2, 3);
            for (size_t t = 0; t < aim.n_turns; t++) {
                const struct behaviour_action *a =
                    &aim.turns[t].actions[aim.turns[t].chosen];
                double sum = 0;
                for (size_t k = 0; k < aim.turns[t].n; k++)
                    sum += aim.turns[t].actions[k].probability;
                assert_true(sum > 1 - 1e-9 && sum < 1 + 1e-9 && a->probability > 0);
                assert_int_equal(a->added & context, 0);
                context |= a->added;
                if (t != aim.at)
                    continue;
                assert_int_equal(in.llms[in.actor_llm[a->llm]].llm_id, key->llm_id);
                assert_int_equal(
                    key->kind == CELL_CONTEXT ? context : a->added, key->views);
                if (key->kind == CELL_CONTEXT)
                    assert_int_equal(t, key->turn);
            }
            aim_release(&aim);
        }
    }
    /* a late context cannot be hit by short dialogues */
    struct cell_key late = cells_context_key(1, 2, in.llms[0].llm_id, 0);
    struct aim aim;
    assert_int_equal(aim_draw(&in, &late, 1, 2, &rng, &aim, NULL), E_NOT_FOUND);
}

static void tallies_count(void **state)
{
    (void)state;
    struct tally t = { 0 };
    struct tally_key key = { 1, 2, 3, 4, 5 };
    assert_int_equal(tally_of(&t, &key), 0);
    for (int i = 0; i < 3000; i++) {
        key.added = (uint32_t)(i % 1000);
        assert_int_equal(tally_add(&t, &key, NULL), OK);
    }
    assert_int_equal(t.n, 1000);
    for (uint32_t i = 0; i < 1000; i++) {
        key.added = i;
        assert_int_equal(tally_of(&t, &key), 3);
    }
    key.context = 0;
    assert_int_equal(tally_of(&t, &key), 0);
    tally_release(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_can_occur_is_listed, plan_set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_there_is_counted, plan_set_up, tear_down),
        cmocka_unit_test_setup_teardown(failures_are_taken_off, plan_set_up, tear_down),
        cmocka_unit_test_setup_teardown(cells_have_names, plan_set_up, tear_down),
        cmocka_unit_test_setup_teardown(aims_hit, plan_set_up, tear_down),
        cmocka_unit_test(tallies_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
