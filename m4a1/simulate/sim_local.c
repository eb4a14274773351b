/* sim_local.c - lists of models, and what Ollama tells of a model's file. */
#include "m4a1/simulate/sim_local.h"

#include <stdio.h>

#include "m4a1/base/hash.h"
#include "m4a1/base/text.h"
#include "m4a1/simulate/sim_reply.h"
#include "m4a1/simulate/sim_request.h"

#define MODEL_BYTES 3200000000 /* of a made-up model's file */

static void send_json(struct http_answer *answer, int status, struct json *json)
{
    answer->status = status;
    answer->content_type = "application/json";
    if (!json || json_print(json, JSON_PRETTY, &answer->body, NULL) != OK)
        answer->body.failed = E_NOMEM;
    (void)buffer_add_char(&answer->body, '\n');
    json_free(json);
}

/* The i-th llm's model; NULL where an earlier llm has the same. */
static const char *model_at(const struct recipe *recipe, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (text_equal(recipe->llms[k].model, recipe->llms[i].model))
            return NULL;
    return recipe->llms[i].model;
}

static void openai_model(struct json *list, const char *name)
{
    struct json *model = json_add_object(list);
    json_set_text(model, "id", name);
    json_set_text(model, "object", "model");
    json_set_int(model, "created", SIM_CREATED);
    json_set_text(model, "owned_by", SIM_FINGERPRINT);
}

static void gemini_model(struct json *list, const char *name)
{
    char text[SIM_MAX_MODEL + 8];
    struct json *model = json_add_object(list);
    snprintf(text, sizeof text, "models/%s", name);
    json_set_text(model, "name", text);
    json_set_text(model, "displayName", name);
    struct json *methods = json_set_array(model, "supportedGenerationMethods");
    json_add_text(methods, "generateContent");
    json_add_text(methods, "streamGenerateContent");
}

static void details_set(struct json *model)
{
    struct json *details = json_set_object(model, "details");
    json_set_text(details, "parent_model", "");
    json_set_text(details, "format", "gguf");
    json_set_text(details, "family", "simulated");
    json_add_text(json_set_array(details, "families"), "simulated");
    json_set_text(details, "parameter_size", "3.0B");
    json_set_text(details, "quantization_level", "Q4_K_M");
}

static struct json *ollama_model_add(struct json *list, const char *name)
{
    char digest[HASH_HEX], text[SIM_MAX_MODEL + 32];
    struct json *model = json_add_object(list);
    int len = snprintf(text, sizeof text, SIM_FINGERPRINT "\n%s", name);
    hash_hex(text, (size_t)len < sizeof text ? (size_t)len : sizeof text - 1, digest);
    json_set_text(model, "name", name);
    json_set_text(model, "model", name);
    json_set_text(model, "modified_at", SIM_CREATED_TEXT);
    json_set_int(model, "size", MODEL_BYTES);
    json_set_text(model, "digest", digest);
    details_set(model);
    return model;
}

static void ollama_model(struct json *list, const char *name)
{
    (void)ollama_model_add(list, name);
}

static void ollama_running(struct json *list, const char *name)
{
    struct json *model = ollama_model_add(list, name);
    json_set_text(model, "expires_at", SIM_CREATED_TEXT);
    json_set_int(model, "size_vram", MODEL_BYTES);
    json_set_int(model, "context_length", 32768);
}

static struct json *model_list(const struct recipe *recipe, const char *key,
    void (*add)(struct json *list, const char *name))
{
    struct json *root = json_new_object();
    struct json *list = json_set_array(root, key);
    for (size_t i = 0; i < recipe->n_llms; i++)
        if (model_at(recipe, i))
            add(list, model_at(recipe, i));
    return root;
}

/* --- Ollama's own --- */

static void send_show(const struct recipe *recipe, const struct http_request *request,
    struct http_answer *answer)
{
    struct sim_request asked;
    struct sim_error error;
    char message[SIM_MAX_MODEL + 32] = "model is required";
    const char *name = NULL;
    if (sim_request_parse(request->body, request->body_len, &asked, &error))
        name = json_text(
            json_get(asked.body, "model"), json_text(json_get(asked.body, "name"), NULL));
    int known = 0;
    for (size_t i = 0; name && i < recipe->n_llms; i++)
        known |= text_equal(recipe->llms[i].model, name);
    if (name)
        snprintf(message, sizeof message, "model '%.200s' not found", name);
    struct json *root = json_new_object();
    if (known) {
        json_set_text(root, "modelfile", "# simulated: there are no weights\n");
        json_set_text(root, "template", "{{ .Prompt }}");
        details_set(root);
        struct json *info = json_set_object(root, "model_info");
        json_set_text(info, "general.architecture", "simulated");
        json_set_int(info, "general.parameter_count", 3000000000);
        json_set_int(info, "simulated.context_length", 32768);
        struct json *abilities = json_set_array(root, "capabilities");
        json_add_text(abilities, "completion");
        json_add_text(abilities, "vision");
        json_set_text(root, "modified_at", SIM_CREATED_TEXT);
    } else {
        message[text_utf8_valid(message, sizeof message - 1)] = '\0';
        json_set_text(root, "error", message);
    }
    send_json(answer, known ? 200 : name ? 404 : 400, root);
    sim_request_release(&asked);
}

int sim_local(const struct simulate_options *options, const struct http_request *request,
    struct http_answer *answer)
{
    const struct recipe *recipe = options->recipe;
    const char *path = request->path;
    int get = text_equal(request->method, "GET");
    if (get && text_ends(path, "/v1/models")) {
        struct json *root = model_list(recipe, "data", openai_model);
        json_set_text(root, "object", "list");
        send_json(answer, 200, root);
    } else if (get && text_ends(path, "/v1beta/models")) {
        send_json(answer, 200, model_list(recipe, "models", gemini_model));
    } else if (get && text_ends(path, "/api/tags")) {
        send_json(answer, 200, model_list(recipe, "models", ollama_model));
    } else if (get && text_ends(path, "/api/ps")) {
        send_json(answer, 200, model_list(recipe, "models", ollama_running));
    } else if (get && text_ends(path, "/api/version")) {
        struct json *root = json_new_object();
        json_set_text(root, "version", "0.0.0-" SIM_FINGERPRINT);
        send_json(answer, 200, root);
    } else if (text_equal(request->method, "POST") && text_ends(path, "/api/show")) {
        send_show(recipe, request, answer);
    } else if (get && text_equal(path, "/health")) {
        answer->content_type = "application/json";
        (void)buffer_add_str(&answer->body, "{\"status\":\"ok\"}\n");
    } else {
        return 0;
    }
    return 1;
}
