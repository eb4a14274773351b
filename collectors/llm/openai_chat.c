/* openai_chat.c - OpenAI Chat Completions, the request: POST {base}/v1/chat/completions.
 *
 * OpenAI's own API and the servers that speak the same: llama-server, vLLM, LM Studio,
 * SGLang, Ollama's /v1, Groq, OpenRouter, Together, Mistral.  Source: openapi.json of
 * openai/openai-openapi, CreateChatCompletionRequest.  Images go as data URLs; image_url
 * has to be an object.  Sound goes as input_audio, for the models that listen.  What comes
 * back is read in openai_answer.c.  Azure's request is the same at another address
 * (azure_openai.c). */
#include "collectors/llm/openai_chat.h"

#include "m4a1/base/text.h"

/* Ours to say: the call decides them, not the llm's parameters. */
const char *const openai_chat_reserved[] = { "model", "messages", "stream", NULL };

static const char *const max_tokens_keys[] = { "max_completion_tokens", "max_tokens" };

static int is_llama_cpp(const struct llm *llm)
{
    return text_equal(json_text(json_get(llm->options, "server"), NULL), "llama.cpp");
}

enum status openai_chat_check(const struct llm *llm, struct error *err)
{
    const struct json *n = json_get(llm->parameters, "n");
    if (n && json_int(n, 0) != 1)
        return error_set(err, E_ARG,
            "llm \"%s\": parameter \"n\" has to be 1; for several answers plan several "
            "samples",
            llm->name);
    return OK;
}

int64_t openai_chat_max_tokens(const struct llm *llm)
{
    int64_t most = -1;
    for (size_t i = 0; i < COUNT_OF(max_tokens_keys); i++) {
        int64_t n = json_int(json_get(llm->parameters, max_tokens_keys[i]), -1);
        if (n > most)
            most = n;
    }
    return most;
}

/* ---- the body with hashes for frames -------------------------------------------- */

/* Sound is base64 alone, with the word for its container; WAV is what is ingested. */
static int add_sound(struct json *j, const struct frame *sound)
{
    int ok = json_set_text(j, "type", "input_audio") != NULL;
    struct json *audio = json_set_object(j, "input_audio");
    return ok && protocol_set_frame(audio, "data", sound) &&
           json_set_text(audio, "format", "wav");
}

static int add_part(
    struct json *content, const struct dialogue_part *part, const char *detail)
{
    struct json *j = json_add_object(content);
    if (!part->frame)
        return json_set_text(j, "type", "text") && json_set_text(j, "text", part->text);
    if (dialogue_is_sound(part))
        return add_sound(j, part->frame);
    struct json *url = NULL;
    int ok = json_set_text(j, "type", "image_url") != NULL;
    ok = ok && (url = json_set_object(j, "image_url")) &&
         protocol_set_frame(url, "url", part->frame);
    return ok && (!detail || json_set_text(url, "detail", detail));
}

static int add_message(
    struct json *messages, const struct dialogue_message *m, const char *detail)
{
    struct json *j = json_add_object(messages);
    if (!json_set_text(j, "role", m->is_assistant ? "assistant" : "user"))
        return 0;
    // Servers without images often know content as a plain string only.
    if (m->n_parts == 1 && m->parts[0].text)
        return json_set_text(j, "content", m->parts[0].text) != NULL;
    struct json *content = json_set_array(j, "content");
    int ok = content != NULL;
    for (size_t i = 0; ok && i < m->n_parts; i++)
        ok = add_part(content, &m->parts[i], detail);
    return ok;
}

static int add_parameters(struct json *root, const struct llm *llm)
{
    const struct json *p = json_first(llm->parameters);
    // "stream_options": null keeps the option away from servers that refuse it.
    for (; p; p = json_next(p))
        if (!(text_equal(json_key(p), "stream_options") && json_is_null(p)) &&
            !json_set_copy(root, json_key(p), p))
            return 0;
    if (!json_set_bool(root, "stream", llm->stream))
        return 0;
    if (llm->avoid_cache && is_llama_cpp(llm) && !json_set_bool(root, "cache_prompt", 0))
        return 0;
    if (!llm->stream || json_get(llm->parameters, "stream_options"))
        return 1;
    struct json *options = json_set_object(root, "stream_options");
    return json_set_bool(options, "include_usage", 1) != NULL;
}

int openai_chat_write(const struct llm *llm, const struct dialogue *d, struct json *root)
{
    int ok = json_set_text(root, "model", llm->model) != NULL;
    struct json *messages = json_set_array(root, "messages");
    const char *detail = json_text(json_get(llm->options, "detail"), NULL);
    const char *role = json_text(json_get(llm->options, "system_role"), "system");
    if (d->system_prompt) {
        struct json *system = json_add_object(messages);
        ok = ok && json_set_text(system, "role", role) &&
             json_set_text(system, "content", d->system_prompt);
    }
    for (size_t i = 0; ok && i < d->n_messages; i++)
        ok = add_message(messages, &d->messages[i], detail);
    return ok && messages && add_parameters(root, llm);
}

const struct frame_form openai_chat_image = { "{\"url\":\"", 1 };
const struct frame_form openai_chat_audio = { "{\"data\":\"", 0 };

/* ---- openai-chat ---------------------------------------------------------------- */

static enum status parse(
    const struct wire_answer *wire, struct answer *out, struct error *err)
{
    return openai_chat_read(wire, "x-request-id", out, err);
}

static const char *const servers[] = { "llama.cpp", "other", NULL };
static const char *const roles[] = { "system", "developer", NULL };
static const char *const details[] = { "auto", "low", "high", NULL };

static const struct protocol_option options[] = {
    { "server", "the program that answers", "other", servers, 0 },
    { "detail", "the detail of images", NULL, details, 0 },
    { "system_role", "the role of the system prompt", "system", roles, 0 },
    { "organization", "OpenAI's id of an organisation", NULL, NULL, 0 },
    { "project", "OpenAI's id of a project", NULL, NULL, 0 },
};

const struct protocol protocol_openai_chat = {
    .name = "openai-chat",
    .path = "/v1/chat/completions",
    .headers = OPENAI_HEADERS,
    .options = options,
    .n_options = COUNT_OF(options),
    .reserved = openai_chat_reserved,
    .kinds = PROTOCOL_SEES_AND_HEARS,
    .has_cache_switch = is_llama_cpp,
    .check = openai_chat_check,
    .max_output_tokens = openai_chat_max_tokens,
    .max_tokens_key = "max_completion_tokens (or max_tokens)",
    .write = openai_chat_write,
    .image = &openai_chat_image,
    .audio = &openai_chat_audio,
    .parse = parse,
};
