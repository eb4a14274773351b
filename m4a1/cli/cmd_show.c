/* cmd_show.c - m4a1 show: one call, what was sent and what came back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/clock.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/cli.h"
#include "m4a1/cli/show_curl.h"
#include "schema/payload.h"
#include "schema/query.h"

#define MAX_PAYLOAD (64u << 20)

static const struct cli_option options[] = {
    { "attempt", "N", "the request of this attempt (default: the last one)" },
    { "raw", NULL, "also print what came back, byte by byte" },
    { "curl", NULL, "the request as a curl command, images and all, without the key" },
    { "json", NULL, "everything as one JSON document" },
    { NULL, NULL, NULL },
};

/* ---- reading: everything into one JSON document --------------------------------- */

/* A row as an object: each column under its own name in names, NULL left out. */
static int row_to_json(
    struct json *to, const struct query *q, const char *const *names, const char *types)
{
    int ok = 1;
    for (int i = 0; ok && types[i]; i++) {
        if (query_is_null(q, i))
            continue;
        switch (types[i]) {
        case 'i': ok = json_set_int(to, names[i], query_int(q, i)) != NULL; break;
        case 'd': ok = json_set_number(to, names[i], query_double(q, i)) != NULL; break;
        default: ok = json_set_text(to, names[i], query_text(q, i)) != NULL; break;
        }
    }
    return ok;
}

static enum status read_call(
    struct store *store, int64_t call_id, struct json *to, struct error *err)
{
    static const char *const names[] = { "call_id", "purpose", "session", "turn", "scene",
        "at_ms", "task", "prompt", "llm", "model", "views_added", "views_context",
        "probability", "parent_id", "subject_id", "state", "identity" };
    struct query *q = NULL;
    enum status s = query_open(store,
        "SELECT c.call_id, c.purpose, t.session_id, t.position, n.name, e.at_ms, k.name,"
        " coalesce(c.text, p.text), l.name, l.model,"
        " (SELECT group_concat(view, ', ') FROM call_view v"
        "  WHERE v.call_id = c.call_id AND added),"
        " (SELECT group_concat(view, ', ') FROM call_view v WHERE v.call_id = c.call_id),"
        " c.probability, c.parent_id, c.subject_id, s.state, c.identity"
        " FROM call c JOIN turn t USING (turn_id) JOIN session e USING (session_id)"
        " JOIN scene n USING (scene_id) JOIN prompt p USING (prompt_id)"
        " JOIN task k USING (task_id) JOIN llm l USING (llm_id)"
        " JOIN call_state s ON s.call_id = c.call_id WHERE c.call_id = ?",
        &q, err);
    if (s)
        return s;
    query_bind(q, "i", call_id);
    s = query_next(q, err);
    if (!s && !query_has_row(q))
        s = error_set(err, E_NOT_FOUND, "%s has no call %lld", store_path(store),
            (long long)call_id);
    else if (!s && !row_to_json(to, q, names, "itiitittttttdiitt"))
        s = error_nomem(err, 1);
    query_close(q);
    return s;
}

/* A packed column as text, or as JSON where it is that. */
static enum status add_payload(const struct query *q, int column, struct json *to,
    const char *name, int as_json, struct error *err)
{
    struct buffer b;
    buffer_init(&b, MAX_PAYLOAD);
    size_t len = 0;
    const void *packed = query_bytes(q, column, &len);
    struct json *j = NULL;
    enum status s = packed ? payload_unpack(packed, len, &b, err) : OK;
    if (!s && packed && as_json) {
        s = json_parse(buffer_str(&b), b.len, name, 0, &j, err);
        if (!s && !json_set_copy(to, name, j))
            s = error_nomem(err, b.len);
    } else if (!s && packed) {
        // What came may be cut inside a character.
        for (size_t i = 0; (i += text_utf8_valid(b.data + i, b.len - i)) < b.len;)
            b.data[i] = '?';
        if (!json_set_text(to, name, buffer_str(&b)))
            s = error_nomem(err, b.len);
    }
    json_free(j);
    buffer_release(&b);
    return s;
}

static enum status read_attempts(
    struct store *store, int64_t call_id, struct json *to, struct error *err)
{
    static const char *const names[] = { "number", "status", "final", "error_class",
        "error", "sent_ms", "http_status", "request_id", "request_sha256", "queue_ns",
        "name_lookup_ns", "connect_ns", "upload_ns", "first_byte_ns", "first_token_ns",
        "latency_ns", "in_flight", "reused", "warm_up", "reserved_pusd", "counted_pusd" };
    struct query *q = NULL;
    enum status s = query_open(store,
        "SELECT a.number, a.status, a.final, a.error_class, a.error, a.sent_ms,"
        " a.http_status, a.request_id, a.request_sha256, a.queue_ns, a.name_lookup_ns,"
        " a.connect_ns, a.upload_ns, a.first_byte_ns, a.first_token_ns, a.latency_ns,"
        " a.in_flight, a.reused, a.warm_up, a.reserved_pusd, x.counted_pusd, a.request,"
        " a.received FROM attempt a JOIN attempt_cost x USING (attempt_id)"
        " WHERE a.call_id = ? ORDER BY a.number",
        &q, err);
    if (s)
        return s;
    struct json *list = json_set_array(to, "attempts");
    query_bind(q, "i", call_id);
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        struct json *j = json_add_object(list);
        if (!j || !row_to_json(j, q, names, "itittiittiiiiiiiiiiii"))
            s = error_nomem(err, 1);
        if (!s)
            s = add_payload(q, 21, j, "request", 1, err);
        if (!s)
            s = add_payload(q, 22, j, "received", 0, err);
        if (s)
            break;
    }
    query_close(q);
    return s;
}

static enum status read_answer(
    struct store *store, int64_t call_id, struct json *to, struct error *err)
{
    static const char *const names[] = { "response_id", "text", "stop_reason",
        "provider_stop", "model", "fingerprint", "input_tokens", "cache_read_tokens",
        "cache_write_tokens", "output_tokens", "reasoning_tokens", "provider_cost_usd",
        "reported_latency_s", "reported_cost_usd", "simulated", "cost_usd" };
    struct query *q = NULL;
    enum status s = query_open(store,
        "SELECT a.response_id, a.text, a.stop_reason, a.provider_stop, a.model,"
        " a.fingerprint, a.input_tokens, a.cache_read_tokens, a.cache_write_tokens,"
        " a.output_tokens, a.reasoning_tokens, a.provider_cost_usd, a.reported_latency_s,"
        " a.reported_cost_usd, a.simulated, rc.cost_pusd / 1e12"
        " FROM answer a LEFT JOIN response_cost rc USING (response_id)"
        " WHERE a.call_id = ?",
        &q, err);
    if (s)
        return s;
    query_bind(q, "i", call_id);
    s = query_next(q, err);
    if (!s && query_has_row(q) &&
        !row_to_json(json_set_object(to, "answer"), q, names,
            "ittttttiiiiddd"
            "id"))
        s = error_nomem(err, 1);
    query_close(q);
    return s;
}

static enum status read_scores(
    struct store *store, int64_t call_id, struct json *to, struct error *err)
{
    static const char *const names[] = { "scorer", "version", "value", "reason" };
    struct query *q = NULL;
    enum status s = query_open(store,
        "SELECT s.scorer, s.version, s.value, s.reason FROM score s"
        " JOIN answer a USING (response_id) WHERE a.call_id = ? ORDER BY s.score_id",
        &q, err);
    if (s)
        return s;
    struct json *list = json_set_array(to, "scores");
    query_bind(q, "i", call_id);
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        if (!row_to_json(json_add_object(list), q, names, "ttdt")) {
            s = error_nomem(err, 1);
            break;
        }
    }
    query_close(q);
    return s;
}

/* ---- printing for a person ------------------------------------------------------ */

static const char *text_at(const struct json *j, const char *name)
{
    return json_text(json_get(j, name), "");
}

static void print_content(const struct json *content)
{
    if (json_is_string(content))
        printf("    %s\n", json_text(content, ""));
    const struct json *p = json_is_array(content) ? json_first(content) : NULL;
    for (; p; p = json_next(p)) {
        const char *url = json_text(json_get(json_get(p, "image_url"), "url"), NULL);
        if (url)
            printf("    [image %.19s...]\n", url);
        else
            printf("    %s\n", text_at(p, "text"));
    }
}

static void print_request(const struct json *attempt)
{
    const struct json *request = json_get(attempt, "request");
    const struct json *m = json_first(json_get(request, "messages"));
    printf("\nSent (attempt %lld, model %s):\n",
        (long long)json_int(json_get(attempt, "number"), 0), text_at(request, "model"));
    for (; m; m = json_next(m)) {
        printf("  %s:\n", text_at(m, "role"));
        print_content(json_get(m, "content"));
    }
}

/* "0.123 s", or "-" where it was not measured. */
static const char *seconds_at(const struct json *j, const char *name, char buf[32])
{
    const struct json *x = json_get(j, name);
    if (x)
        snprintf(buf, 32, "%.3f s", json_number(x, 0) / 1e9);
    else
        snprintf(buf, 32, "-");
    return buf;
}

static void print_attempts(const struct json *attempts)
{
    struct table *t = table_new(8);
    table_row(t, "attempt", "sent", "outcome", "HTTP", "first byte", "first token",
        "latency", "in flight");
    const struct json *a = json_first(attempts);
    for (; a; a = json_next(a)) {
        char number[24], sent[32], http[24], first[32], token[32], all[32], others[24];
        const char *class = text_at(a, "error_class");
        snprintf(
            number, sizeof number, "%lld", (long long)json_int(json_get(a, "number"), 0));
        snprintf(http, sizeof http, "%lld",
            (long long)json_int(json_get(a, "http_status"), 0));
        snprintf(others, sizeof others, "%lld",
            (long long)json_int(json_get(a, "in_flight"), 0));
        clock_iso8601(json_int(json_get(a, "sent_ms"), 0), sent, sizeof sent);
        table_row(t, number, sent, *class ? class : text_at(a, "status"), http,
            seconds_at(a, "first_byte_ns", first), seconds_at(a, "first_token_ns", token),
            seconds_at(a, "latency_ns", all), others);
    }
    printf("\n");
    table_print(t);
    table_free(t);
    for (a = json_first(attempts); a; a = json_next(a))
        if (json_get(a, "error"))
            printf("attempt %lld: %s\n", (long long)json_int(json_get(a, "number"), 0),
                text_at(a, "error"));
}

static void print_count(const struct json *answer, const char *name, const char *label)
{
    const struct json *n = json_get(answer, name);
    if (n)
        printf("%lld %s", (long long)json_int(n, 0), label);
    else
        printf("unknown %s", label);
}

static void print_answer(const struct json *answer)
{
    printf("\nAnswer (%s%s):\n    %s\n",
        *text_at(answer, "stop_reason") ? text_at(answer, "stop_reason") : "imported",
        json_int(json_get(answer, "simulated"), 0) ? ", simulated" : "",
        text_at(answer, "text"));
    if (!*text_at(answer, "stop_reason"))
        return;
    printf("Tokens: ");
    print_count(answer, "input_tokens", "input, ");
    print_count(answer, "cache_read_tokens", "read from cache, ");
    print_count(answer, "cache_write_tokens", "written to cache, ");
    print_count(answer, "output_tokens", "output, ");
    print_count(answer, "reasoning_tokens", "reasoning\n");
    char usd[32];
    const struct json *cost = json_get(answer, "cost_usd");
    printf(
        "Cost: %s\n", cost ? text_usd(json_number(cost, 0), usd, sizeof usd) : "unknown");
}

static void print_call(const struct json *j)
{
    printf("Call %lld: %s, session %lld, turn %lld, %s\n",
        (long long)json_int(json_get(j, "call_id"), 0), text_at(j, "purpose"),
        (long long)json_int(json_get(j, "session"), 0),
        (long long)json_int(json_get(j, "turn"), 0), text_at(j, "state"));
    printf("Scene:  %s at %.3f s\n", text_at(j, "scene"),
        json_number(json_get(j, "at_ms"), 0) / 1e3);
    printf("Task:   %s\nLLM:    %s (%s)\n", text_at(j, "task"), text_at(j, "llm"),
        text_at(j, "model"));
    printf("Views:  adds %s; then in context: %s\n",
        *text_at(j, "views_added") ? text_at(j, "views_added") : "none",
        *text_at(j, "views_context") ? text_at(j, "views_context") : "none");
    if (json_get(j, "probability"))
        printf(
            "Chosen with probability %.4g\n", json_number(json_get(j, "probability"), 0));
    printf("Asks:   %s\n", text_at(j, "prompt"));
}

static enum status print_all(struct cli *cli, const struct json *j, struct error *err)
{
    const struct json *attempts = json_get(j, "attempts"), *a = NULL;
    size_t n = json_size(attempts);
    int64_t number = 0;
    enum status s = cli_int(cli, "attempt", (int64_t)n, 1, 1000000, &number, err);
    if (s)
        return s;
    if (n && !(a = json_at(attempts, (size_t)number - 1)))
        return error_set(err, E_NOT_FOUND, "this call has %zu attempts, no number %lld",
            n, (long long)number);
    print_call(j);
    if (a) {
        print_request(a);
        print_attempts(attempts);
    } else {
        printf("\nIt was not sent%s.\n", json_get(j, "answer") ? " by m4a1" : " yet");
    }
    if (a && cli_flag(cli, "raw"))
        printf("\nReceived:\n%s\n", text_at(a, "received"));
    if (json_get(j, "answer"))
        print_answer(json_get(j, "answer"));
    const struct json *score = json_first(json_get(j, "scores"));
    for (; score; score = json_next(score)) {
        char value[32] = "";
        if (json_get(score, "value"))
            text_double(json_number(json_get(score, "value"), 0), value);
        printf("Score %s (%s): %s%s\n", text_at(score, "scorer"),
            text_at(score, "version"), value, text_at(score, "reason"));
    }
    return OK;
}

static enum status run(struct cli *cli, struct error *err)
{
    int64_t call_id = 0;
    struct store *store = NULL;
    if (text_to_int(cli_arg(cli, 1), "CALL", 1, INT64_MAX, &call_id, err) != OK)
        return cli_usage(cli, err,
            "CALL is the number of a call, not \"%s\"; queries on "
            "the view interaction give them",
            cli_arg(cli, 1));
    enum status s = store_open(cli_arg(cli, 0), STORE_READ, &store, err);
    if (s)
        return s;
    if (cli_flag(cli, "curl")) {
        int64_t number = 0;
        s = cli_int(cli, "attempt", 0, 1, 1000000, &number, err);
        if (!s)
            s = show_curl(store, call_id, number, err);
        store_close(store);
        return s;
    }
    struct json *j = json_new_object();
    s = j ? read_call(store, call_id, j, err) : error_nomem(err, 1);
    if (!s)
        s = read_attempts(store, call_id, j, err);
    if (!s)
        s = read_answer(store, call_id, j, err);
    if (!s)
        s = read_scores(store, call_id, j, err);
    if (!s)
        s = cli_flag(cli, "json") ? cli_print_json(j, err) : print_all(cli, j, err);
    json_free(j);
    store_close(store);
    return s;
}

const struct verb verb_show = {
    .name = "show",
    .stage = STAGE_CURATE,
    .args = "STORE CALL",
    .min_args = 2,
    .max_args = 2,
    .summary = "one call: what was sent, what came back",
    .help =
        "Shows one call: where it stands in its session, the messages as they were sent\n"
        "(images by their hash), every attempt with its times and error, the answer "
        "with\n"
        "its tokens and cost, and its scores. Only reads, so it works beside a "
        "collector.\n"
        "\n"
        "  m4a1 show study.m4a1 17\n"
        "  m4a1 show study.m4a1 17 --raw       with the bytes that came back\n"
        "  m4a1 show study.m4a1 17 --curl | sh   ask the same once more, by hand\n"
        "  sqlite3 study.m4a1 'SELECT call_id, error FROM failure'    numbers of calls\n",
    .options = options,
    .run = run,
};
