/* Servers, recipes and stores that would like more money, memory or time than they may. */
#include "collectors/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collectors/ledger.h"
#include "m4a1/base/clock.h"
#include "m4a1/base/text.h"
#include "schema/query.h"
#include "tests/support/raw_server.h"
#include "tests/support/store_fixture.h"

#define MARK "x-m4a1-simulated: 1\r\n"
#define DEAR 1000000000000 /* the highest price of a recipe, pico-dollars a token */

static struct error err;

static enum status run(
    struct store_fixture *f, const struct engine_options *o, struct engine_result *r)
{
    err = (struct error)ERROR_INIT;
    return engine_run(f->store, o, r, &err);
}

static enum status run_plain(struct store_fixture *f, struct engine_result *r)
{
    struct engine_options o;
    engine_options_init(&o);
    return run(f, &o, r);
}

/* An answer whose usage bills tokens for every fourth byte that came, or what arg says. */
static int answer_billed(
    struct raw_connection *c, const struct raw_request *request, void *arg)
{
    const char *usage = arg;
    char *billed =
        text_format("{\"prompt_tokens\":%zu,\"completion_tokens\":10}", request->len / 4);
    char *body = text_format(
        "{\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
        "\"content\":\"x\"},\"finish_reason\":\"stop\"}],\"usage\":%s}",
        usage ? usage : billed);
    assert_non_null(body);
    raw_answer(c, 200, "", body);
    free(billed);
    free(body);
    return 1;
}

/* ---- caps ----------------------------------------------------------------------- */

static void use_tools(struct llm *llm)
{
    struct json *tools = json_set_array(llm->parameters, "tools");
    llm->slots = 8;
    for (int i = 0; i < 50; i++) {
        char text[2001];
        memset(text, 'x', 2000);
        text[2000] = '\0';
        assert_non_null(json_set_text(json_add_object(tools), "description", text));
    }
}

/* What the parameters make a server put into its prompt is reserved, too. */
static void test_tools_are_under_the_cap(void **state)
{
    (void)state;
    struct store_fixture f;
    struct engine_result r;
    struct engine_options o;
    store_fixture_open(&f, "keep");
    struct raw_server *server = raw_server_start(answer_billed, NULL);
    int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), use_tools);
    store_fixture_price(&f, llm, 100000000, 100000000); // 100 USD a million
    for (int i = 0; i < 12; i++)
        store_fixture_session(&f, llm, 1, 0);
    engine_options_init(&o);
    o.max_usd = 15;
    if (run(&f, &o, &r) != E_PARTIAL)
        fail_msg("%s", err.msg);
    assert_true(r.cap_reached);
    assert_true(r.n_answered >= 1);
    assert_true(r.counted_pusd <= 15000000000000);
    assert_int_equal(store_fixture_int(&f, "SELECT count(*) FROM attempt JOIN"
                                           " attempt_cost USING (attempt_id)"
                                           " WHERE cost_pusd > reserved_pusd"),
        0);
    engine_result_release(&r);
    raw_server_stop(server);
    store_fixture_close(&f);
}

static void test_money_does_not_wrap(void **state)
{
    (void)state;
    const struct price price = { 1, DEAR, DEAR, DEAR, DEAR };
    assert_int_equal(pusd_add(INT64_MAX - 1, 1), INT64_MAX);
    assert_int_equal(pusd_add(INT64_MAX - 1, 2), INT64_MAX);
    assert_int_equal(pusd_add(INT64_MAX, -5), INT64_MAX);
    assert_int_equal(pusd_add(INT64_MIN + 1, -5), INT64_MIN);
    assert_int_equal(pusd_add(7, -5), 2);
    assert_int_equal(
        price_most_pusd(&price, 5, INT64_C(9007199254740992)), PUSD_MAX_RESERVED);
}

static void use_endless_answers(struct llm *llm)
{
    llm->slots = 8;
    json_set_int(llm->parameters, "max_tokens", 10000000);
}

/* A bound that is no bound, at the highest price: reserved, summed up, and no cap has
 * room for it, in this run and the next. */
static void test_huge_reservations(void **state)
{
    (void)state;
    struct store_fixture f;
    struct engine_result r;
    struct engine_options o;
    char nonsense[] = "{\"prompt_tokens\":1000000000,\"completion_tokens\":1000000000}";
    store_fixture_open(&f, "keep");
    struct raw_server *server = raw_server_start(answer_billed, nonsense);
    int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), use_endless_answers);
    store_fixture_price(&f, llm, DEAR, DEAR);
    for (int i = 0; i < 10; i++)
        store_fixture_session(&f, llm, 1, 0);
    engine_options_init(&o);
    o.max_usd = 1e6;
    if (run(&f, &o, &r) != E_PARTIAL)
        fail_msg("%s", err.msg);
    assert_true(r.cap_reached);
    assert_int_equal(r.n_sent, 0);
    engine_result_release(&r);
    assert_int_equal(run_plain(&f, &r), OK);
    assert_int_equal(r.n_answered, 10);
    assert_true(r.counted_pusd == INT64_MAX);
    engine_result_release(&r);
    assert_int_equal(
        store_fixture_int(&f, "SELECT count(*) FROM response WHERE input_tokens IS NULL"
                              " AND output_tokens IS NULL AND usage LIKE '%1000000000%'"),
        10);
    // Its views can be asked, and a run with a cap sends nothing more.
    assert_true(store_fixture_int(&f, "SELECT counted_usd > 9e6 FROM cost_by_llm"));
    store_fixture_session(&f, llm, 1, 0);
    if (run(&f, &o, &r) != E_PARTIAL)
        fail_msg("%s", err.msg);
    assert_int_equal(r.n_sent, 0);
    assert_true(r.cap_reached);
    engine_result_release(&r);
    raw_server_stop(server);
    store_fixture_close(&f);
}

/* ---- simulated answers in a real run -------------------------------------------- */

static int answer_marked(
    struct raw_connection *c, const struct raw_request *request, void *arg)
{
    (void)arg;
    raw_chat(c, request->number % 2 ? MARK : "", "made up?");
    return 1;
}

static void use_1_slot(struct llm *llm)
{
    llm->slots = 1;
}

static void test_marked_answer_ends_a_real_run(void **state)
{
    (void)state;
    struct store_fixture f;
    struct engine_result r;
    store_fixture_open(&f, "keep");
    struct raw_server *server = raw_server_start(answer_marked, NULL);
    int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), use_1_slot);
    store_fixture_price(&f, llm, 0, 0);
    for (int i = 0; i < 6; i++)
        store_fixture_session(&f, llm, 1, 0);
    assert_int_equal(run_plain(&f, &r), E_DATA);
    assert_non_null(strstr(err.msg, raw_server_url(server)));
    assert_non_null(strstr(err.msg, "marked as simulated, but this run asks real"));
    assert_int_equal(r.n_sent, 2);
    engine_result_release(&r);
    assert_int_equal(store_fixture_int(&f, "SELECT count(*) FROM response"), 1);
    assert_int_equal(store_fixture_int(&f, "SELECT sum(simulated) FROM response"), 0);
    assert_int_equal(store_fixture_int(&f, "SELECT count(*) FROM attempt WHERE"
                                           " error_class = 'simulated' AND NOT final"),
        1);
    raw_server_stop(server);
    store_fixture_close(&f);
}

/* Behind the body nothing is a header any more: neither a mark nor an id. */
static int answer_with_trailers(
    struct raw_connection *c, const struct raw_request *request, void *arg)
{
    (void)request;
    (void)arg;
    static const char body[] = "{\"id\":\"in-the-body\",\"choices\":[{\"index\":0,"
                               "\"message\":{\"content\":\"x\"}"
                               ",\"finish_reason\":\"stop\"}]}";
    raw_printf(c,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n%s\r\n"
        "0\r\nX-Request-Id: behind\r\n" MARK "\r\n",
        strlen(body), body);
    return 1;
}

static void test_trailers_are_no_headers(void **state)
{
    (void)state;
    struct store_fixture f;
    struct engine_result r;
    store_fixture_open(&f, "keep");
    struct raw_server *server = raw_server_start(answer_with_trailers, NULL);
    int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), NULL);
    store_fixture_price(&f, llm, 0, 0);
    store_fixture_session(&f, llm, 1, 0);
    assert_int_equal(run_plain(&f, &r), OK);
    engine_result_release(&r);
    assert_int_equal(store_fixture_int(&f, "SELECT count(*) FROM attempt WHERE"
                                           " request_id = 'in-the-body'"),
        1);
    assert_int_equal(store_fixture_int(&f, "SELECT sum(simulated) FROM response"), 0);
    raw_server_stop(server);
    store_fixture_close(&f);
}

/* ---- stores that somebody edited ------------------------------------------------- */

/* A dialogue that follows itself: its calls are left alone, and the run ends. */
static void test_history_without_end(void **state)
{
    (void)state;
    struct store_fixture f;
    struct engine_result r;
    store_fixture_open(&f, "keep");
    struct raw_server *server = raw_server_start(answer_billed, NULL);
    int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), NULL);
    store_fixture_price(&f, llm, 0, 0);
    int64_t first = store_fixture_session(&f, llm, 3, 0);
    struct engine_options o;
    engine_options_init(&o);
    o.limit = 2;
    if (run(&f, &o, &r) != E_PARTIAL)
        fail_msg("%s", err.msg);
    engine_result_release(&r);
    assert_int_equal(
        store_run(f.store, &err, "UPDATE call SET parent_id = ?1 + 1 WHERE call_id = ?1",
            "i", first),
        OK);
    int64_t begun = clock_mono_ns();
    assert_int_equal(run_plain(&f, &r), E_PARTIAL);
    assert_true(clock_mono_ns() - begun < INT64_C(5000000000));
    assert_int_equal(r.n_unsendable, 1);
    assert_non_null(strstr(r.first_unsendable, "leads back to itself"));
    engine_result_release(&r);
    raw_server_stop(server);
    store_fixture_close(&f);
}

/* A picture that somebody deleted out of the store. */
static void test_frame_that_is_gone(void **state)
{
    (void)state;
    struct store_fixture f;
    struct engine_result r;
    store_fixture_open(&f, "keep");
    struct raw_server *server = raw_server_start(answer_billed, NULL);
    int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), NULL);
    store_fixture_price(&f, llm, 0, 0);
    store_fixture_session(&f, llm, 1, 1);
    assert_int_equal(store_run(f.store, &err, "PRAGMA foreign_keys = OFF", ""), OK);
    assert_int_equal(store_run(f.store, &err, "DELETE FROM frame", ""), OK);
    assert_int_equal(run_plain(&f, &r), E_PARTIAL);
    assert_int_equal(r.n_unsendable, 1);
    assert_non_null(strstr(r.first_unsendable, "has no frame at this instant"));
    engine_result_release(&r);
    raw_server_stop(server);
    store_fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tools_are_under_the_cap),
        cmocka_unit_test(test_money_does_not_wrap),
        cmocka_unit_test(test_huge_reservations),
        cmocka_unit_test(test_marked_answer_ends_a_real_run),
        cmocka_unit_test(test_trailers_are_no_headers),
        cmocka_unit_test(test_history_without_end),
        cmocka_unit_test(test_frame_that_is_gone),
    };
    return cmocka_run_group_tests_name("hostile", tests, NULL, NULL);
}
