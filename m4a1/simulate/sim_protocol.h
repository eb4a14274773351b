/* sim_protocol.h - a wire protocol as the simulator speaks it: one table row, one file.
 *
 * A protocol reads its requests into a sim_request and writes a sim_reply in its own
 * form; who answers what, when, and what goes wrong is common to all. */
#ifndef M4A1_SIMULATE_SIM_PROTOCOL_H
#define M4A1_SIMULATE_SIM_PROTOCOL_H

#include "m4a1/http/http.h"
#include "m4a1/simulate/sim_reply.h"
#include "m4a1/simulate/sim_request.h"

/* Errors that every vendor has, each in its own words. */
enum sim_failure {
    FAIL_KEY,
    FAIL_TOO_LARGE, /* the body is above SIMULATE_MAX_BODY */
    FAIL_MODEL,     /* no such model */
    FAIL_METHOD,    /* not a POST */
    FAIL_RATE_LIMIT,
    FAIL_SERVER,
    FAIL_UNAVAILABLE,
    FAIL_OVERLOADED, /* Anthropic's 529; status 0: the vendor has none */
    FAIL_IN_STREAM,  /* its status is sent where the error is inside a 200 */
    FAIL_QUOTA,      /* no money is left, as the vendor says it */
    FAIL_PAYMENT,    /* 402 */
    FAIL_FILTER,     /* the prompt is blocked; status 0: that is no error here */
    N_SIM_FAILURES
};

struct sim_failure_words {
    int status;
    const char *type, *code; /* NULL = none */
    const char *message;     /* "{model}" stands for the model's name */
};

/* What the headers of an answer or an error are made of. */
struct sim_head {
    const char *request_id;
    int64_t processing_ns, prompt_tokens;
    const struct sim_error *error; /* NULL for an answer */
};

/* What a path says. */
struct sim_route {
    char model[SIM_MAX_MODEL]; /* "" = the body does */
    int stream;
};

struct sim_protocol {
    const char *name; /* as recipes say it */

    /* Marks that make the id of an answer and of a request: a prefix and so many
     * hexadecimal digits; 0 digits = a UUID. */
    const char *id_prefix, *request_id_prefix;
    int n_id_digits, n_request_id_digits;

    const char *key_header; /* beside Authorization; NULL = none */
    const char *scope;      /* for sim_request_identify() */
    const char *const *ignored;
    const enum sim_way *ways; /* of refusing, beside words */
    size_t n_ways;
    const struct sim_failure_words *failures; /* [N_SIM_FAILURES] */

    /* Whether path (decoded, without the query) is one of the protocol's. */
    int (*route)(const char *path, struct sim_route *route);
    /* Headers and query; NULL = nothing to check. */
    int (*check)(const struct http_request *http, struct sim_request *request,
        struct sim_error *error);
    /* The body; request->model and ->stream hold what the path says. */
    int (*read)(struct sim_request *request, struct sim_error *error);

    void (*headers)(const struct sim_head *head, struct http_answer *answer);
    struct json *(*error)(const struct sim_error *error, const char *request_id);
    struct json *(*whole)(const struct sim_reply *reply);
    void (*stream)(struct sim_stream *stream);
    void (*stream_error)(struct sim_stream *stream, const struct sim_error *error);
};

extern const struct sim_protocol sim_openai_chat, sim_azure_openai, sim_openai_responses,
    sim_anthropic, sim_gemini, sim_ollama, sim_bedrock;

/* The i-th protocol of the table; NULL behind the last. */
const struct sim_protocol *sim_protocol_at(size_t i);

/* The protocol that a path belongs to; NULL = none. */
const struct sim_protocol *sim_protocol_find(const char *path, struct sim_route *route);

/* Parse and read a body that came to a route; returns 1, or 0 with error filled.  out is
 * to be released in both cases.  http may be NULL: then headers are not checked. */
int sim_protocol_read(const struct sim_protocol *protocol, const struct sim_route *route,
    const struct http_request *http, const char *body, size_t len,
    struct sim_request *out, struct sim_error *error);

/* Fill error with a failure in the protocol's words; returns 0. */
int sim_fail(struct sim_error *error, const struct sim_protocol *protocol,
    enum sim_failure failure, const char *model);

/* --- small things that several protocols need --- */

/* Copy the part of path between a prefix and a suffix into route->model; 0 where there
 * is none.  The last prefix counts. */
int sim_route_model(
    const char *path, const char *prefix, const char *suffix, struct sim_route *route);

/* 400 where the object has one of these members (the list ends with NULL), in the words
 * before + name + behind. */
int sim_members_check(const struct json *object, const char *const *foreign,
    const char *before, const char *behind, struct sim_error *error);

/* Headers that OpenAI and Azure share. */
void sim_rate_headers(const struct sim_head *head, struct http_answer *answer);
#define SIM_REQUEST_LIMIT 10000 /* what such headers say; nothing is limited */
#define SIM_TOKEN_LIMIT 2000000

/* "retry-after" in seconds, rounded up, where the error asks to wait. */
void sim_retry_after(const struct sim_head *head, struct http_answer *answer);

/* What the OpenAI family shares: errors, their words, headers. */
struct json *sim_openai_error(const struct sim_error *error, const char *request_id);
extern const struct sim_failure_words sim_openai_failures[N_SIM_FAILURES];
void sim_openai_headers(const struct sim_head *head, struct http_answer *answer);

/* The parts that OpenAI's and Azure's chat completions share. */
int sim_chat_read(struct sim_request *request, struct sim_error *error);
struct json *sim_chat_whole(const struct sim_reply *reply);
void sim_chat_stream(struct sim_stream *stream);
void sim_chat_stream_error(struct sim_stream *stream, const struct sim_error *error);

#endif
