/* The export folder: its files and hashes, what it replaces and what it never touches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "export/export_folder.h"
#include "export/split.h"
#include "m4a1/base/files.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"
#include "schema/query.h"
#include "tests/support/export_case.h"

static void freeze(const char *path, const char *name)
{
    static int64_t train[] = { 12 }, test[] = { 7, 3 };
    struct split split = { train, test, 1, 2 };
    struct split_info info = { .rule = text_copy("by hand"), .seed = 4 };
    struct store *store;
    struct error err = ERROR_INIT;
    struct dataset *data = export_read(path);
    assert_int_equal(store_open(path, STORE_WRITE, &store, &err), OK);
    if (split_freeze(store, name, data, &split, &info, &err))
        fail_msg("%s", err.msg);
    store_close(store);
    dataset_free(data);
    split_info_release(&info);
}

static enum status export_to(const char *store_path, const char *out,
    const struct export_options *options, struct export_counts *counts, struct error *err)
{
    struct store *store;
    assert_int_equal(store_open(store_path, STORE_READ, &store, err), OK);
    enum status s = export_store(store, out, options, counts, err);
    store_close(store);
    return s;
}

static const struct export_options plain = { .split = NULL };
static const struct export_options forced = { .force = 1 };

static size_t count_entries(const char *folder)
{
    char **names;
    size_t n;
    assert_int_equal(folder_list(folder, &names, &n, NULL), OK);
    folder_list_free(names, n);
    return n;
}

static struct json *read_manifest(const char *folder)
{
    struct json *j;
    struct error err = ERROR_INIT;
    char *path = path_join(folder, "manifest.json");
    assert_int_equal(json_read_file(path, 1 << 20, 0, &j, &err), OK);
    free(path);
    return j;
}

/* Every file but the manifest is listed with its true size and hash. */
static void test_manifest(void **state)
{
    const char *path = export_path(state, "a"), *out = export_path(state, "out");
    struct export_counts counts;
    struct error err = ERROR_INIT;
    export_import(path, export_sample);
    freeze(path, "main");
    struct store *store;
    assert_int_equal(store_open(path, STORE_WRITE, &store, &err), OK);
    assert_int_equal(
        store_run(store, &err,
            "UPDATE store SET licence = 'CC-BY-4.0', consent = 'IRB 24-17'", ""),
        OK);
    store_close(store);
    assert_int_equal(export_to(path, out, &plain, &counts, &err), OK);
    assert_int_equal(counts.splits, 1);
    struct json *j = read_manifest(out);
    size_t bytes = 0, n = 0;
    for (const struct json *c = json_first(json_get(j, "files")); c; c = json_next(c)) {
        char hash[HASH_HEX], *file = path_join(out, json_text(json_get(c, "path"), ""));
        char *text = export_file(file);
        hash_hex(text, strlen(text), hash);
        assert_string_equal(json_text(json_get(c, "sha256"), ""), hash);
        assert_int_equal(json_int(json_get(c, "bytes"), 0), strlen(text));
        bytes += strlen(text);
        n++;
        free(text);
        free(file);
    }
    assert_int_equal(n, 3);
    assert_true(counts.bytes > bytes);
    assert_string_equal(json_text(json_get(j, "licence"), ""), "CC-BY-4.0");
    assert_string_equal(json_text(json_get(j, "consent"), ""), "IRB 24-17");
    assert_int_equal(json_bool(json_get(j, "simulated"), -1), 0);
    assert_int_equal(json_int(json_get(json_get(j, "counts"), "turns"), 0), 6);
    struct dataset *data = export_read(out);
    assert_string_equal(json_text(json_get(j, "digest"), ""), data->digest);
    dataset_free(data);
    json_free(j);
    assert_int_equal(count_entries(out), 4);
    char *card_path = path_join(out, "README.md"), *card = export_file(card_path);
    assert_non_null(strstr(card, "Licence: CC-BY-4.0. Consent: IRB 24-17."));
    assert_null(strstr(card, "simulated"));
    free(card);
    free(card_path);
}

static void test_split_files(void **state)
{
    const char *path = export_path(state, "a"), *out = export_path(state, "out");
    struct export_counts counts;
    struct error err = ERROR_INIT;
    struct split split;
    export_import(path, export_sample);
    freeze(path, "main");
    freeze(path, "other");
    assert_int_equal(export_to(path, out, &plain, &counts, &err), OK);
    assert_int_equal(counts.splits, 2);
    struct dataset *data = export_read(out);
    char *file = path_join(out, "splits/main.json");
    assert_int_equal(split_read(file, data, &split, &err), OK);
    assert_int_equal(split.train[0], 12);
    assert_int_equal(split.test[0], 7);
    split_release(&split);
    free(file);
    assert_int_equal(split_of_data(data, "main", &split, &err), OK);
    assert_int_equal(split.n_test, 2);
    split_release(&split);
    assert_int_equal(split_of_data(data, "mian", &split, &err), E_NOT_FOUND);
    assert_non_null(strstr(err.msg, "has no split 'mian'; it has main, other"));
    assert_int_equal(split_of_data(data, "../main", &split, &err), E_ARG);
    dataset_free(data);
    data = export_read(path);
    assert_int_equal(split_of_data(data, "main", &split, &err), OK);
    split_release(&split);
    dataset_free(data);
    // A session that came after the freeze is in no split, so --split leaves it out.
    char *more = export_with(export_sample, "Butter.", "Margarine.");
    export_import(path, more);
    free(more);
    struct export_options one = { .split = "other", .force = 1 };
    assert_int_equal(export_to(path, out, &one, &counts, &err), OK);
    assert_int_equal(counts.sessions, 3);
    assert_int_equal(counts.splits, 1);
    assert_int_equal(count_entries(out), 4);
    one.split = "none";
    assert_int_equal(export_to(path, out, &one, &counts, &err), E_NOT_FOUND);
    assert_non_null(strstr(err.msg, "main, other"));
    assert_int_equal(export_to(path, out, &forced, &counts, &err), OK);
    assert_int_equal(counts.sessions, 4);
}

static void test_replacing(void **state)
{
    const char *path = export_path(state, "a"), *out = export_path(state, "out");
    const char *mine = export_path(state, "mine"), *file = export_path(state, "mine/x");
    const char *json = export_path(state, "o.json");
    struct export_counts counts;
    struct error err = ERROR_INIT;
    export_import(path, export_sample);
    assert_int_equal(export_to(path, out, &plain, &counts, &err), OK);
    assert_int_equal(export_to(path, out, &plain, &counts, &err), E_ARG);
    assert_non_null(strstr(err.msg, "--force"));
    assert_int_equal(export_to(path, out, &forced, &counts, &err), OK);
    assert_int_equal(folder_make(mine, &err), OK);
    assert_int_equal(file_write(file, "precious", 8, &err), OK);
    assert_int_equal(export_to(path, mine, &forced, &counts, &err), E_ARG);
    assert_non_null(strstr(err.msg, "not one that m4a1 export wrote"));
    char *kept = export_file(file);
    // A file of the user's inside an export, and a link out of it.
    const char *note = export_path(state, "out/note.txt");
    assert_int_equal(file_write(note, "mine", 4, &err), OK);
    assert_int_equal(export_to(path, out, &forced, &counts, &err), E_ARG);
    assert_non_null(strstr(err.msg, "holds note.txt"));
    assert_int_equal(unlink(note), 0);
    const char *link = export_path(state, "out/splits");
    assert_int_equal(symlink(mine, link), 0);
    assert_int_equal(export_to(path, out, &forced, &counts, &err), OK);
    assert_true(file_exists(file)); // the link went, not what it leads to
    // A file is no folder and the other way round.
    const char *odd = export_path(state, "odd.json");
    assert_int_equal(folder_make(odd, &err), OK);
    assert_int_equal(export_to(path, odd, &forced, &counts, &err), E_ARG);
    assert_int_equal(rmdir(odd), 0);
    // What a killed export left is swept up.
    const char *left = export_path(state, "out.partial-1");
    assert_int_equal(folder_make(left, &err), OK);
    assert_int_equal(export_to(path, out, &forced, &counts, &err), OK);
    assert_false(file_exists(left));
    assert_string_equal(kept, "precious");
    free(kept);
    assert_int_equal(export_to(path, json, &plain, &counts, &err), OK);
    assert_int_equal(export_to(path, json, &plain, &counts, &err), E_ARG);
    assert_int_equal(export_to(path, json, &forced, &counts, &err), OK);
    // Nothing temporary is left: the store and what belongs to it, and the three.
    char **names;
    size_t n;
    assert_int_equal(folder_list(*state, &names, &n, &err), OK);
    for (size_t i = 0; i < n; i++)
        assert_true(names[i][0] == 'a' || text_equal(names[i], "out") ||
                    text_equal(names[i], "mine") || text_equal(names[i], "o.json"));
    folder_list_free(names, n);
}

/* A disk that refuses: the old export stays as it was, and no half of a new one. */
static void test_failing(void **state)
{
    const char *path = export_path(state, "a"), *out = export_path(state, "no/such/out");
    const char *closed = export_path(state, "closed"),
               *in = export_path(state, "closed/o");
    struct export_counts counts;
    struct error err = ERROR_INIT;
    export_import(path, export_sample);
    assert_int_equal(folder_make(closed, &err), OK);
    assert_int_equal(export_to(path, in, &plain, &counts, &err), OK);
    char *before_path = path_join(in, "m4a1.json"), *before = export_file(before_path);
    if (geteuid() != 0) { // root may write everywhere
        assert_int_equal(chmod(closed, 0500), 0);
        assert_int_not_equal(export_to(path, in, &forced, &counts, &err), OK);
        assert_int_equal(chmod(closed, 0700), 0);
    }
    char *after = export_file(before_path);
    assert_string_equal(after, before);
    assert_int_equal(count_entries(closed), 1);
    free(before);
    free(after);
    free(before_path);
    // A file where the folder's parent should be.
    assert_int_equal(file_write(export_path(state, "no"), "x", 1, &err), OK);
    assert_int_not_equal(export_to(path, out, &plain, &counts, &err), OK);
}

static void test_same_bytes(void **state)
{
    static const char *const files[] = { "m4a1.json", "manifest.json", "README.md",
        "splits/main.json" };
    const char *path = export_path(state, "a"),
               *out[2] = { export_path(state, "one"), export_path(state, "two") };
    struct export_counts counts;
    struct error err = ERROR_INIT;
    export_import(path, export_sample);
    freeze(path, "main");
    for (int i = 0; i < 2; i++)
        assert_int_equal(export_to(path, out[i], &plain, &counts, &err), OK);
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        char *a_path = path_join(out[0], files[i]), *b_path = path_join(out[1], files[i]);
        char *a = export_file(a_path), *b = export_file(b_path);
        assert_string_equal(a, b);
        free(a);
        free(b);
        free(a_path);
        free(b_path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_manifest, export_set_up, export_tear_down),
        cmocka_unit_test_setup_teardown(
            test_split_files, export_set_up, export_tear_down),
        cmocka_unit_test_setup_teardown(test_replacing, export_set_up, export_tear_down),
        cmocka_unit_test_setup_teardown(test_failing, export_set_up, export_tear_down),
        cmocka_unit_test_setup_teardown(test_same_bytes, export_set_up, export_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
