/* openai_responses.c - OpenAI Responses, the request: POST {base}/v1/responses.
 *
 * Source: openapi.json of openai/openai-openapi, CreateResponse.  The dialogue is a list
 * of input items; the system prompt is "instructions"; image_url is a plain string here,
 * and detail is required.  "store" is false unless the parameters say otherwise, so that
 * OpenAI keeps no copy of the views.  Sound cannot be sent: the schema's input parts are
 * text, images and files, and OpenAI's pages of its models that listen say "Responses: not
 * supported".  What comes back: openai_responses_answer.c. */
#include "collectors/llm/openai_responses.h"

#include "m4a1/base/json.h"
#include "m4a1/base/text.h"

/* Ours to say; the last three would bring in what the dialogue does not hold. */
static const char *const reserved[] = { "model", "input", "instructions", "stream",
    "previous_response_id", "conversation", "background", NULL };
static const char *const details[] = { "auto", "low", "high", "original", NULL };

static const struct protocol_option options[] = {
    { "detail", "the detail of images", "auto", details, 0 },
    { "organization", "OpenAI's id of an organisation", NULL, NULL, 0 },
    { "project", "OpenAI's id of a project", NULL, NULL, 0 },
};

static int64_t max_output_tokens(const struct llm *llm)
{
    return json_int(json_get(llm->parameters, "max_output_tokens"), -1);
}

/* ---- the body ------------------------------------------------------------------- */

static int add_part(struct json *content, const struct dialogue_part *part,
    int is_assistant, const char *detail)
{
    struct json *j = json_add_object(content);
    if (!part->frame)
        return json_set_text(j, "type", is_assistant ? "output_text" : "input_text") &&
               json_set_text(j, "text", part->text);
    return json_set_text(j, "type", "input_image") &&
           protocol_set_frame(j, "image_url", part->frame) &&
           json_set_text(j, "detail", detail);
}

static int add_item(
    struct json *input, const struct dialogue_message *m, const char *detail)
{
    struct json *j = json_add_object(input);
    if (!json_set_text(j, "role", m->is_assistant ? "assistant" : "user"))
        return 0;
    if (m->n_parts == 1 && m->parts[0].text)
        return json_set_text(j, "content", m->parts[0].text) != NULL;
    struct json *content = json_set_array(j, "content");
    int ok = content != NULL;
    for (size_t i = 0; ok && i < m->n_parts; i++)
        ok = add_part(content, &m->parts[i], m->is_assistant, detail);
    return ok;
}

static int write_request(
    const struct llm *llm, const struct dialogue *d, struct json *root)
{
    const char *detail = protocol_option(&protocol_openai_responses, llm, "detail");
    int ok = json_set_text(root, "model", llm->model) != NULL;
    if (ok && d->system_prompt)
        ok = json_set_text(root, "instructions", d->system_prompt) != NULL;
    struct json *input = json_set_array(root, "input");
    for (size_t i = 0; ok && i < d->n_messages; i++)
        ok = add_item(input, &d->messages[i], detail);
    const struct json *p = json_first(llm->parameters);
    for (; ok && p; p = json_next(p))
        ok = json_set_copy(root, json_key(p), p) != NULL;
    if (ok && !json_get(llm->parameters, "store"))
        ok = json_set_bool(root, "store", 0) != NULL;
    return ok && input && json_set_bool(root, "stream", llm->stream);
}

static const struct frame_form image_form = { "\"image_url\":\"", 1 };

const struct protocol protocol_openai_responses = {
    .name = "openai-responses",
    .path = "/v1/responses",
    .headers = OPENAI_HEADERS,
    .options = options,
    .n_options = COUNT_OF(options),
    .reserved = reserved,
    .kinds = PROTOCOL_SEES,
    .max_output_tokens = max_output_tokens,
    .max_tokens_key = "max_output_tokens",
    .write = write_request,
    .image = &image_form,
    .parse = openai_responses_parse,
};
