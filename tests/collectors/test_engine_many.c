/* A thousand calls in flight with three large views each, in little memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "collectors/engine.h"
#include "m4a1/base/hash.h"
#include "m4a1/base/random.h"
#include "m4a1/base/text.h"
#include "schema/query.h"
#include "tests/support/flat_server.h"
#include "tests/support/store_fixture.h"

#define N_CALLS 1000
#define FRAME_BYTES 200000
#define DELAY_NS                                                                         \
    INT64_C(4000000000) /* so that all are sent before the first is answered */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

static struct error err;

static void use_1000_slots(struct llm *llm)
{
    llm->slots = N_CALLS;
    llm->timeout_s = 100;
}

/* Frames as large as real ones. */
static void enlarge_frames(struct store_fixture *f)
{
    char *bytes = malloc(FRAME_BYTES), sha256[HASH_HEX];
    for (int64_t id = 1; id <= 3; id++) {
        struct rng rng;
        rng_init(&rng, 1, "test/frame", (uint64_t)id);
        for (int i = 0; i < FRAME_BYTES; i++)
            bytes[i] = (char)rng_below(&rng, 256);
        hash_hex(bytes, FRAME_BYTES, sha256);
        assert_int_equal(store_run(f->store, &err,
                             "UPDATE frame SET bytes = ?, sha256 = ? WHERE frame_id = ?",
                             "bti", (const void *)bytes, (size_t)FRAME_BYTES, sha256, id),
            OK);
    }
    free(bytes);
}

/* In a process of its own, so that its memory is the engine's. */
static _Noreturn void collect(const char *path)
{
    struct store *store = NULL;
    struct engine_options o;
    struct engine_result r = { 0 };
    engine_options_init(&o);
    o.in_flight = N_CALLS;
    enum status s = store_open(path, STORE_WRITE, &store, &err);
    if (s == OK)
        s = engine_run(store, &o, &r, &err);
    if (s != OK)
        fprintf(stderr, "%s\n", err.msg);
    engine_result_release(&r);
    store_close(store);
    _exit(s != OK);
}

static void test_a_thousand_in_flight(void **state)
{
    (void)state;
    struct store_fixture f;
    struct flat_server server;
    struct rusage used;
    char url[64];
    int status = 0;
    assert_true(flat_server_start(DELAY_NS, 0, &server));
    snprintf(url, sizeof url, "http://127.0.0.1:%d", server.port);
    store_fixture_open(&f, "keep");
    enlarge_frames(&f);
    int64_t llm = store_fixture_llm(&f, "a", url, use_1000_slots);
    store_fixture_price(&f, llm, 0, 0);
    for (int i = 0; i < N_CALLS; i++)
        store_fixture_session(&f, llm, 1, 7);
    store_close(f.store);
    f.store = NULL;

    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        collect(f.path);
    assert_int_equal(wait4(child, &status, 0, &used), child);
    assert_int_equal(status, 0);
    store_fixture_reopen(&f);
    int64_t most = store_fixture_int(&f, "SELECT max(llm_in_flight) FROM attempt");
    double mb = (double)used.ru_maxrss / 1024;
    print_message("%lld in flight with 3 x %d kB of images each: %.0f MB at most\n",
        (long long)most, FRAME_BYTES / 1000, mb);
    assert_int_equal(store_fixture_int(&f, "SELECT count(*) FROM response"), N_CALLS);
    if (!IS_SANITIZED) {
        assert_in_range(most, N_CALLS * 9 / 10, N_CALLS);
        // The frames are three, 0.8 MB in base64; the rest is what calls in flight take.
        assert_true(mb < 100);
    }
    flat_server_stop(&server);
    store_fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_thousand_in_flight),
    };
    return cmocka_run_group_tests_name("engine_many", tests, NULL, NULL);
}
