/* Files written whole or not at all, folders, paths, worker threads, progress. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>
#include <cmocka.h>

#include "m4a1/base/files.h"
#include "m4a1/base/pool.h"
#include "m4a1/base/progress.h"
#include "m4a1/base/text.h"

static char folder[64];

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/m4a1-files-XXXXXX");
    return mkdtemp(folder) ? 0 : 1;
}

static int tear_down(void **state)
{
    (void)state;
    char **names;
    size_t n;
    if (folder_list(folder, &names, &n, NULL) != OK)
        return 1;
    for (size_t i = 0; i < n; i++) {
        char *path = path_join(folder, names[i]);
        remove(path);
        free(path);
    }
    folder_list_free(names, n);
    return rmdir(folder);
}

static void writes_and_reads_back(void **state)
{
    (void)state;
    char *path = path_join(folder, "a.bin");
    struct buffer b;
    buffer_init(&b, 1 << 20);
    assert_int_equal(file_write(path, "x\0y", 3, NULL), OK);
    assert_int_equal(file_write(path, "longer", 6, NULL), OK); /* replaces */
    assert_int_equal(file_read(path, &b, NULL), OK);
    assert_string_equal(buffer_str(&b), "longer");
    struct stat st;
    mode_t mask = umask(0);
    umask(mask);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0666 & ~mask);
    buffer_release(&b);
    buffer_init(&b, 3);
    assert_int_equal(file_read(path, &b, NULL), E_LIMIT);
    buffer_release(&b);
    free(path);
}

static void a_failed_write_leaves_the_old_file(void **state)
{
    (void)state;
    char *path = path_join(folder, "kept"), **names;
    struct error err = ERROR_INIT;
    size_t n;
    assert_int_equal(file_write(path, "old", 3, NULL), OK);
    struct rlimit old, small = { 4096, RLIM_INFINITY };
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    small.rlim_max = old.rlim_max;
    setrlimit(RLIMIT_FSIZE, &small);
    static char big[100000];
    enum status s = file_write(path, big, sizeof big, &err);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(s, E_IO);
    assert_non_null(strstr(err.msg, "kept: File too large"));
    struct buffer b;
    buffer_init(&b, 100);
    assert_int_equal(file_read(path, &b, NULL), OK);
    assert_string_equal(buffer_str(&b), "old");
    buffer_release(&b);
    assert_int_equal(folder_list(folder, &names, &n, NULL), OK);
    for (size_t i = 0; i < n; i++)
        assert_null(strstr(names[i], "kept.")); /* no temporary is left */
    folder_list_free(names, n);
    free(path);
}

static void a_database_is_never_replaced(void **state)
{
    (void)state;
    char *path = path_join(folder, "study.m4a1");
    FILE *f = fopen(path, "wb");
    assert_int_equal(fwrite("SQLite format 3\0 and so on", 1, 26, f), 26);
    fclose(f);
    struct error err = ERROR_INIT;
    assert_int_equal(file_write(path, "x", 1, &err), E_ARG);
    assert_non_null(strstr(err.msg, "name another file to write to"));
    struct buffer b;
    buffer_init(&b, 100);
    assert_int_equal(file_read(path, &b, NULL), OK);
    assert_int_equal(b.len, 26);
    buffer_release(&b);
    free(path);
}

/* Root may rename a file over a device: /dev/null would be gone. */
static void a_pipe_is_written_to(void **state)
{
    (void)state;
    char path[96], got[8] = "";
    struct stat st;
    snprintf(path, sizeof path, "%s/pipe", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    int fd = open(path, O_RDWR | O_NONBLOCK);
    assert_int_equal(file_write(path, "hello", 5, NULL), OK);
    assert_int_equal(read(fd, got, sizeof got), 5);
    assert_string_equal(got, "hello");
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISFIFO(st.st_mode));
    close(fd);
    unlink(path);
}

static void says_what_is_wrong(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 100);
    struct error err = ERROR_INIT;
    assert_int_equal(file_read("/nowhere/x", &b, &err), E_NOT_FOUND);
    assert_string_equal(err.msg, "cannot open /nowhere/x: No such file or directory");
    assert_int_equal(file_read("/tmp", &b, &err), E_IO);
    assert_string_equal(err.msg, "/tmp is not a regular file");
    char *fifo = path_join(folder, "fifo");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(file_read(fifo, &b, &err), E_IO); /* and does not wait */
    unlink(fifo);
    free(fifo);
    assert_int_equal(file_write("/nowhere/x", "", 0, &err), E_NOT_FOUND);
    buffer_release(&b);
}

static void makes_folders(void **state)
{
    (void)state;
    char *deep = text_format("%s/p/q/r", folder);
    assert_int_equal(folder_make(deep, NULL), OK);
    assert_int_equal(folder_make(deep, NULL), OK);
    assert_true(file_is_folder(deep));
    for (int i = 0; i < 3; i++) {
        rmdir(deep);
        *strrchr(deep, '/') = '\0';
    }
    free(deep);
    assert_string_equal(path_extension("a.b/c"), "");
    assert_string_equal(path_extension("a/.hidden"), "");
    assert_string_equal(path_extension("a/b.tar.gz"), "gz");
    assert_string_equal(path_base("a/b"), "b");
}

static void count_up(void *arg)
{
    __atomic_fetch_add((int *)arg, 1, __ATOMIC_RELAXED);
}

static void a_pool_does_every_job(void **state)
{
    (void)state;
    struct pool *pool;
    int count = 0;
    assert_int_equal(pool_new(3, &pool, NULL), OK);
    for (int round = 1; round <= 5; round++) {
        for (int i = 0; i < 200; i++)
            assert_int_equal(pool_submit(pool, count_up, &count, NULL), OK);
        pool_wait(pool);
        assert_int_equal(count, 200 * round);
    }
    for (int i = 0; i < 50; i++)
        assert_int_equal(pool_submit(pool, count_up, &count, NULL), OK);
    pool_free(pool); /* ends what was submitted first */
    assert_int_equal(count, 1050);
    pool_free(NULL);
}

static void progress_in_a_log_is_a_line(void **state)
{
    (void)state;
    char text[256] = "";
    FILE *stream = fmemopen(text, sizeof text, "w");
    struct progress *p = progress_new("counting sheep", 3, stream);
    progress_step(p, 2, "1 black");
    progress_free(p);
    fclose(stream);
    assert_non_null(strstr(text, "counting sheep: 2 of 3 in "));
    assert_non_null(strstr(text, "(1 black)\n"));
    assert_null(strchr(text, '\r'));
    progress_step(NULL, 1, NULL);
    progress_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_and_reads_back),
        cmocka_unit_test(a_failed_write_leaves_the_old_file),
        cmocka_unit_test(a_database_is_never_replaced),
        cmocka_unit_test(a_pipe_is_written_to),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(makes_folders),
        cmocka_unit_test(a_pool_does_every_job),
        cmocka_unit_test(progress_in_a_log_is_a_line),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
