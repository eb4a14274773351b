/* simulate.c - paths, checks and faults of the simulated server; the answers are made
 * in sim_answer.c and sim_judge.c, their bytes in chat_reply.c. */
#include "m4a1/simulate/simulate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/log.h"
#include "m4a1/base/text.h"
#include "m4a1/http/http.h"
#include "m4a1/simulate/chat_reply.h"
#include "m4a1/simulate/chat_request.h"
#include "m4a1/simulate/sim_answer.h"
#include "m4a1/simulate/sim_ask.h"
#include "m4a1/simulate/sim_count.h"
#include "m4a1/simulate/sim_fault.h"
#include "m4a1/simulate/sim_judge.h"
#include "m4a1/simulate/sim_meter.h"

#define ANSWER_MAX (1u << 20) /* bytes of an answer's text */
#define RETRY_AFTER_MS 500    /* of a 429, times time_scale */
#define REQUEST_LIMIT 10000   /* what the rate-limit headers say; nothing is limited */
#define TOKEN_LIMIT 2000000

struct simulator {
    struct simulate_options options;
    struct sim_count *count;
    struct http_server *server;
};

/* --- plain answers --- */

static void send_json(struct http_answer *answer, int status, const struct json *json)
{
    answer->status = status;
    answer->content_type = "application/json";
    if (!json || json_print(json, JSON_PRETTY, &answer->body, NULL) != OK)
        answer->body.failed = E_NOMEM;
    (void)buffer_add_char(&answer->body, '\n');
}

static void send_error(struct http_answer *answer, const struct chat_error *error)
{
    answer->status = error->status;
    answer->content_type = "application/json";
    if (chat_error_print(error, &answer->body, NULL) != OK)
        answer->body.failed = E_NOMEM;
}

static void send_models(const struct simulator *sim, struct http_answer *answer)
{
    const struct recipe *recipe = sim->options.recipe;
    struct json *root = json_new_object();
    json_set_text(root, "object", "list");
    struct json *data = json_set_array(root, "data");
    for (size_t i = 0; i < recipe->n_llms; i++) {
        size_t first = 0;
        while (!text_equal(recipe->llms[first].model, recipe->llms[i].model))
            first++;
        if (first < i)
            continue;
        struct json *model = json_add_object(data);
        json_set_text(model, "id", recipe->llms[i].model);
        json_set_text(model, "object", "model");
        json_set_int(model, "created", CHAT_CREATED);
        json_set_text(model, "owned_by", CHAT_FINGERPRINT);
    }
    send_json(answer, 200, root);
    json_free(root);
}

static void send_stats(struct simulator *sim, struct http_answer *answer)
{
    struct json *root;
    if (simulate_stats(sim, &root, NULL) != OK)
        root = NULL;
    send_json(answer, 200, root);
    json_free(root);
}

/* --- one chat request --- */

struct turn {
    struct simulator *sim;
    const struct http_request *http;
    struct http_answer *answer;
    struct chat_request request;
    struct sim_ask ask;
    uint64_t times_seen;
    enum sim_fault fault;
    int refused;
};

/* Collectors send a simulator no keys, so none is asked for; one that is sent must look
 * like one, and "invalid" is refused. */
static int key_check(const struct turn *turn, struct chat_error *error)
{
    const char *header = http_header(turn->http, "Authorization");
    const char *key = header && text_starts(header, "Bearer ") ? header + 7 : "";
    if (header && !*key)
        return chat_refuse(error, 401, "", "",
            "You didn't provide an API key. You need to provide your API key in an "
            "Authorization header using Bearer auth (i.e. Authorization: Bearer "
            "YOUR_KEY).");
    if (text_equal(key, "invalid"))
        return chat_refuse(
            error, 401, "invalid_api_key", "", "Incorrect API key provided: invalid.");
    return 1;
}

static int turn_read(struct turn *turn, struct chat_error *error)
{
    const struct simulate_options *options = &turn->sim->options;
    if (turn->http->too_large)
        return chat_refuse(error, 413, "", "", "Request too large: more than %u bytes.",
            SIMULATE_MAX_BODY);
    if (!chat_request_parse(
            turn->http->body, turn->http->body_len, &turn->request, error))
        return 0;
    if (!sim_ask_init(&turn->ask, options->seed, options->recipe, &turn->request))
        return chat_refuse(error, 404, "model_not_found", "",
            "The model `%.100s` does not exist or you do not have access to it.",
            turn->request.model);
    return key_check(turn, error);
}

/* The first n_digits of the hash of (seed, request, times seen). */
static void id_make(const struct turn *turn, const char *prefix, const char *purpose,
    uint64_t times, int n_digits, char *out, size_t size)
{
    struct rng rng;
    sim_rng(&rng, &turn->ask, purpose, times);
    unsigned long long a = rng_next(&rng), b = rng_next(&rng);
    char digits[33];
    snprintf(digits, sizeof digits, "%016llx%016llx", a, b);
    snprintf(out, size, "%s%.*s", prefix, n_digits, digits);
}

static void headers_add(const struct turn *turn, int64_t processing_ns, int64_t tokens)
{
    struct http_answer *answer = turn->answer;
    char id[48];
    id_make(turn, "req_", "request-id", turn->times_seen, 32, id, sizeof id);
    http_answer_header(answer, "x-request-id", "%s", id);
    http_answer_header(
        answer, "openai-processing-ms", "%lld", (long long)(processing_ns / 1000000));
    http_answer_header(answer, "openai-version", "2020-10-01");
    http_answer_header(answer, "x-ratelimit-limit-requests", "%d", REQUEST_LIMIT);
    http_answer_header(answer, "x-ratelimit-limit-tokens", "%d", TOKEN_LIMIT);
    int limited = turn->fault == FAULT_RATE_LIMIT;
    http_answer_header(
        answer, "x-ratelimit-remaining-requests", "%d", limited ? 0 : REQUEST_LIMIT - 1);
    http_answer_header(answer, "x-ratelimit-remaining-tokens", "%lld",
        (long long)(tokens < TOKEN_LIMIT ? TOKEN_LIMIT - tokens : 0));
    http_answer_header(answer, "x-ratelimit-reset-requests", "6ms");
    http_answer_header(answer, "x-ratelimit-reset-tokens", "%lldms",
        (long long)(tokens * 60000 / TOKEN_LIMIT));
}

/* Faults that are answers of their own.  They come after half the time to the first
 * token, as a busy server's do. */
static void send_fault(const struct turn *turn, int64_t delay_ns)
{
    struct http_answer *answer = turn->answer;
    struct chat_error error;
    answer->delay_ns = delay_ns;
    if (turn->fault == FAULT_DROPPED) {
        answer->ending = HTTP_DROP;
        return;
    }
    headers_add(turn, delay_ns, 0);
    if (turn->fault == FAULT_RATE_LIMIT) {
        int wait_ms = (int)(RETRY_AFTER_MS * turn->sim->options.time_scale);
        http_answer_header(answer, "retry-after-ms", "%d", wait_ms);
        http_answer_header(answer, "retry-after", "%d", (wait_ms + 999) / 1000);
        chat_refuse(&error, 429, "rate_limit_exceeded", "",
            "Rate limit reached for %.100s on requests per min (RPM): Limit %d. Please "
            "try again in %dms. (simulated)",
            turn->request.model, REQUEST_LIMIT, wait_ms);
        snprintf(error.type, sizeof error.type, "requests");
    } else if (turn->fault == FAULT_UNAVAILABLE) {
        chat_refuse(&error, 503, "", "",
            "The engine is currently overloaded, please try again later. (simulated)");
    } else {
        chat_refuse(&error, 500, "", "",
            "The server had an error while processing your request. (simulated)");
    }
    send_error(answer, &error);
}

/* Cut the text where the request's token limit says so; returns the finish reason. */
static const char *text_limit(const struct chat_request *request, struct buffer *text)
{
    if (!request->max_tokens || meter_text_tokens(text->len) <= request->max_tokens)
        return "stop";
    text->len = text_utf8_valid(text->data, (size_t)request->max_tokens * 4);
    text->data[text->len] = '\0';
    return "length";
}

/* A place to break off: behind the first third, before the last fifth. */
static void answer_cut(const struct turn *turn)
{
    struct rng rng;
    size_t len = turn->answer->body.len;
    sim_rng(&rng, &turn->ask, "cut", turn->times_seen);
    turn->answer->ending = HTTP_CUT;
    turn->answer->cut_at = len / 3 + (size_t)rng_below(&rng, len / 2 + 1);
}

static enum status send_reply(struct turn *turn, const struct buffer *text,
    const char *finish, const struct chat_reply *meter, struct error *err)
{
    struct chat_reply reply = *meter;
    char id[48];
    struct rng rng;
    id_make(turn, "chatcmpl-", "id", 0, 29, id, sizeof id);
    reply.id = id;
    reply.model = turn->request.model;
    reply.text = buffer_str(text);
    reply.text_len = text->len;
    reply.finish_reason = finish;
    reply.completion_tokens = meter_text_tokens(text->len);
    reply.broken = turn->fault == FAULT_MALFORMED;
    int64_t processing_ns = reply.pace.first_token_ns;
    if (!turn->request.stream)
        processing_ns += reply.pace.token_ns * reply.completion_tokens;
    headers_add(turn, processing_ns, reply.prompt_tokens);
    count_tokens(turn->sim->count, turn->answer->note, reply.prompt_tokens,
        reply.completion_tokens);
    if (!turn->request.stream)
        return chat_reply_whole(&reply, turn->answer, err);
    sim_rng(&rng, &turn->ask, "stream", 0);
    return chat_reply_stream(
        &reply, turn->request.include_usage, &rng, turn->answer, err);
}

static void turn_answer(struct turn *turn)
{
    struct chat_reply meter = { .prompt_tokens = meter_prompt_tokens(&turn->request) };
    meter.cached_tokens = meter_cached_tokens(&turn->ask);
    meter.pace =
        meter_pace(&turn->ask, meter.prompt_tokens, turn->sim->options.time_scale);
    if (turn->fault >= FAULT_RATE_LIMIT && turn->fault <= FAULT_DROPPED) {
        send_fault(turn, meter.pace.first_token_ns / 2);
        return;
    }
    struct buffer text;
    buffer_init(&text, ANSWER_MAX);
    if (turn->ask.role == LLM_JUDGE)
        sim_judge_reply(&turn->ask, turn->fault == FAULT_UNPARSABLE, &text);
    else
        turn->refused = sim_answer(&turn->ask, &text);
    struct error err = ERROR_INIT;
    enum status status = buffer_status(&text, "the simulated answer", &err);
    const char *finish = status == OK ? text_limit(&turn->request, &text) : "";
    if (status == OK)
        status = send_reply(turn, &text, finish, &meter, &err);
    buffer_release(&text);
    if (status != OK) {
        log_error("simulate: %s", err.msg);
        turn->answer->body.failed = status;
    } else if (turn->fault == FAULT_CUT) {
        answer_cut(turn);
    }
}

static void *turn_note(const struct turn *turn)
{
    void *note = turn->answer->note;
    if (turn->answer->body.failed != OK)
        return note; /* a 500 that nobody drew: stays with the invalid ones */
    if (turn->fault != FAULT_NONE && turn->fault != FAULT_UNPARSABLE)
        return count_note(note, COUNT_FAULT, turn->fault);
    return count_note(note, turn->refused ? COUNT_REFUSAL : COUNT_ANSWER, turn->fault);
}

static void chat_handle(
    struct simulator *sim, const struct http_request *http, struct http_answer *answer)
{
    struct turn turn = { .sim = sim, .http = http, .answer = answer };
    struct chat_error error;
    int valid = turn_read(&turn, &error);
    answer->note = count_begin(sim->count, valid ? turn.request.model : NULL);
    if (valid) {
        turn.times_seen = count_seen(sim->count, turn.request.identity);
        turn.fault =
            sim_fault_draw(&turn.ask, sim->options.fault_probability, turn.times_seen);
        turn_answer(&turn);
        answer->note = turn_note(&turn);
        log_debug("simulate: %s %s, seen %llu, fault %s", turn.request.model,
            turn.request.stream ? "stream" : "whole", (unsigned long long)turn.times_seen,
            sim_fault_names[turn.fault]);
    } else {
        send_error(answer, &error);
    }
    chat_request_release(&turn.request);
}

/* --- paths --- */

/* Runs in a worker; only the count is shared, and it locks. */
static void simulate_handle(
    void *arg, const struct http_request *request, struct http_answer *answer)
{
    struct simulator *sim = arg;
    struct chat_error error;
    int get = text_equal(request->method, "GET");
    int chat = text_ends(request->path, "/v1/chat/completions");
    http_answer_header(answer, "x-m4a1-simulated", "1");
    if (chat && text_equal(request->method, "POST")) {
        chat_handle(sim, request, answer);
    } else if (get && text_ends(request->path, "/v1/models")) {
        send_models(sim, answer);
    } else if (get && text_equal(request->path, "/simulator/stats")) {
        send_stats(sim, answer);
    } else if (get && text_equal(request->path, "/health")) {
        answer->content_type = "application/json";
        (void)buffer_add_str(&answer->body, "{\"status\":\"ok\"}\n");
    } else {
        chat_refuse(&error, chat ? 405 : 404, "", "", "%s (%.20s %.200s)",
            chat ? "Not allowed: use POST" : "Invalid URL", request->method,
            request->path);
        send_error(answer, &error);
    }
}

static void simulate_done(void *arg, void *note, enum http_outcome outcome)
{
    struct simulator *sim = arg;
    count_done(sim->count, note, outcome);
}

enum status simulate_start(
    const struct simulate_options *options, struct simulator **out, struct error *err)
{
    *out = NULL;
    struct simulator *sim = calloc(1, sizeof *sim);
    if (!sim)
        return error_nomem(err, sizeof *sim);
    sim->options = *options;
    sim->options.host = NULL; /* not needed any more, and not ours to keep */
    enum status status = count_new(options->recipe, &sim->count, err);
    struct http_options http = { .host = options->host,
        .port = options->port,
        .max_body = SIMULATE_MAX_BODY,
        .handler = simulate_handle,
        .done = simulate_done,
        .arg = sim };
    if (status == OK)
        status = http_server_new(&http, &sim->server, err);
    if (status != OK) {
        simulate_stop(sim);
        return status;
    }
    *out = sim;
    return OK;
}

const char *simulate_url(const struct simulator *simulator)
{
    return http_server_url(simulator->server);
}

uint16_t simulate_port(const struct simulator *simulator)
{
    return http_server_port(simulator->server);
}

enum status simulate_stats(
    struct simulator *simulator, struct json **out, struct error *err)
{
    struct json *root = json_new_object();
    *out = NULL;
    if (!root)
        return error_nomem(err, 64);
    json_set_text(root, "simulator", CHAT_FINGERPRINT);
    json_set_text(root, "recipe", simulator->options.recipe->name);
    json_set_int(root, "seed", (int64_t)simulator->options.seed);
    json_set_number(root, "time_scale", simulator->options.time_scale);
    json_set_number(root, "fault_probability", simulator->options.fault_probability);
    count_json(simulator->count, root);
    *out = root;
    return OK;
}

void simulate_stop(struct simulator *simulator)
{
    if (!simulator)
        return;
    http_server_free(simulator->server);
    count_free(simulator->count);
    free(simulator);
}
