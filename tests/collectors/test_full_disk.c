/* A store that takes no more in the middle of a run: a clear error, and no paid answer
 * lost. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "collectors/engine.h"
#include "m4a1/base/files.h"
#include "m4a1/base/log.h"
#include "m4a1/base/random.h"
#include "m4a1/base/text.h"
#include "schema/query.h"
#include "tests/support/raw_server.h"
#include "tests/support/store_fixture.h"

#define N_CALLS 120
#define ANSWER_BYTES 12000

static struct error err;

static void use_8_slots(struct llm *llm)
{
    llm->slots = 8;
}

static struct store_fixture *limited; /* whose log may grow no more */

/* From now on no file of this process may reach beyond the log as it is. */
static void limit_file_size(void)
{
    struct stat st;
    char *wal = text_format("%s-wal", limited->path);
    assert_int_equal(stat(wal, &st), 0);
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = (rlim_t)st.st_size + 1000;
    setrlimit(RLIMIT_FSIZE, &limit);
    free(wal);
}

static void lift_limit(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_FSIZE, &limit);
}

/* Letters that no compression makes small; freed by the caller. */
static char *noise(int number, int n)
{
    struct rng rng;
    rng_init(&rng, 1, "test/full", (uint64_t)number);
    char *text = malloc((size_t)n + 1);
    for (int i = 0; i < n; i++)
        text[i] = (char)('a' + rng_below(&rng, 26));
    text[n] = '\0';
    return text;
}

static int answer_long(
    struct raw_connection *c, const struct raw_request *request, void *arg)
{
    (void)arg;
    char *text = noise(request->number, ANSWER_BYTES);
    if (limited && request->number == 70)
        limit_file_size();
    raw_sleep_ms(5);
    raw_chat(c, "", text);
    free(text);
    return 1;
}

static struct raw_server *set_up(struct store_fixture *f)
{
    limited = NULL;
    signal(SIGXFSZ, SIG_IGN); // as the program does
    store_fixture_open(f, "keep");
    struct raw_server *server = raw_server_start(answer_long, NULL);
    int64_t llm = store_fixture_llm(f, "a", raw_server_url(server), use_8_slots);
    store_fixture_price(f, llm, 1000, 1000);
    for (int i = 0; i < N_CALLS; i++)
        store_fixture_session(f, llm, 1, 1);
    return server;
}

static enum status collect(struct store_fixture *f, struct engine_result *r)
{
    struct engine_options o;
    engine_options_init(&o);
    err = (struct error)ERROR_INIT;
    return engine_run(f->store, &o, r, &err);
}

static int has_reserve(const struct store_fixture *f)
{
    char *path = text_format("%s.reserve", f->path);
    int yes = file_exists(path);
    free(path);
    return yes;
}

/* The run stopped with what it had; the next one asks only what was never sent. */
static void go_on(struct store_fixture *f, struct raw_server *server, int64_t n_kept)
{
    struct engine_result r;
    int n_before = raw_server_n_requests(server);
    assert_true(n_kept > 0);
    assert_true(has_reserve(f));
    store_fixture_reopen(f);
    int64_t n_open =
        store_fixture_int(f, "SELECT count(*) FROM attempt WHERE status = 'sent'");
    int64_t n_stored = store_fixture_int(f, "SELECT count(*) FROM response");
    assert_int_equal(n_open, n_kept);
    if (collect(f, &r) != OK)
        fail_msg("%s", err.msg);
    assert_int_equal(r.n_taken_in, n_kept);
    assert_int_equal(r.n_recovered, 0);
    assert_int_equal(r.n_sent, N_CALLS - n_stored - n_kept);
    assert_int_equal(raw_server_n_requests(server), n_before + r.n_sent);
    engine_result_release(&r);
    assert_false(has_reserve(f));
    // Every call was asked once, and every answer is there with its times and cost.
    assert_int_equal(raw_server_n_requests(server), N_CALLS);
    assert_int_equal(store_fixture_int(f, "SELECT count(*) FROM attempt"), N_CALLS);
    assert_int_equal(
        store_fixture_int(f, "SELECT count(*) FROM response JOIN attempt USING"
                             " (attempt_id) WHERE status = 'ok' AND length(text) = 12000"
                             " AND latency_ns BETWEEN 5000000 AND 60000000000 AND"
                             " first_byte_ns <= latency_ns AND upload_ns >= 0 AND"
                             " queue_ns > 0 AND http_status = 200 AND reused IS NOT NULL"
                             " AND input_tokens = 100"),
        N_CALLS);
    assert_int_equal(
        store_fixture_int(f, "SELECT count(DISTINCT received) FROM attempt"), N_CALLS);
    assert_int_equal(store_fixture_int(f, "SELECT sum(counted_pusd) FROM attempt_cost"),
        N_CALLS * INT64_C(110000));
}

static void test_page_limit(void **state)
{
    (void)state;
    struct store_fixture f;
    struct engine_result r;
    struct raw_server *server = set_up(&f);
    int64_t n_pages = store_fixture_int(&f, "PRAGMA page_count");
    char *pragma = text_format("PRAGMA max_page_count = %lld", (long long)n_pages + 300);
    store_fixture_int(&f, pragma);
    free(pragma);
    assert_int_equal(collect(&f, &r), E_STORE);
    if (!strstr(err.msg, "is full") || !strstr(err.msg, ".reserve"))
        fail_msg("%s", err.msg);
    assert_in_range(r.n_kept, 1, 16);
    go_on(&f, server, r.n_kept);
    engine_result_release(&r);
    raw_server_stop(server);
    store_fixture_close(&f);
}

static void test_file_size_limit(void **state)
{
    (void)state;
    struct store_fixture f;
    struct engine_result r;
    struct raw_server *server = set_up(&f);
    store_fixture_reopen(&f); // a new log, which grows from now on
    limited = &f;
    enum status s = collect(&f, &r);
    lift_limit();
    limited = NULL;
    assert_int_equal(s, E_STORE);
    if (!strstr(err.msg, "file system refused") || !strstr(err.msg, ".reserve"))
        fail_msg("%s", err.msg);
    go_on(&f, server, r.n_kept);
    engine_result_release(&r);
    raw_server_stop(server);
    store_fixture_close(&f);
}

/* What a run was cut at while it kept something is no record, the ones before it are; and
 * what was taken in once is not taken in twice. */
static void test_reserve_that_was_cut(void **state)
{
    (void)state;
    struct store_fixture f;
    struct engine_result r, again;
    struct raw_server *server = set_up(&f);
    int64_t n_pages = store_fixture_int(&f, "PRAGMA page_count");
    char *pragma = text_format("PRAGMA max_page_count = %lld", (long long)n_pages + 300);
    store_fixture_int(&f, pragma);
    free(pragma);
    assert_int_equal(collect(&f, &r), E_STORE);
    char *path = text_format("%s.reserve", f.path);
    struct buffer b;
    buffer_init(&b, 64 << 20);
    assert_int_equal(file_read(path, &b, &err), OK);
    size_t used = strlen(b.data);
    memcpy(b.data + used, "{\"attempt_id\":1,\"rec", 20);
    assert_int_equal(file_write(path, b.data, used + 20, &err), OK);
    store_fixture_reopen(&f);
    assert_int_equal(collect(&f, &again), OK);
    assert_int_equal(again.n_taken_in, r.n_kept);
    engine_result_release(&again);
    // The same file again: its attempts are closed.
    assert_int_equal(file_write(path, b.data, used, &err), OK);
    assert_int_equal(collect(&f, &again), OK);
    assert_int_equal(again.n_taken_in, 0);
    assert_int_equal(store_fixture_int(&f, "SELECT count(*) FROM response"), N_CALLS);
    engine_result_release(&again);
    // One that is not ours is left alone, and told.
    assert_int_equal(file_write(path, "my notes", 8, &err), OK);
    assert_int_equal(collect(&f, &again), E_DATA);
    assert_non_null(strstr(err.msg, "move it away"));
    assert_true(has_reserve(&f));
    engine_result_release(&again);
    engine_result_release(&r);
    free(path);
    buffer_release(&b);
    raw_server_stop(server);
    store_fixture_close(&f);
}

/* ---- answers that find no room anywhere ------------------------------------------ */

#define N_HUGE 40
#define HUGE_BYTES 400000

static int answer_hugely(
    struct raw_connection *c, const struct raw_request *request, void *arg)
{
    (void)arg;
    char *text = noise(request->number, HUGE_BYTES);
    raw_sleep_ms(50);
    raw_chat(c, "", text);
    free(text);
    return 1;
}

static void count_lost(enum log_level level, const char *line, void *arg)
{
    long long call = 0, attempt = 0;
    if (level == LOG_ERROR &&
        sscanf(line, "the answer of call %lld (attempt %lld) is lost", &call, &attempt) ==
            2)
        ++*(int *)arg;
}

/* They are named one by one, and their calls are asked again. */
static void test_reserve_that_is_too_small(void **state)
{
    (void)state;
    struct store_fixture f;
    struct engine_result r, again;
    struct rlimit limit;
    int n_named = 0;
    signal(SIGXFSZ, SIG_IGN);
    store_fixture_open(&f, "keep");
    struct raw_server *server = raw_server_start(answer_hugely, NULL);
    int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), use_8_slots);
    store_fixture_price(&f, llm, 1000, 1000);
    for (int i = 0; i < N_HUGE; i++)
        store_fixture_session(&f, llm, 1, 1);
    store_fixture_reopen(&f);
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = (2 << 20) + 65536; // the reserve, and little more of the log
    setrlimit(RLIMIT_FSIZE, &limit);
    log_to(count_lost, &n_named, LOG_WARN);
    enum status s = collect(&f, &r);
    log_to(NULL, NULL, LOG_WARN);
    lift_limit();
    assert_int_equal(s, E_STORE);
    store_fixture_reopen(&f);
    int n_open =
        (int)store_fixture_int(&f, "SELECT count(*) FROM attempt WHERE status = 'sent'");
    assert_in_range(r.n_kept, 1, 7);
    assert_in_range(n_named, 1, 7);
    assert_int_equal(r.n_kept + n_named, n_open);
    int n_before = raw_server_n_requests(server);
    int64_t n_stored = store_fixture_int(&f, "SELECT count(*) FROM response");
    if (collect(&f, &again) != OK)
        fail_msg("%s", err.msg);
    assert_int_equal(again.n_taken_in, r.n_kept);
    assert_int_equal(again.n_recovered, n_named);
    assert_int_equal(
        raw_server_n_requests(server), n_before + N_HUGE - n_stored - r.n_kept);
    assert_int_equal(store_fixture_int(&f, "SELECT count(*) FROM response WHERE"
                                           " length(text) = 400000"),
        N_HUGE);
    // What was lost may have been billed: it counts in full.
    assert_int_equal(
        store_fixture_int(&f, "SELECT count(*) FROM attempt JOIN attempt_cost USING"
                              " (attempt_id) WHERE status = 'unknown' AND counted_pusd ="
                              " reserved_pusd AND reserved_pusd > 0"),
        n_named);
    engine_result_release(&again);
    engine_result_release(&r);
    raw_server_stop(server);
    store_fixture_close(&f);
}

static void test_no_room_for_a_reserve(void **state)
{
    (void)state;
    struct store_fixture f;
    struct engine_result r;
    struct raw_server *server = set_up(&f);
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = 800000;
    setrlimit(RLIMIT_FSIZE, &limit);
    enum status s = collect(&f, &r);
    lift_limit();
    assert_int_equal(s, E_IO);
    assert_non_null(strstr(err.msg, "nothing was sent"));
    assert_int_equal(raw_server_n_requests(server), 0);
    assert_false(has_reserve(&f));
    engine_result_release(&r);
    raw_server_stop(server);
    store_fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page_limit),
        cmocka_unit_test(test_file_size_limit),
        cmocka_unit_test(test_reserve_that_was_cut),
        cmocka_unit_test(test_reserve_that_is_too_small),
        cmocka_unit_test(test_no_room_for_a_reserve),
    };
    return cmocka_run_group_tests_name("full_disk", tests, NULL, NULL);
}
