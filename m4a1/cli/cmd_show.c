/* cmd_show.c - m4a1 show: one call, what was sent and what came back; or the frames that are
 * nearest to a text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/clock.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/clip_options.h"
#include "m4a1/cli/show_curl.h"
#include "m4a1/cli/show_request.h"
#include "m4a1/cli/show_similar.h"
#include "schema/payload.h"
#include "schema/query.h"

#define MAX_PAYLOAD (64u << 20)

static const struct cli_option options[] = {
    { "attempt", "N", "the request of this attempt (default: the last one)" },
    { "raw", NULL, "also print what came back, byte by byte" },
    { "curl", NULL,
        "the request as a curl command, pictures and sound in it, without the key" },
    { "similar", "TEXT", "instead: the frames of the store that are nearest to TEXT" },
    CLIP_OPTIONS,
    { "frames", "N", "how many (default 12)" },
    { "out", "FILE.jpg", "a contact sheet of them" },
    { "json", NULL, "everything as one JSON document" },
    { NULL, NULL, NULL },
};

/* ---- reading: everything into one JSON document --------------------------------- */

/* A column of a query and its member in the document, in the order of the query. */
struct field {
    const char *name;
    char type; /* i whole number, d number, t text, j the text of a JSON value */
};

static enum status add_json(
    struct json *to, const char *name, const char *text, struct error *err)
{
    struct json *j;
    enum status s = json_parse(text, strlen(text), name, 0, &j, err);
    if (!s && !json_set_copy(to, name, j))
        s = error_nomem(err, strlen(text));
    json_free(j);
    return s;
}

/* A row as members of an object; NULL is left out. */
static enum status row_to_json(struct json *to, const struct query *q,
    const struct field *fields, size_t n, struct error *err)
{
    enum status s = to ? OK : error_nomem(err, 64);
    for (int i = 0; !s && i < (int)n; i++) {
        const char *name = fields[i].name;
        const struct json *set = to;
        if (query_is_null(q, i))
            continue;
        switch (fields[i].type) {
        case 'i': set = json_set_int(to, name, query_int(q, i)); break;
        case 'd': set = json_set_number(to, name, query_double(q, i)); break;
        case 'j': s = add_json(to, name, query_text(q, i), err); break;
        default: set = json_set_text(to, name, query_text(q, i)); break;
        }
        if (!set)
            s = error_nomem(err, 64);
    }
    return s;
}

/* Names of the views in a bit mask of the call c, as a JSON list. */
#define VIEW_LIST(mask)                                                                  \
    "(SELECT json_group_array(name) FROM (SELECT name FROM view v WHERE c." mask         \
    " >> v.position & 1 ORDER BY v.position))"

static enum status read_call(
    struct store *store, int64_t call_id, struct json *to, struct error *err)
{
    static const struct field fields[] = { { "call_id", 'i' }, { "purpose", 't' },
        { "session", 'i' }, { "source_id", 'i' }, { "turn", 'i' }, { "scene", 't' },
        { "at_ms", 'i' }, { "task", 't' }, { "prompt", 't' }, { "llm", 't' },
        { "model", 't' }, { "views_added", 'j' }, { "views_context", 'j' },
        { "probability", 'd' }, { "parent_id", 'i' }, { "subject_id", 'i' },
        { "subject_purpose", 't' }, { "subject_llm", 't' }, { "state", 't' },
        { "identity", 't' } };
    struct query *q = NULL;
    enum status s = query_open(store,
        "SELECT c.call_id, c.purpose, t.session_id, e.source_id, t.position, n.name,"
        " e.at_ms, k.name, coalesce(c.text, p.text), l.name, l.model,"
        " " VIEW_LIST("views_added") ", " VIEW_LIST(
            "views_context") ","
                             " c.probability, c.parent_id, c.subject_id, o.purpose, "
                             "ol.name, s.state,"
                             " c.identity"
                             " FROM call c JOIN turn t USING (turn_id) JOIN session e "
                             "USING (session_id)"
                             " JOIN scene n USING (scene_id) JOIN prompt p USING "
                             "(prompt_id)"
                             " JOIN task k USING (task_id) JOIN llm l ON l.llm_id = "
                             "c.llm_id"
                             " JOIN call_state s ON s.call_id = c.call_id"
                             " LEFT JOIN call o ON o.call_id = c.subject_id"
                             " LEFT JOIN llm ol ON ol.llm_id = o.llm_id WHERE c.call_id "
                             "= ?",
        &q, err);
    if (s)
        return s;
    query_bind(q, "i", call_id);
    s = query_next(q, err);
    if (!s && !query_has_row(q))
        s = error_set(err, E_NOT_FOUND, "%s has no call %lld", store_path(store),
            (long long)call_id);
    else if (!s)
        s = row_to_json(to, q, fields, COUNT_OF(fields), err);
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
    static const struct field fields[] = { { "number", 'i' }, { "status", 't' },
        { "final", 'i' }, { "error_class", 't' }, { "error", 't' }, { "sent_ms", 'i' },
        { "http_status", 'i' }, { "request_id", 't' }, { "request_sha256", 't' },
        { "queue_ns", 'i' }, { "name_lookup_ns", 'i' }, { "connect_ns", 'i' },
        { "upload_ns", 'i' }, { "first_byte_ns", 'i' }, { "first_token_ns", 'i' },
        { "latency_ns", 'i' }, { "in_flight", 'i' }, { "reused", 'i' },
        { "warm_up", 'i' }, { "reserved_pusd", 'i' }, { "counted_pusd", 'i' } };
    const int request = (int)COUNT_OF(fields), received = request + 1;
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
        if ((s = row_to_json(j, q, fields, COUNT_OF(fields), err)) ||
            (s = add_payload(q, request, j, "request", 1, err)) ||
            (s = show_request_views(store, call_id, json_get(j, "request"),
                 json_set_array(j, "views_sent"), err)) ||
            (s = add_payload(q, received, j, "received", 0, err)))
            break;
    }
    query_close(q);
    return s;
}

static enum status read_answer(
    struct store *store, int64_t call_id, struct json *to, struct error *err)
{
    static const struct field fields[] = { { "response_id", 'i' }, { "text", 't' },
        { "stop_reason", 't' }, { "provider_stop", 't' }, { "model", 't' },
        { "fingerprint", 't' }, { "input_tokens", 'i' }, { "cache_read_tokens", 'i' },
        { "cache_write_tokens", 'i' }, { "output_tokens", 'i' },
        { "reasoning_tokens", 'i' }, { "provider_cost_usd", 'd' },
        { "reported_latency_s", 'd' }, { "reported_cost_usd", 'd' },
        { "reported_views", 'j' }, { "imported", 'i' }, { "simulated", 'i' },
        { "cost_usd", 'd' } };
    struct query *q = NULL;
    enum status s = query_open(store,
        "SELECT a.response_id, a.text, a.stop_reason, a.provider_stop, a.model,"
        " a.fingerprint, a.input_tokens, a.cache_read_tokens, a.cache_write_tokens,"
        " a.output_tokens, a.reasoning_tokens, a.provider_cost_usd, a.reported_latency_s,"
        " a.reported_cost_usd, a.reported_views, a.attempt_id IS NULL, a.simulated,"
        " rc.cost_pusd / 1e12"
        " FROM answer a LEFT JOIN response_cost rc USING (response_id)"
        " WHERE a.call_id = ?",
        &q, err);
    if (s)
        return s;
    query_bind(q, "i", call_id);
    s = query_next(q, err);
    if (!s && query_has_row(q))
        s = row_to_json(json_set_object(to, "answer"), q, fields, COUNT_OF(fields), err);
    query_close(q);
    return s;
}

static enum status read_scores(
    struct store *store, int64_t call_id, struct json *to, struct error *err)
{
    static const struct field fields[] = { { "scorer", 't' }, { "version", 't' },
        { "value", 'd' }, { "reason", 't' }, { "judge_call_id", 'i' } };
    struct query *q = NULL;
    enum status s = query_open(store,
        "SELECT s.scorer, s.version, s.value, s.reason, s.judge_call_id FROM score s"
        " JOIN answer a USING (response_id) WHERE a.call_id = ? ORDER BY s.score_id",
        &q, err);
    if (s)
        return s;
    struct json *list = json_set_array(to, "scores");
    query_bind(q, "i", call_id);
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        if ((s = row_to_json(json_add_object(list), q, fields, COUNT_OF(fields), err)))
            break;
    }
    query_close(q);
    return s;
}

/* ---- printing for a person ------------------------------------------------------ */

static const char *text_at(const struct json *j, const char *name)
{
    return json_text(json_get(j, name), "");
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

/* A whole number, or "-" where there is none. */
static const char *count_at(const struct json *j, const char *name, char buf[32])
{
    const struct json *x = json_get(j, name);
    if (x)
        snprintf(buf, 32, "%lld", (long long)json_int(x, 0));
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
        char number[32], sent[32], http[32], first[32], token[32], all[32], others[32];
        const char *class = text_at(a, "error_class");
        clock_iso8601(json_int(json_get(a, "sent_ms"), 0), sent, sizeof sent);
        table_row(t, count_at(a, "number", number), sent,
            *class ? class : text_at(a, "status"), count_at(a, "http_status", http),
            seconds_at(a, "first_byte_ns", first), seconds_at(a, "first_token_ns", token),
            seconds_at(a, "latency_ns", all), count_at(a, "in_flight", others));
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

/* The figures that came with an imported answer. */
static void print_reported(const struct json *answer)
{
    const struct json *seconds = json_get(answer, "reported_latency_s");
    const struct json *usd = json_get(answer, "reported_cost_usd");
    const struct json *views = json_get(answer, "reported_views");
    if (seconds)
        printf("Reported: %.3f s, ", json_number(seconds, 0));
    else
        printf("Reported: no time, ");
    if (usd)
        printf("%.7f USD, ", json_number(usd, 0));
    else
        printf("no cost, ");
    printf("image_index %s", json_size(views)       ? "["
                             : json_is_array(views) ? "[]"
                                                    : "null");
    for (const struct json *v = json_first(views); v; v = json_next(v))
        printf("%lld%s", (long long)json_int(v, -1), json_next(v) ? "," : "]");
    putchar('\n');
}

static void print_answer(const struct json *answer)
{
    int imported = json_int(json_get(answer, "imported"), 0) != 0;
    printf("\nAnswer (%s%s):\n    %s\n",
        imported ? "imported" : text_at(answer, "stop_reason"),
        json_int(json_get(answer, "simulated"), 0) ? ", simulated" : "",
        text_at(answer, "text"));
    if (imported) {
        print_reported(answer);
        return;
    }
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

static void print_views(const char *label, const struct json *views)
{
    printf("%s%s", label, json_size(views) ? "" : "none");
    for (const struct json *v = json_first(views); v; v = json_next(v))
        printf("%s%s", json_text(v, ""), json_next(v) ? ", " : "");
}

/* attempt: the one whose request is printed behind this, or NULL. */
static void print_call(const struct json *j, const struct json *attempt)
{
    const char *model = text_at(j, "model"), *purpose = text_at(j, "purpose");
    const struct json *subject = json_get(j, "subject_id");
    const struct json *source = json_get(j, "source_id");
    printf("Call %lld: %s, session %lld", (long long)json_int(json_get(j, "call_id"), 0),
        purpose, (long long)json_int(json_get(j, "session"), 0));
    if (source)
        printf(" (id %lld in the imported file)", (long long)json_int(source, 0));
    printf(", turn %lld, %s\n", (long long)json_int(json_get(j, "turn"), 0),
        text_at(j, "state"));
    printf("Scene:  %s at %.3f s\n", text_at(j, "scene"),
        json_number(json_get(j, "at_ms"), 0) / 1e3);
    printf("Task:   %s\nLLM:    %s", text_at(j, "task"), text_at(j, "llm"));
    printf("%s%s%s\n", *model ? " (" : "", model, *model ? ")" : "");
    print_views("Views:  adds ", json_get(j, "views_added"));
    print_views("; in context: ", json_get(j, "views_context"));
    if (attempt)
        print_views("; sent: ", json_get(attempt, "views_sent"));
    putchar('\n');
    if (json_get(j, "probability"))
        printf("%s with probability %.4g\n",
            text_equal(purpose, "fan_out") ? "Included" : "Chosen",
            json_number(json_get(j, "probability"), 0));
    int judges = text_equal(purpose, "judge");
    if (subject)
        printf("%s: call %lld (%s, %s)\n", judges ? "Judges" : "Repeats",
            (long long)json_int(subject, 0), text_at(j, "subject_purpose"),
            text_at(j, "subject_llm"));
    if (!judges || !attempt) // what a judge was asked is long, and stands in the request
        printf("Asks:   %s\n", text_at(j, "prompt"));
}

static void print_scores(const struct json *scores)
{
    for (const struct json *one = json_first(scores); one; one = json_next(one)) {
        printf("Score %s (%s): ", text_at(one, "scorer"), text_at(one, "version"));
        if (json_get(one, "value"))
            printf("%.4g\n", json_number(json_get(one, "value"), 0));
        else
            printf("none, %s\n", text_at(one, "reason"));
    }
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
    print_call(j, a);
    if (a) {
        printf("\nSent (attempt %lld, model %s):\n",
            (long long)json_int(json_get(a, "number"), 0), text_at(j, "model"));
        show_request_print(json_get(a, "request"));
        print_attempts(attempts);
    } else {
        printf("\nIt was not sent%s.\n", json_get(j, "answer") ? " by m4a1" : " yet");
    }
    if (a && cli_flag(cli, "raw"))
        printf("\nReceived:\n%s\n", text_at(a, "received"));
    if (json_get(j, "answer"))
        print_answer(json_get(j, "answer"));
    print_scores(json_get(j, "scores"));
    return OK;
}

static enum status run(struct cli *cli, struct error *err)
{
    int64_t call_id = 0;
    struct store *store = NULL;
    if (cli_value(cli, "similar") && !cli_arg(cli, 1))
        return show_similar(cli, err);
    if (cli_value(cli, "similar") || !cli_arg(cli, 1))
        return cli_usage(cli, err, "either CALL or --similar TEXT says what is shown");
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
    .args = "STORE [CALL]",
    .min_args = 1,
    .max_args = 2,
    .summary = "one call: what was sent, what came back; or frames near a text",
    .help =
        "Shows one call: where it stands in its session, the messages as they were sent\n"
        "(pictures and sounds by their hash), every attempt with its times and error,\n"
        "the answer with its tokens and cost, and its scores. Only reads, so it works\n"
        "beside a collector.\n"
        "\n"
        "With --similar TEXT it shows the frames that are nearest to a text by a CLIP\n"
        "checkpoint that m4a1 associate has run with, and draws them with their "
        "cosines,\n"
        "so that a person can see whether associations make sense.\n"
        "\n"
        "  m4a1 show study.m4a1 17\n"
        "  m4a1 show study.m4a1 17 --raw       with the bytes that came back\n"
        "  m4a1 show study.m4a1 17 --curl | sh   ask the same once more, by hand\n"
        "  m4a1 show study.m4a1 --similar 'a knife' --clip clip-vit-base-patch32 --out "
        "knife.jpg\n"
        "  sqlite3 study.m4a1 'SELECT call_id, error FROM failure'    numbers of calls\n",
    .options = options,
    .run = run,
};
