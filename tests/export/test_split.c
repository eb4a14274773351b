/* Splits: drawing, files, freezing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "export/split.h"
#include "m4a1/base/buffer.h"
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "schema/query.h"
#include "tests/support/export_case.h"

/* n sessions of one turn; session i is over scene i / per_scene. */
static struct dataset *make_data(int n, int per_scene)
{
    struct buffer b;
    buffer_init(&b, (size_t)1 << 24);
    for (int i = 0; i < n; i++)
        buffer_printf(&b,
            "%s{\"id\": %d, \"image_paths\": [\"scene %d\"], \"interactions\": ["
            "{\"question\": \"q\", \"task_cat\": \"t\", \"action\": 0,"
            " \"image_index\": null, \"answer\": \"a\", \"score\": 1,"
            " \"interaction_time\": 1, \"usage_cost\": 0}],"
            " \"association_score\": [[0.2]]}",
            i ? "," : "[", 1000 + i, i / per_scene);
    buffer_add_str(&b, "]");
    struct dataset *data = export_parse(buffer_str(&b), 0);
    buffer_release(&b);
    return data;
}

static int in_list(const int64_t *ids, size_t n, int64_t id)
{
    for (size_t i = 0; i < n; i++) {
        if (ids[i] == id)
            return 1;
    }
    return 0;
}

/* Every session is on exactly one side. */
static void assert_partition(const struct dataset *data, const struct split *split)
{
    assert_int_equal(split->n_train + split->n_test, data->n_sessions);
    for (size_t s = 0; s < data->n_sessions; s++) {
        int64_t id = data->sessions[s].id;
        assert_int_equal(in_list(split->train, split->n_train, id) +
                             in_list(split->test, split->n_test, id),
            1);
    }
}

static struct split draw(
    const struct dataset *data, int by_scene, double train, uint64_t seed)
{
    struct split split;
    struct error err = ERROR_INIT;
    if (split_draw(data, by_scene, train, seed, &split, &err))
        fail_msg("%s", err.msg);
    return split;
}

static void test_by_session(void **state)
{
    (void)state;
    struct dataset *data = make_data(100, 4);
    struct split one = draw(data, 0, 0.8, 1), again = draw(data, 0, 0.8, 1);
    struct split other = draw(data, 0, 0.8, 2);
    assert_int_equal(one.n_train, 80);
    assert_partition(data, &one);
    assert_partition(data, &other);
    assert_memory_equal(one.train, again.train, 80 * sizeof *one.train);
    assert_memory_not_equal(one.train, other.train, 80 * sizeof *one.train);
    size_t scenes, sessions;
    struct error err = ERROR_INIT;
    assert_int_equal(split_shared_scenes(data, &one, &scenes, &sessions, &err), OK);
    assert_true(scenes > 0 && scenes <= sessions && sessions <= 20);
    split_release(&one);
    split_release(&again);
    split_release(&other);
    struct split extreme = draw(data, 0, 0.999, 1);
    assert_int_equal(extreme.n_test, 1); // no side is ever empty
    split_release(&extreme);
    dataset_free(data);
}

static void test_by_scene(void **state)
{
    (void)state;
    struct dataset *data = make_data(2000, 4), *more = make_data(2400, 4);
    struct split one = draw(data, 1, 0.8, 1), wider = draw(more, 1, 0.8, 1);
    assert_partition(data, &one);
    // The share holds on average: 500 scenes, deviation 1.8 %.
    assert_in_range(one.n_train, 1480, 1720);
    size_t scenes, sessions;
    struct error err = ERROR_INIT;
    assert_int_equal(split_shared_scenes(data, &one, &scenes, &sessions, &err), OK);
    assert_int_equal(scenes, 0);
    assert_int_equal(sessions, 0);
    // Scenes that came later moved no session.
    for (size_t i = 0; i < one.n_train; i++)
        assert_true(in_list(wider.train, wider.n_train, one.train[i]));
    for (size_t i = 0; i < one.n_test; i++)
        assert_true(in_list(wider.test, wider.n_test, one.test[i]));
    split_release(&one);
    split_release(&wider);
    dataset_free(data);
    dataset_free(more);
}

static void test_small_sets(void **state)
{
    (void)state;
    struct dataset *two = make_data(2, 1), *one_scene = make_data(5, 5);
    struct dataset *single = make_data(1, 1);
    struct split split;
    struct error err = ERROR_INIT;
    for (uint64_t seed = 0; seed < 50; seed++) { // however the hashes fall
        split = draw(two, 1, 0.8, seed);
        assert_int_equal(split.n_train, 1);
        assert_int_equal(split.n_test, 1);
        split_release(&split);
    }
    assert_int_equal(split_draw(one_scene, 1, 0.8, 1, &split, &err), E_ARG);
    assert_non_null(strstr(err.msg, "over one scene"));
    assert_null(split.train);
    assert_int_equal(split_draw(single, 0, 0.8, 1, &split, &err), E_ARG);
    assert_int_equal(split_draw(two, 0, 1.0, 1, &split, &err), E_ARG);
    assert_int_equal(split_draw(two, 0, 0, 1, &split, &err), E_ARG);
    dataset_free(two);
    dataset_free(one_scene);
    dataset_free(single);
}

static void test_files(void **state)
{
    static const struct {
        const char *text, *wanted;
    } bad[] = {
        { "{\"train\": [7], \"test\": [5]}", "test: " },
        { "{\"train\": [7], \"test\": [7]}", "session 7 stands in the split twice" },
        { "{\"train\": [7, 7], \"test\": [3]}", "session 7 stands in the split twice" },
        { "{\"train\": [7]}", "test: expected a list of session ids" },
        { "{\"train\": [], \"test\": [3]}", "train: the list is empty" },
        { "{\"train\": [\"7\"], \"test\": [3]}", "train: entry 0 is not a session id" },
        { "[7, 3]", "train: expected a list of session ids" },
    };
    struct dataset *data = export_parse(export_sample, 0);
    struct split split;
    struct error err = ERROR_INIT;
    const char *path = export_path(state, "split.json");
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_int_equal(file_write(path, bad[i].text, strlen(bad[i].text), &err), OK);
        assert_int_equal(split_read(path, data, &split, &err), E_DATA);
        assert_null(split.train);
        if (!strstr(err.msg, bad[i].wanted) || !strstr(err.msg, path))
            fail_msg("case %zu: %s", i, err.msg);
    }
    static const char good[] = "{\"train\": [12, 7], \"test\": [3], \"note\": \"mine\"}";
    assert_int_equal(file_write(path, good, strlen(good), &err), OK);
    assert_int_equal(split_read(path, data, &split, &err), OK);
    assert_int_equal(split.n_train, 2);
    assert_int_equal(split.train[0], 12); // the file's order
    assert_int_equal(split.test[0], 3);
    split_release(&split);
    dataset_free(data);
}

static void freeze(const char *path, const char *name, enum status wanted, char *sha256)
{
    struct error err = ERROR_INIT;
    struct store *store;
    assert_int_equal(store_open(path, STORE_WRITE, &store, &err), OK);
    struct dataset *data = export_read(path);
    struct split split = draw(data, 0, 0.7, 5);
    struct split_info info = { .rule = text_copy("by session, train share 0.7"),
        .seed = 5 };
    assert_int_equal(split_freeze(store, name, data, &split, &info, &err), wanted);
    if (sha256)
        memcpy(sha256, info.sha256, HASH_HEX);
    split_info_release(&info);
    split_release(&split);
    dataset_free(data);
    store_close(store);
}

static void test_frozen(void **state)
{
    const char *path = export_path(state, "a.store"),
               *twin = export_path(state, "b.store");
    char sha256[HASH_HEX], twin_sha256[HASH_HEX];
    struct error err = ERROR_INIT;
    struct split split;
    export_import(path, export_sample);
    freeze(path, "main", OK, sha256);
    freeze(path, "main", E_ARG, NULL); // never changed
    freeze(path, "../up", E_ARG, NULL);
    freeze(path, ".hidden", E_ARG, NULL);
    freeze(path, "", E_ARG, NULL);
    assert_int_equal(split_of_store(path, "main", &split, &err), OK);
    struct dataset *data = export_read(path);
    assert_partition(data, &split);
    struct split drawn = draw(data, 0, 0.7, 5);
    assert_memory_equal(split.train, drawn.train, split.n_train * sizeof *split.train);
    split_release(&drawn);
    split_release(&split);
    dataset_free(data);
    assert_int_equal(split_of_store(path, "mine", &split, &err), E_NOT_FOUND);
    assert_non_null(strstr(err.msg, "but main"));
    // The digest is of content: another store of the same sessions has the same.
    export_import(twin, export_sample);
    freeze(twin, "other-name", OK, twin_sha256);
    assert_string_equal(twin_sha256, sha256);
    struct store *store;
    assert_int_equal(store_open(path, STORE_WRITE, &store, &err), OK);
    assert_int_equal(
        store_run(store, &err, "UPDATE split_session SET part = 'train'", ""), E_STORE);
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_session),
        cmocka_unit_test(test_by_scene),
        cmocka_unit_test(test_small_sets),
        cmocka_unit_test_setup_teardown(test_files, export_set_up, export_tear_down),
        cmocka_unit_test_setup_teardown(test_frozen, export_set_up, export_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
