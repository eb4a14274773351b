/* protocol.c - the table of protocols and what they share. */
#include "collectors/llm/protocol.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "m4a1/base/text.h"

const char *const failure_names[N_FAILURES] = {
    [FAILURE_NONE] = "",
    [FAILURE_CONNECT] = "connect",
    [FAILURE_NETWORK] = "network",
    [FAILURE_STALE] = "stale_connection",
    [FAILURE_TIMEOUT] = "timeout",
    [FAILURE_TRUNCATED] = "truncated",
    [FAILURE_MALFORMED] = "malformed",
    [FAILURE_TOO_LARGE] = "too_large",
    [FAILURE_RATE_LIMIT] = "rate_limit",
    [FAILURE_QUOTA] = "quota",
    [FAILURE_AUTH] = "auth",
    [FAILURE_FILTER] = "filter",
    [FAILURE_REQUEST] = "request",
    [FAILURE_SERVER] = "server",
    [FAILURE_UNMARKED] = "not_simulated",
    [FAILURE_MARKED] = "simulated",
    [FAILURE_ABORTED] = "aborted",
    [FAILURE_KILLED] = "killed",
};

const char *const stop_names[6] = { "other", "stop", "length", "refusal", "filter",
    "tool" };

static const struct protocol *const protocols[] = {
    &protocol_openai_chat,
    &protocol_azure_openai,
    &protocol_openai_responses,
    &protocol_anthropic,
    &protocol_gemini,
    &protocol_ollama,
    &protocol_bedrock_converse,
};

const char *protocol_names(void)
{
    return "openai-chat, azure-openai, openai-responses, anthropic, gemini, ollama, "
           "bedrock-converse";
}

const struct protocol *protocol_find(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(protocols); i++)
        if (text_equal(protocols[i]->name, name))
            return protocols[i];
    return NULL;
}

const struct protocol *protocol_at(size_t i)
{
    return i < COUNT_OF(protocols) ? protocols[i] : NULL;
}

enum failure protocol_failure_of_status(int http_status)
{
    if (http_status < 400)
        return FAILURE_NONE;
    if (http_status >= 500)
        return FAILURE_SERVER;
    switch (http_status) {
    case 401:
    case 403: return FAILURE_AUTH;
    case 402: return FAILURE_QUOTA;
    case 408: return FAILURE_TIMEOUT;
    case 429: return FAILURE_RATE_LIMIT;
    default: return FAILURE_REQUEST;
    }
}

void answer_init(struct answer *a)
{
    memset(a, 0, sizeof *a);
    a->input_tokens = a->cache_read_tokens = a->cache_write_tokens = a->output_tokens =
        a->reasoning_tokens = TOKENS_UNKNOWN;
    a->provider_cost_usd = (double)NAN;
    a->retry_after_ns = -1;
}

void answer_release(struct answer *a)
{
    free(a->error);
    free(a->unfinished);
    free(a->text);
    free(a->provider_stop);
    free(a->model);
    free(a->fingerprint);
    free(a->request_id);
    free(a->usage);
    answer_init(a);
}

const char *wire_header(const char *headers, const char *name, char *buf, size_t size)
{
    const char *found = NULL;
    size_t n_name = strlen(name), n_found = 0;
    for (const char *line = headers; line && *line;) {
        size_t n = strcspn(line, "\r\n");
        if (n > n_name && line[n_name] == ':' && !strncasecmp(line, name, n_name)) {
            found = line + n_name + 1;
            n_found = n - n_name - 1;
        }
        line += n;
        line += strspn(line, "\r\n");
    }
    if (!found)
        return NULL;
    while (n_found && isblank((unsigned char)*found)) {
        found++;
        n_found--;
    }
    while (n_found && isblank((unsigned char)found[n_found - 1]))
        n_found--;
    if (n_found >= size)
        n_found = size - 1;
    memcpy(buf, found, n_found);
    buf[n_found] = '\0';
    return buf;
}
