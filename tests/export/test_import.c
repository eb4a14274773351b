/* Import: what lands in the store, again and beside other content, and all or nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "export/export_folder.h"
#include "export/import.h"
#include "export/m4a1_json.h"
#include "m4a1/base/text.h"
#include "schema/check.h"
#include "schema/query.h"
#include "tests/support/export_case.h"
#include "tests/support/store_fixture.h"
#include "tests/support/tmo_data.h"

static struct store *open_store(const char *path)
{
    struct store *store;
    struct error err = ERROR_INIT;
    if (store_open(path, STORE_WRITE, &store, &err))
        fail_msg("%s", err.msg);
    return store;
}

static int64_t count(struct store *store, const char *sql)
{
    int64_t n;
    struct error err = ERROR_INIT;
    if (store_int(store, -1, &n, &err, sql, ""))
        fail_msg("%s", err.msg);
    return n;
}

static enum status import_text(struct store *store, const char *text,
    struct import_counts *counts, struct error *err)
{
    struct dataset *data = export_parse(text, M4A1_JSON_AUTHORS);
    enum status s = import_dataset(store, data, counts, err);
    dataset_free(data);
    return s;
}

static void assert_sound(struct store *store)
{
    struct check_result result;
    struct error err = ERROR_INIT;
    assert_int_equal(check_store(store, NULL, &result, &err), OK);
    if (result.n)
        fail_msg("%s: %s", result.violations[0].invariant, result.violations[0].where);
    check_release(&result);
}

static void test_rows(void **state)
{
    struct store *store;
    struct import_counts counts;
    struct error err = ERROR_INIT;
    assert_int_equal(store_create(export_path(state, "a"), "a", &store, &err), OK);
    assert_int_equal(import_text(store, export_sample, &counts, &err), OK);
    assert_int_equal(counts.sessions, 3);
    assert_int_equal(counts.turns, 6);
    assert_int_equal(counts.scenes, 2);
    assert_int_equal(counts.prompts, 5); // "And now?" stands in two tasks
    assert_int_equal(count(store, "SELECT count(*) FROM view WHERE privacy = 1"), 2);
    assert_int_equal(
        count(store, "SELECT count(*) FROM scene_frame WHERE frame_id IS NULL"
                     " AND at_ms = 0"),
        4);
    assert_int_equal(count(store, "SELECT count(*) FROM session WHERE plan_id IS NULL AND"
                                  " source_id IN (3, 7, 12)"),
        3);
    assert_int_equal(
        count(store, "SELECT count(*) FROM call WHERE parent_id IS NULL"), 3);
    assert_int_equal(count(store, "SELECT views_context FROM interaction"
                                  " WHERE session_id = 1 AND turn = 1"),
        3);
    assert_int_equal(count(store, "SELECT count(*) FROM response"
                                  " WHERE reported_views = '[1, 0]'"),
        2);
    assert_int_equal(count(store, "SELECT count(*) FROM score WHERE scorer = 'ratio' AND"
                                  " version = 'authors'"),
        6);
    assert_int_equal(count(store, "SELECT sum(value) FROM score WHERE scorer = 'refusal'"
                                  " AND version = 'published'"),
        1);
    assert_int_equal(count(store, "SELECT count(*) FROM association"
                                  " WHERE model = 'authors'"),
        12);
    assert_sound(store);
    store_close(store);
}

static void test_again(void **state)
{
    struct import_counts counts;
    struct error err = ERROR_INIT;
    export_import(export_path(state, "a"), export_sample);
    struct store *store = open_store(export_path(state, "a"));
    assert_int_equal(import_text(store, export_sample, &counts, &err), OK);
    assert_int_equal(counts.sessions, 0);
    assert_int_equal(counts.sessions_present, 3);
    // One session changed: it is another one, and its id is taken.
    char *text = export_with(export_sample, "Butter.", "Margarine.");
    assert_int_equal(import_text(store, text, &counts, &err), OK);
    free(text);
    assert_int_equal(counts.sessions, 1);
    assert_int_equal(counts.sessions_present, 2);
    assert_int_equal(counts.ids_taken, 1);
    assert_int_equal(counts.scenes, 0);
    assert_sound(store);
    store_close(store);
    struct dataset *data = export_read(export_path(state, "a"));
    assert_int_equal(data->n_sessions, 4);
    assert_int_equal(data->sessions[1].id, 3);
    assert_int_equal(data->sessions[3].id, 13); // the next above all ids
    dataset_free(data);
}

static void test_all_or_nothing(void **state)
{
    struct import_counts counts;
    struct error err = ERROR_INIT;
    struct store *store;
    assert_int_equal(store_create(export_path(state, "a"), "a", &store, &err), OK);
    // The last session of the file meets a row that cannot be added.
    assert_int_equal(store_run(store, &err,
                         "CREATE TRIGGER no BEFORE INSERT ON session WHEN NEW.source_id"
                         " = 12 BEGIN SELECT RAISE(ABORT, 'not this one'); END",
                         ""),
        OK);
    assert_int_equal(import_text(store, export_sample, &counts, &err), E_STORE);
    assert_non_null(strstr(err.msg, "session 12"));
    assert_int_equal(counts.sessions, 0);
    assert_int_equal(count(store, "SELECT count(*) FROM session"), 0);
    assert_int_equal(count(store, "SELECT count(*) FROM view"), 0);
    assert_int_equal(count(store, "SELECT count(*) FROM llm"), 0);
    assert_int_equal(store_run(store, &err, "DROP TRIGGER no", ""), OK);
    assert_int_equal(import_text(store, export_sample, &counts, &err), OK);
    store_close(store);
}

static void set_local(struct llm *llm)
{
    llm->role = LLM_LOCAL;
}

/* A store with a recipe's content: three views, an llm called local, a scene. */
static void test_beside_collected(void **state)
{
    (void)state;
    struct store_fixture f;
    struct import_counts counts;
    struct error err = ERROR_INIT;
    store_fixture_open(&f, "keep");
    store_fixture_llm(&f, "local", "http://127.0.0.1:1", set_local);
    assert_int_equal(import_text(f.store, export_sample, &counts, &err), E_ARG);
    assert_non_null(strstr(err.msg, "2 views and the store"));
    struct dataset *public = golden_dataset();
    if (public) {
        assert_int_equal(import_dataset(f.store, public, &counts, &err), OK);
        assert_int_equal(counts.sessions, 100);
        assert_int_equal(
            store_fixture_int(&f, "SELECT count(*) FROM llm"
                                  " WHERE name IN ('local', 'imported_local',"
                                  " 'cloud')"),
            3);
        dataset_free(public);
    }
    store_fixture_close(&f);
}

/* A scene of that name with other pictures: both keep their paths. */
static void test_scene_of_another(void **state)
{
    struct import_counts counts;
    struct error err = ERROR_INIT;
    struct store *store;
    const char *path = export_path(state, "a"), *out = export_path(state, "out.json");
    assert_int_equal(store_create(path, "a", &store, &err), OK);
    assert_int_equal(
        store_run(store, &err,
            "INSERT INTO view (position, name, kind, privacy) VALUES (0, 'head', 'image',"
            " 2), (1, 'side', 'image', 0)",
            ""),
        OK);
    assert_int_equal(store_run(store, &err,
                         "INSERT INTO scene (name) VALUES ('Scenario_4_Activity_1')", ""),
        OK);
    assert_int_equal(store_run(store, &err,
                         "INSERT INTO scene_frame (scene_id, view_id, at_ms, source)"
                         " VALUES (1, 1, 0, 'head.jpg'), (1, 2, 0, 'side.jpg')",
                         ""),
        OK);
    assert_int_equal(import_text(store, export_sample, &counts, &err), OK);
    assert_int_equal(count(store, "SELECT count(*) FROM scene_frame WHERE scene_id = 1"
                                  " AND at_ms = -1"),
        2);
    struct export_options options = { .split = NULL };
    struct export_counts exported;
    assert_int_equal(export_store(store, out, &options, &exported, &err), OK);
    store_close(store);
    struct dataset *one = export_parse(export_sample, 0), *back = export_read(out);
    assert_string_equal(back->digest, one->digest);
    assert_string_equal(
        back->sessions[0].image_paths[0], "Scenario_4_Modality_0_Activity_1.jpg");
    dataset_free(one);
    dataset_free(back);
}

/* Numbers, texts, orders: printed from the store as printed from the file. */
static void test_round_trip(void **state)
{
    const char *path = export_path(state, "a");
    struct dataset *file[2] = { export_parse(export_sample, M4A1_JSON_AUTHORS),
        golden_dataset() };
    for (int i = 0; i < 2 && file[i]; i++) {
        struct store *store;
        struct import_counts counts;
        struct error err = ERROR_INIT;
        char name[16];
        snprintf(name, sizeof name, "s%d", i);
        path = export_path(state, name);
        assert_int_equal(store_create(path, "a", &store, &err), OK);
        assert_int_equal(import_dataset(store, file[i], &counts, &err), OK);
        store_close(store);
        struct dataset *back = export_read(path);
        struct buffer wanted, got;
        buffer_init(&wanted, M4A1_JSON_MAX);
        buffer_init(&got, M4A1_JSON_MAX);
        assert_int_equal(m4a1_json_print(file[i], &wanted, &err), OK);
        assert_int_equal(m4a1_json_print(back, &got, &err), OK);
        assert_string_equal(buffer_str(&got), buffer_str(&wanted));
        assert_string_equal(back->digest, file[i]->digest);
        buffer_release(&wanted);
        buffer_release(&got);
        dataset_free(back);
    }
    dataset_free(file[0]);
    dataset_free(file[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rows, export_set_up, export_tear_down),
        cmocka_unit_test_setup_teardown(test_again, export_set_up, export_tear_down),
        cmocka_unit_test_setup_teardown(
            test_all_or_nothing, export_set_up, export_tear_down),
        cmocka_unit_test(test_beside_collected),
        cmocka_unit_test_setup_teardown(
            test_scene_of_another, export_set_up, export_tear_down),
        cmocka_unit_test_setup_teardown(test_round_trip, export_set_up, export_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
