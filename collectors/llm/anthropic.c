/* anthropic.c - Anthropic Messages, the request: POST {base}/v1/messages.
 *
 * Source: the official SDK (@anthropic-ai/sdk 1.12.0) and the vision guide: images stand
 * before the text, as raw base64 with their media type; max_tokens is required; the
 * system prompt is a member of its own.  The version 2026-10-21 takes its key as a
 * bearer and knows no temperature, top_p and top_k.  Prompt caches are used only where
 * the request asks for them, so a call is without one unless its parameters say so. */
#include "collectors/llm/anthropic.h"

#include <string.h>

#include "m4a1/base/json.h"
#include "m4a1/base/text.h"

#define CLASSIC_VERSION "2023-06-01"

static const char *const reserved[] = { "model", "messages", "system", "stream", NULL };
static const char *const ways[] = { "x-api-key", "bearer", NULL };

static const struct protocol_option options[] = {
    { "anthropic_version", "the API's version, like 2023-06-01", CLASSIC_VERSION, NULL,
        0 },
    { "anthropic_beta", "names of beta features, joined by commas", NULL, NULL, 0 },
    { "auth", "how the key is sent", NULL, ways, 0 },
};

/* Versions are dates, so text order is their order. */
static int is_classic(const struct llm *llm)
{
    const char *version = protocol_option(&protocol_anthropic, llm, "anthropic_version");
    return strcmp(version, CLASSIC_VERSION) <= 0;
}

static struct key_use key(const struct llm *llm)
{
    const char *way = protocol_option(&protocol_anthropic, llm, "auth");
    int is_bearer = way ? text_equal(way, "bearer") : !is_classic(llm);
    return (struct key_use) { .way = is_bearer ? KEY_BEARER : KEY_HEADER,
        .env = llm->key_env,
        .header = "x-api-key" };
}

static int caches_only_when_asked(const struct llm *llm)
{
    (void)llm;
    return 1;
}

static int64_t max_output_tokens(const struct llm *llm)
{
    return json_int(json_get(llm->parameters, "max_tokens"), -1);
}

static enum status check(const struct llm *llm, struct error *err)
{
    static const char *const gone[] = { "temperature", "top_p", "top_k" };
    if (max_output_tokens(llm) < 1)
        return error_set(err, E_ARG,
            "llm \"%s\": the protocol anthropic needs the parameter \"max_tokens\", a "
            "whole number from 1: the most tokens of an answer",
            llm->name);
    for (size_t i = 0; !is_classic(llm) && i < COUNT_OF(gone); i++)
        if (json_get(llm->parameters, gone[i]))
            return error_set(err, E_ARG,
                "llm \"%s\": the version %s refuses the parameter \"%s\"; take it out, "
                "or set the option \"anthropic_version\" to \"" CLASSIC_VERSION "\"",
                llm->name, protocol_option(&protocol_anthropic, llm, "anthropic_version"),
                gone[i]);
    if (llm->avoid_cache && json_get(llm->parameters, "cache_control"))
        return error_set(err, E_ARG,
            "llm \"%s\": the parameter \"cache_control\" asks for a prompt cache, and "
            "\"cache\" is \"avoid\"; take one of them out",
            llm->name);
    return OK;
}

/* ---- the body ------------------------------------------------------------------- */

static int add_part(struct json *content, const struct dialogue_part *part)
{
    struct json *j = json_add_object(content);
    if (!part->frame)
        return json_set_text(j, "type", "text") && json_set_text(j, "text", part->text);
    int ok = json_set_text(j, "type", "image") != NULL;
    struct json *source = json_set_object(j, "source");
    return ok && json_set_text(source, "type", "base64") &&
           json_set_text(source, "media_type", frame_media_type(part->frame)) &&
           protocol_set_frame(source, "data", part->frame);
}

static int add_message(struct json *messages, const struct dialogue_message *m)
{
    struct json *j = json_add_object(messages);
    if (!json_set_text(j, "role", m->is_assistant ? "assistant" : "user"))
        return 0;
    const char *only = m->n_parts == 1 ? m->parts[0].text : NULL;
    if (only) // an empty text is refused
        return json_set_text(j, "content", *only ? only : PROTOCOL_NO_ANSWER) != NULL;
    struct json *content = json_set_array(j, "content");
    int ok = content != NULL;
    for (size_t i = 0; ok && i < m->n_parts; i++)
        if (m->parts[i].frame || (m->parts[i].text && *m->parts[i].text))
            ok = add_part(content, &m->parts[i]);
    return ok;
}

static int write_request(
    const struct llm *llm, const struct dialogue *d, struct json *root)
{
    int ok = json_set_text(root, "model", llm->model) != NULL;
    if (ok && d->system_prompt)
        ok = json_set_text(root, "system", d->system_prompt) != NULL;
    struct json *messages = json_set_array(root, "messages");
    for (size_t i = 0; ok && i < d->n_messages; i++)
        ok = add_message(messages, &d->messages[i]);
    const struct json *p = json_first(llm->parameters);
    for (; ok && p; p = json_next(p))
        ok = json_set_copy(root, json_key(p), p) != NULL;
    return ok && messages && json_set_bool(root, "stream", llm->stream);
}

static const struct frame_form image_form = { "\"data\":\"", 0 };

const struct protocol protocol_anthropic = {
    .name = "anthropic",
    .path = "/v1/messages",
    .headers = "anthropic-version: {anthropic_version}\n"
               "anthropic-beta: {anthropic_beta}\n",
    .options = options,
    .n_options = COUNT_OF(options),
    .reserved = reserved,
    .kinds = PROTOCOL_SEES,
    .max_images = 100, // on models with a context of 200k tokens; more on others
    .max_image_px = 8000,
    .max_image_bytes = 3932160, // 5 MiB of base64
    .key = key,
    .has_cache_switch = caches_only_when_asked,
    .check = check,
    .max_output_tokens = max_output_tokens,
    .max_tokens_key = "max_tokens",
    .write = write_request,
    .image = &image_form,
    .parse = anthropic_parse,
};
