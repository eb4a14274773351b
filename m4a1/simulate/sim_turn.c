/* sim_turn.c - what becomes of a request. */
#include "m4a1/simulate/sim_turn.h"

#include <stdio.h>
#include <stdlib.h>

#include "m4a1/base/log.h"
#include "m4a1/base/text.h"
#include "m4a1/simulate/sim_agent.h"
#include "m4a1/simulate/sim_answer.h"
#include "m4a1/simulate/sim_ask.h"
#include "m4a1/simulate/sim_judge.h"

#define ANSWER_MAX (1u << 20) /* bytes of an answer's text */
#define RETRY_AFTER_MS 500    /* of a 429, times time_scale */
#define WAY_SHARE 0.5 /* of refusals that are not in words, where there are ways */
#define ID_MAX 80

struct turn {
    const struct sim_context *context;
    const struct sim_protocol *protocol;
    const struct http_request *http;
    struct http_answer *answer;
    struct sim_request request;
    struct sim_ask ask;
    uint64_t times_seen;
    enum sim_fault fault;
    enum sim_way way;
};

/* --- reading --- */

/* Collectors send a simulator no keys, so none is asked for; one that is sent must look
 * like one, and "invalid" is refused. */
static int key_check(const struct turn *turn, struct sim_error *error)
{
    const struct sim_protocol *protocol = turn->protocol;
    const char *own =
        protocol->key_header ? http_header(turn->http, protocol->key_header) : NULL;
    const char *header = http_header(turn->http, "Authorization");
    int bearer = header && text_starts(header, "Bearer ") && header[7];
    int is_signed =
        header && text_starts(header, "AWS4-HMAC-SHA256 ") && protocol == &sim_bedrock;
    if (own ? text_equal(own, "invalid") : bearer && text_equal(header + 7, "invalid"))
        return sim_fail(error, protocol, FAIL_KEY, "");
    if (own ? *own != '\0' : !header || bearer || is_signed)
        return 1;
    sim_fail(error, protocol, FAIL_KEY, "");
    *error->code = '\0';
    snprintf(error->message, sizeof error->message,
        "You didn't provide an API key. You need to provide your API key in an "
        "Authorization header using Bearer auth (i.e. Authorization: Bearer "
        "YOUR_KEY)%s%s.",
        protocol->key_header ? " or in the header " : "",
        protocol->key_header ? protocol->key_header : "");
    return 0;
}

static int turn_read(
    struct turn *turn, const struct sim_route *route, struct sim_error *error)
{
    const struct simulate_options *options = turn->context->options;
    const struct http_request *http = turn->http;
    if (http->too_large)
        return sim_fail(error, turn->protocol, FAIL_TOO_LARGE, "");
    if (!key_check(turn, error) || !sim_protocol_read(turn->protocol, route, http,
                                       http->body, http->body_len, &turn->request, error))
        return 0;
    turn->request.model = sim_model_find(options->recipe, turn->request.model);
    if (!sim_ask_init(&turn->ask, options->seed, options->recipe, &turn->request))
        return sim_fail(error, turn->protocol, FAIL_MODEL, turn->request.model);
    return 1;
}

/* --- ids and headers --- */

/* The first n_digits of the hash of (seed, request, times seen); 0 digits = a UUID. */
static void id_make(const struct turn *turn, const char *prefix, const char *purpose,
    uint64_t times, int n_digits, char *out)
{
    struct rng rng;
    char digits[65];
    sim_rng(&rng, &turn->ask, purpose, times);
    for (int i = 0; i < 4; i++)
        snprintf(digits + 16 * i, sizeof digits - 16 * (size_t)i, "%016llx",
            (unsigned long long)rng_next(&rng));
    if (n_digits)
        snprintf(out, ID_MAX, "%s%.*s", prefix, n_digits, digits);
    else
        snprintf(out, ID_MAX, "%s%.8s-%.4s-4%.3s-a%.3s-%.12s", prefix, digits, digits + 8,
            digits + 12, digits + 16, digits + 20);
}

static void request_id(const struct turn *turn, char *out)
{
    id_make(turn, turn->protocol->request_id_prefix, "request-id", turn->times_seen,
        turn->protocol->n_request_id_digits, out);
}

/* status 200 is for an error inside an answer. */
static void send_error(const struct sim_protocol *protocol, const struct sim_error *error,
    const char *id, struct http_answer *answer)
{
    struct json *root = protocol->error(error, id);
    answer->status = error->status;
    answer->content_type = "application/json";
    if (!root || json_print(root, JSON_COMPACT, &answer->body, NULL) != OK)
        answer->body.failed = E_NOMEM;
    json_free(root);
}

void sim_turn_refuse(const struct sim_protocol *protocol, enum sim_failure failure,
    struct http_answer *answer)
{
    struct sim_error error;
    sim_fail(&error, protocol, failure, "");
    send_error(protocol, &error, "", answer);
}

/* An error of a request that was understood, with the vendor's headers. */
static void send_failure(
    const struct turn *turn, enum sim_failure failure, int64_t delay_ns)
{
    char id[ID_MAX];
    struct sim_error error;
    request_id(turn, id);
    sim_fail(&error, turn->protocol, failure, turn->request.model);
    if (failure == FAIL_RATE_LIMIT)
        error.retry_ms = (int64_t)(RETRY_AFTER_MS * turn->context->options->time_scale);
    struct sim_head head = { id, delay_ns, 0, &error };
    turn->answer->delay_ns = delay_ns;
    turn->protocol->headers(&head, turn->answer);
    send_error(turn->protocol, &error, id, turn->answer);
}

/* --- faults and refusals --- */

/* Faults that are answers of their own.  They come after half the time to the first
 * token, as a busy server's do.  Returns 0 for any other. */
static int send_fault(const struct turn *turn, int64_t delay_ns)
{
    static const enum sim_failure failures[] = {
        [FAULT_RATE_LIMIT] = FAIL_RATE_LIMIT,
        [FAULT_SERVER_ERROR] = FAIL_SERVER,
        [FAULT_UNAVAILABLE] = FAIL_UNAVAILABLE,
        [FAULT_OVERLOADED] = FAIL_OVERLOADED,
        [FAULT_QUOTA] = FAIL_QUOTA,
        [FAULT_PAYMENT] = FAIL_PAYMENT,
    };
    enum sim_fault fault = turn->fault;
    if (fault == FAULT_NONE || fault > FAULT_IN_STREAM || fault == FAULT_CUT ||
        fault == FAULT_MALFORMED || (fault == FAULT_IN_STREAM && turn->request.stream))
        return 0;
    if (fault == FAULT_DROPPED) {
        turn->answer->delay_ns = delay_ns;
        turn->answer->ending = HTTP_DROP;
    } else {
        send_failure(
            turn, fault == FAULT_IN_STREAM ? FAIL_IN_STREAM : failures[fault], delay_ns);
    }
    return 1;
}

static enum sim_fault fault_draw(const struct turn *turn)
{
    const struct simulate_options *options = turn->context->options;
    unsigned kinds = options->fault_kinds ? options->fault_kinds : FAULT_DEFAULT;
    if (!turn->protocol->failures[FAIL_OVERLOADED].status)
        kinds &= ~FAULT_BIT(FAULT_OVERLOADED);
    return sim_fault_draw(
        &turn->ask, options->fault_probability, kinds, turn->times_seen);
}

/* How a refusal is told.  Where a fault breaks the answer anyway, in words: it needs a
 * text to be seen in. */
static enum sim_way way_draw(const struct turn *turn)
{
    const struct sim_protocol *protocol = turn->protocol;
    struct rng rng;
    sim_rng(&rng, &turn->ask, "way", 0);
    if (!protocol->n_ways || !sim_fault_answers(turn->fault) ||
        rng_uniform(&rng) >= WAY_SHARE)
        return WAY_WORDS;
    return protocol->ways[rng_below(&rng, protocol->n_ways)];
}

/* Put a character into the middle that will be broken on the wire. */
static void breakable_add(struct buffer *text)
{
    size_t at = text->len / 2;
    while (at && (text->data[at] & 0xc0) == 0x80)
        at--;
    char *tail = text_copy_n(text->data + at, text->len - at);
    if (!tail) {
        text->failed = E_NOMEM;
        return;
    }
    text->len = at;
    (void)buffer_add_str(text, SIM_BREAKABLE);
    (void)buffer_add_str(text, tail);
    free(tail);
}

/* --- the answer --- */

/* Cut the text where the request's token limit says so; returns whether it did. */
static int text_limit(const struct sim_request *request, struct buffer *text)
{
    if (!request->max_tokens || meter_text_tokens(text->len) <= request->max_tokens)
        return 0;
    text->len = text_utf8_valid(text->data, (size_t)request->max_tokens * 4);
    text->data[text->len] = '\0';
    return 1;
}

static enum status text_make(struct turn *turn, struct buffer *text, struct error *err)
{
    size_t n_actions = sim_agent_actions(sim_request_question(turn->ask.request));
    buffer_init(text, ANSWER_MAX);
    if (n_actions)
        sim_agent_reply(&turn->ask, n_actions, text);
    else if (turn->ask.role == LLM_JUDGE)
        sim_judge_reply(&turn->ask, turn->fault == FAULT_UNPARSABLE, text);
    else if (sim_answer(&turn->ask, text))
        turn->way = way_draw(turn);
    if (turn->fault == FAULT_BAD_UTF8 && text->failed == OK)
        breakable_add(text);
    if (turn->way == WAY_PROMPT)
        buffer_clear(text);
    return buffer_status(text, "the simulated answer", err);
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

static enum status reply_write(
    const struct turn *turn, struct sim_reply *reply, struct error *err)
{
    const struct sim_protocol *protocol = turn->protocol;
    struct rng rng;
    char id[ID_MAX], head_id[ID_MAX];
    id_make(turn, protocol->id_prefix, "id", 0, protocol->n_id_digits, id);
    request_id(turn, head_id);
    reply->id = id;
    struct sim_head head = { head_id, reply->pace.first_token_ns, reply->prompt_tokens,
        NULL };
    if (!turn->request.stream)
        head.processing_ns += reply->pace.token_ns * reply->completion_tokens;
    protocol->headers(&head, turn->answer);
    if (!turn->request.stream)
        return sim_whole(reply, protocol->whole(reply), turn->answer, err);
    sim_rng(&rng, &turn->ask, "stream", 0);
    struct sim_stream stream = {
        .reply = reply, .rng = &rng, .answer = turn->answer, .err = err
    };
    protocol->stream(&stream);
    return sim_stream_end(&stream);
}

static int64_t scaled(const struct turn *turn, int64_t ns)
{
    return (int64_t)((double)ns * turn->context->options->time_scale);
}

/* pace at time scale 1. */
static enum status reply_send(struct turn *turn, struct buffer *text,
    int64_t prompt_tokens, struct sim_pace pace, struct error *err)
{
    int is_cut = text_limit(&turn->request, text);
    struct sim_reply reply = { .protocol = turn->protocol,
        .model = turn->request.model,
        .text = buffer_str(text),
        .text_len = text->len,
        .way = turn->way,
        .is_cut = is_cut,
        .has_usage = turn->fault != FAULT_NO_USAGE,
        .include_usage = turn->request.include_usage,
        .as_array = turn->request.as_array,
        .prompt_tokens = prompt_tokens,
        .cached_tokens = meter_cached_tokens(&turn->ask),
        .completion_tokens = meter_text_tokens(text->len),
        .fault = turn->fault };
    for (size_t i = 0; i < turn->request.n_sounds; i++)
        reply.audio_tokens += turn->request.sounds[i].tokens;
    if (turn->fault == FAULT_SLOW_START)
        pace.first_token_ns *= SLOW_START;
    reply.pace = (struct sim_pace) { scaled(turn, pace.first_token_ns),
        scaled(turn, pace.token_ns) };
    const struct sim_bill bill = { prompt_tokens, reply.completion_tokens,
        pace.first_token_ns + pace.token_ns * reply.completion_tokens,
        (int64_t)turn->request.n_texts, (int64_t)turn->request.n_images,
        (int64_t)turn->request.n_sounds };
    count_bill(turn->context->count, turn->answer->note, &bill);
    return reply_write(turn, &reply, err);
}

static void turn_answer(struct turn *turn)
{
    int64_t prompt_tokens = meter_prompt_tokens(&turn->request);
    struct sim_pace pace = meter_pace(&turn->ask, prompt_tokens);
    int64_t early_ns = scaled(turn, pace.first_token_ns / 2);
    struct error err = ERROR_INIT;
    struct buffer text;
    if (send_fault(turn, early_ns))
        return;
    enum status status = text_make(turn, &text, &err);
    if (status == OK && turn->way == WAY_PROMPT &&
        turn->protocol->failures[FAIL_FILTER].status)
        send_failure(turn, FAIL_FILTER, early_ns);
    else if (status == OK)
        status = reply_send(turn, &text, prompt_tokens, pace, &err);
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
    if (!sim_fault_answers(turn->fault))
        return count_note(note, COUNT_FAULT, turn->fault);
    return count_note(
        note, turn->way == WAY_ANSWER ? COUNT_ANSWER : COUNT_REFUSAL, turn->fault);
}

void sim_turn(const struct sim_context *context, const struct sim_protocol *protocol,
    const struct sim_route *route, const struct http_request *http,
    struct http_answer *answer)
{
    struct turn turn = {
        .context = context, .protocol = protocol, .http = http, .answer = answer
    };
    struct sim_error error;
    int valid = turn_read(&turn, route, &error);
    answer->note = count_begin(context->count, valid ? turn.request.model : NULL);
    if (valid) {
        turn.times_seen = count_seen(context->count, turn.request.identity);
        turn.fault = fault_draw(&turn);
        turn_answer(&turn);
        answer->note = turn_note(&turn);
        log_debug("simulate: %s %s %s, seen %llu, fault %s", protocol->name,
            turn.request.model, turn.request.stream ? "stream" : "whole",
            (unsigned long long)turn.times_seen, sim_fault_names[turn.fault]);
    } else {
        struct sim_head head = { "req_invalid", 0, 0, &error };
        protocol->headers(&head, answer);
        send_error(protocol, &error, "req_invalid", answer);
    }
    sim_request_release(&turn.request);
}
