/* Openings of test sessions: counted by the sessions, entered where the store lets us. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "export/openings.h"
#include "schema/query.h"
#include "tests/support/export_case.h"

static const char *const what[] = { "Local", "a2c \"best\"" };

static struct opening opening(const int64_t *test, size_t n)
{
    return (struct opening) {
        .split = "main", .test = test, .n_test = n, .what = what, .n_what = 2
    };
}

static void counted_by_the_sessions(void **state)
{
    const char *path = export_path(state, "s.m4a1");
    struct error err = ERROR_INIT;
    char why[200];
    export_import(path, export_sample);
    struct dataset *data = export_read(path);
    const int64_t one[] = { 7, 3 }, same[] = { 3, 7 }, other[] = { 7, 12 };
    struct opening all[] = { opening(one, 2), opening(other, 2) };
    assert_int_equal(openings_count(data, all, 2, why, sizeof why, &err), OK);
    assert_string_equal(why, "");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(all[i].n_before, 0);
        assert_int_equal(all[i].first_ms, 0);
        assert_true(all[i].is_counted);
    }
    /* the order of the sessions and the split's name change nothing */
    struct opening again = opening(same, 2);
    again.split = "drawn by seed 0";
    assert_int_equal(openings_count(data, &again, 1, why, sizeof why, &err), OK);
    assert_int_equal(again.n_before, 1);
    assert_true(again.first_ms > 0);
    assert_string_equal(again.sha256, all[0].sha256);
    struct store *store;
    int64_t n;
    assert_int_equal(store_open(path, STORE_READ, &store, &err), OK);
    assert_int_equal(
        store_int(store, 0, &n, &err,
            "SELECT count(*) FROM evaluation_opening WHERE n_sessions = 2 AND"
            " json_extract(what, '$[1]') = 'a2c \"best\"'",
            ""),
        OK);
    assert_int_equal(n, 3);
    store_close(store);
    dataset_free(data);
}

/* While another process writes the store nothing is entered, and it is said why. */
static void beside_a_writer(void **state)
{
    const char *path = export_path(state, "s.m4a1");
    struct error err = ERROR_INIT;
    char why[400];
    int ready[2], done[2];
    char byte = 0;
    export_import(path, export_sample);
    struct dataset *data = export_read(path);
    const int64_t test[] = { 7 };
    struct opening one = opening(test, 1);
    assert_int_equal(openings_count(data, &one, 1, why, sizeof why, &err), OK);
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(done), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct store *store;
        close(done[1]);
        int failed = store_open(path, STORE_WRITE, &store, NULL) != OK;
        if (write(ready[1], &byte, 1) != 1 || read(done[0], &byte, 1) < 0)
            failed = 1;
        store_close(failed ? NULL : store);
        _exit(failed);
    }
    close(done[0]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    one = opening(test, 1);
    assert_int_equal(openings_count(data, &one, 1, why, sizeof why, &err), OK);
    assert_non_null(strstr(why, "process"));
    assert_int_equal(one.n_before, 1);
    assert_false(one.is_counted);
    close(done[1]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    one = opening(test, 1);
    assert_int_equal(openings_count(data, &one, 1, why, sizeof why, &err), OK);
    assert_int_equal(one.n_before, 1);
    assert_true(one.is_counted);
    close(ready[0]);
    close(ready[1]);
    dataset_free(data);
}

static void a_session_that_is_not_there(void **state)
{
    const char *path = export_path(state, "s.m4a1");
    struct error err = ERROR_INIT;
    char why[200];
    export_import(path, export_sample);
    struct dataset *data = export_read(path);
    const int64_t test[] = { 7, 99 };
    struct opening one = opening(test, 2);
    assert_int_equal(openings_count(data, &one, 1, why, sizeof why, &err), E_NOT_FOUND);
    assert_non_null(strstr(err.msg, "has no session 99"));
    dataset_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            counted_by_the_sessions, export_set_up, export_tear_down),
        cmocka_unit_test_setup_teardown(beside_a_writer, export_set_up, export_tear_down),
        cmocka_unit_test_setup_teardown(
            a_session_that_is_not_there, export_set_up, export_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
