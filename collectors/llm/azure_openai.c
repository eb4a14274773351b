/* azure_openai.c - Azure OpenAI: the body of openai-chat at an address that names the
 * deployment, with a header of its own for the key.
 *
 * POST {base}/openai/deployments/{deployment}/chat/completions?api-version=..., base
 * https://RESOURCE.openai.azure.com.  The deployment decides which model answers.  A
 * prompt that Azure's filter refuses is HTTP 400 with the code content_filter; a filtered
 * answer ends with the finish_reason content_filter.  Streams may begin with a chunk
 * without choices. */
#include "collectors/llm/openai_chat.h"

#include "m4a1/base/text.h"

static struct key_use key(const struct llm *llm)
{
    int is_bearer = text_equal(json_text(json_get(llm->options, "auth"), NULL), "bearer");
    return (struct key_use) { .way = is_bearer ? KEY_BEARER : KEY_HEADER,
        .env = llm->key_env,
        .header = "api-key" };
}

static enum status parse(
    const struct wire_answer *wire, struct answer *out, struct error *err)
{
    return openai_chat_read(wire, "apim-request-id", out, err);
}

static const char *const ways[] = { "api-key", "bearer", NULL };
static const char *const roles[] = { "system", "developer", NULL };
static const char *const details[] = { "auto", "low", "high", NULL };

static const struct protocol_option options[] = {
    { "deployment", "the deployment's name", PROTOCOL_MODEL, NULL, 0 },
    { "api_version", "the API's version, like 2024-10-21", "2024-10-21", NULL, 0 },
    { "auth", "how the key is sent", "api-key", ways, 0 },
    { "detail", "the detail of images", NULL, details, 0 },
    { "system_role", "the role of the system prompt", "system", roles, 0 },
};

const struct protocol protocol_azure_openai = {
    .name = "azure-openai",
    .path = "/openai/deployments/{deployment}/chat/completions?api-version={api_version}",
    .options = options,
    .n_options = COUNT_OF(options),
    .reserved = openai_chat_reserved,
    .kinds = PROTOCOL_SEES_AND_HEARS,
    .key = key,
    .check = openai_chat_check,
    .max_output_tokens = openai_chat_max_tokens,
    .max_tokens_key = "max_completion_tokens",
    .write = openai_chat_write,
    .image = &openai_chat_image,
    .audio = &openai_chat_audio,
    .parse = parse,
};
