/* test_recipe_apply.c - what a recipe makes of a store, new or in use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "m4a1/base/text.h"
#include "schema/query.h"
#include "schema/recipe.h"
#include "tests/support/recipe_samples.h"

static struct store *new_store(struct folder *f)
{
    struct store *store;
    struct error err = ERROR_INIT;
    const char *path = file_in(f, "s.m4a1", NULL);
    if (store_create(path, "test", &store, &err))
        fail_msg("%s", err.msg);
    return store;
}

static void apply(struct store *store, const char *text)
{
    struct recipe *r = good(text);
    struct error err = ERROR_INIT;
    if (recipe_apply(store, r, &err))
        fail_msg("%s", err.msg);
    recipe_free(r);
}

static void refuse(struct store *store, const char *text, const char *words)
{
    struct recipe *r = good(text);
    struct error err = ERROR_INIT;
    assert_int_equal(recipe_apply(store, r, &err), E_ARG);
    if (!strstr(err.msg, words))
        fail_msg("not in \"%s\": %s", err.msg, words);
    recipe_free(r);
}

static int64_t ask(struct store *store, const char *sql)
{
    int64_t n;
    struct error err = ERROR_INIT;
    if (store_int(store, -1, &n, &err, sql, ""))
        fail_msg("%s: %s", sql, err.msg);
    return n;
}

static void run(struct store *store, const char *sql)
{
    struct error err = ERROR_INIT;
    if (store_run(store, &err, sql, ""))
        fail_msg("%s: %s", sql, err.msg);
}

/* One frame, one session and one call, so that everything of the small recipe is used. */
static void use_everything(struct store *store)
{
    run(store, "INSERT INTO scene (scene_id, name) VALUES (1, 'kitchen')");
    run(store, "INSERT INTO scene_frame (scene_id, view_id, at_ms, source) "
               "SELECT 1, view_id, 0, 'x' FROM view");
    run(store, "INSERT INTO session (session_id, identity, scene_id, at_ms) "
               "VALUES (1, 's', 1, 0)");
    run(store, "INSERT INTO turn (session_id, position, prompt_id) "
               "SELECT 1, prompt_id, prompt_id FROM prompt");
    run(store, "INSERT INTO call (call_id, identity, turn_id, purpose, llm_id, "
               "views_context) SELECT llm_id, llm_id, 1, 'check', llm_id, 3 FROM llm");
    run(store, "INSERT INTO attempt (call_id, number, status, sent_ms, closed_ms, "
               "request_sha256, request) SELECT llm_id, 1, 'ok', 1795305600000 + 1, "
               "1795305600000 + 2, 'x', x'00' FROM llm");
}

static void test_apply_and_load_again(void **state)
{
    struct store *store = new_store(*state);
    struct error err = ERROR_INIT;
    apply(store, small);
    assert_int_equal(ask(store, "SELECT count(*) FROM view WHERE retired_ms IS NULL"), 2);
    assert_int_equal(ask(store, "SELECT position FROM view WHERE name = 'bench'"), 1);
    assert_int_equal(ask(store, "SELECT privacy FROM view WHERE name = 'head'"), 2);
    assert_int_equal(
        ask(store, "SELECT count(*) FROM prompt JOIN task USING (task_id)"), 2);
    assert_int_equal(ask(store, "SELECT count(*) FROM llm WHERE retired_ms IS NULL"), 3);
    assert_int_equal(ask(store, "SELECT input_pusd FROM price"), 2500000);
    assert_int_equal(ask(store, "SELECT count(*) FROM recipe"), 1);

    struct recipe *r;
    if (recipe_of_store(store, &r, &err))
        fail_msg("%s", err.msg);
    assert_string_equal(r->text, small);
    recipe_free(r);

    // The same again changes nothing, used or not.
    use_everything(store);
    apply(store, small);
    assert_int_equal(ask(store, "SELECT count(*) FROM view"), 2);
    assert_int_equal(ask(store, "SELECT count(*) FROM prompt"), 2);
    assert_int_equal(ask(store, "SELECT count(*) FROM llm"), 3);
    assert_int_equal(ask(store, "SELECT count(*) FROM price"), 1);
    assert_int_equal(ask(store, "SELECT count(*) FROM recipe"), 1);
    store_close(store);
}

static void test_extend_retire_restore(void **state)
{
    struct store *store = new_store(*state);
    apply(store, small);
    use_everything(store);
    char *other = with_all(small,
        "{\"name\": \"head\", \"kind\": \"image\", \"privacy\": 2}",
        "{\"name\": \"door\", \"kind\": \"image\", \"privacy\": 0}", "[\"\", \"head\"]",
        "[\"\", \"door\"]", "\"device\": \"Jetson TX2\"", "\"slots\": 2",
        "\"id\": \"q1\", \"task\": \"Query\", \"text\": \"Which tool?\"",
        "\"id\": \"q2\", \"task\": \"Query\", \"text\": \"Whose?\"", "\"gpt\": {",
        "\"new\": {", "\"model\": \"big\"", "\"model\": \"newer\"", "\"like\": \"gpt\"",
        "\"like\": \"new\"", "\"llm\": \"gpt\"", "\"llm\": \"new\"",
        "\"name\": \"small\"", "\"name\": \"other\", \"licence\": \"CC0\"", NULL);
    apply(store, other);
    assert_int_equal(ask(store, "SELECT position FROM view WHERE name = 'door'"), 2);
    assert_int_equal(
        ask(store, "SELECT count(*) FROM view WHERE name = 'head' AND retired_ms > 0"),
        1);
    assert_int_equal(
        ask(store, "SELECT count(*) FROM prompt WHERE name = 'q1' AND retired_ms > 0"),
        1);
    assert_int_equal(ask(store, "SELECT count(*) FROM prompt WHERE name = 'q2' AND "
                                "retired_ms IS NULL"),
        1);
    assert_int_equal(
        ask(store, "SELECT count(*) FROM llm WHERE name = 'gpt' AND retired_ms > 0"), 1);
    assert_int_equal(ask(store, "SELECT count(*) FROM llm WHERE retired_ms IS NULL"), 3);
    assert_int_equal(ask(store, "SELECT json_extract(settings, '$.slots') FROM llm "
                                "WHERE name = 'phi'"),
        2);
    assert_int_equal(ask(store, "SELECT count(*) FROM price"), 2);
    assert_int_equal(ask(store, "SELECT licence = 'CC0' FROM store"), 1);

    // Back to the first: nothing is doubled, what was retired is back, and it is the
    // store's recipe again although its row is older.
    apply(store, small);
    assert_int_equal(ask(store, "SELECT count(*) FROM view"), 3);
    assert_int_equal(
        ask(store,
            "SELECT count(*) FROM view WHERE name = 'head' AND retired_ms IS NULL"),
        1);
    assert_int_equal(
        ask(store, "SELECT count(*) FROM view WHERE name = 'door' AND retired_ms > 0"),
        1);
    assert_int_equal(
        ask(store, "SELECT count(*) FROM llm WHERE name = 'gpt' AND retired_ms IS NULL"),
        1);
    assert_int_equal(ask(store, "SELECT count(*) FROM recipe"), 2);
    struct recipe *r;
    assert_int_equal(recipe_of_store(store, &r, NULL), OK);
    assert_string_equal(r->name, "small");
    recipe_free(r);
    free(other);
    store_close(store);
}

/* Everything a store holds, as one text. */
static char *dump(struct store *store)
{
    struct query *q;
    struct error err = ERROR_INIT;
    assert_int_equal(
        query_open(store,
            "SELECT group_concat(x, char(10)) FROM (SELECT name || kind || privacy || "
            "coalesce(retired_ms, 0) AS x FROM view UNION ALL SELECT coalesce(name, '-') "
            "|| "
            "text || task_id || needs || coalesce(retired_ms, 0) FROM prompt UNION ALL "
            "SELECT name || facts || settings || coalesce(retired_ms, 0) FROM llm UNION "
            "ALL "
            "SELECT price_id || '/' || llm_id || '/' || input_pusd || '/' || output_pusd "
            "FROM price UNION ALL SELECT sha256 || loaded_ms FROM recipe)",
            &q, &err),
        OK);
    assert_int_equal(query_next(q, &err), OK);
    char *text = text_copy(query_text(q, 0));
    assert_non_null(text);
    query_close(q);
    return text;
}

static const struct {
    const char *from, *to, *words;
} edits[] = {
    { "\"privacy\": 2", "\"privacy\": 3", "view head" },
    { "\"Which tool?\"", "\"Which hand?\"", "prompt q1" },
    { "\"model\": \"big\"", "\"model\": \"small\"", "llm gpt" },
    { "\"Be brief.\"", "\"Be long.\"", "llm phi" },
    { "\"output_usd\": 10", "\"output_usd\": 11", "prices: calls of llm gpt" },
};

static void test_what_was_used_is_never_edited(void **state)
{
    struct store *store = new_store(*state);
    apply(store, small);
    use_everything(store);
    char *before = dump(store);
    for (size_t i = 0; i < COUNT_OF(edits); i++) {
        // An addition in front of the refused edit must not stay, either.
        char *text = with_all(small, edits[i].from, edits[i].to, "\"tasks\": [",
            "\"tasks\": [\"Extra\", ", NULL);
        refuse(store, text, edits[i].words);
        free(text);
        char *after = dump(store);
        assert_string_equal(after, before);
        free(after);
        assert_int_equal(ask(store, "SELECT count(*) FROM task WHERE name = 'Extra'"), 0);
    }
    // A later price is not an edit.
    char *text = with(small, "\"prices\": [",
        "\"prices\": [ {\"llm\": \"gpt\", \"from\": \"2027-01-01\", \"input_usd\": 1, "
        "\"output_usd\": 1, \"source\": \"test\"},");
    apply(store, text);
    assert_int_equal(ask(store, "SELECT count(*) FROM price"), 2);
    free(text);
    free(before);
    store_close(store);
}

static void test_what_was_not_used_may_change(void **state)
{
    struct store *store = new_store(*state);
    apply(store, small);
    for (size_t i = 0; i < COUNT_OF(edits); i++) {
        char *text = with(small, edits[i].from, edits[i].to);
        apply(store, text);
        free(text);
    }
    assert_int_equal(ask(store, "SELECT count(*) FROM view"), 2);
    assert_int_equal(ask(store, "SELECT count(*) FROM llm"), 3);
    assert_int_equal(ask(store, "SELECT count(*) FROM price"), 1);
    assert_int_equal(ask(store, "SELECT output_pusd FROM price"), 11000000);
    assert_int_equal(ask(store, "SELECT count(*) FROM prompt WHERE name = 'q1'"), 1);
    store_close(store);
}

static void test_prompt_ids_may_be_swapped(void **state)
{
    struct store *store = new_store(*state);
    apply(store, small);
    use_everything(store);
    char *text =
        with_all(small, "\"q1\"", "\"t0\"", "\"a1\"", "\"q1\"", "\"t0\"", "\"a1\"", NULL);
    apply(store, text);
    assert_int_equal(
        ask(store, "SELECT count(*) FROM prompt WHERE retired_ms IS NULL"), 2);
    assert_int_equal(
        ask(store, "SELECT text = 'What next?' FROM prompt WHERE name = 'q1'"), 1);
    free(text);
    store_close(store);
}

static void test_unused_llms_may_be_renamed(void **state)
{
    struct store *store = new_store(*state);
    apply(store, small);
    char *text = with_all(small, "\"gpt\": {", "\"new\": {", "\"like\": \"gpt\"",
        "\"like\": \"new\"", "\"llm\": \"gpt\"", "\"llm\": \"new\"", NULL);
    apply(store, text);
    assert_int_equal(ask(store, "SELECT count(*) FROM llm WHERE name = 'gpt'"), 0);
    assert_int_equal(
        ask(store,
            "SELECT count(*) FROM price JOIN llm USING (llm_id) WHERE name = 'new'"),
        1);
    assert_int_equal(ask(store, "SELECT count(*) FROM price"), 1);
    // Once it is used, its name stays with it.
    use_everything(store);
    refuse(store, small, "llm gpt");
    free(text);
    store_close(store);
}

static void test_imported_llms_are_left_alone(void **state)
{
    struct store *store = new_store(*state);
    run(store, "INSERT INTO llm (name, identity, role, facts) "
               "VALUES ('authors-local', 'x', 'local', '{}')");
    apply(store, small);
    assert_int_equal(
        ask(store, "SELECT retired_ms IS NULL FROM llm WHERE name = 'authors-local'"), 1);
    store_close(store);
}

/* Prices of a whole recipe, or of a list alone, are for llms that the store has. */
static void test_prices_are_for_llms_of_the_store(void **state)
{
    struct store *store = new_store(*state);
    struct buffer problems;
    struct error err = ERROR_INIT;
    int64_t n_added = 7;
    apply(store, small);
    buffer_init(&problems, TEXT_MAX);
    const char *rows = file_in(*state, "rows.json",
        "[{\"llm\": \"phi\", \"from\": \"2026-01-01\", \"input_usd\": 1, \"output_usd\": "
        "2,"
        " \"source\": \"x\"}, {\"llm\": \"gbt\", \"from\": \"2026-01-01\","
        " \"input_usd\": 1, \"output_usd\": 2, \"source\": \"x\"}]");
    assert_int_equal(recipe_add_prices(store, rows, &n_added, &problems, &err), E_DATA);
    assert_non_null(strstr(buffer_str(&problems), "did you mean \"gpt\"?"));
    assert_int_equal(n_added, 0);
    // A recipe of another llm is sound by itself.
    char *other = with_all(small, "\"gpt\": {", "\"gpt5\": {", "\"like\": \"gpt\"",
        "\"like\": \"gpt5\"", "\"llm\": \"gpt\"", "\"llm\": \"gpt5\"", NULL);
    const char *recipe = file_in(*state, "other.jsonc", other);
    assert_int_equal(recipe_add_prices(store, recipe, &n_added, &problems, &err), E_DATA);
    assert_non_null(strstr(err.msg, "a price for the llm \"gpt5\", which"));
    assert_non_null(strstr(err.msg, "(did you mean \"gpt\"?)"));
    assert_int_equal(n_added, 0);
    assert_int_equal(ask(store, "SELECT count(*) FROM price"), 1);
    free(other);
    buffer_release(&problems);
    store_close(store);
}

static void test_too_many_views(void **state)
{
    struct store *store = new_store(*state);
    struct error err = ERROR_INIT;
    apply(store, small);
    for (int i = 0; i < RECIPE_MAX_VIEWS - 2; i++) {
        char *sql = text_format("INSERT INTO view (position, name, kind, privacy) VALUES "
                                "(%d, 'v%d', 'image', 0)",
            i + 2, i);
        run(store, sql);
        free(sql);
    }
    char *text = with(small, "\"views\": [",
        "\"views\": [{\"name\": \"more\", \"kind\": \"image\", \"privacy\": 0},");
    struct recipe *r = good(text);
    assert_int_equal(recipe_apply(store, r, &err), E_LIMIT);
    assert_non_null(strstr(err.msg, "view more"));
    recipe_free(r);
    free(text);
    store_close(store);
}

static void test_store_without_recipe(void **state)
{
    struct store *store = new_store(*state);
    struct recipe *r;
    struct error err = ERROR_INIT;
    assert_int_equal(recipe_of_store(store, &r, &err), E_NOT_FOUND);
    assert_null(r);
    assert_non_null(strstr(err.msg, "m4a1 init"));
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_apply_and_load_again, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(
            test_extend_retire_restore, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(
            test_what_was_used_is_never_edited, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(
            test_what_was_not_used_may_change, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(
            test_prompt_ids_may_be_swapped, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(
            test_unused_llms_may_be_renamed, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(
            test_imported_llms_are_left_alone, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(
            test_prices_are_for_llms_of_the_store, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_too_many_views, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(
            test_store_without_recipe, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
