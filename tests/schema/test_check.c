/* Every invariant can be violated, and is then named with the row.
 *
 * Each case damages a sound store inside a transaction, looks, and takes it back. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "m4a1/base/text.h"
#include "schema/check.h"
#include "schema/query.h"
#include "tests/support/store_fixture.h"

static struct store_fixture f;

static void run(const char *sql)
{
    struct error err = ERROR_INIT;
    if (store_run(f.store, &err, sql, "") != OK)
        fail_msg("%s: %s", sql, err.msg);
}

/* Two turns of one session: an answered path call with one attempt, one not asked yet. */
static int set_up(void **state)
{
    (void)state;
    store_fixture_open(&f, "keep");
    int64_t llm = store_fixture_llm(&f, "gpt", "http://127.0.0.1:1", NULL);
    int64_t call = store_fixture_session(&f, llm, 2, 1);
    if (call != 1)
        return 1;
    run("INSERT INTO attempt (call_id, number, status, sent_ms, closed_ms, "
        "request_sha256, "
        "request, latency_ns) VALUES (1, 1, 'ok', 0, 1, 'h', x'00', 5)");
    run("INSERT INTO response (call_id, attempt_id, text) VALUES (1, 1, 'yes')");
    run("INSERT INTO run (run_id, version, timing, options, started_ms) VALUES (1, 'v', "
        "'isolated', '{}', 0)");
    store_fixture_price(&f, llm, 1, 1);
    run("INSERT INTO split (split_id, name, created_ms, rule, sha256) VALUES (1, 'm', 0, "
        "'{}', 'h')");
    run("INSERT INTO split_session VALUES (1, 1, 'train', 0)");
    run("INSERT INTO association_model (model_id, name, identity, dims) VALUES (1, "
        "'listed', 'h', 2)");
    run("INSERT INTO view (position, name, kind, privacy) VALUES (9, 'film', 'video', "
        "1)");
    run("PRAGMA foreign_keys = OFF");
    run("DROP TRIGGER attempt_is_append_only");
    run("DROP TRIGGER response_is_append_only");
    run("DROP TRIGGER response_is_kept");
    run("DROP TRIGGER attempt_is_kept");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_fixture_close(&f);
    return 0;
}

static struct check_result look(void)
{
    struct check_result result;
    struct error err = ERROR_INIT;
    if (check_store(f.store, NULL, &result, &err) != OK)
        fail_msg("%s", err.msg);
    return result;
}

/* The fixture writes identities of its own making; that one invariant is left out here and
 * proved by the case that follows. */
static int is_made_up(const struct check_violation *v)
{
    return strstr(v->invariant, "a call's identity") != NULL;
}

static void a_sound_store_has_no_violation(void **state)
{
    (void)state;
    struct check_result result = look();
    for (size_t i = 0; i < result.n; i++) {
        if (!is_made_up(&result.violations[i]))
            fail_msg(
                "%s: %s", result.violations[i].invariant, result.violations[i].where);
    }
    assert_true(result.n_invariants > 20);
    check_release(&result);
}

static void each_damage_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *invariant, *where;
    } cases[] = {
        { "UPDATE turn SET position = 5 WHERE position = 1", "numbered from 0",
            "session 1" },
        { "UPDATE call SET purpose = 'check' WHERE call_id = 2", "one path call",
            "turn 1" },
        { "UPDATE call SET parent_id = NULL WHERE call_id = 2", "parent is the path call",
            "call 2" },
        { "UPDATE call SET parent_id = 2 WHERE call_id = 1", "parent is the path call",
            "call 1" },
        { "UPDATE call SET views_context = 5 WHERE call_id = 1", "views accumulate",
            "call 1" },
        { "UPDATE call SET views_context = 129 WHERE call_id = 1", "views that exist",
            "call 1" },
        { "DELETE FROM scene_frame WHERE view_id = 1", "a frame row for every view",
            "call 1" },
        { "INSERT INTO scene_frame (scene_id, view_id, at_ms, part, offset_ms, source) "
          "SELECT scene_id, view_id, at_ms, 2, 500, 'x' FROM scene_frame WHERE view_id = "
          "1",
            "parts of a video are numbered", "ms, part 2" },
        { "INSERT INTO scene_frame (scene_id, view_id, at_ms, part, offset_ms, source) "
          "SELECT scene_id, view_id, at_ms, 1, 0, 'x' FROM scene_frame WHERE view_id = 1",
            "parts of a video are numbered", "ms, part 1" },
        { "INSERT INTO scene_frame (scene_id, view_id, at_ms, part, offset_ms, source) "
          "SELECT scene_id, view_id, at_ms, 1, 500, 'x' FROM scene_frame WHERE view_id = "
          "1",
            "has one frame an instant", "scene 1" },
        { "UPDATE frame SET media_type = 'text/plain'", "of the kind of its view",
            "text/plain" },
        { "INSERT INTO frame_fit VALUES (1, 1, 0, 1)", "within the limits that it was",
            "frame 1, made smaller as frame 1" },
        { "INSERT INTO frame_fit VALUES (1, 0, 1, 1)", "within the limits that it was",
            "frame 1, made smaller as frame 1" },
        { "UPDATE call SET eligible = '[[\"gpt\",1,0.5]]' WHERE call_id = 1",
            "add up to 1", "call 1" },
        { "UPDATE call SET eligible = '[[\"gpt\",0,1]]' WHERE call_id = 1",
            "one of its eligible actions", "call 1" },
        { "UPDATE call SET eligible = '[[\"gpt\",1,1]]', probability = 0.5 WHERE call_id "
          "= "
          "1",
            "the probability of its action", "call 1" },
        { "UPDATE call SET sample = 1 WHERE call_id = 1", "a further sample repeats",
            "call 1" },
        { "INSERT INTO call (identity, turn_id, purpose, llm_id, sample, views_context) "
          "VALUES ('x', 1, 'fan_out', 1, 2, 0)",
            "a further sample repeats", "call 3" },
        { "INSERT INTO call (identity, turn_id, purpose, llm_id, subject_id, sample, "
          "views_added, views_context) VALUES ('x', 1, 'check', 1, 1, 1, 2, 2)",
            "a check asks a call", "call 3" },
        { "INSERT INTO call (identity, turn_id, purpose, llm_id, sample, views_added, "
          "views_context) VALUES ('x', 1, 'check', 1, 1, 1, 1)",
            "a judge call has", "call 3" },
        { "UPDATE call SET purpose = 'judge' WHERE call_id = 2", "a judge call has",
            "call 2" },
        { "UPDATE attempt SET number = 2", "numbered from 1", "call 1" },
        { "INSERT INTO attempt (call_id, number, status, sent_ms, request_sha256, "
          "request) VALUES "
          "(2, 1, 'sent', 0, 'h', x'00'), (2, 2, 'sent', 0, 'h', x'00')",
            "at most one attempt under way", "call 2" },
        { "DELETE FROM response", "ok exactly when", "attempt 1" },
        { "UPDATE response SET call_id = 2", "belongs to the call", "response 1" },
        { "UPDATE response SET attempt_id = NULL", "only imported sessions",
            "response 1" },
        { "INSERT INTO response (call_id, attempt_id, text, simulated) VALUES (1, 99, "
          "'x', 1)",
            "all simulated, or none", "is simulated, others are not" },
        { "UPDATE response SET input_tokens = -1", "not negative", "response 1" },
        { "UPDATE attempt SET first_byte_ns = 9", "times of an answered", "attempt 1" },
        { "INSERT INTO score (response_id, scorer, version, value, judge_call_id) VALUES "
          "(1, 'ratio', '1', 1, 2)",
            "a score's judge", "score 1" },
        { "INSERT INTO association VALUES (1, 1, 'listed', 1.5)", "cosines",
            "turn 1, view 1" },
        { "INSERT INTO association VALUES (1, 1, 'm', 0.5)", "a model that is listed",
            "turn 1, view 1, model m" },
        { "INSERT INTO association SELECT 1, view_id, 'listed', 0.5 FROM view WHERE name "
          "= 'film'",
            "only views that are images", "of kind video" },
        { "INSERT INTO embedding (model_id, kind, text, vector) VALUES (1, 'text', 'x', "
          "x'0000')",
            "has its dimensions", "of 2 bytes" },
        { "INSERT INTO embedding (model_id, kind, text, vector) VALUES (1, 'text', 'x', "
          "x'0000803f0000807f')",
            "of an embedding are finite", "number 1" },
        { "DELETE FROM split_session", "a frozen split", "split m" },
        { "UPDATE attempt SET run_id = 1", "timing of its run", "attempt 1" },
        { "UPDATE attempt SET timing = 'isolated', in_flight = 2", "was alone",
            "attempt 1" },
        { "UPDATE attempt SET llm_in_flight = 3, in_flight = 2", "among those in flight",
            "attempt 1" },
        { "UPDATE response SET load_ns = -1", "are not negative", "attempt 1" },
        { "UPDATE price SET min_input_tokens = 9", "every prompt has a price",
            "price 1" },
        { "INSERT INTO rederived (attempt_id, version, derived_ms, differs, text) VALUES "
          "(1, 'v', 0, '[]', 'x')",
            "parsed anew", "attempt 1" },
        { "UPDATE frame SET bytes = x'01' WHERE frame_id = 1", "a frame's bytes",
            "frame 1" },
        { "UPDATE llm SET identity = 'x'", "an llm's identity", "gpt" },
        { "UPDATE turn SET prompt_id = 99 WHERE position = 0", "the database is whole",
            "refers to a row of prompt" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(store_begin(f.store, NULL), OK);
        run(cases[i].sql);
        struct check_result result = look();
        int named = 0;
        for (size_t k = 0; k < result.n; k++)
            named |= strstr(result.violations[k].invariant, cases[i].invariant) &&
                     strstr(result.violations[k].where, cases[i].where);
        if (!named)
            fail_msg("not named after: %s", cases[i].sql);
        check_release(&result);
        store_rollback(f.store);
    }
}

static void an_answer_before_its_parents_is_named(void **state)
{
    (void)state;
    assert_int_equal(store_begin(f.store, NULL), OK);
    run("DELETE FROM response");
    run("UPDATE attempt SET call_id = 2");
    run("INSERT INTO response (call_id, attempt_id, text) VALUES (2, 1, 'early')");
    struct check_result result = look();
    int named = 0;
    for (size_t k = 0; k < result.n; k++)
        named |= strstr(result.violations[k].invariant, "only after its parent") != NULL;
    assert_true(named);
    check_release(&result);
    store_rollback(f.store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_store_has_no_violation),
        cmocka_unit_test(each_damage_is_named),
        cmocka_unit_test(an_answer_before_its_parents_is_named),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
