/* ollama.c - Ollama's own chat, the request: POST {base}/api/chat.
 *
 * Source: docs/api.md and api/types.go of ollama/ollama.  The images of a message are a
 * list beside its text, in order, as plain base64; the labels of the views stand in the
 * text, in the same order.  There is no such list for sound.  What comes back is read in
 * ollama_answer.c. */
#include "collectors/llm/ollama.h"

#include <stdlib.h>
#include <string.h>

#include "collectors/llm/nested.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"

#define MAX_MESSAGE (16u << 20) /* bytes of one message's text */

/* Parameters beside options; every other one goes inside it. */
static const char *const outer[] = { "keep_alive", "think", "format", "tools", "truncate",
    "shift", "logprobs", "top_logprobs" };
static const char *const reserved[] = { "model", "messages", "stream", NULL };

static const struct nested model_options = { "options", outer, COUNT_OF(outer) };

static enum status check(const struct llm *llm, struct error *err)
{
    enum status s = nested_check(&model_options, llm, err);
    if (s != OK)
        return s;
    if (json_int(nested_get(&model_options, llm, "num_ctx"), 0) < 1)
        return error_set(err, E_ARG,
            "llm \"%s\": parameter \"num_ctx\" is needed: how long a context Ollama "
            "takes otherwise depends on its version and memory, and it drops what does "
            "not fit; say one that holds all images and texts, like 16384",
            llm->name);
    return OK;
}

static int64_t max_output_tokens(const struct llm *llm)
{
    // -1 and -2 are Ollama's words for "no bound".
    return nested_bound(&model_options, llm, "num_predict");
}

/* Label and text of a message, each on its own line. */
static int add_texts(struct json *message, const struct dialogue_message *m)
{
    struct buffer text;
    buffer_init(&text, MAX_MESSAGE);
    for (size_t i = 0; i < m->n_parts; i++)
        if (m->parts[i].text)
            buffer_printf(&text, "%s%s", text.len ? "\n" : "", m->parts[i].text);
    int ok = !text.failed && json_set_text(message, "content", buffer_str(&text));
    buffer_release(&text);
    return ok;
}

static int add_image(struct json *images, const struct frame *image)
{
    char *mark = text_format("sha256:%s", frame_sha256(image));
    int ok = mark && json_add_text(images, mark);
    free(mark);
    return ok;
}

static int add_message(struct json *messages, const struct dialogue_message *m)
{
    struct json *j = json_add_object(messages), *images = NULL;
    int ok = json_set_text(j, "role", m->is_assistant ? "assistant" : "user") != NULL;
    ok = ok && add_texts(j, m);
    for (size_t i = 0; ok && i < m->n_parts; i++) {
        if (!m->parts[i].frame)
            continue;
        images = images ? images : json_set_array(j, "images");
        ok = add_image(images, m->parts[i].frame);
    }
    return ok;
}

static int add_parameters(struct json *root, const struct llm *llm)
{
    // A prompt that does not fit is to be an error, not a shorter prompt.
    return json_set_bool(root, "stream", llm->stream) &&
           json_set_bool(root, "truncate", 0) && nested_put(&model_options, llm, root);
}

static int write_request(
    const struct llm *llm, const struct dialogue *d, struct json *root)
{
    int ok = json_set_text(root, "model", llm->model) != NULL;
    struct json *messages = json_set_array(root, "messages");
    if (d->system_prompt) {
        struct json *system = json_add_object(messages);
        ok = ok && json_set_text(system, "role", "system") &&
             json_set_text(system, "content", d->system_prompt);
    }
    for (size_t i = 0; ok && i < d->n_messages; i++)
        ok = add_message(messages, &d->messages[i]);
    return ok && messages && add_parameters(root, llm);
}

/* An element of a list of images can look like a text of the dialogue, so the list is
 * found first: inside a JSON string its quotes would be escaped. */
static enum status put_images_in(
    const struct dialogue *d, struct body *body, struct error *err)
{
    const char *text = buffer_str(&body->text), *rest = text;
    enum status s = OK;
    for (size_t i = 0; i < d->n_messages; i++) {
        const struct dialogue_message *m = &d->messages[i];
        const char *before = "\"images\":[\"";
        for (size_t k = 0; s == OK && k < m->n_parts; k++) {
            if (!m->parts[k].frame)
                continue;
            if (dialogue_is_sound(&m->parts[k]))
                return error_set(err, E_DATA, "Ollama's chat carries no sound");
            const char *found = strstr(rest, before);
            rest = found ? found + strlen(before) : rest;
            s = body_add_frame(body, (size_t)(rest - text), m->parts[k].frame, 0, err);
            before = "\",\"";
        }
    }
    return s == OK ? body_close(body, err) : s;
}

const struct protocol protocol_ollama = {
    .name = "ollama",
    .path = "/api/chat",
    .reserved = reserved,
    .kinds = PROTOCOL_SEES,
    .check = check,
    .max_output_tokens = max_output_tokens,
    .max_tokens_key = "num_predict",
    .write = write_request,
    .put_frames = put_images_in,
    .parse = ollama_parse,
};
