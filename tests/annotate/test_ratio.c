/* The response score: what the judge is asked, what counts as a reply, what stays unscored. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "annotate/ratio.h"
#include "annotate/scores.h"
#include "schema/query.h"
#include "tests/support/store_fixture.h"

static struct store_fixture f;
static int64_t call;      /* the first of two path calls */
static int64_t reference; /* of the first turn */

static void judge_role(struct llm *llm)
{
    llm->role = LLM_JUDGE;
}

static void answer(int64_t call_id, const char *text)
{
    assert_int_equal(
        store_run(f.store, NULL, "INSERT INTO response (call_id, text) VALUES (?, ?)",
            "it", call_id, text),
        OK);
}

/* Two turns of one session, both answered, both with a reference answer. */
static int set_up(void **state)
{
    (void)state;
    store_fixture_open(&f, "keep");
    int64_t cloud = store_fixture_llm(&f, "gpt", "http://127.0.0.1:1", NULL);
    int64_t judge = store_fixture_llm(&f, "judge", "http://127.0.0.1:2", judge_role);
    (void)judge;
    call = store_fixture_session(&f, cloud, 2, 1);
    reference = store_fixture_call(&f, call, "reference", cloud, NULL, 7, 0);
    int64_t second = store_fixture_call(&f, call + 1, "reference", cloud, NULL, 6, 0);
    answer(call, "first {reference} answer");
    answer(call + 1, "second answer");
    answer(reference, "first reference");
    answer(second, "second reference");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_fixture_close(&f);
    return 0;
}

static struct ratio_counts plan(int sees_views)
{
    struct ratio_terms terms = { NULL, sees_views };
    struct ratio_counts counts = { 0 };
    struct error err = ERROR_INIT;
    if (ratio_plan(f.store, &terms, &counts, &err) != OK)
        fail_msg("%s", err.msg);
    return counts;
}

static struct ratio_counts score(void)
{
    struct ratio_counts counts = { 0 };
    struct error err = ERROR_INIT;
    if (ratio_score(f.store, &counts, &err) != OK)
        fail_msg("%s", err.msg);
    return counts;
}

static int64_t judgement_of(int64_t subject, int sample)
{
    int64_t id;
    assert_int_equal(store_int(f.store, 0, &id, NULL,
                         "SELECT call_id FROM call WHERE purpose = 'judge' AND "
                         "subject_id = ? AND sample = ?",
                         "ii", subject, (int64_t)sample),
        OK);
    return id;
}

static void replies_are_read_strictly(void **state)
{
    (void)state;
    static const char *const good[] = { "{\"candidate\": 8, \"reference\": 9}",
        "Here you are:\n```json\n{\"reference\":9,\"candidate\":8}\n```\nfine?",
        "{\"note\": {}} {\"candidate\": 8.0, \"reference\": 9}" };
    static const char *const bad[] = { "", "8 and 9", "{\"candidate\": 8}",
        "{\"candidate\": 0, \"reference\": 9}", "{\"candidate\": 8, \"reference\": 11}",
        "{\"candidate\": \"8\", \"reference\": 9}", "{\"candidate\": 8, \"reference\": 9",
        "{{{{" };
    double c, r;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(ratio_read_reply(good[i], &c, &r));
        assert_true(c == 8 && r == 9);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(ratio_read_reply(bad[i], &c, &r));
}

static void the_judge_is_asked_once_an_answer(void **state)
{
    (void)state;
    assert_int_equal(plan(1).planned, 2);
    assert_int_equal(plan(1).planned, 0);
    int64_t first = judgement_of(call, 0), second = judgement_of(call + 1, 0);
    char *text =
        store_fixture_text(&f, "SELECT text FROM call WHERE purpose = 'judge' ORDER BY "
                               "call_id LIMIT 1");
    /* marks inside answers are left alone */
    assert_non_null(strstr(text, "<candidate>\nfirst {reference} answer\n</candidate>"));
    assert_non_null(strstr(text, "<reference>\nfirst reference\n</reference>"));
    assert_non_null(strstr(text, "<dialogue>\n</dialogue>"));
    assert_non_null(strstr(text, "{\"candidate\": <1 to 10>"));
    free(text);
    text = store_fixture_text(&f,
        "SELECT text FROM call WHERE purpose = 'judge' ORDER BY call_id "
        "DESC LIMIT 1");
    assert_non_null(strstr(text, "Assistant: first {reference} answer\n</dialogue>"));
    free(text);
    assert_int_equal(
        store_fixture_int(&f,
            "SELECT count(*) FROM call j JOIN call r ON r.turn_id = j.turn_id "
            "AND r.purpose = 'reference' WHERE j.purpose = 'judge' AND "
            "j.views_added <> r.views_context"),
        0);
    answer(first, "{\"candidate\": 8, \"reference\": 9}");
    answer(second, "```{\"candidate\": 3, \"reference\": 2}```");
    struct ratio_counts counts = score();
    assert_int_equal(counts.scored, 2);
    assert_int_equal(score().scored, 0);
    assert_int_equal(plan(1).planned, 0);
    assert_int_equal(
        store_fixture_int(&f, "SELECT count(*) FROM score WHERE scorer = 'ratio' "
                              "AND value IN (8.0 / 9, 1.5)"),
        2);
    char *value = store_fixture_text(&f, "SELECT details FROM score LIMIT 1");
    assert_string_equal(value, "{\"candidate\":8,\"reference\":9}");
    free(value);
}

static void an_unreadable_reply_is_asked_for_once_more(void **state)
{
    (void)state;
    plan(0);
    answer(judgement_of(call, 0), "I would rather not say.");
    answer(judgement_of(call + 1, 0), "nor would I");
    struct ratio_counts counts = score();
    assert_int_equal(counts.scored + counts.unscored, 0);
    assert_int_equal(plan(0).planned, 2);
    answer(judgement_of(call, 1), "{\"candidate\": 5, \"reference\": 10}");
    answer(judgement_of(call + 1, 1), "still not");
    counts = score();
    assert_int_equal(counts.scored, 1);
    assert_int_equal(counts.unscored, 1);
    assert_int_equal(plan(0).planned, 0);
    assert_int_equal(
        store_fixture_int(&f, "SELECT count(*) FROM score WHERE value IS NULL AND "
                              "reason = 'the judge''s reply could not be read'"),
        1);
    assert_int_equal(
        store_fixture_int(&f, "SELECT count(*) FROM score WHERE value = 0"), 0);
}

/* A run that was killed between the replies and their scores. */
static void replies_that_are_there_are_not_asked_for_again(void **state)
{
    (void)state;
    plan(0);
    answer(judgement_of(call, 0), "{\"candidate\": 9, \"reference\": 9}");
    answer(judgement_of(call + 1, 0), "no idea");
    struct ratio_counts counts = plan(0);
    assert_int_equal(counts.scored, 1);
    assert_int_equal(counts.planned, 1); /* of the reply that cannot be read */
    assert_int_equal(judgement_of(call, 1), 0);
}

static void failed_judgements_and_references_leave_answers_unscored(void **state)
{
    (void)state;
    int64_t third = store_fixture_session(&f, 1, 1, 0);
    int64_t lost = store_fixture_call(&f, third, "reference", 1, NULL, 7, 0);
    answer(third, "third answer");
    plan(0);
    int64_t judged = judgement_of(call, 0);
    answer(judgement_of(call + 1, 0), "{\"candidate\": 5, \"reference\": 5}");
    const int64_t failed[] = { judged, lost };
    for (int i = 0; i < 2; i++)
        assert_int_equal(store_run(f.store, NULL,
                             "INSERT INTO attempt (call_id, number, status, final, "
                             "error_class, sent_ms, closed_ms, "
                             "request_sha256, request) VALUES (?, 1, 'failed', 1, "
                             "'server', 0, 1, 'h', x'00')",
                             "i", failed[i]),
            OK);
    struct ratio_counts counts = score();
    assert_int_equal(counts.scored, 1);
    assert_int_equal(counts.unscored, 2);
    assert_int_equal(
        store_fixture_int(&f, "SELECT count(*) FROM score WHERE reason = 'the judgement "
                              "failed'"),
        1);
    assert_int_equal(
        store_fixture_int(&f, "SELECT count(*) FROM score WHERE reason = 'the reference "
                              "failed'"),
        1);
    /* a judgement that comes in after all replaces the reason */
    answer(judged, "{\"candidate\": 4, \"reference\": 8}");
    assert_int_equal(score().scored, 1);
    assert_int_equal(
        store_fixture_int(&f, "SELECT count(*) FROM score WHERE value = 0.5"), 1);
}

static void refusals_are_marked_once(void **state)
{
    (void)state;
    int64_t third = store_fixture_session(&f, 1, 1, 0), n;
    answer(third, "I'm sorry, I can't see that.");
    plan(0);
    answer(
        judgement_of(call, 0), "sorry"); /* a judge's words are no answer to a prompt */
    assert_int_equal(scores_mark_refusals(f.store, &n, NULL), OK);
    assert_int_equal(n, 5);
    assert_int_equal(scores_mark_refusals(f.store, &n, NULL), OK);
    assert_int_equal(n, 0);
    assert_int_equal(
        store_fixture_int(&f, "SELECT total(value) FROM score WHERE scorer = "
                              "'refusal'"),
        1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_are_read_strictly),
        cmocka_unit_test_setup_teardown(
            the_judge_is_asked_once_an_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            an_unreadable_reply_is_asked_for_once_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            replies_that_are_there_are_not_asked_for_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            failed_judgements_and_references_leave_answers_unscored, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refusals_are_marked_once, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
