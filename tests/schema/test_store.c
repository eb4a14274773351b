/* The store: creating, opening what is not one, the writer's lock, statements, backup. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "schema/llm.h"
#include "schema/query.h"
#include "schema/store.h"

static char folder[64], path[96];

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/m4a1-store-XXXXXX");
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/s.m4a1", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char **names;
    size_t n;
    if (folder_list(folder, &names, &n, NULL) != OK)
        return 1;
    for (size_t i = 0; i < n; i++) {
        char *file = path_join(folder, names[i]);
        unlink(file);
        free(file);
    }
    folder_list_free(names, n);
    return rmdir(folder);
}

static struct store *create(void)
{
    struct store *store;
    struct error err = ERROR_INIT;
    if (store_create(path, "test", &store, &err) != OK)
        fail_msg("%s", err.msg);
    return store;
}

static void creates_and_opens_again(void **state)
{
    (void)state;
    struct store *store = create(), *reader;
    int64_t n;
    assert_int_equal(store_int(store, 0, &n, NULL, "PRAGMA foreign_keys", ""), OK);
    assert_int_equal(n, 1);
    assert_int_equal(store_int(store, 0, &n, NULL, "PRAGMA application_id", ""), OK);
    assert_int_equal(n, STORE_APPLICATION_ID);
    assert_int_equal(store_int(store, 0, &n, NULL, "PRAGMA user_version", ""), OK);
    assert_int_equal(n, STORE_VERSION);
    assert_int_equal(
        store_open(path, STORE_READ, &reader, NULL), OK); /* beside the writer */
    assert_int_equal(store_run(reader, NULL, "DELETE FROM store", ""), E_IO);
    store_close(reader);
    store_close(store);
    assert_true(store_is_database(path));
    char *log = text_format("%s-wal", path);
    assert_false(file_exists(log)); /* the last writer leaves one file */
    free(log);
    struct error err = ERROR_INIT;
    assert_int_equal(store_create(path, "again", &store, &err), E_ARG);
    assert_non_null(strstr(err.msg, "there is a file of that name already"));
    assert_null(store);
}

static void write_bytes(const void *data, size_t len)
{
    FILE *f = fopen(path, "wb"); /* file_write() replaces no database */
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static void refuses_what_is_no_store(void **state)
{
    (void)state;
    struct store *store;
    struct error err = ERROR_INIT;
    assert_int_equal(store_open(path, STORE_READ, &store, &err), E_NOT_FOUND);
    assert_non_null(strstr(err.msg, "m4a1 init creates one"));
    write_bytes("", 0);
    assert_int_equal(store_open(path, STORE_WRITE, &store, &err), E_DATA);
    assert_non_null(strstr(err.msg, "not an SQLite database (0 bytes)"));
    write_bytes("hello, this is no database at all", 33);
    assert_int_equal(store_open(path, STORE_READ, &store, &err), E_DATA);
    assert_int_equal(store_open(folder, STORE_READ, &store, &err), E_DATA);
    assert_non_null(strstr(err.msg, "not a regular file"));
}

static void refuses_foreign_newer_and_truncated(void **state)
{
    (void)state;
    struct store *store = create();
    struct error err = ERROR_INIT;
    assert_int_equal(store_run(store, NULL, "PRAGMA user_version = 99", ""), OK);
    store_close(store);
    assert_int_equal(store_open(path, STORE_WRITE, &store, &err), E_DATA);
    assert_non_null(strstr(err.msg, "has version 99, newer than this m4a1 knows"));

    struct buffer b;
    buffer_init(&b, 1 << 24);
    assert_int_equal(file_read(path, &b, NULL), OK);
    memset(b.data + 68, 0, 4); /* application_id */
    write_bytes(b.data, b.len);
    assert_int_equal(store_open(path, STORE_READ, &store, &err), E_DATA);
    assert_non_null(strstr(err.msg, "not an M4A1 store"));

    write_bytes(b.data, b.len / 2);
    assert_int_equal(store_open(path, STORE_READ, &store, &err), E_DATA);
    write_bytes(b.data, 40);
    assert_int_equal(store_open(path, STORE_READ, &store, &err), E_DATA);
    buffer_release(&b);
}

static void one_writer_at_a_time(void **state)
{
    (void)state;
    struct store *store = create(), *second;
    struct error err = ERROR_INIT;
    assert_int_equal(store_open(path, STORE_WRITE, &second, &err), E_LOCKED);
    char pid[32];
    snprintf(pid, sizeof pid, "process %ld on ", (long)getpid());
    assert_non_null(strstr(err.msg, pid));
    store_close(store);

    /* A writer that dies without a word leaves no lock behind. */
    pid_t child = fork();
    if (child == 0) {
        if (store_open(path, STORE_WRITE, &second, NULL) != OK)
            _exit(1);
        _exit(
            store_run(second, NULL, "UPDATE store SET licence = 'x'", "") == OK ? 0 : 2);
    }
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    assert_int_equal(store_open(path, STORE_WRITE, &second, NULL), OK);
    int64_t n;
    assert_int_equal(store_int(second, 0, &n, NULL,
                         "SELECT count(*) FROM store WHERE licence = 'x'", ""),
        OK);
    assert_int_equal(n, 1);
    store_close(second);
}

static void other_names_of_a_store_share_its_lock(void **state)
{
    (void)state;
    struct store *store = create();
    char other[128], lock[128];
    snprintf(other, sizeof other, "%s/soft", folder);
    snprintf(lock, sizeof lock, "%s.lock", path);
    assert_int_equal(symlink(path, other), 0);
    unlink(lock); /* as people do with locks that look stale */
    pid_t child = fork();
    if (child == 0) {
        struct store *second;
        char hard[128];
        snprintf(hard, sizeof hard, "%s/hard", folder);
        int refused = link(path, hard) == 0;
        refused &= store_open(other, STORE_WRITE, &second, NULL) == E_LOCKED;
        refused &= store_open(hard, STORE_WRITE, &second, NULL) == E_LOCKED;
        refused &= store_open(path, STORE_WRITE, &second, NULL) == E_LOCKED;
        _exit(refused ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    store_close(store);
    assert_false(file_exists(lock));
}

static void a_store_that_is_gone_takes_nothing_more(void **state)
{
    (void)state;
    struct store *store = create();
    struct error err = ERROR_INIT;
    assert_int_equal(store_begin(store, &err), OK);
    assert_int_equal(store_commit(store, &err), OK);
    unlink(path);
    assert_int_equal(store_begin(store, &err), E_STORE);
    assert_non_null(strstr(err.msg, "was deleted, moved or replaced"));
    write_bytes("another", 7);
    assert_int_equal(store_begin(store, &err), E_STORE);
    store_close(store);
}

static void versions_that_none_has_are_damage(void **state)
{
    (void)state;
    static const char *const versions[] = { "PRAGMA user_version = -1",
        "PRAGMA user_version = 0" };
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        char *log = text_format("%s-wal", path);
        unlink(path);
        unlink(log); /* readers leave an empty one */
        free(log);
        struct store *store = create();
        struct error err = ERROR_INIT;
        assert_int_equal(store_run(store, NULL, versions[i], ""), OK);
        store_close(store);
        assert_int_equal(store_open(path, STORE_WRITE, &store, &err), E_DATA);
        assert_non_null(strstr(err.msg, "the file is damaged"));
        assert_int_equal(store_open(path, STORE_READ, &store, &err), E_DATA);
    }
}

static void a_leftover_log_is_not_taken_for_ours(void **state)
{
    (void)state;
    char *log = text_format("%s-wal", path);
    assert_int_equal(file_write(log, "old", 3, NULL), OK);
    struct store *store;
    struct error err = ERROR_INIT;
    assert_int_equal(store_create(path, "t", &store, &err), E_ARG);
    assert_non_null(strstr(err.msg, "left over from a store that is gone"));
    free(log);
}

static void statements_bind_and_read_every_type(void **state)
{
    (void)state;
    struct store *store = create();
    struct query *q, *same;
    int64_t seven = 7;
    double half = 0.5;
    assert_int_equal(query_open(store, "SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?", &q, NULL), OK);
    query_bind(q, "idtbnIDID", (int64_t)-5, 1.5, "t", "a\0b", (size_t)3, &seven, &half,
        (int64_t *)NULL, (double *)NULL);
    assert_int_equal(query_next(q, NULL), OK);
    assert_true(query_has_row(q));
    assert_int_equal(query_int(q, 0), -5);
    assert_true(query_double(q, 1) == 1.5);
    assert_string_equal(query_text(q, 2), "t");
    size_t len;
    assert_memory_equal(query_bytes(q, 3, &len), "a\0b", 3);
    assert_int_equal(len, 3);
    assert_true(query_is_null(q, 4));
    assert_null(query_text(q, 4));
    assert_int_equal(query_int(q, 5), 7);
    assert_true(query_double(q, 6) == 0.5);
    assert_true(query_is_null(q, 7) && query_is_null(q, 8));
    assert_int_equal(query_next(q, NULL), OK);
    assert_false(query_has_row(q));
    query_close(q);
    assert_int_equal(
        query_open(store, "SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?", &same, NULL), OK);
    assert_ptr_equal(q, same); /* prepared once */
    query_close(same);

    struct error err = ERROR_INIT;
    assert_int_equal(query_open(store, "SELECT x FROM nowhere", &q, &err), E_STORE);
    assert_non_null(strstr(err.msg, "no such table: nowhere"));
    assert_int_equal(
        store_run(store, &err, "INSERT INTO task (task_id, name) VALUES (1, 'a')", ""),
        OK);
    assert_int_equal(
        store_run(store, &err, "INSERT INTO task (name) VALUES ('a')", ""), E_STORE);
    assert_true(store_was_conflict(store));
    assert_int_equal(
        store_run(store, &err, "INSERT INTO prompt (task_id, text) VALUES (99, 'x')", ""),
        E_STORE);
    assert_non_null(strstr(err.msg, "FOREIGN KEY"));
    store_close(store);
}

static void a_full_store_says_so_and_keeps_what_was_committed(void **state)
{
    (void)state;
    struct store *store = create();
    struct error err = ERROR_INIT;
    int64_t n;
    assert_int_equal(
        store_int(store, 0, &n, NULL, "PRAGMA max_page_count = 120", ""), OK);
    enum status s = OK;
    int rows = 0;
    for (; rows < 10000 && !s; rows += !s)
        s = store_run(
            store, &err, "INSERT INTO task (name) VALUES (hex(randomblob(2000)))", "");
    assert_int_equal(s, E_STORE);
    assert_non_null(strstr(err.msg, "full; what was committed is safe"));
    store_close(store);
    assert_int_equal(store_open(path, STORE_READ, &store, NULL), OK);
    assert_int_equal(store_int(store, 0, &n, NULL, "SELECT count(*) FROM task", ""), OK);
    assert_int_equal(n, rows);
    store_close(store);
}

static void attempts_and_responses_are_append_only(void **state)
{
    (void)state;
    struct store *store = create();
    static const char *const rows[] = {
        "INSERT INTO scene (scene_id, name) VALUES (1, 's')",
        "INSERT INTO task (task_id, name) VALUES (1, 't')",
        "INSERT INTO prompt (prompt_id, task_id, text) VALUES (1, 1, 'p')",
        "INSERT INTO llm (llm_id, name, identity, role, facts) VALUES (1, 'l', 'i', "
        "'local', '{}')",
        "INSERT INTO session (session_id, identity, scene_id, at_ms) VALUES (1, 'a', 1, "
        "0)",
        "INSERT INTO turn (turn_id, session_id, position, prompt_id) VALUES (1, 1, 0, 1)",
        "INSERT INTO call (call_id, identity, turn_id, purpose, llm_id) VALUES (1, 'c', "
        "1, 'path', 1)",
        "INSERT INTO attempt (attempt_id, call_id, number, status, sent_ms, "
        "request_sha256, "
        "request) VALUES (1, 1, 1, 'sent', 0, 'h', x'00')",
        "UPDATE attempt SET status = 'ok', closed_ms = 1 WHERE attempt_id = 1",
        "INSERT INTO response (response_id, call_id, attempt_id, text) VALUES (1, 1, 1, "
        "'hi')",
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(store_run(store, NULL, rows[i], ""), OK);
    static const char *const forbidden[] = {
        "UPDATE attempt SET error = 'x' WHERE attempt_id = 1", "DELETE FROM attempt",
        "UPDATE response SET text = 'other'", "DELETE FROM response",
        "INSERT INTO call (identity, turn_id, purpose, llm_id) VALUES ('d', 1, 'path', "
        "1)",
        "INSERT INTO attempt (call_id, number, status, closed_ms, sent_ms, "
        "request_sha256, request)"
        " VALUES (1, 2, 'failed', 1, 0, 'h', x'00')", /* a failure without its class */
    };
    for (size_t i = 0; i < COUNT_OF(forbidden); i++)
        assert_int_equal(store_run(store, NULL, forbidden[i], ""), E_STORE);
    store_close(store);
}

static void a_backup_is_a_store_of_its_own(void **state)
{
    (void)state;
    struct store *store = create(), *copy;
    char other[128];
    snprintf(other, sizeof other, "%s/copy.m4a1", folder);
    assert_int_equal(
        store_run(store, NULL, "INSERT INTO task (name) VALUES ('a')", ""), OK);
    assert_int_equal(store_backup(store, other, NULL), OK);
    assert_int_equal(
        store_run(store, NULL, "INSERT INTO task (name) VALUES ('b')", ""), OK);
    assert_int_equal(store_open(other, STORE_WRITE, &copy, NULL), OK);
    int64_t n;
    assert_int_equal(store_int(copy, 0, &n, NULL, "SELECT count(*) FROM task", ""), OK);
    assert_int_equal(n, 1);
    store_close(copy);
    struct error err = ERROR_INIT;
    assert_int_not_equal(store_backup(store, "/nowhere/copy", &err), OK);
    store_close(store);
}

static void an_llm_once_used_is_never_edited(void **state)
{
    (void)state;
    struct store *store = create();
    struct llm llm = { .name = "gpt",
        .role = LLM_CLOUD,
        .protocol = "openai-chat",
        .endpoint = "api",
        .model = "m",
        .parameters = json_new_object(),
        .url = "http://x",
        .slots = 2,
        .accepts = { -1, -1, -1, 0 },
        .max_attempts = 3,
        .timeout_s = 60 };
    struct error err = ERROR_INIT;
    assert_int_equal(llm_save(store, &llm, &err), OK);
    char *first = text_copy(llm.identity);
    llm.url = "http://y"; /* a setting: same identity */
    assert_int_equal(llm_save(store, &llm, &err), OK);
    assert_string_equal(llm.identity, first);
    llm.model = "n"; /* a fact, not used yet */
    assert_int_equal(llm_save(store, &llm, &err), OK);
    assert_string_not_equal(llm.identity, first);
    static const char *const rows[] = {
        "INSERT INTO scene (scene_id, name) VALUES (1, 's')",
        "INSERT INTO task (task_id, name) VALUES (1, 't')",
        "INSERT INTO prompt (prompt_id, task_id, text) VALUES (1, 1, 'p')",
        "INSERT INTO session (session_id, identity, scene_id, at_ms) VALUES (1, 'a', 1, "
        "0)",
        "INSERT INTO turn (turn_id, session_id, position, prompt_id) VALUES (1, 1, 0, 1)",
        "INSERT INTO call (identity, turn_id, purpose, llm_id) VALUES ('c', 1, 'path', "
        "1)",
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(store_run(store, NULL, rows[i], ""), OK);
    llm.model = "o";
    assert_int_equal(llm_save(store, &llm, &err), E_ARG);
    assert_non_null(strstr(err.msg, "give the changed one a new name"));

    struct llm *all;
    size_t n;
    assert_int_equal(llm_load_all(store, 0, &all, &n, NULL), OK);
    assert_int_equal(n, 1);
    assert_string_equal(all[0].url, "http://y");
    assert_string_equal(all[0].model, "n");
    assert_int_equal(all[0].slots, 2);
    llm_free_all(all, n);
    json_free(llm.parameters);
    free(llm.identity);
    free(first);
    store_close(store);
}

/* The log that a writer uses goes away under it: it stops, and has lost nothing. */
static void a_log_that_is_gone_is_noticed(void **state)
{
    (void)state;
    struct store *store = create();
    struct error err = ERROR_INIT;
    char *log = text_format("%s-wal", path);
    int64_t n = 0;
    for (int i = 1; i <= 2; i++) {
        assert_int_equal(store_begin(store, &err), OK);
        assert_int_equal(store_run(store, &err, "INSERT INTO scene (name) VALUES (?)",
                             "t", i == 1 ? "one" : "two"),
            OK);
        assert_int_equal(store_commit(store, &err), OK);
    }
    assert_int_equal(unlink(log), 0);
    assert_int_equal(store_begin(store, &err), E_STORE);
    assert_non_null(strstr(err.msg, "its log s.m4a1-wal was deleted"));
    // What was committed is in the file by now, whatever becomes of the process.
    char *copy = text_format("%s.copy", path);
    struct buffer bytes;
    buffer_init(&bytes, 1 << 24);
    assert_int_equal(file_read(path, &bytes, &err), OK);
    int fd = open(copy, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_int_equal(write(fd, bytes.data, bytes.len), bytes.len);
    close(fd);
    struct store *other;
    if (store_open(copy, STORE_WRITE, &other, &err) != OK)
        fail_msg("%s", err.msg);
    assert_int_equal(store_int(other, 0, &n, &err, "SELECT count(*) FROM scene", ""), OK);
    assert_int_equal(n, 2);
    store_close(other);
    store_close(store);
    buffer_release(&bytes);
    free(copy);
    free(log);
}

/* What a link beside the store leads to is nobody's to write over. */
static void no_link_beside_it_is_followed(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    char *victim = text_format("%s/victim", folder);
    char *link = text_format("%s.lock.new", path);
    struct buffer bytes;
    buffer_init(&bytes, 1000);
    store_close(create());
    assert_int_equal(file_write(victim, "precious", 8, &err), OK);
    assert_int_equal(symlink(victim, link), 0);
    struct store *store;
    assert_int_equal(store_open(path, STORE_WRITE, &store, &err), OK);
    store_close(store);
    assert_int_equal(file_read(victim, &bytes, &err), OK);
    assert_string_equal(buffer_str(&bytes), "precious");
    buffer_release(&bytes);
    free(victim);
    free(link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(creates_and_opens_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_what_is_no_store, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            refuses_foreign_newer_and_truncated, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_writer_at_a_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            other_names_of_a_store_share_its_lock, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_store_that_is_gone_takes_nothing_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            versions_that_none_has_are_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_leftover_log_is_not_taken_for_ours, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            statements_bind_and_read_every_type, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_full_store_says_so_and_keeps_what_was_committed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            attempts_and_responses_are_append_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_backup_is_a_store_of_its_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            an_llm_once_used_is_never_edited, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_log_that_is_gone_is_noticed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_link_beside_it_is_followed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
