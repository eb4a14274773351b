/* gemini.c - Google Gemini, the request: POST {base}/v1beta/models/MODEL:generateContent,
 * for streams :streamGenerateContent?alt=sse, the key as x-goog-api-key.
 *
 * Source: the types of @google/genai 2.32.0 and the REST reference of
 * generativelanguage.googleapis.com.  The assistant's role is "model"; an image,
 * and sound as audio/wav, is a part with inlineData.  What comes back is read in
 * gemini_answer.c. */
#include "collectors/llm/gemini.h"

#include <string.h>

#include "collectors/llm/nested.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"

/* Parameters beside generationConfig; every other one goes inside it. */
static const char *const outer[] = { "safetySettings", "tools", "toolConfig", "labels",
    "serviceTier", "store" };
static const char *const reserved[] = { "model", "contents", "systemInstruction",
    "system_instruction", NULL };

static const struct nested generation = { "generationConfig", outer, COUNT_OF(outer) };

static enum status check(const struct llm *llm, struct error *err)
{
    if (strchr(llm->model, '/'))
        return error_set(err, E_ARG,
            "llm \"%s\": the model is a bare name like \"gemini-2.5-flash\", not \"%s\"; "
            "leave out what stands before the slash",
            llm->name, llm->model);
    enum status s = nested_check(&generation, llm, err);
    if (s != OK)
        return s;
    const struct json *n = nested_get(&generation, llm, "candidateCount");
    if (n && json_int(n, 0) != 1)
        return error_set(err, E_ARG,
            "llm \"%s\": parameter \"candidateCount\" has to be 1; for several answers "
            "plan several samples",
            llm->name);
    return OK;
}

static int64_t max_output_tokens(const struct llm *llm)
{
    return nested_bound(&generation, llm, "maxOutputTokens");
}

static struct key_use key(const struct llm *llm)
{
    return (struct key_use) {
        .way = KEY_HEADER, .env = llm->key_env, .header = "x-goog-api-key"
    };
}

static int add_part(struct json *parts, const struct dialogue_part *part)
{
    struct json *j = json_add_object(parts);
    if (!part->frame)
        return json_set_text(j, "text", part->text) != NULL;
    struct json *data = json_set_object(j, "inlineData");
    return json_set_text(data, "mimeType", frame_media_type(part->frame)) &&
           protocol_set_frame(data, "data", part->frame);
}

static int add_message(struct json *contents, const struct dialogue_message *m)
{
    struct json *j = json_add_object(contents);
    int ok = json_set_text(j, "role", m->is_assistant ? "model" : "user") != NULL;
    struct json *parts = json_set_array(j, "parts");
    for (size_t i = 0; ok && i < m->n_parts; i++)
        if (m->parts[i].frame || *m->parts[i].text) // an empty text is refused
            ok = add_part(parts, &m->parts[i]);
    if (ok && !json_size(parts))
        ok = json_set_text(json_add_object(parts), "text", PROTOCOL_NO_ANSWER) != NULL;
    return ok && parts;
}

static int write_request(
    const struct llm *llm, const struct dialogue *d, struct json *root)
{
    int ok = root != NULL;
    if (d->system_prompt) {
        struct json *system = json_set_object(root, "systemInstruction");
        struct json *parts = json_set_array(system, "parts");
        ok = json_set_text(json_add_object(parts), "text", d->system_prompt) != NULL;
    }
    struct json *contents = json_set_array(root, "contents");
    for (size_t i = 0; ok && i < d->n_messages; i++)
        ok = add_message(contents, &d->messages[i]);
    return ok && contents && nested_put(&generation, llm, root);
}

static const struct frame_form data_form = { "\"data\":\"", 0 };

const struct protocol protocol_gemini = {
    .name = "gemini",
    .path = "/v1beta/models/{model}:generateContent",
    .stream_path = "/v1beta/models/{model}:streamGenerateContent?alt=sse",
    .reserved = reserved,
    .kinds = PROTOCOL_SEES_AND_HEARS,
    .max_images = 900, // Gemini 3 Pro; 3,000 on 2.5
    .max_image_bytes = 7000000,
    .key = key,
    .check = check,
    .max_output_tokens = max_output_tokens,
    .max_tokens_key = "maxOutputTokens",
    .write = write_request,
    .image = &data_form,
    .audio = &data_form,
    .parse = gemini_parse,
};
