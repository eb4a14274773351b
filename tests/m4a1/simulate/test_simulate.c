/* test_simulate.c - the whole server over real sockets: form of the answers, streams,
 * errors, faults and retries, repeatability under load, counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "m4a1/base/clock.h"
#include "m4a1/base/text.h"
#include "m4a1/simulate/sim_fault.h"
#include "m4a1/simulate/simulate.h"
#include "tests/support/chat_body.h"
#include "tests/support/http_client.h"
#include "tests/support/sim_case.h"

#define KEY "Authorization: Bearer test-key\r\nConnection: close\r\n"
#define CHAT "/v1/chat/completions"

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

/* The kinds that are told apart below. */
#define KINDS                                                                            \
    (FAULT_BIT(FAULT_RATE_LIMIT) | FAULT_BIT(FAULT_SERVER_ERROR) |                       \
        FAULT_BIT(FAULT_UNAVAILABLE) | FAULT_BIT(FAULT_DROPPED) | FAULT_BIT(FAULT_CUT) | \
        FAULT_BIT(FAULT_MALFORMED) | FAULT_BIT(FAULT_UNPARSABLE))

static struct simulator *start(double time_scale, double faults)
{
    struct simulate_options options = { .recipe = recipe,
        .seed = 1,
        .time_scale = time_scale,
        .fault_probability = faults,
        .fault_kinds = KINDS };
    struct simulator *sim;
    struct error err = ERROR_INIT;
    if (simulate_start(&options, &sim, &err) != OK)
        fail_msg("%s", err.msg);
    return sim;
}

static void post(struct simulator *sim, const char *body, struct client_reply *reply)
{
    client_exchange(simulate_port(sim), "POST", CHAT, KEY, body, reply);
}

static struct json *parse(const char *text, size_t len)
{
    struct json *root;
    struct error err = ERROR_INIT;
    if (json_parse(text, len, "answer", JSON_UNIQUE_KEYS, &root, &err) != OK)
        fail_msg("%s: %.*s", err.msg, (int)len, text);
    return root;
}

static struct json *parse_body(const struct client_reply *reply)
{
    return parse(buffer_str(&reply->body), reply->body.len);
}

static struct json *get_stats(struct simulator *sim)
{
    struct client_reply reply;
    client_exchange(simulate_port(sim), "GET", "/simulator/stats", "", NULL, &reply);
    assert_int_equal(reply.status, 200);
    struct json *root = parse_body(&reply);
    client_reply_release(&reply);
    return root;
}

static int64_t stat(const struct json *stats, const char *object, const char *key)
{
    return json_int(json_get(json_get(stats, object), key), -1);
}

/* Every request ends in one of these. */
static void assert_adds_up(const struct json *stats)
{
    assert_int_equal(stat(stats, "requests", "seen"),
        stat(stats, "requests", "answered") + stat(stats, "requests", "invalid") +
            stat(stats, "requests", "faulted") + stat(stats, "requests", "abandoned") +
            stat(stats, "requests", "in_flight"));
}

static void small_paths_answer(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path;
        int status;
    } cases[] = {
        { "GET", "/health", 200 },
        { "GET", "/v1/models", 200 },
        { "GET", "/some/prefix/v1/models", 200 },
        { "GET", "/simulator/stats", 200 },
        { "GET", "/v1/chat/completions", 405 },
        { "POST", "/v1/completions", 404 },
        { "GET", "/", 404 },
        { "DELETE", "/v1/models", 404 },
    };
    struct simulator *sim = start(0, 0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct client_reply reply;
        char value[16];
        client_exchange(
            simulate_port(sim), cases[i].method, cases[i].path, "", NULL, &reply);
        assert_int_equal(reply.status, cases[i].status);
        assert_string_equal(
            client_header(&reply, "x-m4a1-simulated", value, sizeof value), "1");
        struct json *root = parse_body(&reply);
        assert_int_equal(json_get(root, "error") != NULL, cases[i].status != 200);
        if (text_ends(cases[i].path, "/v1/models") && cases[i].status == 200)
            assert_int_equal(json_size(json_get(root, "data")), 4);
        json_free(root);
        client_reply_release(&reply);
    }
    struct json *stats = get_stats(sim);
    assert_int_equal(stat(stats, "requests", "seen"), 0);
    json_free(stats);
    simulate_stop(sim);
}

static void check_usage(const struct json *usage, const char *text)
{
    int64_t prompt = json_int(json_get(usage, "prompt_tokens"), -1);
    int64_t completion = json_int(json_get(usage, "completion_tokens"), -1);
    assert_int_equal(completion, (int64_t)(strlen(text) + 3) / 4);
    assert_true(prompt > 2 * 425);
    assert_int_equal(json_int(json_get(usage, "total_tokens"), -1), prompt + completion);
    assert_int_equal(stat(usage, "prompt_tokens_details", "cached_tokens"), 0);
    assert_int_equal(stat(usage, "completion_tokens_details", "reasoning_tokens"), 0);
}

/* wire.md section 1: CreateChatCompletionResponse. */
static void a_whole_answer_has_the_published_form(void **state)
{
    (void)state;
    struct simulator *sim = start(0.01, 0);
    struct client_reply reply;
    char value[64];
    char *body = chat_body(CHAT_REFERENCE, sim_prompt(recipe, "Query"), 3, 2, "");
    post(sim, body, &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(
        client_header(&reply, "content-type", value, sizeof value), "application/json");
    assert_string_equal(
        client_header(&reply, "x-m4a1-simulated", value, sizeof value), "1");
    assert_true(
        text_starts(client_header(&reply, "x-request-id", value, sizeof value), "req_"));
    client_header(&reply, "openai-processing-ms", value, sizeof value);
    int64_t ms = strtol(value, NULL, 10);
    assert_true(ms > 5 && (reply.first_ns - reply.sent_ns) / 1000000 >= ms);
    static const char *const limits[] = { "x-ratelimit-limit-requests",
        "x-ratelimit-limit-tokens", "x-ratelimit-remaining-requests",
        "x-ratelimit-remaining-tokens", "x-ratelimit-reset-requests",
        "x-ratelimit-reset-tokens" };
    for (size_t i = 0; i < COUNT_OF(limits); i++)
        assert_string_not_equal(
            client_header(&reply, limits[i], value, sizeof value), "");
    struct json *root = parse_body(&reply);
    assert_string_equal(json_text(json_get(root, "object"), ""), "chat.completion");
    assert_string_equal(
        json_text(json_get(root, "system_fingerprint"), ""), "m4a1-simulator-1");
    assert_string_equal(json_text(json_get(root, "model"), ""), CHAT_REFERENCE);
    assert_true(text_starts(json_text(json_get(root, "id"), ""), "chatcmpl-"));
    assert_true(json_is_int(json_get(root, "created")));
    assert_int_equal(json_size(json_get(root, "choices")), 1);
    const struct json *choice = json_at(json_get(root, "choices"), 0);
    const struct json *message = json_get(choice, "message");
    const char *text = json_text(json_get(message, "content"), "");
    assert_int_equal(json_int(json_get(choice, "index"), -1), 0);
    assert_string_equal(json_text(json_get(choice, "finish_reason"), ""), "stop");
    assert_true(json_is_null(json_get(choice, "logprobs")));
    assert_string_equal(json_text(json_get(message, "role"), ""), "assistant");
    assert_true(json_is_null(json_get(message, "refusal")));
    assert_non_null(strstr(text, "[simulated answer, quality "));
    check_usage(json_get(root, "usage"), text);
    json_free(root);
    client_reply_release(&reply);
    free(body);
    simulate_stop(sim);
}

static void a_token_limit_cuts_the_answer(void **state)
{
    (void)state;
    struct simulator *sim = start(0, 0);
    struct client_reply reply;
    char *body = chat_body(CHAT_REFERENCE, sim_prompt(recipe, "Query"), 3, 2,
        "\"max_completion_tokens\":5,");
    post(sim, body, &reply);
    struct json *root = parse_body(&reply);
    const struct json *choice = json_at(json_get(root, "choices"), 0);
    assert_string_equal(json_text(json_get(choice, "finish_reason"), ""), "length");
    assert_in_range(
        strlen(json_text(json_get(json_get(choice, "message"), "content"), "")), 17, 20);
    assert_int_equal(stat(root, "usage", "completion_tokens"), 5);
    json_free(root);
    client_reply_release(&reply);
    free(body);
    simulate_stop(sim);
}

/* --- streams --- */

struct events {
    struct buffer text; /* all content put together */
    size_t n, n_role, n_finish, n_usage;
    int done;
};

static void event_read(struct events *events, const char *data, size_t len, int usage)
{
    struct json *root = parse(data, len);
    const struct json *choices = json_get(root, "choices");
    assert_string_equal(json_text(json_get(root, "object"), ""), "chat.completion.chunk");
    assert_string_equal(
        json_text(json_get(root, "system_fingerprint"), ""), "m4a1-simulator-1");
    if (!json_size(choices)) {
        assert_true(usage && events->n_finish == 1);
        check_usage(json_get(root, "usage"), buffer_str(&events->text));
        events->n_usage++;
    } else {
        const struct json *choice = json_at(choices, 0);
        const struct json *delta = json_get(choice, "delta");
        assert_int_equal(json_is_null(json_get(root, "usage")), usage);
        if (json_get(delta, "role")) {
            assert_int_equal(events->n, 0);
            events->n_role++;
        }
        assert_int_equal(events->n_finish, 0);
        (void)buffer_add_str(&events->text, json_text(json_get(delta, "content"), ""));
        if (json_is_string(json_get(choice, "finish_reason")))
            events->n_finish++;
    }
    events->n++;
    json_free(root);
}

static void stream_read(
    const struct client_reply *reply, int usage, struct events *events)
{
    memset(events, 0, sizeof *events);
    buffer_init(&events->text, 1u << 20);
    const char *at = buffer_str(&reply->body);
    while (*at) {
        const char *end = strstr(at, "\n\n");
        assert_non_null(end);
        assert_false(events->done);
        assert_true(text_starts(at, "data: "));
        if (text_starts(at, "data: [DONE]"))
            events->done = 1;
        else
            event_read(events, at + 6, (size_t)(end - at) - 6, usage);
        at = end + 2;
    }
}

/* The content of the same request, sent whole. */
static char *whole_text(struct simulator *sim, const char *model, int scene)
{
    struct client_reply reply;
    char *body = chat_body(model, sim_prompt(recipe, "Recommendation"), scene, 2, "");
    post(sim, body, &reply);
    struct json *root = parse_body(&reply);
    const struct json *message =
        json_get(json_at(json_get(root, "choices"), 0), "message");
    char *text = text_copy(json_text(json_get(message, "content"), ""));
    json_free(root);
    client_reply_release(&reply);
    free(body);
    return text;
}

static int has_split_character(const struct client_reply *reply)
{
    for (size_t i = 0; i + 1 < reply->n_pieces; i++)
        if (((unsigned char)reply->body.data[reply->piece_end[i]] & 0xc0) == 0x80)
            return 1;
    return 0;
}

static void streams_say_the_same_in_pieces(void **state)
{
    (void)state;
    struct simulator *sim = start(0.002, 0);
    int n_split = 0;
    for (int scene = 0; scene < 20; scene++) {
        struct client_reply reply;
        struct events events;
        int usage = scene % 2;
        char value[64];
        char *body = chat_body(CHAT_CLOUD, sim_prompt(recipe, "Recommendation"), scene, 2,
            usage ? "\"stream\":true,\"stream_options\":{\"include_usage\":true},"
                  : "\"stream\":true,");
        char *whole = whole_text(sim, CHAT_CLOUD, scene);
        post(sim, body, &reply);
        assert_int_equal(reply.end, CLIENT_WHOLE);
        client_header(&reply, "content-type", value, sizeof value);
        assert_true(text_starts(value, "text/event-stream"));
        stream_read(&reply, usage, &events);
        assert_string_equal(events.text.data, whole);
        assert_int_equal(events.n_role, 1);
        assert_int_equal(events.n_finish, 1);
        assert_int_equal(events.n_usage, usage);
        assert_true(events.done);
        assert_true(events.n > 4 && reply.n_pieces > events.n);
        n_split += has_split_character(&reply);
        buffer_release(&events.text);
        client_reply_release(&reply);
        free(whole);
        free(body);
    }
    assert_true(n_split > 5);
    simulate_stop(sim);
}

static void streams_take_their_time(void **state)
{
    (void)state;
    struct simulator *sim = start(0.2, 0);
    struct client_reply reply;
    char *body =
        chat_body(CHAT_REFERENCE, sim_prompt(recipe, "Query"), 3, 0, "\"stream\":true,");
    post(sim, body, &reply);
    assert_int_equal(reply.end, CLIENT_WHOLE);
    /* About 0.18 s to the first token, then about 50 tokens at 175 a second. */
    assert_true(reply.first_ns - reply.sent_ns > 50000000);
    assert_true(reply.last_ns - reply.first_ns > 100000000);
    client_reply_release(&reply);
    free(body);
    simulate_stop(sim);
}

/* --- errors --- */

static void error_check(struct simulator *sim, const char *headers, const char *body,
    int status, const char *code)
{
    struct client_reply reply;
    client_exchange(simulate_port(sim), "POST", CHAT, headers, body, &reply);
    assert_int_equal(reply.status, status);
    struct json *root = parse_body(&reply);
    const struct json *error = json_get(root, "error");
    assert_string_equal(json_text(json_get(error, "code"), ""), code);
    assert_string_equal(json_text(json_get(error, "type"), ""), "invalid_request_error");
    json_free(root);
    client_reply_release(&reply);
}

static void mistakes_get_the_published_errors(void **state)
{
    (void)state;
    struct simulator *sim = start(0, 0);
    char *cloud = chat_body(CHAT_CLOUD, "x", 0, 0, "");
    char *local = chat_body(CHAT_LOCAL, "x", 0, 0, "");
    char *nobody = chat_body("nobody", "x", 0, 0, "");
    struct client_reply reply;
    error_check(sim, KEY, nobody, 404, "model_not_found");
    error_check(sim, KEY, "{}", 400, "");
    error_check(sim, "Authorization: Basic x\r\n", local, 401, "");
    error_check(sim, "Authorization: Bearer invalid\r\n", cloud, 401, "invalid_api_key");
    /* None is needed: collectors keep their keys from a simulator. */
    client_exchange(simulate_port(sim), "POST", CHAT, "", local, &reply);
    assert_int_equal(reply.status, 200);
    client_reply_release(&reply);
    struct json *stats = get_stats(sim);
    assert_int_equal(stat(stats, "requests", "invalid"), 4);
    assert_int_equal(stat(stats, "requests", "answered"), 1);
    assert_int_equal(stat(stats, "requests", "distinct"), 1);
    assert_adds_up(stats);
    json_free(stats);
    free(cloud);
    free(local);
    free(nobody);
    simulate_stop(sim);
}

/* --- faults --- */

enum seen {
    SEEN_OK,
    SEEN_429,
    SEEN_500,
    SEEN_503,
    SEEN_DROP,
    SEEN_CUT,
    SEEN_MALFORMED,
    N_SEEN
};

static int is_json(const char *text, size_t len)
{
    struct json *root;
    int ok = json_parse(text, len, "x", 0, &root, NULL) == OK;
    json_free(root);
    return ok;
}

static int events_are_json(const struct client_reply *reply)
{
    for (const char *at = buffer_str(&reply->body); *at;) {
        const char *end = strstr(at, "\n\n");
        if (!end)
            return 0;
        if (!text_starts(at, "data: [DONE]") && !is_json(at + 6, (size_t)(end - at) - 6))
            return 0;
        at = end + 2;
    }
    return 1;
}

static enum seen kind_seen(const struct client_reply *reply, int stream)
{
    char value[32];
    if (reply->end == CLIENT_NONE)
        return SEEN_DROP;
    if (reply->end == CLIENT_BROKEN) {
        assert_int_equal(reply->status, 200);
        assert_true(reply->body.len > 0);
        return SEEN_CUT;
    }
    if (reply->status == 429) {
        client_header(reply, "retry-after", value, sizeof value);
        assert_string_equal(value, "1");
        client_header(reply, "retry-after-ms", value, sizeof value);
        assert_string_equal(value, "2");
        return SEEN_429;
    }
    if (reply->status != 200)
        return reply->status == 500 ? SEEN_500 : SEEN_503;
    int ok = stream ? events_are_json(reply)
                    : is_json(buffer_str(&reply->body), reply->body.len);
    return ok ? SEEN_OK : SEEN_MALFORMED;
}

/* Send request i until it is answered; the kinds seen, as digits in base 8. */
static int fault_history(struct simulator *sim, int i, int kinds[N_SEEN])
{
    int history = 0;
    char *body = chat_body(
        CHAT_CLOUD, sim_prompt(recipe, "Query"), i, 1, i % 2 ? "\"stream\":true," : "");
    for (int times = 1;; times++) {
        struct client_reply reply;
        post(sim, body, &reply);
        enum seen kind = kind_seen(&reply, i % 2);
        client_reply_release(&reply);
        kinds[kind]++;
        history = history * 8 + (int)kind;
        if (kind == SEEN_OK)
            break;
        assert_true(times <= FAULT_TIMES);
    }
    free(body);
    return history;
}

static void faults_come_and_retries_pass(void **state)
{
    (void)state;
    enum { N = 120 };
    static const char *const names[N_SEEN] = { "", "rate_limit", "server_error",
        "unavailable", "dropped", "cut", "malformed" };
    struct simulator *first = start(0.005, 0.5), *second = start(0.005, 0.5);
    int kinds[N_SEEN] = { 0 }, again[N_SEEN] = { 0 }, history[N];
    for (int i = 0; i < N; i++)
        history[i] = fault_history(first, i, kinds);
    for (int i = N - 1; i >= 0; i--)
        assert_int_equal(history[i], fault_history(second, i, again));
    struct json *stats = get_stats(first);
    int n_faults = 0;
    for (int k = 1; k < N_SEEN; k++) {
        assert_true(kinds[k] > 3);
        assert_int_equal(stat(stats, "faults", names[k]), kinds[k]);
        n_faults += kinds[k];
    }
    assert_int_equal(kinds[SEEN_OK], N);
    assert_int_equal(stat(stats, "requests", "answered"), N);
    assert_int_equal(stat(stats, "requests", "faulted"), n_faults);
    assert_int_equal(stat(stats, "requests", "distinct"), N);
    assert_adds_up(stats);
    json_free(stats);
    simulate_stop(first);
    simulate_stop(second);
}

static void a_judge_is_unparsable_once(void **state)
{
    (void)state;
    struct simulator *sim = start(0.005, 1);
    int n_prose = 0;
    for (int i = 0; i < 60; i++) {
        char *body = chat_body(CHAT_JUDGE, "<candidate>a</candidate>", i, 1, "");
        for (int times = 1; times <= 3; times++) {
            struct client_reply reply;
            post(sim, body, &reply);
            if (kind_seen(&reply, 0) == SEEN_OK) {
                struct json *root = parse_body(&reply);
                const struct json *message =
                    json_get(json_at(json_get(root, "choices"), 0), "message");
                const char *text = json_text(json_get(message, "content"), "");
                int prose = !strchr(text, '{');
                assert_true(times == 3 ? !prose : prose && times == 1);
                n_prose += prose;
                json_free(root);
            }
            client_reply_release(&reply);
        }
        free(body);
    }
    struct json *stats = get_stats(sim);
    assert_true(n_prose > 2);
    assert_int_equal(stat(stats, "faults", "unparsable"), n_prose);
    assert_int_equal(stat(stats, "requests", "answered"), 60 + n_prose);
    assert_int_equal(stat(stats, "requests", "seen_again"), 60);
    assert_adds_up(stats);
    json_free(stats);
    simulate_stop(sim);
}

/* --- many at once --- */

#define N_PARALLEL 200

struct client {
    pthread_t thread;
    struct simulator *sim;
    char *body;
    struct client_reply reply;
};

static void *client_run(void *arg)
{
    struct client *client = arg;
    post(client->sim, client->body, &client->reply);
    return NULL;
}

static void client_prepare(struct client *client, struct simulator *sim, int i)
{
    static const char *const models[] = { CHAT_LOCAL, CHAT_CLOUD, CHAT_REFERENCE };
    char extra[64];
    snprintf(extra, sizeof extra, "\"seed\":%d,%s", i, i % 2 ? "\"stream\":true," : "");
    memset(client, 0, sizeof *client);
    client->sim = sim;
    client->body = chat_body(models[i % 3],
        sim_prompt(recipe, recipe->tasks[(size_t)i % recipe->n_tasks]), i, i % 4, extra);
}

/* In parallel and one by one, in the other order, on another server: the same bytes. */
static void order_and_load_change_nothing(void **state)
{
    (void)state;
    static struct client clients[N_PARALLEL];
    struct simulator *sim = start(0.1, 0), *other = start(0, 0);
    for (int i = 0; i < N_PARALLEL; i++) {
        client_prepare(&clients[i], sim, i);
        assert_int_equal(
            pthread_create(&clients[i].thread, NULL, client_run, &clients[i]), 0);
    }
    for (int i = 0; i < N_PARALLEL; i++)
        pthread_join(clients[i].thread, NULL);
    for (int i = N_PARALLEL - 1; i >= 0; i--) {
        struct client_reply reply;
        char id[64], other_id[64];
        post(other, clients[i].body, &reply);
        assert_int_equal(clients[i].reply.end, CLIENT_WHOLE);
        assert_string_equal(reply.body.data, clients[i].reply.body.data);
        assert_string_equal(client_header(&reply, "x-request-id", id, sizeof id),
            client_header(&clients[i].reply, "x-request-id", other_id, sizeof other_id));
        client_reply_release(&reply);
        client_reply_release(&clients[i].reply);
        free(clients[i].body);
    }
    struct json *stats = get_stats(sim);
    assert_int_equal(stat(stats, "requests", "answered"), N_PARALLEL);
    assert_int_equal(stat(stats, "requests", "in_flight"), 0);
    assert_true(stat(stats, "requests", "peak_in_flight") > N_PARALLEL / 4);
    assert_adds_up(stats);
    print_message(
        "at most %lld in flight\n", (long long)stat(stats, "requests", "peak_in_flight"));
    json_free(stats);
    simulate_stop(sim);
    simulate_stop(other);
}

static void clients_that_leave_are_counted(void **state)
{
    (void)state;
    struct simulator *sim = start(0.2, 0);
    for (int i = 0; i < 10; i++) {
        struct client client;
        client_prepare(&client, sim, i);
        int fd = client_connect(simulate_port(sim));
        assert_int_equal(
            client_send(fd, "POST", CHAT, KEY, client.body, strlen(client.body)), 0);
        clock_sleep_ns(20000000);
        close(fd);
        free(client.body);
    }
    struct json *stats = get_stats(sim);
    for (int i = 0; i < 500 && stat(stats, "requests", "in_flight") > 0; i++) {
        assert_adds_up(stats);
        json_free(stats);
        clock_sleep_ns(20000000);
        stats = get_stats(sim);
    }
    assert_int_equal(stat(stats, "requests", "seen"), 10);
    assert_int_equal(stat(stats, "requests", "abandoned"), 10);
    json_free(stats);
    simulate_stop(sim);
}

static void it_stops_while_requests_are_under_way(void **state)
{
    (void)state;
    static struct client clients[50];
    struct simulator *sim = start(100, 0);
    for (int i = 0; i < 50; i++) {
        client_prepare(&clients[i], sim, i);
        assert_int_equal(
            pthread_create(&clients[i].thread, NULL, client_run, &clients[i]), 0);
    }
    for (int i = 0; i < 1000; i++) {
        struct json *stats = get_stats(sim);
        int64_t n = stat(stats, "requests", "in_flight");
        json_free(stats);
        if (n == 50)
            break;
        clock_sleep_ns(5000000);
    }
    int64_t begin = clock_mono_ns();
    simulate_stop(sim);
    assert_true(clock_mono_ns() - begin < 5000000000LL);
    for (int i = 0; i < 50; i++) {
        pthread_join(clients[i].thread, NULL);
        assert_int_not_equal(clients[i].reply.end, CLIENT_WHOLE);
        client_reply_release(&clients[i].reply);
        free(clients[i].body);
    }
    simulate_stop(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_paths_answer),
        cmocka_unit_test(a_whole_answer_has_the_published_form),
        cmocka_unit_test(a_token_limit_cuts_the_answer),
        cmocka_unit_test(streams_say_the_same_in_pieces),
        cmocka_unit_test(streams_take_their_time),
        cmocka_unit_test(mistakes_get_the_published_errors),
        cmocka_unit_test(faults_come_and_retries_pass),
        cmocka_unit_test(a_judge_is_unparsable_once),
        cmocka_unit_test(order_and_load_change_nothing),
        cmocka_unit_test(clients_that_leave_are_counted),
        cmocka_unit_test(it_stops_while_requests_are_under_way),
    };
    return cmocka_run_group_tests(tests, open_recipe, close_recipe);
}
