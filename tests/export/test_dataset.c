/* The data set: incomplete rows, digests, ids, and what reading tells apart. */
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
#include "export/m4a1_json.h"
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "tests/support/export_case.h"

static void test_digest(void **state)
{
    (void)state;
    static const char *const edits[][2] = {
        { "\"id\": 12", "\"id\": 13" },
        { "0.30000000000000004", "0.3" },
        { "Lights off!", "Lights on!" },
        { "5e-324", "0" },
        { "\"score\": 9", "\"score\": null" },
        { "I'm sorry.", "I am glad." }, // refused or not
        { "kitchen/a.png", "kitchen/c.png" },
        { "[0.2, 0.3]]}]", "[0.2, 0.4]]}]" },
        { "\"task_cat\": \"Advice\"", "\"task_cat\": \"Query\"" },
    };
    static const char *const same[][2] = {
        { "[1, 0], \"answer\": \"Bread", "[0, 1], \"answer\": \"Bread" },
        { "Butter.", "Margarine." }, // training does not see the words
        { "\"score\": 9,", "\"score\": 9.0," },
    };
    struct dataset *data = export_parse(export_sample, 0);
    for (size_t i = 0; i < COUNT_OF(edits) + COUNT_OF(same); i++) {
        const char *const *edit =
            i < COUNT_OF(edits) ? edits[i] : same[i - COUNT_OF(edits)];
        char *text = export_with(export_sample, edit[0], edit[1]);
        struct dataset *other = export_parse(text, 0);
        if (i < COUNT_OF(edits))
            assert_string_not_equal(other->digest, data->digest);
        else
            assert_string_equal(other->digest, data->digest);
        dataset_free(other);
        free(text);
    }
    dataset_free(data);
}

static void test_drop_incomplete(void **state)
{
    (void)state;
    // Session 7 loses the turns 1 and 2, session 3 all, 12 none.
    char *one = export_with(export_sample, "\"score\": 9", "\"score\": null");
    char *two = export_with(one, "\"answer\": \"Butter.\"", "\"answer\": null");
    struct dataset *data = export_parse(two, 0);
    struct left_out left;
    struct error err = ERROR_INIT;
    assert_int_equal(data->n_tasks, 2);
    assert_int_equal(dataset_drop_incomplete(data, &left, &err), OK);
    assert_int_equal(dataset_seal(data, &err), OK);
    assert_int_equal(left.sessions, 1);
    assert_int_equal(left.turns_unasked, 1);
    assert_int_equal(left.turns_unscored, 1);
    assert_int_equal(left.turns_behind, 2);
    assert_int_equal(data->n_sessions, 2);
    assert_int_equal(data->sessions[0].n_turns, 1);
    assert_null(dataset_session(data, 3));
    assert_int_equal(dataset_session(data, 12)->n_turns, 1);
    assert_int_equal(data->n_tasks, 1); // the task of the lost turn is gone
    assert_string_equal(data->tasks[data->sessions[0].turns[0].task], "Query");
    dataset_free(data);
    free(two);
    free(one);
}

static void test_both_roles_always(void **state)
{
    (void)state;
    static const char only_local[] =
        "[{\"id\": 1, \"image_paths\": [\"a\"], \"interactions\": [{\"question\": \"q\","
        " \"task_cat\": \"t\", \"action\": 0, \"image_index\": null, \"answer\": \"a\","
        " \"score\": 1, \"interaction_time\": 1, \"usage_cost\": 1}],"
        " \"association_score\": [[0.2]]}]";
    struct dataset *data = export_parse(only_local, M4A1_JSON_AUTHORS);
    assert_int_equal(data->n_llms, 2);
    assert_int_equal(data->llms[0].cloud, 0);
    assert_int_equal(data->llms[1].cloud, 1);
    dataset_free(data);
}

static void test_read_kinds(void **state)
{
    struct error err = ERROR_INIT;
    struct dataset *data;
    const char *file = export_path(state, "x.json");
    assert_int_equal(file_write(file, export_sample, strlen(export_sample), &err), OK);
    data = export_read(file);
    assert_string_equal(data->source, file);
    dataset_free(data);
    assert_int_equal(dataset_read(export_path(state, "none"), &data, &err), E_NOT_FOUND);
    assert_null(data);
    assert_int_equal(dataset_read(*state, &data, &err), E_NOT_FOUND);
    assert_non_null(strstr(err.msg, "a folder without m4a1.json"));
    file = export_path(state, "junk");
    assert_int_equal(file_write(file, "SQLite", 6, &err), OK);
    assert_int_equal(dataset_read(file, &data, &err), E_DATA);
}

static void test_folder_of_another(void **state)
{
    struct error err = ERROR_INIT;
    struct dataset *data;
    assert_int_equal(file_write(export_path(state, "m4a1.json"), export_sample,
                         strlen(export_sample), &err),
        OK);
    data = export_read(*state); // no manifest: the names that the JSON gives
    assert_string_equal(data->views[0], "view_0");
    dataset_free(data);
    static const char *const manifests[][2] = {
        { "{\"m4a1_export\": 2, \"views\": []}", "a newer m4a1 wrote it" },
        { "{\"m4a1_export\": 1, \"views\": []}", "not of one export" },
        { "[]", "expected a manifest of m4a1 export" },
    };
    for (size_t i = 0; i < COUNT_OF(manifests); i++) {
        assert_int_equal(file_write(export_path(state, "manifest.json"), manifests[i][0],
                             strlen(manifests[i][0]), &err),
            OK);
        assert_int_equal(dataset_read(*state, &data, &err), E_DATA);
        assert_null(data);
        if (!strstr(err.msg, manifests[i][1]))
            fail_msg("%s", err.msg);
    }
    static const char good[] =
        "{\"m4a1_export\": 1, \"views\": [{\"name\": \"head\", \"privacy\": 2},"
        " {\"name\": \"bench\", \"privacy\": 0}]}";
    assert_int_equal(
        file_write(export_path(state, "manifest.json"), good, strlen(good), &err), OK);
    data = export_read(*state);
    assert_string_equal(data->views[1], "bench");
    assert_int_equal(data->privacy[0], 2);
    dataset_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digest),
        cmocka_unit_test(test_drop_incomplete),
        cmocka_unit_test(test_both_roles_always),
        cmocka_unit_test_setup_teardown(test_read_kinds, export_set_up, export_tear_down),
        cmocka_unit_test_setup_teardown(
            test_folder_of_another, export_set_up, export_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
