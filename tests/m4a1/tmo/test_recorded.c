/* test_recorded.c - sessions as numbers, against the authors' own encoding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/base/text.h"
#include "m4a1/tmo/recorded.h"
#include "m4a1/tmo/recorded_costs.h"
#include "tests/support/tmo_data.h"

#define NEAR(a, b) assert_true(fabs((a) - (b)) <= 1e-9)

static struct recorded *build(const struct dataset *data, size_t tau)
{
    struct recorded *rec;
    struct error err = ERROR_INIT;
    const struct recorded_settings set = recorded_published(0, 1, tau);
    enum status s = recorded_build(data, &set, &rec, &err);
    if (s)
        print_message("%s\n", err.msg);
    assert_int_equal(s, OK);
    return rec;
}

static void check_session(const struct recorded *rec, const struct json *expected)
{
    const struct space *space = &rec->space;
    size_t i = recorded_find(rec, json_int(json_get(expected, "id"), -1));
    assert_true(i < rec->n_sessions);
    const struct json *states = json_get(expected, "states");
    assert_int_equal(json_size(states), rec->sessions[i].n_turns);
    for (size_t t = 0; t < json_size(states); t++) {
        size_t turn = rec->sessions[i].first + t;
        const struct json *obs = json_at(states, t);
        assert_int_equal(json_size(obs), space->n_states);
        for (size_t j = 0; j < space->n_states; j++)
            assert_int_equal(rec->observations[turn * space->n_states + j],
                json_int(json_at(obs, j), 99));
        int16_t bits[SPACE_MAX_VIEWS + 1];
        const struct json *action = json_at(json_get(expected, "actions"), t);
        space_action_bits(space, (size_t)rec->actions[turn], bits);
        for (size_t j = 0; j <= space->n_views; j++)
            assert_int_equal(bits[j], json_int(json_at(action, j), 99));
        NEAR(rec->scores[turn],
            json_number(json_at(json_get(expected, "rewards"), t), NAN));
        const struct json *views = json_at(json_get(expected, "association"), t);
        for (size_t j = 0; j < space->n_views; j++)
            NEAR(rec->associations[turn * space->n_views + j],
                json_number(json_at(views, j), NAN));
    }
}

static void test_golden(void **state)
{
    (void)state;
    struct json *golden = golden_json("golden/tmo/episodes.json");
    struct dataset *data = golden_dataset();
    if (!golden || !data) {
        print_message("no shared golden/tmo/episodes.json or public data\n");
        skip();
    }
    static const size_t taus[] = { 3, 5, 7 };
    for (size_t i = 0; i < 3; i++) {
        char key[32];
        snprintf(key, sizeof key, "time_span_%zu", taus[i]);
        const struct json *sessions = json_get(golden, key);
        assert_int_equal(json_size(sessions), 10);
        struct recorded *rec = build(data, taus[i]);
        assert_int_equal(rec->n_turns, 352);
        assert_int_equal(rec->n_unscored + rec->n_other_llm + rec->n_unassociated, 0);
        for (const struct json *s = json_first(sessions); s; s = json_next(s))
            check_session(rec, s);
        recorded_free(rec);
    }
    dataset_free(data);
    json_free(golden);
}

/* Views accumulate in the dialogue, but the encoding has them only where the answer
 * brought new ones; a refusal counts 0. */
static void test_encoding_of_views_and_refusals(void **state)
{
    (void)state;
    struct dataset *data = text_dataset(
        "[{\"id\": 7, \"image_paths\": [\"Scenario_1_Modality_0_Activity_1.jpg\","
        "\"Scenario_1_Modality_1_Activity_1.jpg\"], \"interactions\": ["
        "{\"question\": \"q\", \"task_cat\": \"b\", \"action\": 1, \"image_index\": [1],"
        "\"answer\": \"yes\", \"score\": 2, \"interaction_time\": 1, \"usage_cost\": 0},"
        "{\"question\": \"q\", \"task_cat\": \"a\", \"action\": 1, \"image_index\": null,"
        "\"answer\": \"I'm sorry\", \"score\": 1, \"interaction_time\": 1, "
        "\"usage_cost\": 0},"
        "{\"question\": \"q\", \"task_cat\": \"a\", \"action\": 1, \"image_index\": [1, "
        "0],"
        "\"answer\": \"yes\", \"score\": 1, \"interaction_time\": 1, \"usage_cost\": 0},"
        "{\"question\": \"q\", \"task_cat\": \"a\", \"action\": 0, \"image_index\": null,"
        "\"answer\": \"yes\", \"score\": 1, \"interaction_time\": 1, \"usage_cost\": 0}"
        "], \"association_score\": [[0.2, -0.1], [0, 0], [0.1, 0.3], [0.1, 0.3]]}]");
    struct recorded *rec = build(data, 1);
    assert_memory_equal(rec->actions, ((int[]) { 3, 1, 4, 0 }), 4 * sizeof(int));
    assert_memory_equal(rec->observations,
        ((int16_t[]) { -1, 0, 0, 1, 1, 0, 1, 0, 1, 0, 0, 0, 1, 1, 1, 0 }),
        16 * sizeof(int16_t));
    NEAR(rec->scores[0], 2);
    NEAR(rec->scores[1], 0);

    // Association: sums over {-0.1 .. 0.2} span 0.3; all zero gives 0, not 0 / 0.
    double share;
    NEAR(recorded_association(rec, 0, 0, &share), 0);
    NEAR(share, 1.0 / 3);
    NEAR(recorded_association(rec, 0, 2, &share), -0.1);
    NEAR(share, 0);
    NEAR(recorded_association(rec, 0, 3, &share), 0.1);
    NEAR(share, 2.0 / 3);
    NEAR(recorded_association(rec, 1, 3, &share), 0);
    NEAR(share, 0);

    size_t *indices;
    struct error err = ERROR_INIT;
    assert_int_equal(recorded_indices(rec, (int64_t[]) { 7 }, 1, &indices, &err), OK);
    assert_int_equal(indices[0], 0);
    free(indices);
    assert_int_equal(
        recorded_indices(rec, (int64_t[]) { 7, 8 }, 2, &indices, &err), E_DATA);
    assert_non_null(strstr(err.msg, "no session 8"));
    recorded_free(rec);
    dataset_free(data);
}

/* Rows of an llm that was not chosen stay out of the scores, and are counted. */
static void test_other_llms(void **state)
{
    (void)state;
    const double score[2][2] = { { 1, 2 }, { 3, 4 } };
    struct dataset *data = simple_dataset(2, 4, score);
    struct recorded *rec;
    assert_int_equal(data->n_llms, 2);
    const struct recorded_settings set = recorded_published(0, 0, 5);
    assert_int_equal(recorded_build(data, &set, &rec, NULL), OK);
    assert_int_equal(rec->n_other_llm, 4);
    for (size_t t = 0; t < rec->n_turns; t++)
        assert_int_equal(isnan(rec->scores[t]) != 0, rec->actions[t] > 0);
    recorded_free(rec);
    dataset_free(data);
}

/* Session 3: gpt adds view 1, then a local turn, then claude adds view 0 while the
 * dialogue holds view 1; beside it gpt shows both, and phi answers without. */
static const char three_llms[] =
    "[{\"id\": 3, \"image_paths\": [\"Scenario_1_Modality_0_Activity_1.jpg\","
    "\"Scenario_1_Modality_1_Activity_1.jpg\"], \"interactions\": ["
    "{\"question\": \"q\", \"task_cat\": \"b\", \"action\": 1, \"llm\": \"gpt\", "
    "\"image_index\": [1], \"answer\": \"yes\", \"score\": 2, "
    "\"interaction_time\": 1, \"usage_cost\": 0},"
    "{\"question\": \"p\", \"task_cat\": \"a\", \"action\": 0, \"llm\": \"phi\", "
    "\"image_index\": null, \"answer\": \"Sorry, I can\u2019t\", \"score\": 1, "
    "\"interaction_time\": 1, \"usage_cost\": 0},"
    "{\"question\": \"q\", \"task_cat\": \"a\", \"action\": 1, \"llm\": \"claude\", "
    "\"image_index\": [1, 0], \"answer\": \"yes\", \"score\": 0.5, "
    "\"interaction_time\": 1, \"usage_cost\": 0, \"fan_out\": ["
    "{\"action\": 1, \"llm\": \"gpt\", \"image_index\": [0, 1], \"answer\": \"yes\","
    "\"score\": 1.5, \"interaction_time\": 1, \"usage_cost\": 0},"
    "{\"action\": 0, \"llm\": \"phi\", \"image_index\": null, \"answer\": \"yes\","
    "\"score\": 0.25, \"interaction_time\": 1, \"usage_cost\": 0}]}"
    "], \"association_score\": [[0.2, -0.1], [0, 0], [0.1, 0.3]]}]";

static void test_default_encoding(void **state)
{
    (void)state;
    struct dataset *data = text_dataset(three_llms);
    struct recorded_settings set = recorded_defaults();
    struct recorded *rec;
    set.tau = 1;
    assert_int_equal(recorded_build(data, &set, &rec, NULL), OK);
    const struct space *space = &rec->space;
    // llms: phi, claude, gpt; actions: phi, claude with {} 0 1 01, gpt with {} 0 1 01.
    assert_int_equal(space->n_llms, 3);
    assert_int_equal(space->n_actions, 9);
    assert_string_equal(data->llms[rec->llms[2]].name, "gpt");
    assert_int_equal(rec->n_providers, 3);
    assert_int_equal(rec->longest, 3);
    assert_memory_equal(rec->actions, ((int[]) { 7, 0, 2 }), 3 * sizeof(int));
    assert_memory_equal(rec->contexts, ((uint32_t[]) { 0, 2, 2 }), 3 * sizeof(uint32_t));
    assert_memory_equal(rec->added, ((uint32_t[]) { 2, 0, 1 }), 3 * sizeof(uint32_t));
    // phi, claude, gpt; views of the turn before; views of the dialogue; task
    assert_memory_equal(rec->observations,
        ((int16_t[]) { 0, 0, 0, 0, 0, 0, 0, 1, /**/ 0, 0, 1, 0, 1, 0, 1, 0, /**/ 1, 0, 0,
            0, 0, 0, 1, 0 }),
        24 * sizeof(int16_t));
    assert_memory_equal(rec->prompts, ((size_t[]) { 0, 1, 0 }), 3 * sizeof(size_t));
    assert_int_equal(rec->n_prompts, 2);
    assert_string_equal(rec->prompt_texts[1], "p");

    // The refusal in other case and apostrophe scores 0; fan-out rows stand behind.
    static const struct recorded_row rows[] = { { 0, 7, 2, 0 }, { 1, 0, 0, 0 },
        { 2, 2, 0.5, 0 }, { 2, 6, 1.5, 1 }, { 2, 0, 0.25, 1 } };
    assert_int_equal(rec->n_rows, 5);
    assert_int_equal(rec->n_path_rows, 3);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(rec->rows[i].turn, rows[i].turn);
        assert_int_equal(rec->rows[i].action, rows[i].action);
        assert_int_equal(rec->rows[i].fan_out, rows[i].fan_out);
        NEAR(rec->rows[i].score, rows[i].score);
    }
    // Views that are there already add nothing; a cloud llm sees them, phi does not.
    assert_int_equal(recorded_added(rec, 8, 2), 1);
    assert_int_equal(recorded_shown(rec, 6, 2), 3);
    assert_int_equal(recorded_shown(rec, 5, 2), 2);
    assert_int_equal(recorded_shown(rec, 0, 2), 0);
    recorded_free(rec);

    // Recorded actions only: phi, claude + 0, gpt + 0, gpt + 1.
    set.actions = ACTIONS_RECORDED;
    assert_int_equal(recorded_build(data, &set, &rec, NULL), OK);
    static const struct space_action recorded[] = { { 0, 0 }, { 1, 1 }, { 2, 1 },
        { 2, 2 } };
    assert_int_equal(rec->space.n_actions, 4);
    for (size_t a = 0; a < 4; a++) {
        assert_int_equal(rec->space.actions[a].llm, recorded[a].llm);
        assert_int_equal(rec->space.actions[a].views, recorded[a].views);
    }
    assert_int_equal(rec->n_unlisted, 0);
    recorded_free(rec);

    // Listed: gpt with both views does what gpt + 0 did where the dialogue holds 1; the
    // first turn, claude and phi are of no listed action.
    static const struct recorded_listed listed[] = { { 2, 3 }, { 2, 0 } };
    set.actions = ACTIONS_LISTED;
    set.listed = listed;
    set.n_listed = 2;
    assert_int_equal(recorded_build(data, &set, &rec, NULL), OK);
    assert_int_equal(rec->n_rows, 1);
    assert_int_equal(rec->rows[0].action, 0);
    assert_int_equal(rec->n_unlisted, 4);
    assert_memory_equal(rec->actions, ((int[]) { -1, -1, -1 }), 3 * sizeof(int));
    recorded_free(rec);
    dataset_free(data);
}

/* What the data say that answers cost, by llm and number of views it saw. */
static void test_costs_of_data(void **state)
{
    (void)state;
    struct dataset *data = text_dataset(three_llms);
    struct recorded_settings set = recorded_defaults();
    struct recorded *rec;
    struct cost_table *table;
    struct error err = ERROR_INIT;
    data->sessions[0].turns[2].fan_out[0].latency_s = 4;
    data->sessions[0].turns[2].fan_out[0].cost_usd = 0.5;
    data->sessions[0].turns[1].path.latency_s = 3; // phi, beside 1 s in the fan-out
    assert_int_equal(recorded_build(data, &set, &rec, NULL), OK);
    assert_int_equal(recorded_costs(rec, QUANTILE_P50, &table, &err), OK);
    const struct cost_row *phi = cost_table_find(table, "phi"),
                          *gpt = cost_table_find(table, "gpt"),
                          *claude = cost_table_find(table, "claude");
    NEAR(phi->latency_s[0], 2);
    NEAR(phi->latency_reserve_s[0], 2);
    assert_int_equal(phi->n[0], 2);
    assert_true(isnan(phi->latency_s[1]));
    NEAR(gpt->latency_s[1], 1);
    NEAR(gpt->latency_s[2], 4); // the dialogue held one, the fan-out added one
    NEAR(gpt->usage_usd[2], 0.5);
    assert_true(isnan(gpt->latency_reserve_s[2])); // one answer is too few
    assert_true(isnan(gpt->latency_s[0]));
    NEAR(claude->latency_s[2], 1);
    cost_table_free(table);

    data->sessions[0].turns[2].path.latency_s = NAN;
    assert_int_equal(recorded_costs(rec, QUANTILE_P50, &table, &err), E_DATA);
    assert_non_null(strstr(err.msg, "\"claude\""));
    assert_null(table);
    recorded_free(rec);
    dataset_free(data);
}

/* For one local and one cloud llm states and actions are the published ones, with the
 * dialogue's views behind: a window without a second upload is the same but for them. */
/* 1e308 is a number, and the sum of two of them is none. */
static void test_figures_beyond_reason(void **state)
{
    (void)state;
    struct dataset *data = text_dataset(three_llms);
    const struct recorded_settings set = recorded_defaults();
    struct interaction *one = &data->sessions[0].turns[0].path;
    double *const figures[] = { &one->score, &one->latency_s, &one->cost_usd };
    static const char *const said[] = { "turn 0: the score 1e+308", "1e+308 seconds",
        "1e+308 USD" };
    for (size_t i = 0; i < COUNT_OF(figures); i++) {
        struct recorded *rec;
        struct error err = ERROR_INIT;
        double kept = *figures[i];
        *figures[i] = 1e308;
        assert_int_equal(recorded_build(data, &set, &rec, &err), E_DATA);
        if (!strstr(err.msg, said[i]))
            fail_msg("%s", err.msg);
        *figures[i] = kept;
    }
    dataset_free(data);
}

static void test_default_is_published_for_two_llms(void **state)
{
    (void)state;
    const double score[2][2] = { { 1, 2 }, { 3, 4 } };
    struct dataset *data = simple_dataset(30, 1, score);
    struct recorded *published = build(data, 2), *rec;
    struct recorded_settings set = recorded_defaults();
    set.tau = 2;
    assert_int_equal(recorded_build(data, &set, &rec, NULL), OK);
    assert_int_equal(rec->space.n_actions, published->space.n_actions);
    assert_memory_equal(rec->space.actions, published->space.actions,
        rec->space.n_actions * sizeof *rec->space.actions);
    assert_memory_equal(rec->actions, published->actions, 30 * sizeof *rec->actions);
    assert_int_equal(rec->space.llm_size, 1);
    assert_int_equal(rec->space.state_size, published->space.state_size + 2);
    recorded_free(published);
    recorded_free(rec);
    dataset_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_encoding_of_views_and_refusals),
        cmocka_unit_test(test_other_llms),
        cmocka_unit_test(test_default_encoding),
        cmocka_unit_test(test_costs_of_data),
        cmocka_unit_test(test_figures_beyond_reason),
        cmocka_unit_test(test_default_is_published_for_two_llms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
