/* plan_case.c - see plan_case.h. */
#include "tests/support/plan_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "schema/check.h"
#include "schema/query.h"
#include "schema/recipe.h"

char plan_folder[64];
struct store *plan_store;

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
    "\"views\": \"all\"}";

static const char recipe_tail[] =
    " },\n"
    "  \"prices\": [ {\"llm\": \"phi\", \"from\": \"2026-01-01\", \"input_usd\": 0, "
    "\"output_usd\": 0, \"source\": \"t\"},\n"
    "    {\"llm\": \"gpt\", \"from\": \"2026-01-01\", \"input_usd\": 1, "
    "\"output_usd\": 2, \"source\": \"t\"},\n"
    "    {\"llm\": \"ref\", \"from\": \"2026-01-01\", \"input_usd\": 1, "
    "\"output_usd\": 2, \"source\": \"t\"} ],\n"
    "  \"actions\": {\"phi\": [\"\"], \"*\": \"all_subsets\"},\n";

void plan_write_file(const char *name, const char *text)
{
    char *path = path_join(plan_folder, name);
    assert_int_equal(file_write(path, text, strlen(text), NULL), OK);
    free(path);
}

void plan_apply(const char *sessions)
{
    plan_apply_with(sessions, "", "{\"fan_out\": 2}");
}

void plan_apply_with(const char *sessions, const char *llms, const char *plan)
{
    struct buffer text, problems;
    buffer_init(&text, 10000);
    buffer_init(&problems, 10000);
    buffer_printf(&text, "%s%s%s  \"plan\": %s,\n  \"sessions\": %s }\n", recipe_head,
        llms, recipe_tail, plan, sessions);
    plan_write_file("r.jsonc", buffer_str(&text));
    char *path = path_join(plan_folder, "r.jsonc");
    struct recipe *recipe;
    struct error err = ERROR_INIT;
    if (recipe_load(path, &recipe, &problems, &err) != OK ||
        recipe_apply(plan_store, recipe, &err) != OK)
        fail_msg("%s\n%s", err.msg, buffer_str(&problems));
    recipe_free(recipe);
    free(path);
    buffer_release(&text);
    buffer_release(&problems);
}

void plan_sql(const char *text)
{
    struct error err = ERROR_INIT;
    if (store_run(plan_store, &err, text, "") != OK)
        fail_msg("%s", err.msg);
}

int64_t plan_number(const char *text)
{
    int64_t n;
    struct error err = ERROR_INIT;
    if (store_int(plan_store, -1, &n, &err, text, "") != OK)
        fail_msg("%s", err.msg);
    return n;
}

void plan_add_scene(int id, const char *name, const char *tags, int n_views)
{
    char *text =
        text_format("INSERT INTO scene (scene_id, name, tags) VALUES (%d, '%s', '%s')",
            id, name, tags);
    plan_sql(text);
    free(text);
    for (int v = 1; v <= n_views; v++) {
        /* hashes of frames are content; check_store() is not run over these bytes */
        text = text_format(
            "INSERT INTO frame (frame_id, sha256, media_type, width_px, "
            "height_px, bytes) VALUES (%d, 'hash-%d-%d', 'image/jpeg', 4, 4, x'00')",
            10 * id + v, id, v);
        plan_sql(text);
        free(text);
        text = text_format(
            "INSERT INTO scene_frame (scene_id, view_id, at_ms, frame_id, source)"
            " VALUES (%d, %d, 0, %d, 'f')",
            id, v, 10 * id + v);
        plan_sql(text);
        free(text);
    }
}

int plan_set_up(void **state)
{
    (void)state;
    snprintf(plan_folder, sizeof plan_folder, "/tmp/m4a1-plan-XXXXXX");
    if (!mkdtemp(plan_folder))
        return 1;
    char *path = path_join(plan_folder, "s.m4a1");
    struct error err = ERROR_INIT;
    enum status s = store_create(path, "t", &plan_store, &err);
    free(path);
    return s != OK;
}

int plan_tear_down(void **state)
{
    (void)state;
    store_close(plan_store);
    char **names;
    size_t n;
    if (folder_list(plan_folder, &names, &n, NULL) != OK)
        return 1;
    for (size_t i = 0; i < n; i++) {
        char *path = path_join(plan_folder, names[i]);
        unlink(path);
        free(path);
    }
    folder_list_free(names, n);
    return rmdir(plan_folder);
}

void plan_answer_all(int simulated)
{
    char *text = text_format(
        "INSERT INTO response (call_id, attempt_id, text, model, input_tokens,"
        " cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens,"
        " simulated) SELECT call_id, attempt_id, 'yes', 'm', 100 + 1000 *"
        " (SELECT count(*) FROM call_view v WHERE v.call_id = a.call_id), 0, 0, 50, 0, %d"
        " FROM attempt a WHERE status = 'ok' AND NOT EXISTS (SELECT 1 FROM response r"
        "  WHERE r.attempt_id = a.attempt_id)",
        simulated);
    plan_sql("INSERT INTO attempt (call_id, number, status, sent_ms, closed_ms,"
             " request_sha256, request, latency_ns) SELECT call_id, 1, 'ok',"
             " 1790000000000, 1790000002000, 'h', x'00', 2000000000 FROM call c WHERE NOT"
             " EXISTS (SELECT 1 FROM attempt a WHERE a.call_id = c.call_id)");
    plan_sql(text);
    free(text);
}

void plan_refuse(int64_t call_id)
{
    char *text = text_format(
        "INSERT INTO attempt (call_id, number, status, final, error_class, error,"
        " sent_ms, closed_ms, request_sha256, request) VALUES (%lld, 1, 'failed', 1,"
        " 'filter', 'no', 1, 2, 'h', x'00')",
        (long long)call_id);
    plan_sql(text);
    free(text);
}

void plan_check(void)
{
    struct check_result result;
    struct error err = ERROR_INIT;
    if (check_store(plan_store, NULL, &result, &err) != OK)
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < result.n; i++) {
        if (!strstr(result.violations[i].invariant, "a frame's bytes"))
            fail_msg(
                "%s: %s", result.violations[i].invariant, result.violations[i].where);
    }
    check_release(&result);
}
