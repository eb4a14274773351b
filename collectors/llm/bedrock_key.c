/* bedrock_key.c - who asks Bedrock: an API key as a bearer token, or AWS Signature
 * Version 4 made of an access key, its secret and, for temporary ones, a token. */
#include "collectors/llm/bedrock.h"

#include "collectors/llm/sigv4.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"

/* Not the host's name ("bedrock-runtime"), which libcurl would take. */
#define SERVICE "bedrock"

enum { ACCESS_KEY, SECRET_KEY, SESSION_TOKEN, N_VARIABLES };

static enum status sign(const struct key_use *use, const struct key_request *request,
    struct buffer *lines, struct error *err)
{
    struct sigv4 in = { .method = request->method,
        .url = request->url,
        .headers = request->headers,
        .body_sha256 = request->body_sha256,
        .wall_ms = request->wall_ms,
        .region = use->scope,
        .service = SERVICE,
        .access_key = key_value(use, ACCESS_KEY),
        .secret_key = key_value(use, SECRET_KEY),
        .session_token = key_value(use, SESSION_TOKEN) };
    if (!in.access_key || !in.secret_key)
        return error_set(err, E_NOT_FOUND, "the environment variable %s is not set",
            use->variables[in.access_key ? SECRET_KEY : ACCESS_KEY].env);
    return sigv4_sign(&in, lines, err);
}

static const char *name_of(const struct llm *llm, const char *option, const char *usual)
{
    return json_text(json_get(llm->options, option), usual);
}

struct key_use bedrock_key(const struct llm *llm)
{
    if (!text_equal(name_of(llm, "auth", ""), "sigv4"))
        return (struct key_use) { .way = KEY_BEARER, .env = llm->key_env };
    struct key_use use = { .way = KEY_SIGNED,
        .sign = sign,
        .n_variables = N_VARIABLES,
        .scope = name_of(llm, "region", "") };
    use.variables[ACCESS_KEY].env = name_of(llm, "access_key_env", "AWS_ACCESS_KEY_ID");
    use.variables[SECRET_KEY].env =
        name_of(llm, "secret_key_env", "AWS_SECRET_ACCESS_KEY");
    use.variables[SESSION_TOKEN].env =
        name_of(llm, "session_token_env", "AWS_SESSION_TOKEN");
    use.variables[SESSION_TOKEN].is_optional = 1;
    return use;
}
