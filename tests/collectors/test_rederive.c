/* Stored bytes read anew: what differs is told and kept apart, what was stored stays. */
#include "collectors/rederive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collectors/engine.h"
#include "m4a1/base/text.h"
#include "schema/query.h"
#include "tests/support/raw_server.h"
#include "tests/support/store_fixture.h"

static struct error err;

static int answer(struct raw_connection *c, const struct raw_request *request, void *arg)
{
    (void)arg;
    if (request->number == 0)
        raw_answer(c, 500, "retry-after-ms: 1\r\nopenai-processing-ms: 7\r\n", "oops");
    else
        raw_answer(c, 200, "openai-processing-ms: 7\r\nx-request-id: r\r\n",
            "{\"model\":\"m\",\"service_tier\":\"default\",\"choices\":[{\"message\":"
            "{\"content\":\"A pan.\"},\"finish_reason\":\"stop\"}],\"usage\":"
            "{\"prompt_tokens\":100,\"completion_tokens\":10,"
            "\"prompt_tokens_details\":{\"cached_tokens\":64}}}");
    return 1;
}

static void collect(struct store_fixture *f)
{
    struct engine_result r;
    struct engine_options o;
    store_fixture_open(f, "keep");
    struct raw_server *server = raw_server_start(answer, NULL);
    int64_t llm = store_fixture_llm(f, "a", raw_server_url(server), NULL);
    store_fixture_price(f, llm, 1000, 2000);
    store_fixture_session(f, llm, 3, 1);
    engine_options_init(&o);
    if (engine_run(f->store, &o, &r, &err) != OK)
        fail_msg("%s", err.msg);
    engine_result_release(&r);
    raw_server_stop(server);
}

static void run(struct store_fixture *f, const char *sql)
{
    if (store_run(f->store, &err, sql, "") != OK)
        fail_msg("%s: %s", sql, err.msg);
}

static void read_anew(struct store_fixture *f, int dry, struct rederive_result *r)
{
    if (rederive(f->store, dry, NULL, r, &err) != OK)
        fail_msg("%s", err.msg);
}

static void test_the_same_differs_in_nothing(void **state)
{
    (void)state;
    struct store_fixture f;
    struct rederive_result r;
    collect(&f);
    read_anew(&f, 0, &r);
    assert_int_equal(r.n_read, 4);
    assert_int_equal(r.n_differ, 0);
    assert_int_equal(store_fixture_int(&f, "SELECT count(*) FROM rederived"), 0);
    assert_int_equal(store_fixture_int(&f, "SELECT count(*) FROM rederived_answer WHERE"
                                           " version IS NULL AND text = 'A pan.'"),
        3);
    store_fixture_close(&f);
}

/* As if an earlier version had read the cached tokens wrongly, seen no tier, taken a
 * good answer for a broken one, and an error for an answer. */
static void test_what_differs_is_kept_apart(void **state)
{
    (void)state;
    struct store_fixture f;
    struct rederive_result r;
    collect(&f);
    run(&f, "DROP TRIGGER response_is_append_only");
    run(&f, "DROP TRIGGER attempt_is_append_only");
    run(&f, "DROP TRIGGER response_is_kept");
    run(&f, "UPDATE response SET input_tokens = 100, cache_read_tokens = 0,"
            " service_tier = NULL WHERE attempt_id = 4");
    run(&f, "DELETE FROM response WHERE attempt_id = 3");
    run(&f, "UPDATE attempt SET status = 'failed', error_class = 'malformed', error = 'x'"
            " WHERE attempt_id = 3");
    run(&f, "UPDATE attempt SET status = 'ok', error_class = NULL WHERE attempt_id = 1");
    run(&f, "INSERT INTO response (call_id, attempt_id, text) VALUES (1, 1, 'oops')");

    read_anew(&f, 1, &r);
    assert_int_equal(r.n_differ, 3);
    assert_int_equal(store_fixture_int(&f, "SELECT count(*) FROM rederived"), 0);
    for (int i = 0; i < 2; i++) { // a second run makes the same rows anew
        read_anew(&f, 0, &r);
        assert_int_equal(r.n_differ, 3);
        assert_int_equal(r.n_gained, 1);
        assert_int_equal(r.n_lost, 1);
        assert_int_equal(r.fields[REDERIVE_INPUT], 1);
        assert_int_equal(r.fields[REDERIVE_CACHE_READ], 1);
        assert_int_equal(r.fields[REDERIVE_SERVICE_TIER], 1);
        assert_int_equal(r.fields[REDERIVE_TEXT], 0);
        assert_int_equal(r.fields[REDERIVE_SERVER], 0); // told in a header, which is gone
        assert_int_equal(r.first_attempt, 1);
        assert_int_equal(store_fixture_int(&f, "SELECT count(*) FROM rederived"), 3);
    }
    char *differs =
        store_fixture_text(&f, "SELECT differs FROM rederived WHERE attempt_id = 4");
    assert_string_equal(
        differs, "[\"input_tokens\",\"cache_read_tokens\",\"service_tier\"]");
    free(differs);
    // What was stored is what it was, and so is what it cost.
    assert_int_equal(
        store_fixture_int(&f, "SELECT count(*) FROM answer WHERE attempt_id ="
                              " 4 AND input_tokens = 100"),
        1);
    assert_int_equal(
        store_fixture_int(&f, "SELECT cost_pusd FROM response_cost WHERE attempt_id = 4"),
        100 * 1000 + 10 * 2000);
    assert_int_equal(store_fixture_int(&f,
                         "SELECT count(*) FROM rederived_answer JOIN answer USING"
                         " (response_id) WHERE attempt_id = 4 AND version IS NOT NULL"
                         " AND rederived_answer.input_tokens = 36"
                         " AND rederived_answer.cache_read_tokens = 64"),
        1);
    assert_int_equal(
        store_fixture_int(&f, "SELECT count(*) FROM rederived WHERE attempt_id = 1 AND"
                              " error_class = 'server' AND text IS NULL"),
        1);
    store_fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_differs_in_nothing),
        cmocka_unit_test(test_what_differs_is_kept_apart),
    };
    return cmocka_run_group_tests_name("rederive", tests, NULL, NULL);
}
