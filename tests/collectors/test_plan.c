/* Planning: what sessions are drawn from, that plans repeat and extend, scripts. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "collectors/plan.h"
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "schema/check.h"
#include "schema/query.h"
#include "schema/recipe.h"

static char folder[64];
static struct store *store;

static const char recipe_head[] =
    "{ \"m4a1_recipe\": 1, \"name\": \"t\",\n"
    "  \"views\": [ {\"name\": \"head\", \"kind\": \"image\", \"privacy\": 2},\n"
    "             {\"name\": \"bench\", \"kind\": \"image\", \"privacy\": 1} ],\n"
    "  \"frames\": {\"longest_side\": 768, \"jpeg_quality\": 90, \"at_s\": [0.5]},\n"
    "  \"tasks\": [\"Query\", \"Advice\"],\n"
    "  \"prompts\": [ {\"id\": \"q1\", \"task\": \"Query\", \"text\": \"one?\"},\n"
    "    {\"id\": \"q2\", \"task\": \"Query\", \"text\": \"two?\", \"needs\": "
    "[\"tool\"]},\n"
    "    {\"id\": \"q3\", \"task\": \"Advice\", \"text\": \"three?\"} ],\n"
    "  \"llms\": {\n"
    "    \"phi\": {\"role\": \"local\", \"protocol\": \"openai-chat\", \"url\": "
    "\"http://127.0.0.1:1\",\n"
    "      \"model\": \"p\", \"accepts\": {\"image\": 0}},\n"
    "    \"gpt\": {\"role\": \"cloud\", \"protocol\": \"openai-chat\", \"url\": "
    "\"http://127.0.0.1:1\",\n"
    "      \"model\": \"g\"},\n"
    "    \"ref\": {\"role\": \"reference\", \"like\": \"gpt\", \"model\": \"r\", "
    "\"views\": \"all\"} },\n"
    "  \"actions\": {\"phi\": [\"\"], \"*\": \"all_subsets\"},\n"
    "  \"plan\": {\"behaviour\": \"m4a1\", \"fan_out\": 2},\n";

static void write_file(const char *name, const char *text)
{
    char *path = path_join(folder, name);
    assert_int_equal(file_write(path, text, strlen(text), NULL), OK);
    free(path);
}

/* Give the store a recipe whose last member is sessions. */
static void apply(const char *sessions)
{
    struct buffer text, problems;
    buffer_init(&text, 10000);
    buffer_init(&problems, 10000);
    buffer_printf(&text, "%s  \"sessions\": %s }\n", recipe_head, sessions);
    write_file("r.jsonc", buffer_str(&text));
    char *path = path_join(folder, "r.jsonc");
    struct recipe *recipe;
    struct error err = ERROR_INIT;
    if (recipe_load(path, &recipe, &problems, &err) != OK ||
        recipe_apply(store, recipe, &err) != OK)
        fail_msg("%s\n%s", err.msg, buffer_str(&problems));
    recipe_free(recipe);
    free(path);
    buffer_release(&text);
    buffer_release(&problems);
}

static void sql(const char *text)
{
    struct error err = ERROR_INIT;
    if (store_run(store, &err, text, "") != OK)
        fail_msg("%s", err.msg);
}

static int64_t number(const char *text)
{
    int64_t n;
    struct error err = ERROR_INIT;
    if (store_int(store, -1, &n, &err, text, "") != OK)
        fail_msg("%s", err.msg);
    return n;
}

static void add_scene(int id, const char *name, const char *tags, int n_views)
{
    char *text =
        text_format("INSERT INTO scene (scene_id, name, tags) VALUES (%d, '%s', '%s')",
            id, name, tags);
    sql(text);
    free(text);
    for (int v = 1; v <= n_views; v++) {
        /* hashes of frames are content; check_store() is not run over these bytes */
        text = text_format(
            "INSERT INTO frame (frame_id, sha256, media_type, width_px, "
            "height_px, bytes) VALUES (%d, 'hash-%d-%d', 'image/jpeg', 4, 4, x'00')",
            10 * id + v, id, v);
        sql(text);
        free(text);
        text = text_format(
            "INSERT INTO scene_frame VALUES (%d, %d, 0, %d, 'f')", id, v, 10 * id + v);
        sql(text);
        free(text);
    }
}

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/m4a1-plan-XXXXXX");
    if (!mkdtemp(folder))
        return 1;
    char *path = path_join(folder, "s.m4a1");
    struct error err = ERROR_INIT;
    enum status s = store_create(path, "t", &store, &err);
    free(path);
    return s != OK;
}

static int tear_down(void **state)
{
    (void)state;
    store_close(store);
    char **names;
    size_t n;
    if (folder_list(folder, &names, &n, NULL) != OK)
        return 1;
    for (size_t i = 0; i < n; i++) {
        char *path = path_join(folder, names[i]);
        unlink(path);
        free(path);
    }
    folder_list_free(names, n);
    return rmdir(folder);
}

static struct plan_counts plan(int64_t n_sessions, int dry_run)
{
    struct plan_options options = plan_options_init();
    options.n_sessions = n_sessions;
    options.dry_run = dry_run;
    struct plan_counts counts;
    struct error err = ERROR_INIT;
    if (plan_make(store, &options, &counts, &err) != OK)
        fail_msg("%s", err.msg);
    return counts;
}

static void refuses(enum status expected, const char *message)
{
    struct plan_options options = plan_options_init();
    struct plan_counts counts;
    struct error err = ERROR_INIT;
    assert_int_equal(plan_make(store, &options, &counts, &err), expected);
    if (!strstr(err.msg, message))
        fail_msg("expected '%s' in '%s'", message, err.msg);
    assert_int_equal(number("SELECT count(*) FROM session"), 0);
}

static void says_what_is_missing(void **state)
{
    (void)state;
    apply("{\"n\": 5, \"turns\": [3, 3], \"seed\": 1}");
    refuses(E_ARG, "no scene with a frame of every view");
    add_scene(1, "half", "[]", 1);
    refuses(E_ARG, "no scene with a frame of every view");
    add_scene(2, "whole", "[]", 2);
    refuses(E_ARG, "scene whole: 2 prompts suit it");
}

static void plans_hold_every_invariant(void **state)
{
    (void)state;
    apply("{\"n\": 40, \"turns\": [2, 3], \"seed\": 1}");
    add_scene(1, "a", "[\"tool\"]", 2);
    add_scene(2, "b", "[\"tool\", \"other\"]", 2);
    struct plan_counts counts = plan(-1, 0);
    assert_int_equal(counts.sessions, 40);
    assert_int_equal(counts.scenes, 2);
    assert_int_equal(counts.path, counts.turns);
    assert_int_equal(counts.reference, counts.turns);
    assert_int_equal(number("SELECT count(*) FROM call"),
        counts.path + counts.fan_out + counts.reference);
    /* a session asks different prompts, each fan-out another action than the path's */
    assert_int_equal(
        number("SELECT count(*) FROM (SELECT 1 FROM turn GROUP BY session_id, "
               "prompt_id HAVING count(*) > 1)"),
        0);
    assert_int_equal(
        number("SELECT count(*) FROM call f JOIN call p ON p.turn_id = f.turn_id AND "
               "p.purpose = 'path' WHERE f.purpose = 'fan_out' AND f.llm_id = p.llm_id "
               "AND f.views_added = p.views_added"),
        0);
    /* an included action had probability m / (n - 1) */
    assert_int_equal(
        number("SELECT count(*) FROM call f JOIN call p ON p.turn_id = f.turn_id AND "
               "p.purpose = 'path' "
               "WHERE f.purpose = 'fan_out' AND abs(f.probability - min(1, 2.0 / "
               "(json_array_length(p.eligible) - 1))) > 1e-12"),
        0);
    assert_int_equal(number("SELECT count(*) FROM call WHERE purpose = 'reference' AND "
                            "views_context <> 3"),
        0);
    struct check_result result;
    assert_int_equal(check_store(store, NULL, &result, NULL), OK);
    for (size_t i = 0; i < result.n; i++) {
        if (!strstr(result.violations[i].invariant, "a frame's bytes"))
            fail_msg(
                "%s: %s", result.violations[i].invariant, result.violations[i].where);
    }
    check_release(&result);
}

/* Everything that identities depend on. */
static char *fingerprint(int64_t sessions)
{
    struct query *q;
    assert_int_equal(query_open(store,
                         "SELECT group_concat(identity) FROM (SELECT c.identity FROM "
                         "call c JOIN turn USING "
                         "(turn_id) JOIN session USING (session_id) WHERE plan_index < ? "
                         "ORDER BY c.call_id)",
                         &q, NULL),
        OK);
    query_bind(q, "i", sessions);
    assert_int_equal(query_next(q, NULL), OK);
    char *text = text_copy(query_text(q, 0));
    query_close(q);
    return text;
}

static void plans_repeat_and_extend(void **state)
{
    (void)state;
    apply("{\"n\": 6, \"turns\": [2, 3], \"seed\": 1}");
    add_scene(1, "a", "[\"tool\"]", 2);
    assert_int_equal(plan(-1, 1).sessions, 6); /* a dry run writes nothing */
    assert_int_equal(number("SELECT count(*) FROM session"), 0);
    plan(-1, 0);
    char *six = fingerprint(6);
    struct plan_counts again = plan(-1, 0);
    assert_int_equal(again.sessions, 0);
    assert_int_equal(again.sessions_before, 6);
    struct plan_counts more = plan(9, 0);
    assert_int_equal(more.sessions, 3);
    char *still_six = fingerprint(6);
    assert_string_equal(six, still_six);
    free(still_six);

    /* the same content planned elsewhere gets the same identities */
    struct store *first = store;
    char *path = path_join(folder, "other.m4a1");
    assert_int_equal(store_create(path, "t", &store, NULL), OK);
    apply("{\"n\": 6, \"turns\": [2, 3], \"seed\": 1}");
    add_scene(1, "renamed", "[\"tool\"]", 2);
    plan(-1, 0);
    char *elsewhere = fingerprint(6);
    assert_string_equal(six, elsewhere);
    store_close(store);
    store = first;
    free(path);
    free(elsewhere);
    free(six);
}

static void scripts_are_followed(void **state)
{
    (void)state;
    add_scene(0, "unused", "[]", 0);
    char *script = path_join(folder, "s.jsonl");
    char *sessions = text_format("{\"script\": \"%s\"}", script);
    write_file("s.jsonl", "{\"scene\": \"a\", \"prompts\": [\"q3\", \"q1\"], "
                          "\"actions\": [{\"llm\": \"gpt\", "
                          "\"views\": [\"bench\"]}, {\"llm\": \"phi\"}]}\n\n"
                          "{\"scene\": \"a\", \"prompts\": [\"q1\"]}\n");
    apply(sessions);
    add_scene(1, "a", "[]", 2);
    assert_int_equal(plan(-1, 0).sessions, 2);
    assert_int_equal(
        number("SELECT count(*) FROM call JOIN llm USING (llm_id) WHERE purpose = "
               "'path' AND name = 'gpt' AND views_added = 2 AND probability = 1"),
        1);
    assert_int_equal(
        number("SELECT count(*) FROM call JOIN llm USING (llm_id) WHERE purpose = "
               "'path' AND name = 'phi' AND views_context = 2"),
        1);
    assert_int_equal(plan(-1, 0).sessions, 0);

    /* it may grow, but what was planned from it stays */
    write_file("s.jsonl", "{\"scene\": \"a\", \"prompts\": [\"q1\"]}\n"
                          "{\"scene\": \"a\", \"prompts\": [\"q1\"]}\n"
                          "{\"scene\": \"a\", \"prompts\": [\"q3\"]}\n");
    struct plan_options options = { .n_sessions = -1, .seed = -1, .fan_out = -2 };
    struct plan_counts counts;
    struct error err = ERROR_INIT;
    assert_int_equal(plan_make(store, &options, &counts, &err), E_ARG);
    assert_non_null(strstr(err.msg, "s.jsonl:1: is not what was planned for this line"));
    options.n_sessions = 5;
    assert_int_equal(plan_make(store, &options, &counts, &err), E_ARG);
    assert_non_null(strstr(err.msg, "leave out --sessions"));
    free(script);
    free(sessions);
}

static void scripts_name_their_line(void **state)
{
    (void)state;
    char *script = path_join(folder, "s.jsonl");
    char *sessions = text_format("{\"script\": \"%s\"}", script);
    static const struct {
        const char *text, *message;
    } cases[] = {
        { "{\"scene\": \"a\", \"prompts\": [\"q1\"]}\n{\"scene\"}\n",
            "s.jsonl, line 2:1:" },
        { "\n{\"scene\": \"b\", \"prompts\": [\"q1\"]}\n",
            "s.jsonl:2: scene b: no such scene" },
        { "{\"scene\": \"a\", \"prompts\": [\"q9\"]}\n",
            "prompts[0]: the recipe has no prompt 'q9'" },
        { "{\"scene\": \"a\", \"prompts\": []}\n", "expected an array of prompt ids" },
        { "{\"scene\": \"a\", \"prompts\": [\"q1\"], \"action\": []}\n",
            "unknown key 'action'" },
        { "{\"scene\": \"a\", \"prompts\": [\"q1\"], \"actions\": [{\"llm\": "
          "\"ref\"}]}\n",
            "no local or cloud llm 'ref'" },
        { "{\"scene\": \"a\", \"prompts\": [\"q1\"], \"actions\": [{\"llm\": \"phi\", "
          "\"views\": "
          "[\"head\"]}]}\n",
            "llm phi does not offer these views" },
        { "{\"scene\": \"a\", \"prompts\": [\"q2\"]}\n",
            "lacks a tag that prompt 'q2' needs" },
        { "\n", "holds no session" },
    };
    write_file("s.jsonl", "");
    apply(sessions);
    add_scene(1, "a", "[]", 2);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        write_file("s.jsonl", cases[i].text);
        refuses(i == 6 ? E_ARG : E_DATA, cases[i].message);
    }
    free(script);
    free(sessions);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(says_what_is_missing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(plans_hold_every_invariant, set_up, tear_down),
        cmocka_unit_test_setup_teardown(plans_repeat_and_extend, set_up, tear_down),
        cmocka_unit_test_setup_teardown(scripts_are_followed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(scripts_name_their_line, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
