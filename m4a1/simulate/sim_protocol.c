/* sim_protocol.c - the table of protocols, and what several of them need. */
#include "m4a1/simulate/sim_protocol.h"

#include <stdio.h>
#include <string.h>

#include "m4a1/base/text.h"

/* The more particular paths come first: Azure's end like OpenAI's. */
static const struct sim_protocol *const protocols[] = { &sim_azure_openai,
    &sim_openai_chat, &sim_openai_responses, &sim_anthropic, &sim_gemini, &sim_ollama,
    &sim_bedrock };

const struct sim_protocol *sim_protocol_at(size_t i)
{
    return i < COUNT_OF(protocols) ? protocols[i] : NULL;
}

const struct sim_protocol *sim_protocol_find(const char *path, struct sim_route *route)
{
    for (size_t i = 0; i < COUNT_OF(protocols); i++) {
        memset(route, 0, sizeof *route);
        if (protocols[i]->route(path, route))
            return protocols[i];
    }
    return NULL;
}

int sim_protocol_read(const struct sim_protocol *protocol, const struct sim_route *route,
    const struct http_request *http, const char *body, size_t len,
    struct sim_request *out, struct sim_error *error)
{
    if (!sim_request_parse(body, len, out, error))
        return 0;
    memcpy(out->path_model, route->model, sizeof out->path_model);
    out->model = out->path_model;
    out->stream = route->stream;
    if (http && protocol->check && !protocol->check(http, out, error))
        return 0;
    return protocol->read(out, error) &&
           sim_request_identify(out, protocol->scope, protocol->ignored, error);
}

/* Copies message with the model's name in place of "{model}". */
static void words_fill(const char *message, const char *model, char *out, size_t size)
{
    static const char mark[] = "{model}";
    const char *at = strstr(message, mark);
    if (at)
        snprintf(out, size, "%.*s%.100s%s", (int)(at - message), message, model,
            at + strlen(mark));
    else
        snprintf(out, size, "%s", message);
}

int sim_fail(struct sim_error *error, const struct sim_protocol *protocol,
    enum sim_failure failure, const char *model)
{
    const struct sim_failure_words *words = &protocol->failures[failure];
    char message[sizeof error->message];
    words_fill(words->message, model ? model : "", message, sizeof message);
    sim_refuse(error, words->status, words->code ? words->code : "", "", "%s", message);
    if (words->type)
        snprintf(error->type, sizeof error->type, "%s", words->type);
    return 0;
}

int sim_route_model(
    const char *path, const char *prefix, const char *suffix, struct sim_route *route)
{
    const char *model = NULL;
    size_t n_path = strlen(path), n_suffix = strlen(suffix);
    for (const char *at = path; (at = strstr(at, prefix)); at++)
        model = at + strlen(prefix);
    if (!model || n_path < n_suffix || !text_ends(path, suffix) ||
        model > path + n_path - n_suffix)
        return 0;
    size_t len = n_path - n_suffix - (size_t)(model - path);
    if (!len || len >= sizeof route->model)
        return 0;
    memcpy(route->model, model, len);
    route->model[len] = '\0';
    return 1;
}

int sim_members_check(const struct json *object, const char *const *foreign,
    const char *before, const char *behind, struct sim_error *error)
{
    for (size_t i = 0; foreign[i]; i++)
        if (json_get(object, foreign[i]))
            return sim_refuse(error, 400, "unknown_parameter", foreign[i], "%s%s%s",
                before, foreign[i], behind);
    return 1;
}

/* --- the OpenAI family --- */

void sim_retry_after(const struct sim_head *head, struct http_answer *answer)
{
    if (head->error && head->error->retry_ms >= 0)
        http_answer_header(answer, "retry-after", "%lld",
            (long long)(head->error->retry_ms + 999) / 1000);
}

void sim_rate_headers(const struct sim_head *head, struct http_answer *answer)
{
    int limited = head->error && head->error->retry_ms >= 0;
    int64_t tokens = head->prompt_tokens;
    http_answer_header(answer, "x-ratelimit-limit-requests", "%d", SIM_REQUEST_LIMIT);
    http_answer_header(answer, "x-ratelimit-limit-tokens", "%d", SIM_TOKEN_LIMIT);
    http_answer_header(answer, "x-ratelimit-remaining-requests", "%d",
        limited ? 0 : SIM_REQUEST_LIMIT - 1);
    http_answer_header(answer, "x-ratelimit-remaining-tokens", "%lld",
        (long long)(tokens < SIM_TOKEN_LIMIT ? SIM_TOKEN_LIMIT - tokens : 0));
    http_answer_header(answer, "x-ratelimit-reset-requests", "6ms");
    http_answer_header(answer, "x-ratelimit-reset-tokens", "%lldms",
        (long long)(tokens * 60000 / SIM_TOKEN_LIMIT));
    if (limited)
        http_answer_header(
            answer, "retry-after-ms", "%lld", (long long)head->error->retry_ms);
    sim_retry_after(head, answer);
}

static void set_or_null(struct json *object, const char *key, const char *s)
{
    if (*s)
        json_set_text(object, key, s);
    else
        json_set_null(object, key);
}

struct json *sim_openai_error(const struct sim_error *error, const char *request_id)
{
    (void)request_id; /* stands in a header */
    struct json *root = json_new_object();
    struct json *body = json_set_object(root, "error");
    json_set_text(body, "message", error->message);
    json_set_text(body, "type", error->type);
    set_or_null(body, "param", error->param);
    set_or_null(body, "code", error->code);
    return root;
}
