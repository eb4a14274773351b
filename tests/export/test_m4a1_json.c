/* The authors' JSON: what is read, what is refused with which words, what is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "export/m4a1_json.h"
#include "m4a1/base/text.h"
#include "tests/support/export_case.h"
#include "tests/support/tmo_data.h"

static void test_fields(void **state)
{
    (void)state;
    struct dataset *data = export_parse(export_sample, M4A1_JSON_AUTHORS);
    assert_int_equal(data->n_sessions, 3);
    assert_int_equal(data->n_views, 2);
    assert_string_equal(data->views[1], "view_1");
    assert_int_equal(data->privacy[1], 1);
    assert_int_equal(data->n_tasks, 2);
    assert_string_equal(data->tasks[0], "Advice"); // sorted, whatever the order of turns
    assert_int_equal(data->n_llms, 2);
    assert_string_equal(data->llms[0].name, "local");
    assert_int_equal(data->llms[1].cloud, 1);
    const struct session *first = dataset_session(data, 7);
    assert_ptr_equal(first, &data->sessions[0]);
    assert_string_equal(first->scene, "Scenario_4_Activity_1");
    assert_string_equal(data->sessions[1].scene, "[\"kitchen/a.png\",\"kitchen/b.png\"]");
    assert_string_equal(data->sessions[2].scene, first->scene);
    assert_int_equal(first->n_turns, 3);
    assert_string_equal(first->turns[0].path.answer, "Bread, I think. \xc3\xa9\n\"x\"");
    assert_true(first->turns[0].path.score == 0.1 + 0.2);
    assert_true(first->turns[1].path.cost_usd == 5e-324);
    assert_true(first->turns[2].association[1] == 0.12345678901234568);
    assert_int_equal(first->turns[0].path.refused, 0);
    assert_int_equal(first->turns[1].path.refused, 1);
    assert_int_equal(first->turns[1].path.score, 9); // the raw score stays
    assert_true(isnan(first->turns[0].path.probability));
    assert_null(dataset_session(data, 8));
    dataset_free(data);
}

static void test_views_accumulate(void **state)
{
    (void)state;
    struct dataset *data = export_parse(export_sample, M4A1_JSON_AUTHORS);
    const struct turn *t = data->sessions[0].turns;
    assert_int_equal(t[0].path.views_added, 3);
    assert_int_equal(t[0].path.n_image_index, 2);
    assert_int_equal(t[0].path.image_index[0], 1); // the authors' order
    assert_int_equal(t[1].path.views_added, 0);
    assert_int_equal(t[1].path.views_context, 3);
    assert_null(t[1].path.image_index);
    t = data->sessions[1].turns;
    assert_int_equal(t[0].path.views_added, 2);
    assert_int_equal(t[1].path.views_added, 1);
    assert_int_equal(t[1].path.views_context, 3);
    assert_int_equal(data->sessions[2].turns[0].path.views_context, 0);
    dataset_free(data);
}

/* Each case breaks the sample in one place. */
static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *wanted;
    } cases[] = {
        { "[1, 0], \"answer\": \"Bread", "[1, 7], \"answer\": \"Bread",
            "sample.json: session 7, turn 0: image_index: expected view indices 0 to 1, "
            "found 7" },
        { "[1, 0], \"answer\": \"Bread", "[1, 1], \"answer\": \"Bread",
            "session 7, turn 0: image_index: view 1 is named twice" },
        { "[1, 0], \"answer\": \"Bread", "[0.5], \"answer\": \"Bread", "found 0.5" },
        { "[1, 0], \"answer\": \"Bread", "[0, 1, 0], \"answer\": \"Bread",
            "expected at most 2 views, found 3" },
        { "[1, 0], \"answer\": \"Bread", "\"all\", \"answer\": \"Bread",
            "expected null or a list of view indices, found text of 3 bytes" },
        { "[1, 0], \"answer\": \"Jam", "[0], \"answer\": \"Jam",
            "session 3, turn 1: image_index: expected all views that the dialogue "
            "holds" },
        { "\"action\": 0", "\"action\": 2",
            "session 7, turn 2: action: expected 0 (local) or 1 (cloud), found 2" },
        { "\"action\": 0", "\"action\": true", "found true" },
        { "\"score\": 9", "\"score\": \"9\"",
            "session 7, turn 1: score: expected a number of 0 or more, found text" },
        { "\"score\": 9", "\"score\": -1", "found -1" },
        { "\"score\": 9", "\"score\": NaN", "sample.json:" },
        { "\"score\": 9", "\"score\": 1e999", "sample.json:" },
        { "\"score\": 9,", "", "session 7, turn 1: the key \"score\" is missing" },
        { "\"score\": 9", "\"score\": 9, \"note\": 1", "the key \"note\" is not one of" },
        { "\"score\": 9", "\"score\": 9, \"score\": 8", "the same key twice" },
        { "\"question\": \"And now?\"", "\"question\": \"\"",
            "session 7, turn 1: question: expected text that is not empty" },
        { "\"answer\": \"Butter.\"", "\"answer\": null",
            "session 3, turn 0: answer: expected text, found null" },
        { "\"answer\": \"Butter.\"", "\"answer\": \"\xff\"", "UTF-8" },
        { "\"answer\": \"Butter.\"", "\"answer\": \"\\u0000\"", "sample.json:" },
        { "\"id\": 3", "\"id\": 7",
            "session 7: this id stands at positions 0 and 1 of the array" },
        { "\"id\": 3", "\"id\": \"3\"",
            "session at position 1: id: expected a whole number" },
        { "\"id\": 3", "\"id\": 9007199254740993", // would become ...992
            "session at position 1: id: expected a whole number between -2^53 and 2^53" },
        { "\"id\": 3", "\"id\": -9007199254740992", "between -2^53 and 2^53" },
        { "\"id\": 3", "\"id\": 123456789012345678", "found 1.2345678901234568e+17" },
        { "\"id\": 3", "\"id\": 3.5", "a whole number between" },
        { "{\"id\": 3,", "{", "session at position 1: the key \"id\" is missing" },
        { "[[0.2, 0.3]]", "[[0.2, 0.3], [0.2, 0.3]]",
            "session 12: association_score: expected one row for each of 1 turns, found "
            "an array of 2" },
        { "[[0.2, 0.3]]", "[[0.2]]",
            "session 12, turn 0: association_score: expected one number for each of 2 "
            "views, found an array of 1" },
        { "[[0.2, 0.3]]", "[[0.2, 2]]", "expected a cosine in -1 to 1, found 2" },
        { "[[0.2, 0.3]]", "null", "session 12: association_score" },
        { "[\"kitchen/a.png\", \"kitchen/b.png\"]", "[\"kitchen/a.png\"]",
            "session 3: image_paths: expected 2 paths as in the sessions before, found "
            "1" },
        { "[\"kitchen/a.png\", \"kitchen/b.png\"]", "[]",
            "expected a list of 1 to 32 paths" },
        { "[{\"id\": 7", "[5, {\"id\": 7",
            "session at position 0: the array: expected an "
            "object a session, found 5" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char *text = export_with(export_sample, cases[i].from, cases[i].to);
        struct dataset *data;
        struct error err = ERROR_INIT;
        assert_int_equal(m4a1_json_parse(text, strlen(text), "sample.json",
                             M4A1_JSON_AUTHORS, &data, &err),
            E_DATA);
        assert_null(data);
        if (!strstr(err.msg, cases[i].wanted))
            fail_msg("case %zu: \"%s\" lacks \"%s\"", i, err.msg, cases[i].wanted);
        free(text);
    }
}

/* Texts that no llm and no person wrote: session, turn and key are named. */
static void test_long_texts(void **state)
{
    (void)state;
    static const struct {
        const char *from, *before, *after, *place;
    } cases[] = {
        { "\"Butter.\"", "\"", "\"", "session 3, turn 0: answer" },
        { "\"And now?\"", "\"", "\"", "session 7, turn 1: question" },
        { "\"kitchen/a.png\"", "\"", "\"", "image_paths" },
        { "\"score\": 9", "\"llm\": \"", "\", \"score\": 9", "session 7, turn 1: llm" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        for (size_t more = 0; more <= 1; more++) {
            struct buffer b;
            struct dataset *data;
            struct error err = ERROR_INIT;
            buffer_init(&b, 2 * M4A1_JSON_MAX_TEXT);
            buffer_add_str(&b, cases[i].before);
            for (size_t k = 0; k < M4A1_JSON_MAX_TEXT + more; k++)
                buffer_add_char(&b, 'x');
            buffer_add_str(&b, cases[i].after);
            char *text = export_with(export_sample, cases[i].from, buffer_str(&b));
            enum status s = m4a1_json_parse(text, strlen(text), "x.json", 0, &data, &err);
            assert_int_equal(s, more ? E_DATA : OK);
            if (more &&
                (!strstr(err.msg, cases[i].place) ||
                    !strstr(err.msg, "at most 8388608 bytes, found text of 8388609")))
                fail_msg("%s lacks %s", err.msg, cases[i].place);
            dataset_free(data);
            free(text);
            buffer_release(&b);
        }
    }
}

static void test_long_texts_are_not_written(void **state)
{
    (void)state;
    struct dataset *data = export_parse(export_sample, 0);
    struct buffer b;
    struct error err = ERROR_INIT;
    struct interaction *path = &data->sessions[0].turns[1].path;
    free(path->answer);
    path->answer = malloc(M4A1_JSON_MAX_TEXT + 2);
    memset(path->answer, 'x', M4A1_JSON_MAX_TEXT + 1);
    path->answer[M4A1_JSON_MAX_TEXT + 1] = '\0';
    buffer_init(&b, M4A1_JSON_MAX);
    assert_int_equal(m4a1_json_print(data, &b, &err), E_LIMIT);
    assert_non_null(
        strstr(err.msg, "session 7, turn 1: answer: expected at most 8388608"));
    buffer_release(&b);
    dataset_free(data);
}

static void test_largest_id(void **state)
{
    (void)state;
    char *text = export_with(export_sample, "\"id\": 3", "\"id\": 9007199254740991");
    struct dataset *data = export_parse(text, M4A1_JSON_AUTHORS);
    assert_int_equal(data->sessions[1].id, INT64_C(9007199254740991));
    dataset_free(data);
    free(text);
}

static void test_not_sessions(void **state)
{
    (void)state;
    static const char *const texts[] = { "", "{}", "[]", "null", "[{}]", "[[]]",
        ("[{\"id\": 1, \"image_paths\": [\"a\"], \"interactions\": [],"
         " \"association_score\": []}]") };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct dataset *data;
        struct error err = ERROR_INIT;
        assert_int_equal(
            m4a1_json_parse(texts[i], strlen(texts[i]), "x", 0, &data, &err), E_DATA);
        assert_non_null(strstr(err.msg, "x:"));
    }
}

static char *print(const struct dataset *data)
{
    struct buffer b;
    struct error err = ERROR_INIT;
    buffer_init(&b, M4A1_JSON_MAX);
    if (m4a1_json_print(data, &b, &err))
        fail_msg("%s", err.msg);
    return buffer_detach(&b, NULL);
}

/* What is printed reads back to the same digest and prints to the same bytes. */
static void assert_round_trip(const struct dataset *data)
{
    char *text = print(data);
    struct dataset *again = export_parse(text, 0);
    assert_string_equal(again->digest, data->digest);
    char *second = print(again);
    assert_string_equal(second, text);
    dataset_free(again);
    free(second);
    free(text);
}

static void test_printed(void **state)
{
    (void)state;
    struct dataset *data = export_parse(export_sample, M4A1_JSON_AUTHORS);
    char *text = print(data);
    // Only the authors' keys, in their order, and numbers in the shortest exact form.
    static const char line[] =
        "{\"id\":12,\"image_paths\":[\"Scenario_4_Modality_0_Activity_1.jpg\","
        "\"Scenario_4_Modality_1_Activity_1.jpg\"],\"interactions\":[{\"question\":"
        "\"Lights off!\",\"task_cat\":\"Query\",\"action\":0,\"image_index\":null,"
        "\"answer\":\"Done.\",\"score\":1,\"interaction_time\":0.5,\"usage_cost\":";
    assert_non_null(strstr(text, line));
    assert_non_null(strstr(text, "\"image_index\":[1,0]"));
    assert_non_null(strstr(text, "\"score\":0.30000000000000004,"));
    assert_null(strstr(text, "\"llm\""));
    assert_null(strstr(text, "\"scene\""));
    free(text);
    assert_round_trip(data);
    dataset_free(data);
}

/* A collected session: our keys are read, checked and printed again. */
static const char collected[] =
    "[{\"id\": 1, \"image_paths\": [\"k/a\", \"k/b\"], \"interactions\": [\n"
    "  {\"question\": \"Q\", \"task_cat\": \"T\", \"action\": 1, \"image_index\": [0],\n"
    "   \"answer\": \"A\", \"score\": 1, \"interaction_time\": 2, \"usage_cost\": null,\n"
    "   \"llm\": \"gpt\", \"views_added\": [0], \"views_context\": [0],\n"
    "   \"probability\": 0.25, \"simulated\": true, \"refused\": true,\n"
    "   \"tokens\": [10, 0, null, 3, 0], \"fan_out\": [\n"
    "     {\"action\": 0, \"image_index\": null, \"answer\": \"B\", \"score\": 0.5,\n"
    "      \"interaction_time\": 1, \"usage_cost\": 0, \"llm\": \"phi\",\n"
    "      \"views_added\": [], \"views_context\": []}]},\n"
    "  {\"question\": \"Q2\", \"task_cat\": \"T\", \"action\": 1, \"image_index\": "
    "null,\n"
    "   \"answer\": null, \"score\": null, \"interaction_time\": null,\n"
    "   \"usage_cost\": null, \"llm\": \"gem\", \"views_added\": [],\n"
    "   \"views_context\": [0]}],\n"
    "  \"association_score\": null,\n"
    "  \"identity\": "
    "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\",\n"
    "  \"scene\": \"kitchen\", \"censored\": true}]\n";

static void test_collected(void **state)
{
    (void)state;
    struct dataset *data = export_parse(collected, 0);
    const struct session *session = &data->sessions[0];
    const struct turn *turn = &session->turns[0];
    assert_int_equal(session->imported, 0);
    assert_int_equal(session->censored, 1);
    assert_string_equal(session->scene, "kitchen");
    assert_null(turn->association);
    assert_int_equal(data->n_llms, 3);
    assert_string_equal(data->llms[0].name, "phi"); // the local one first
    assert_string_equal(data->llms[1].name, "gem");
    assert_int_equal(turn->path.llm, 2);
    assert_int_equal(turn->path.refused, 1); // as the file says, not as the rule would
    assert_int_equal(turn->path.tokens[TOKENS_INPUT], 10);
    assert_int_equal(turn->path.tokens[TOKENS_CACHE_WRITE], -1);
    assert_true(isnan(turn->path.cost_usd));
    assert_int_equal(turn->n_fan_out, 1);
    assert_int_equal(turn->fan_out[0].llm, 0);
    assert_int_equal(turn->fan_out[0].tokens[TOKENS_INPUT], -1);
    assert_null(session->turns[1].path.answer);
    assert_true(isnan(session->turns[1].path.score));
    assert_true(data->simulated);
    assert_round_trip(data);
    dataset_free(data);
}

/* Any of our keys makes a session one of ours, and a name of an llm needs no identity. */
static void test_without_identity(void **state)
{
    (void)state;
    char *text = export_with(
        export_sample, "\"answer\": \"Jam.\"", "\"answer\": \"Jam.\", \"llm\": \"gpt\"");
    struct dataset *data = export_parse(text, 0);
    assert_int_equal(data->sessions[0].imported, 1);
    assert_int_equal(data->sessions[1].imported, 0);
    assert_int_equal(data->n_llms, 3);
    assert_round_trip(data);
    dataset_free(data);
    free(text);
}

static void test_collected_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *wanted;
    } cases[] = {
        { "\"llm\": \"gpt\"", "\"llm\": 4", "llm: expected the name" },
        { "\"probability\": 0.25", "\"probability\": 1.5",
            "probability: expected a number in 0 to 1" },
        { "[10, 0, null, 3, 0]", "[10, 0]", "tokens: expected a list of 5 counts" },
        { "[10, 0, null, 3, 0]", "[10, 0, -1, 3, 0]", "tokens: expected counts of 0" },
        { "\"views_context\": []", "\"views_context\": [1]", "views_context: expected" },
        { "\"simulated\": true", "\"simulated\": 1", "simulated: expected true or" },
        { "\"refused\": true", "\"refused\": 1", "refused: expected true, false or" },
        { "\"censored\": true", "\"censored\": 1", "censored: expected true or" },
        { "0123456789abcdef\",", "012\",", "identity: expected 64" },
        { "\"fan_out\": [", "\"fan_out\": [3,", "fan_out: expected objects" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char *text = export_with(collected, cases[i].from, cases[i].to);
        struct dataset *data;
        struct error err = ERROR_INIT;
        assert_int_equal(
            m4a1_json_parse(text, strlen(text), "x", 0, &data, &err), E_DATA);
        if (!strstr(err.msg, cases[i].wanted))
            fail_msg("case %zu: \"%s\" lacks \"%s\"", i, err.msg, cases[i].wanted);
        free(text);
    }
    struct dataset *data;
    struct error err = ERROR_INIT;
    assert_int_equal(m4a1_json_parse(collected, strlen(collected), "x", M4A1_JSON_AUTHORS,
                         &data, &err),
        E_DATA);
    assert_non_null(strstr(err.msg, "is not one of the authors' format"));
}

/* -0 has no place in a store's REAL column; it is read as 0 everywhere. */
static void test_minus_zero(void **state)
{
    (void)state;
    char *text = export_with(
        export_sample, "[0, 0.12345678901234568]", "[-0.0, 0.12345678901234568]");
    struct dataset *data = export_parse(text, 0);
    assert_false(signbit(data->sessions[0].turns[2].association[0]));
    dataset_free(data);
    free(text);
}

static void test_public(void **state)
{
    (void)state;
    struct dataset *data = golden_dataset();
    if (!data) {
        print_message("no shared material: the public slice of M4A1 is not there\n");
        skip();
    }
    size_t turns = 0, local = 0, text_only = 0, seen = 0;
    for (size_t s = 0; s < data->n_sessions; s++) {
        turns += data->sessions[s].n_turns;
        for (size_t t = 0; t < data->sessions[s].n_turns; t++) {
            const struct interaction *it = &data->sessions[s].turns[t].path;
            int cloud = data->llms[it->llm].cloud;
            local += !cloud;
            text_only += cloud && !it->image_index;
            seen += cloud && !it->image_index && it->views_context;
        }
    }
    assert_int_equal(data->n_sessions, 100);
    assert_int_equal(turns, 352);
    assert_int_equal(local, 170);
    assert_int_equal(text_only, 85);
    assert_int_equal(seen, 57);
    assert_round_trip(data);
    dataset_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_views_accumulate),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_long_texts),
        cmocka_unit_test(test_long_texts_are_not_written),
        cmocka_unit_test(test_largest_id),
        cmocka_unit_test(test_not_sessions),
        cmocka_unit_test(test_printed),
        cmocka_unit_test(test_collected),
        cmocka_unit_test(test_without_identity),
        cmocka_unit_test(test_collected_refused),
        cmocka_unit_test(test_minus_zero),
        cmocka_unit_test(test_public),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
