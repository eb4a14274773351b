/* Reading a store with collected sessions: answers, failures, figures, associations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "export/dataset_build.h"
#include "export/export_folder.h"
#include "export/from_store.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"
#include "schema/query.h"
#include "tests/support/export_case.h"
#include "tests/support/store_fixture.h"

static void run(struct store_fixture *f, const char *sql)
{
    struct error err = ERROR_INIT;
    if (store_run(f->store, &err, sql, ""))
        fail_msg("%s: %s", sql, err.msg);
}

/* An attempt that was answered, with a response of 100 + 10 fresh tokens. */
static void answer(
    struct store_fixture *f, int64_t call_id, const char *text, double score)
{
    struct error err = ERROR_INIT;
    assert_int_equal(
        store_run(f->store, &err,
            "INSERT INTO attempt (call_id, number, status, sent_ms, closed_ms,"
            " request_sha256, request, latency_ns) VALUES (?, 1, 'ok', 1000, 2000, 'x',"
            " x'00', 1500000000)",
            "i", call_id),
        OK);
    int64_t attempt_id = store_last_id(f->store);
    assert_int_equal(
        store_run(f->store, &err,
            "INSERT INTO response (call_id, attempt_id, text, input_tokens,"
            " cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens,"
            " simulated) VALUES (?, ?, ?, 100, 0, 0, 10, 0, 1)",
            "iit", call_id, attempt_id, text),
        OK);
    int64_t response_id = store_last_id(f->store);
    if (isnan(score))
        return;
    assert_int_equal(store_run(f->store, &err,
                         "INSERT INTO score (response_id, scorer, version, value)"
                         " VALUES (?1, 'ratio', 'v0', 0.5), (?1, 'ratio', 'v1', ?2),"
                         " (?1, 'refusal', 'published', 0)",
                         "id", response_id, score),
        OK);
}

static void fail_for_good(struct store_fixture *f, int64_t call_id)
{
    struct error err = ERROR_INIT;
    assert_int_equal(
        store_run(f->store, &err,
            "INSERT INTO attempt (call_id, number, status, final, error_class, error,"
            " sent_ms, closed_ms, request_sha256, request)"
            " VALUES (?, 1, 'failed', 1, 'refused', 'HTTP 400', 1000, 2000, 'x', x'00')",
            "i", call_id),
        OK);
}

/* Session 1: two scored turns, a fan-out answer beside the first, one more without an
 * answer.  Session 2: its second turn failed for good.  Session 3: answered, not scored.
 * Session 4: planned only. */
static void set_up_sessions(struct store_fixture *f)
{
    store_fixture_open(f, "keep");
    int64_t llm = store_fixture_llm(f, "gpt", "http://127.0.0.1:1", NULL);
    store_fixture_price(f, llm, 2000000, 8000000);
    int64_t one = store_fixture_session(f, llm, 2, 5);
    int64_t two = store_fixture_session(f, llm, 3, 1);
    int64_t three = store_fixture_session(f, llm, 1, 0);
    store_fixture_session(f, llm, 1, 0);
    int64_t other = store_fixture_call(f, one, "fan_out", llm, NULL, 2, 0);
    store_fixture_call(f, one, "fan_out", llm, NULL, 7, 0);
    store_fixture_call(f, one, "reference", llm, NULL, 7, 0);
    answer(f, one, "Bread.", 1.25);
    answer(f, one + 1, "Butter.", 0.75);
    answer(f, other, "Jam.", 1.5);
    answer(f, two, "Salt.", 1);
    fail_for_good(f, two + 1);
    answer(f, three, "Pepper.", NAN);
    run(f, "UPDATE call SET probability = 0.125 WHERE purpose = 'path'");
    run(f, "UPDATE session SET identity = printf('%064d', session_id)");
}

static struct dataset *load(struct store_fixture *f, const char *association)
{
    struct dataset *data;
    struct error err = ERROR_INIT;
    if (dataset_of_store(f->store, association, &data, &err))
        fail_msg("%s", err.msg);
    return data;
}

static void test_rows(void **state)
{
    (void)state;
    struct store_fixture f;
    set_up_sessions(&f);
    struct dataset *data = load(&f, NULL);
    assert_int_equal(data->n_sessions, 4);
    assert_int_equal(data->n_views, 3);
    assert_string_equal(data->views[2], "front");
    assert_int_equal(data->privacy[2], 2);
    assert_true(data->simulated);
    for (size_t i = 0; i < data->n_llms; i++)
        if (strcmp(data->llms[i].name, "gpt") == 0)
            assert_string_equal(data->llms[i].provider, "test");
    const struct session *one = &data->sessions[0], *two = &data->sessions[1];
    assert_int_equal(one->id, 1);
    assert_int_equal(strlen(one->identity), 64);
    assert_string_equal(one->scene, "kitchen");
    assert_string_equal(one->image_paths[1], "kitchen/test");
    assert_int_equal(one->imported, 0);
    const struct interaction *it = &one->turns[0].path;
    assert_string_equal(it->answer, "Bread.");
    assert_true(it->score == 1.25); // the last version of the scorer
    assert_int_equal(it->refused, 0);
    assert_true(it->latency_s == 1.5);
    assert_true(it->cost_usd == (100 * 2000000 + 10 * 8000000) / 1e12);
    assert_true(it->probability == 0.125);
    assert_int_equal(it->views_added, 5);
    assert_int_equal(it->n_image_index, 2);
    assert_int_equal(it->image_index[1], 2);
    assert_int_equal(it->tokens[TOKENS_OUTPUT], 10);
    assert_int_equal(one->turns[1].path.views_context, 5);
    assert_null(one->turns[1].path.image_index);
    assert_int_equal(one->turns[0].n_fan_out, 2); // the reference is none
    assert_string_equal(one->turns[0].fan_out[0].answer, "Jam.");
    assert_null(one->turns[0].fan_out[1].answer);
    assert_int_equal(two->censored, 1);
    assert_int_equal(one->censored, 0);
    assert_null(two->turns[1].path.answer);
    assert_true(isnan(data->sessions[2].turns[0].path.score));
    assert_int_equal(data->sessions[2].turns[0].path.refused, -1);
    assert_null(one->turns[0].association);
    dataset_free(data);
    store_fixture_close(&f);
}

static void test_associations(void **state)
{
    (void)state;
    struct store_fixture f;
    set_up_sessions(&f);
    // clip covers two turns, blip two, one of them without its last view.
    run(&f, "INSERT INTO association (turn_id, view_id, model, value)"
            " SELECT t.turn_id, v.view_id, 'clip', 0.1 * v.view_id FROM turn t, view v"
            " WHERE t.session_id = 1");
    run(&f, "INSERT INTO association (turn_id, view_id, model, value)"
            " SELECT 1, view_id, 'blip', 0.5 FROM view");
    run(&f, "INSERT INTO association (turn_id, view_id, model, value)"
            " SELECT 3, view_id, 'blip', 0.25 FROM view WHERE view_id < 3");
    struct dataset *data = load(&f, NULL);
    assert_true(data->sessions[0].turns[0].association[1] == 0.1 * 2);
    assert_true(data->sessions[0].turns[1].association[1] == 0.1 * 2);
    assert_true(data->sessions[1].turns[0].association[1] == 0.25);
    assert_true(isnan(data->sessions[1].turns[0].association[2]));
    assert_null(data->sessions[2].turns[0].association);
    dataset_free(data);
    data = load(&f, "blip");
    assert_true(data->sessions[0].turns[0].association[1] == 0.5);
    assert_null(data->sessions[0].turns[1].association);
    dataset_free(data);
    // Where the store lists them, the last one counts.
    run(&f, "INSERT INTO association_model (name) VALUES ('clip'), ('blip')");
    data = load(&f, NULL);
    assert_true(data->sessions[0].turns[0].association[1] == 0.5);
    assert_true(data->sessions[0].turns[1].association[1] == 0.1 * 2);
    dataset_free(data);
    struct error err = ERROR_INIT;
    assert_int_equal(dataset_of_store(f.store, "none", &data, &err), E_NOT_FOUND);
    store_fixture_close(&f);
}

/* A store, its export folder and its JSON file are one data set. */
static void test_three_kinds(void **state)
{
    struct store_fixture f;
    struct export_options options = { .split = NULL };
    struct export_counts counts;
    struct error err = ERROR_INIT;
    const char *folder = export_path(state, "out"), *file = export_path(state, "o.json");
    set_up_sessions(&f);
    assert_int_equal(export_store(f.store, folder, &options, &counts, &err), OK);
    assert_int_equal(counts.sessions, 2);
    assert_int_equal(counts.turns, 3);
    assert_int_equal(counts.fan_out, 1);
    assert_int_equal(counts.simulated, 4);
    assert_int_equal(counts.left.sessions, 2);
    assert_int_equal(counts.left.turns_unasked, 3); // 2 of session 2, 1 of session 4
    assert_int_equal(counts.left.turns_unscored, 1);
    assert_int_equal(counts.left.fan_out, 1);
    assert_int_equal(export_store(f.store, file, &options, &counts, &err), OK);
    struct dataset *stored = export_read(f.path), *back = export_read(folder);
    struct dataset *single = export_read(file);
    assert_string_equal(back->digest, stored->digest);
    assert_string_equal(single->digest, stored->digest);
    assert_string_equal(back->views[0], "first_person");
    assert_int_equal(back->privacy[2], 2);
    assert_true(back->simulated);
    assert_int_equal(back->sessions[1].censored, 1);
    assert_string_equal(back->sessions[0].identity, stored->sessions[0].identity);
    dataset_free(stored);
    dataset_free(back);
    dataset_free(single);
    store_fixture_close(&f);
}

static void test_incomplete_too(void **state)
{
    struct store_fixture f;
    struct export_options options = { .include_incomplete = 1 };
    struct export_counts counts;
    struct error err = ERROR_INIT;
    struct dataset *all;
    const char *file = export_path(state, "o.json");
    set_up_sessions(&f);
    assert_int_equal(export_store(f.store, file, &options, &counts, &err), OK);
    assert_int_equal(counts.sessions, 4);
    assert_int_equal(counts.turns, 7);
    struct dataset *stored = load(&f, NULL);
    assert_int_equal(dataset_read_all(file, &all, &err), OK);
    assert_string_equal(all->digest, stored->digest);
    dataset_free(all);
    dataset_free(stored);
    all = export_read(file); // training gets the complete rows only
    assert_int_equal(all->n_sessions, 2);
    dataset_free(all);
    store_fixture_close(&f);
}

static void test_nothing_complete(void **state)
{
    struct store_fixture f;
    struct export_options options = { .split = NULL };
    struct export_counts counts;
    struct error err = ERROR_INIT;
    store_fixture_open(&f, "keep");
    int64_t llm = store_fixture_llm(&f, "gpt", "http://127.0.0.1:1", NULL);
    store_fixture_session(&f, llm, 1, 0);
    assert_int_equal(
        export_store(f.store, export_path(state, "out"), &options, &counts, &err), E_ARG);
    assert_non_null(strstr(err.msg, "no complete session: 1 have"));
    store_fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_associations),
        cmocka_unit_test_setup_teardown(
            test_three_kinds, export_set_up, export_tear_down),
        cmocka_unit_test_setup_teardown(
            test_incomplete_too, export_set_up, export_tear_down),
        cmocka_unit_test_setup_teardown(
            test_nothing_complete, export_set_up, export_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
