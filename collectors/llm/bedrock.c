/* bedrock.c - AWS Bedrock Converse, the request: POST {base}/model/MODEL/converse, for
 * streams /converse-stream, base https://bedrock-runtime.REGION.amazonaws.com.
 *
 * Source: the types of @aws-sdk/client-bedrock-runtime 3.1164.0.  The model's id is
 * percent-encoded in the path ("...-v2%3A0").  Images are their format and base64.  What
 * comes back is read in bedrock_answer.c, who asks is told in bedrock_key.c. */
#include "collectors/llm/bedrock.h"

#include <string.h>

#include "collectors/llm/nested.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"

/* Parameters beside inferenceConfig; every other one goes inside it. */
static const char *const outer[] = { "additionalModelRequestFields",
    "additionalModelResponseFieldPaths", "guardrailConfig", "performanceConfig",
    "promptVariables", "requestMetadata", "serviceTier", "toolConfig", "outputConfig" };
static const char *const reserved[] = { "model", "modelId", "messages", "system",
    "stream", NULL };

static const struct nested inference = { "inferenceConfig", outer, COUNT_OF(outer) };

static enum status check_auth(const struct llm *llm, struct error *err)
{
    static const char *const of_signature[] = { "region", "access_key_env",
        "secret_key_env", "session_token_env" };
    const char *auth = json_text(json_get(llm->options, "auth"), "");
    if (!text_equal(auth, "sigv4")) {
        for (size_t i = 0; i < COUNT_OF(of_signature); i++)
            if (json_get(llm->options, of_signature[i]))
                return error_set(err, E_ARG,
                    "llm \"%s\": option \"%s\" belongs to \"auth\": \"sigv4\"; an API "
                    "key needs key_env alone",
                    llm->name, of_signature[i]);
        return OK;
    }
    if (!json_get(llm->options, "region"))
        return error_set(err, E_ARG,
            "llm \"%s\": \"auth\": \"sigv4\" needs the option \"region\", like "
            "\"us-east-1\"",
            llm->name);
    if (llm->key_env)
        return error_set(err, E_ARG,
            "llm \"%s\": key_env names an API key, and \"auth\": \"sigv4\" signs with an "
            "access key (option \"access_key_env\"); leave one out",
            llm->name);
    for (size_t i = 1; i < COUNT_OF(of_signature); i++) {
        const char *name = json_text(json_get(llm->options, of_signature[i]), "X");
        // What stands here may be the key itself, so it is not repeated.
        if (strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != strlen(name))
            return error_set(err, E_ARG,
                "llm \"%s\": option \"%s\" has to be the name of an environment variable "
                "in capitals, never the key itself",
                llm->name, of_signature[i]);
    }
    return OK;
}

static enum status check(const struct llm *llm, struct error *err)
{
    enum status s = nested_check(&inference, llm, err);
    return s == OK ? check_auth(llm, err) : s;
}

static int64_t max_output_tokens(const struct llm *llm)
{
    return nested_bound(&inference, llm, "maxTokens");
}

/* Only what asks for a cache point gets a cache from Anthropic's models here; others
 * (Nova) may keep one unasked. */
static int has_cache_switch(const struct llm *llm)
{
    return strstr(llm->model, "anthropic.") != NULL;
}

/* "image/png" is the format "png". */
static int add_image(struct json *content, const struct frame *image)
{
    const char *type = frame_media_type(image), *slash = strchr(type, '/');
    struct json *j = json_set_object(json_add_object(content), "image");
    return json_set_text(j, "format", slash ? slash + 1 : type) &&
           protocol_set_frame(json_set_object(j, "source"), "bytes", image);
}

static int add_message(struct json *messages, const struct dialogue_message *m)
{
    struct json *j = json_add_object(messages);
    int ok = json_set_text(j, "role", m->is_assistant ? "assistant" : "user") != NULL;
    struct json *content = json_set_array(j, "content");
    for (size_t i = 0; ok && i < m->n_parts; i++) {
        const struct dialogue_part *part = &m->parts[i];
        if (part->frame)
            ok = add_image(content, part->frame);
        else if (*part->text) // an empty text is refused
            ok = json_set_text(json_add_object(content), "text", part->text) != NULL;
    }
    if (ok && !json_size(content))
        ok = json_set_text(json_add_object(content), "text", PROTOCOL_NO_ANSWER) != NULL;
    return ok && content;
}

static int write_request(
    const struct llm *llm, const struct dialogue *d, struct json *root)
{
    int ok = root != NULL;
    if (d->system_prompt) {
        struct json *system = json_set_array(root, "system");
        ok = json_set_text(json_add_object(system), "text", d->system_prompt) != NULL;
    }
    struct json *messages = json_set_array(root, "messages");
    for (size_t i = 0; ok && i < d->n_messages; i++)
        ok = add_message(messages, &d->messages[i]);
    return ok && messages && nested_put(&inference, llm, root);
}

static const struct frame_form image_form = { "\"bytes\":\"", 0 };

static const char *const ways[] = { "bearer", "sigv4", NULL };

static const struct protocol_option options[] = {
    { "auth", "who proves how that it may ask", "bearer", ways, 0 },
    { "region", "the AWS region that signs, like us-east-1", NULL, NULL, 0 },
    { "access_key_env", "the variable of the access key", NULL, NULL, 0 },
    { "secret_key_env", "the variable of its secret", NULL, NULL, 0 },
    { "session_token_env", "the variable of a temporary key's token", NULL, NULL, 0 },
};

const struct protocol protocol_bedrock_converse = {
    .name = "bedrock-converse",
    .path = "/model/{model}/converse",
    .stream_path = "/model/{model}/converse-stream",
    .options = options,
    .n_options = COUNT_OF(options),
    .reserved = reserved,
    .kinds = PROTOCOL_SEES,
    .max_images = 20,
    .max_image_px = 8000,
    .max_image_bytes = 3750000,
    .key = bedrock_key,
    .has_cache_switch = has_cache_switch,
    .check = check,
    .max_output_tokens = max_output_tokens,
    .max_tokens_key = "maxTokens",
    .write = write_request,
    .image = &image_form,
    .parse = bedrock_parse,
};
