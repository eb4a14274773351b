/* test_sim_turn.c - every protocol over real sockets: answers and streams that say the
 * same, keys, faults of each kind, and the ways of refusing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/text.h"
#include "m4a1/simulate/sim_fault.h"
#include "m4a1/simulate/sim_reply.h"
#include "m4a1/simulate/simulate.h"
#include "tests/support/chat_body.h"
#include "tests/support/sim_case.h"
#include "tests/support/sim_wire.h"

static struct recipe *recipe;

static int open_recipe(void **state)
{
    (void)state;
    recipe = sim_recipe();
    return recipe ? 0 : -1;
}

static int close_recipe(void **state)
{
    (void)state;
    recipe_free(recipe);
    return 0;
}

/* kinds 0: no faults; else every request that can has one of them, twice. */
static struct simulator *start(double time_scale, unsigned kinds)
{
    struct simulate_options options = { .recipe = recipe,
        .seed = 1,
        .time_scale = time_scale,
        .fault_probability = kinds ? 1 : 0,
        .fault_kinds = kinds };
    struct simulator *sim;
    struct error err = ERROR_INIT;
    if (simulate_start(&options, &sim, &err) != OK)
        fail_msg("%s", err.msg);
    return sim;
}

static int64_t counted(struct simulator *sim, const char *object, const char *key)
{
    struct json *stats;
    assert_int_equal(simulate_stats(sim, &stats, NULL), OK);
    int64_t n = json_int(
        key ? json_get(json_get(stats, object), key) : json_get(stats, object), -1);
    json_free(stats);
    return n;
}

static void send_ask(struct simulator *sim, enum wire wire, const struct wire_ask *ask,
    const char *more_headers, struct client_reply *reply)
{
    struct wire_request made = wire_request(wire, ask);
    char headers[400];
    snprintf(headers, sizeof headers, "%s%s", made.headers, more_headers);
    client_exchange(simulate_port(sim), "POST", made.path, headers, made.body, reply);
    free(made.body);
}

/* The base64 part of the made-up picture of a scene. */
static const char *picture(int scene, int view, char url[CHAT_URL])
{
    chat_picture(scene, view, url);
    return strchr(url, ',') + 1;
}

/* A question of the recipe that differs from number to number. */
static struct wire_ask question(const char *model, int number, int stream, char text[200])
{
    snprintf(text, 200, "%s (%d)", sim_prompt(recipe, "Query"), number);
    return (struct wire_ask) { model, text, NULL, 0, "image/png", 0, stream, 0 };
}

static int has_header(const struct client_reply *reply, const char *name)
{
    char value[200];
    return *client_header(reply, name, value, sizeof value) != '\0';
}

/* --- answers --- */

static void check_head(enum wire wire, int stream, const struct client_reply *reply)
{
    static const char *const ids[] = { "x-request-id", "apim-request-id", "x-request-id",
        "request-id", NULL, NULL, "x-amzn-RequestId" };
    char value[200];
    assert_int_equal(reply->end, CLIENT_WHOLE);
    assert_int_equal(reply->status, 200);
    assert_true(has_header(reply, "x-m4a1-simulated"));
    assert_int_equal(
        has_header(reply, ids[wire] ? ids[wire] : "x-request-id"), ids[wire] != NULL);
    client_header(reply, "content-type", value, sizeof value);
    assert_true(
        text_starts(value, !stream                ? "application/json"
                           : wire == WIRE_OLLAMA  ? "application/x-ndjson"
                           : wire == WIRE_BEDROCK ? "application/vnd.amazon.eventstream"
                                                  : "text/event-stream"));
    if (wire == WIRE_ANTHROPIC) {
        client_header(
            reply, "anthropic-ratelimit-input-tokens-reset", value, sizeof value);
        assert_int_equal(strlen(value), strlen("2026-01-01T00:00:00Z"));
        assert_int_equal(value[10], 'T');
        assert_true(has_header(reply, "anthropic-ratelimit-requests-remaining"));
    }
    if (wire <= WIRE_RESPONSES)
        assert_true(has_header(reply, "x-ratelimit-remaining-tokens"));
    if (wire <= WIRE_AZURE)
        assert_non_null(strstr(buffer_str(&reply->body), "\"" SIM_FINGERPRINT "\""));
}

static void whole_and_stream_say_the_same(void **state)
{
    (void)state;
    struct simulator *sim = start(0, 0);
    int64_t n_cached = 0;
    char url[3][CHAT_URL];
    for (int number = 0; number < 12; number++) {
        const char *images[] = { picture(number, 0, url[0]), picture(number, 1, url[1]),
            picture(number, 2, url[2]) };
        int64_t prompt = -1;
        for (int wire = 0; wire < N_WIRES; wire++) {
            struct client_reply reply;
            struct wire_says whole, stream;
            char text[200];
            struct wire_ask ask = question(CHAT_CLOUD, number, 0, text);
            ask.images = images;
            ask.n_images = 3;
            ask.history = 1;
            send_ask(sim, (enum wire)wire, &ask, "", &reply);
            check_head((enum wire)wire, 0, &reply);
            wire_read((enum wire)wire, 0, &reply, &whole);
            client_reply_release(&reply);
            ask.stream = 1;
            send_ask(sim, (enum wire)wire, &ask, "", &reply);
            check_head((enum wire)wire, 1, &reply);
            wire_read((enum wire)wire, 1, &reply, &stream);
            assert_true(reply.n_pieces > stream.n_pieces || !stream.n_pieces);
            client_reply_release(&reply);
            assert_false(whole.is_broken || stream.is_broken);
            assert_true(stream.has_end);
            assert_string_equal(buffer_str(&whole.text), buffer_str(&stream.text));
            assert_string_equal(buffer_str(&whole.refusal), buffer_str(&stream.refusal));
            assert_string_equal(whole.stop, stream.stop);
            assert_true(*whole.stop);
            assert_true(whole.prompt > 0 && whole.output >= 0 && whole.cached >= 0);
            assert_int_equal(whole.prompt, stream.prompt);
            assert_int_equal(whole.cached, stream.cached);
            assert_int_equal(whole.output, stream.output);
            /* The same dialogue is billed alike, whatever lies inside of what.  (Ollama
             * has no labels.) */
            if (wire != WIRE_OLLAMA && prompt >= 0)
                assert_int_equal(whole.prompt, prompt);
            if (wire != WIRE_OLLAMA)
                prompt = whole.prompt;
            n_cached += whole.cached > 0;
            wire_says_release(&whole);
            wire_says_release(&stream);
        }
    }
    assert_true(n_cached > 12);
    assert_int_equal(counted(sim, "requests", "answered"), 12 * 2 * N_WIRES);
    simulate_stop(sim);
}

static void a_limit_has_its_word(void **state)
{
    (void)state;
    static const char *const words[] = { "length", "length", "max_output_tokens",
        "max_tokens", "MAX_TOKENS", "length", "max_tokens" };
    struct simulator *sim = start(0, 0);
    for (int wire = 0; wire < N_WIRES; wire++) {
        for (int stream = 0; stream < 2; stream++) {
            struct client_reply reply;
            struct wire_says says;
            char text[200];
            struct wire_ask ask = question(CHAT_JUDGE, 1, stream, text);
            ask.max_tokens = 4;
            send_ask(sim, (enum wire)wire, &ask, "", &reply);
            wire_read((enum wire)wire, stream, &reply, &says);
            assert_string_equal(says.stop, words[wire]);
            assert_true(says.output > 0 && says.output <= 4 && says.text.len <= 16);
            wire_says_release(&says);
            client_reply_release(&reply);
        }
    }
    simulate_stop(sim);
}

static void gemini_without_sse_is_an_array(void **state)
{
    (void)state;
    struct simulator *sim = start(0, 0);
    struct client_reply reply;
    struct json *root;
    char text[200];
    const struct wire_ask ask = question(CHAT_REFERENCE, 1, 1, text);
    struct wire_request made = wire_request(WIRE_GEMINI, &ask);
    *strchr(made.path, '?') = '\0';
    client_exchange(
        simulate_port(sim), "POST", made.path, made.headers, made.body, &reply);
    assert_int_equal(
        json_parse(reply.body.data, reply.body.len, "array", 0, &root, NULL), OK);
    assert_true(json_is_array(root) && json_size(root) > 3);
    json_free(root);
    client_reply_release(&reply);
    free(made.body);
    simulate_stop(sim);
}

/* --- who may ask, and how --- */

static int status_of(struct simulator *sim, enum wire wire, const struct wire_ask *ask,
    const char *headers, const char *says)
{
    struct client_reply reply;
    send_ask(sim, wire, ask, headers, &reply);
    int status = reply.status;
    if (says && !strstr(buffer_str(&reply.body), says))
        fail_msg("%s: %s", wire_names[wire], buffer_str(&reply.body));
    assert_true(has_header(&reply, "x-m4a1-simulated"));
    client_reply_release(&reply);
    return status;
}

static void keys_and_models_are_checked(void **state)
{
    (void)state;
    static const char *const own[] = { "Authorization: Bearer ",
        "api-key: ", "Authorization: Bearer ",
        "x-api-key: ", "x-goog-api-key: ", "Authorization: Bearer ",
        "Authorization: Bearer " };
    static const int refused[] = { 401, 401, 401, 401, 400, 401, 403 };
    static const int unknown[] = { 404, 404, 404, 404, 404, 404, 400 };
    static const char *const words[] = { "invalid_api_key", "\"401\"", "invalid_api_key",
        "authentication_error", "API_KEY_INVALID", "unauthorized", "security token" };
    struct simulator *sim = start(0, 0);
    char text[200], header[80];
    const struct wire_ask ask = question(CHAT_REFERENCE, 3, 0, text);
    const struct wire_ask nobody = question("nobody", 3, 0, text);
    for (int w = 0; w < N_WIRES; w++) {
        enum wire wire = (enum wire)w;
        snprintf(header, sizeof header, "%sgood\r\n", own[wire]);
        assert_int_equal(status_of(sim, wire, &ask, header, NULL), 200);
        snprintf(header, sizeof header, "%sinvalid\r\n", own[wire]);
        assert_int_equal(status_of(sim, wire, &ask, header, words[wire]), refused[wire]);
        assert_int_equal(status_of(sim, wire, &ask, "Authorization: Basic x\r\n", NULL),
            refused[wire]);
        assert_int_equal(status_of(sim, wire, &nobody, "", NULL), unknown[wire]);
    }
    assert_int_equal(
        status_of(sim, WIRE_BEDROCK, &ask,
            "Authorization: AWS4-HMAC-SHA256 Credential=a, Signature=b\r\n", NULL),
        200);
    assert_int_equal(counted(sim, "requests", "invalid"), 3 * N_WIRES);
    simulate_stop(sim);
}

static int plain(struct simulator *sim, const char *method, const char *path,
    const char *headers, const char *body, const char *says)
{
    struct client_reply reply;
    client_exchange(simulate_port(sim), method, path, headers, body, &reply);
    int status = reply.status;
    if (says && !strstr(buffer_str(&reply.body), says))
        fail_msg("%s: %s", path, buffer_str(&reply.body));
    client_reply_release(&reply);
    return status;
}

static void headers_and_queries_that_vendors_need(void **state)
{
    (void)state;
#define CLAUDE(more)                                                                     \
    "{\"model\":\"" CHAT_CLOUD "\",\"max_tokens\":9," more                               \
    "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}"
    struct simulator *sim = start(0, 0);
    const char *hot = CLAUDE("\"temperature\":0,");
    assert_int_equal(plain(sim, "POST", "/v1/messages", "", CLAUDE(""),
                         "anthropic-version: header is required"),
        400);
    assert_int_equal(plain(sim, "POST", "/v1/messages", "anthropic-version: 1999\r\n",
                         CLAUDE(""), "not a valid version"),
        400);
    assert_int_equal(plain(sim, "POST", "/v1/messages",
                         "anthropic-version: 2023-06-01\r\n", hot, "\"usage\""),
        200);
    assert_int_equal(plain(sim, "POST", "/v1/messages",
                         "anthropic-version: 2026-10-21\r\n", hot, "temperature"),
        400);
    assert_int_equal(plain(sim, "POST", "/v1/messages",
                         "anthropic-version: 2026-10-21\r\n", CLAUDE(""), "\"usage\""),
        200);
    assert_int_equal(plain(sim, "POST", "/openai/deployments/d/chat/completions", "",
                         "{}", "Resource not found"),
        404);
    assert_int_equal(
        plain(sim, "POST", "/v1beta/models/m:generateContent?alt=xml", "", "{}", "alt"),
        400);
    assert_int_equal(
        plain(sim, "GET", "/v1/messages", "", NULL, "\"type\":\"error\""), 405);
    assert_int_equal(plain(sim, "GET", "/api/chat", "", NULL, "{\"error\":\""), 405);
    simulate_stop(sim);
}

/* --- faults --- */

static void ask_with_fault(enum sim_fault fault, enum wire wire, int stream,
    struct client_reply *reply, struct wire_says *says)
{
    struct simulator *sim = start(0.001, FAULT_BIT(fault));
    char text[200];
    const struct wire_ask ask = question(CHAT_REFERENCE, 7, stream, text);
    send_ask(sim, wire, &ask, "", reply);
    wire_read(wire, stream && reply->status == 200, reply, says);
    assert_int_equal(counted(sim, "faults", sim_fault_names[fault]), 1);
    assert_int_equal(
        counted(sim, "requests", sim_fault_answers(fault) ? "answered" : "faulted"), 1);
    simulate_stop(sim);
}

static void errors_have_the_vendors_form(void **state)
{
    (void)state;
    static const struct {
        enum sim_fault fault;
        enum wire wire;
        int status;
        const char *says;
    } cases[] = {
        { FAULT_RATE_LIMIT, WIRE_CHAT, 429, "\"rate_limit_exceeded\"" },
        { FAULT_RATE_LIMIT, WIRE_ANTHROPIC, 429, "\"rate_limit_error\"" },
        { FAULT_RATE_LIMIT, WIRE_GEMINI, 429, "RetryInfo\",\"retryDelay\":\"0.000s\"" },
        { FAULT_RATE_LIMIT, WIRE_BEDROCK, 429, "{\"message\":" },
        { FAULT_RATE_LIMIT, WIRE_OLLAMA, 429, "{\"error\":\"" },
        { FAULT_OVERLOADED, WIRE_ANTHROPIC, 529, "\"overloaded_error\"" },
        { FAULT_UNAVAILABLE, WIRE_GEMINI, 503, "\"UNAVAILABLE\"" },
        { FAULT_QUOTA, WIRE_CHAT, 429, "\"insufficient_quota\"" },
        { FAULT_QUOTA, WIRE_ANTHROPIC, 429, "\"enforced_spend_limit_reached\"" },
        { FAULT_QUOTA, WIRE_GEMINI, 429, "PerDay" },
        { FAULT_QUOTA, WIRE_BEDROCK, 400, "quota" },
        { FAULT_PAYMENT, WIRE_RESPONSES, 402, "\"billing_error\"" },
        { FAULT_PAYMENT, WIRE_ANTHROPIC, 402, "\"billing_error\"" },
        { FAULT_IN_STREAM, WIRE_CHAT, 200, "\"server_error\"" },
        { FAULT_IN_STREAM, WIRE_OLLAMA, 200, "{\"error\":\"" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct client_reply reply;
        struct wire_says says;
        char value[100];
        ask_with_fault(cases[i].fault, cases[i].wire, 0, &reply, &says);
        assert_int_equal(reply.status, cases[i].status);
        if (!strstr(reply.body.data, cases[i].says))
            fail_msg("%s: %s", wire_names[cases[i].wire], reply.body.data);
        if (cases[i].fault == FAULT_QUOTA)
            assert_null(strstr(reply.body.data, "RetryInfo"));
        int waits = cases[i].fault == FAULT_RATE_LIMIT && cases[i].wire <= WIRE_ANTHROPIC;
        assert_int_equal(has_header(&reply, "retry-after"), waits);
        client_header(&reply, "x-amzn-ErrorType", value, sizeof value);
        assert_string_equal(value, cases[i].wire != WIRE_BEDROCK ? ""
                                   : cases[i].fault == FAULT_RATE_LIMIT
                                       ? "ThrottlingException"
                                       : "ServiceQuotaExceededException");
        wire_says_release(&says);
        client_reply_release(&reply);
    }
}

static void faults_within_a_stream(void **state)
{
    (void)state;
    for (int wire = 0; wire < N_WIRES; wire++) {
        struct client_reply reply;
        struct wire_says says;
        ask_with_fault(FAULT_IN_STREAM, (enum wire)wire, 1, &reply, &says);
        assert_true(reply.end == CLIENT_WHOLE && !says.is_broken && says.text.len > 0);
        assert_true(!says.has_end && *says.error);
        wire_says_release(&says);
        client_reply_release(&reply);

        ask_with_fault(FAULT_NO_END, (enum wire)wire, 1, &reply, &says);
        assert_true(reply.end == CLIENT_WHOLE && !says.is_broken && says.text.len > 0);
        assert_true(!says.has_end && !*says.stop && !*says.error);
        assert_true(wire == WIRE_ANTHROPIC || wire == WIRE_GEMINI || says.output == -1);
        wire_says_release(&says);
        client_reply_release(&reply);

        ask_with_fault(FAULT_CUT, (enum wire)wire, 1, &reply, &says);
        assert_int_equal(reply.end, CLIENT_BROKEN);
        wire_says_release(&says);
        client_reply_release(&reply);

        for (int stream = 0; stream < 2; stream++) {
            ask_with_fault(FAULT_BAD_UTF8, (enum wire)wire, stream, &reply, &says);
            assert_true(reply.end == CLIENT_WHOLE && says.is_broken);
            if (!(stream && wire == WIRE_BEDROCK)) /* frames are binary anyway */
                assert_true(
                    text_utf8_valid(reply.body.data, reply.body.len) < reply.body.len);
            wire_says_release(&says);
            client_reply_release(&reply);

            ask_with_fault(FAULT_MALFORMED, (enum wire)wire, stream, &reply, &says);
            assert_true(reply.end == CLIENT_WHOLE && says.is_broken);
            wire_says_release(&says);
            client_reply_release(&reply);

            ask_with_fault(FAULT_NO_USAGE, (enum wire)wire, stream, &reply, &says);
            assert_true(reply.end == CLIENT_WHOLE && !says.is_broken && *says.stop);
            assert_true(says.prompt == -1 && says.output == -1 && says.text.len > 0);
            wire_says_release(&says);
            client_reply_release(&reply);
        }
    }
}

static void a_slow_start_is_slow(void **state)
{
    (void)state;
    int64_t first_ns[2];
    for (int slow = 0; slow < 2; slow++) {
        struct simulator *sim = start(0.02, slow ? FAULT_BIT(FAULT_SLOW_START) : 0);
        struct client_reply reply;
        char text[200];
        const struct wire_ask ask = question(CHAT_REFERENCE, 7, 1, text);
        send_ask(sim, WIRE_CHAT, &ask, "", &reply);
        assert_int_equal(reply.end, CLIENT_WHOLE);
        first_ns[slow] = reply.first_ns - reply.sent_ns;
        client_reply_release(&reply);
        simulate_stop(sim);
    }
    /* About 9 ms and 90 ms to the headers, which come at half the time. */
    assert_true(first_ns[1] > 3 * first_ns[0] && first_ns[1] > 50000000);
}

/* --- refusals --- */

struct ways {
    int words, field, output, prompt;
};

static void way_count(enum wire wire, const struct client_reply *reply,
    const struct wire_says *says, struct ways *ways)
{
    const char *body = buffer_str(&reply->body);
    if (reply->status == 400) {
        assert_non_null(strstr(body, "\"code\":\"content_filter\""));
        assert_non_null(strstr(body, "\"content_filter_result\""));
        ways->prompt++;
    } else if (text_equal(says->stop, "PROHIBITED_CONTENT")) {
        assert_null(strstr(body, "\"candidates\""));
        ways->prompt++;
    } else if (says->refusal.len || text_equal(says->stop, "refusal") ||
               text_equal(says->stop, "content_filtered")) {
        assert_int_equal(says->text.len, 0);
        ways->field++;
    } else if (text_equal(says->stop, "content_filter") ||
               text_equal(says->stop, "SAFETY") ||
               text_equal(says->stop, "guardrail_intervened")) {
        assert_int_equal(says->text.len != 0, wire == WIRE_BEDROCK);
        ways->output++;
    } else {
        ways->words += strstr(buffer_str(&says->text), "[simulated answer") == NULL;
    }
}

static void refusals_come_in_the_vendors_ways(void **state)
{
    (void)state;
    static const struct ways some[N_WIRES] = { { 1, 1, 0, 0 }, { 1, 0, 1, 1 },
        { 1, 1, 1, 0 }, { 1, 1, 0, 0 }, { 1, 0, 1, 1 }, { 1, 0, 0, 0 }, { 1, 1, 1, 0 } };
    enum { N = 120 };
    for (int wire = 0; wire < N_WIRES; wire++) {
        struct simulator *sim = start(0, 0);
        struct ways ways = { 0, 0, 0, 0 };
        for (int i = 0; i < N; i++) {
            struct client_reply reply;
            struct wire_says says;
            char text[200];
            const struct wire_ask ask = question(CHAT_LOCAL, i, i % 2, text);
            send_ask(sim, (enum wire)wire, &ask, "", &reply);
            wire_read((enum wire)wire, i % 2 && reply.status == 200, &reply, &says);
            way_count((enum wire)wire, &reply, &says, &ways);
            wire_says_release(&says);
            client_reply_release(&reply);
        }
        /* A blind query to a local llm is refused in 27 of 100 cases. */
        int all = ways.words + ways.field + ways.output + ways.prompt;
        assert_in_range(all, N / 6, N / 2);
        assert_int_equal(counted(sim, "refusals", NULL), all);
        assert_int_equal(counted(sim, "requests", "answered"), N);
        assert_int_equal(ways.words > 0, some[wire].words);
        assert_int_equal(ways.field > 0, some[wire].field);
        assert_int_equal(ways.output > 0, some[wire].output);
        assert_int_equal(ways.prompt > 0, some[wire].prompt);
        simulate_stop(sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_and_stream_say_the_same),
        cmocka_unit_test(a_limit_has_its_word),
        cmocka_unit_test(gemini_without_sse_is_an_array),
        cmocka_unit_test(keys_and_models_are_checked),
        cmocka_unit_test(headers_and_queries_that_vendors_need),
        cmocka_unit_test(errors_have_the_vendors_form),
        cmocka_unit_test(faults_within_a_stream),
        cmocka_unit_test(a_slow_start_is_slow),
        cmocka_unit_test(refusals_come_in_the_vendors_ways),
    };
    return cmocka_run_group_tests(tests, open_recipe, close_recipe);
}
