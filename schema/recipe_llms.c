/* recipe_llms.c - the llms of a recipe.
 *
 * It knows the keys of a configuration and "like", which copies another llm's keys.
 * Which protocols exist is decided on a higher floor: here a protocol is a word. */
#include "schema/recipe_reader.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/base/text.h"

#define MAX_LLMS 1000
#define MAX_EXACT 9007199254740992.0

/* Limits of a picture: below the least ones nothing can be seen or encoded. */
#define MIN_IMAGE_PX 16
#define MIN_IMAGE_BYTES 1024

/* The llm and those that "like" leads to; looked up once for all keys of an llm. */
static void find_chain(struct recipe_reader *r, const char *name)
{
    const struct json *llms = json_get(r->root, "llms"), *llm = json_get(llms, name);
    r->chain_of = name;
    r->n_chain = 0;
    while (llm && r->n_chain < COUNT_OF(r->chain)) {
        r->chain[r->n_chain++] = llm;
        llm = json_get(llms, json_text(json_get(llm, "like"), ""));
    }
}

/* The value of an llm's key, its own or the one that "like" leads to, and its path. */
static const struct json *llm_key(
    struct recipe_reader *r, const char *name, const char *key, char *path)
{
    char own[RECIPE_PATH];
    recipe_path(path, recipe_path(own, "llms", name ? name : ""), key);
    if (!name)
        return NULL;
    if (r->chain_of != name)
        find_chain(r, name);
    for (size_t i = 0; i < r->n_chain; i++) {
        const struct json *value = json_get(r->chain[i], key);
        if (value) {
            recipe_path(own, "llms", json_key(r->chain[i]));
            recipe_path(path, own, key);
            return value;
        }
    }
    return NULL;
}

static int is_none(const struct json *j)
{
    return !j || json_is_null(j);
}

/* "like" names an llm that is there, and soon leads to an end; false where it does not. */
static int check_like(struct recipe_reader *r, const struct json *llm, const char *path)
{
    const struct json *llms = json_get(r->root, "llms"), *like = json_get(llm, "like");
    char sub[RECIPE_PATH];
    if (!like)
        return 1;
    recipe_path(sub, path, "like");
    if (!json_get(llms, json_text(like, ""))) {
        recipe_wrong(r, sub, like, "the name of another llm of this recipe");
        return 0;
    }
    find_chain(r, json_key(llm));
    if (r->n_chain < COUNT_OF(r->chain))
        return 1;
    for (size_t i = 1; i < r->n_chain; i++)
        if (r->chain[i] == llm) {
            recipe_wrong(
                r, sub, like, "an llm that does not lead back here by its own \"like\"");
            return 0;
        }
    recipe_wrong(r, sub, like, "an llm from which \"like\" ends after at most %d steps",
        RECIPE_MAX_LIKE);
    return 0;
}

/* Name of the server in a base address; NULL where there is none. */
static char *host_of(const char *url)
{
    const char *host = strstr(url, "://");
    if (!host)
        return NULL;
    host += 3;
    size_t len = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");
    return len && len <= strlen(host) ? text_copy_n(host, len) : NULL;
}

static char *read_url(struct recipe_reader *r, const struct json *j, const char *path)
{
    const char *url = json_text(j, "");
    if (strpbrk(url, "@?#")) { // such an address may hold a secret: it is not repeated
        recipe_mistake(r, path,
            "expected an address without user name, query or "
            "fragment, found one of the signs @ ? #");
        return NULL;
    }
    if (!llm_is_url(url)) {
        recipe_wrong(r, path, j,
            "a base address like \"https://api.openai.com\" or "
            "\"http://127.0.0.1:8000\"");
        return NULL;
    }
    size_t len = strlen(url);
    while (len && url[len - 1] == '/')
        len--;
    char *copy = text_copy_n(url, len);
    if (!copy)
        r->out_of_memory = 1;
    return copy;
}

static char *read_key_env(struct recipe_reader *r, const struct json *j, const char *path)
{
    const char *name = json_text(j, "");
    if (json_is_string(j) && llm_is_key_env(name))
        return recipe_copy(r, name);
    // What stands here may be the key itself, so it is not repeated.
    recipe_mistake(r, path,
        "expected the name of an environment variable in capitals, like "
        "\"OPENAI_API_KEY\" (never the key itself), found something else");
    return NULL;
}

/* A number inside an object of an llm, like limits.rpm. */
static int64_t inner_int(struct recipe_reader *r, const struct json *object,
    const char *path, const char *key, int64_t min, int64_t max, int64_t otherwise,
    const char *what)
{
    char sub[RECIPE_PATH];
    const struct json *j = json_get(object, key);
    return is_none(j)
               ? otherwise
               : recipe_int(r, j, recipe_path(sub, path, key), min, max, otherwise, what);
}

/* The views that a request may hold, and how large a picture may be. */
static void read_accepts(struct recipe_reader *r, const char *name, struct llm *llm)
{
    static const char *const keys[] = { "image", "video", "text", "audio", "image_px",
        "image_bytes", "too_large" };
    char path[RECIPE_PATH], sub[RECIPE_PATH];
    const struct json *j = llm_key(r, name, "accepts", path);
    llm_accepts_default(llm->accepts);
    if (is_none(j))
        return;
    if (!json_is_object(j)) {
        recipe_wrong(r, path, j,
            "an object {\"image\": most a request, \"video\", \"text\", \"audio\", "
            "\"image_px\", \"image_bytes\", \"too_large\"}");
        return;
    }
    recipe_known_keys(r, j, path, keys, COUNT_OF(keys));
    for (int kind = 0; kind < N_VIEW_KINDS; kind++)
        llm->accepts[kind] = (int)inner_int(r, j, path, view_kind_names[kind], 0,
            LLM_MAX_VIEWS, llm->accepts[kind], "the most views of this kind a request");
    llm->max_image_px = (int)inner_int(r, j, path, "image_px", MIN_IMAGE_PX,
        LLM_MAX_IMAGE_PX, 0, "the longest side of a picture in pixels");
    llm->max_image_bytes = inner_int(r, j, path, "image_bytes", MIN_IMAGE_BYTES,
        LLM_MAX_IMAGE_BYTES, 0, "the most bytes of a picture's file");
    const struct json *too_large = json_get(j, "too_large");
    if (!is_none(too_large))
        llm->resizes_images =
            recipe_choice(r, too_large, recipe_path(sub, path, "too_large"),
                llm_too_large_names, COUNT_OF(llm_too_large_names)) == 1;
}

static void read_limits(struct recipe_reader *r, const char *name, struct llm *llm)
{
    static const char *const limit_keys[] = { "rpm", "tpm", "max_usd" };
    char path[RECIPE_PATH];
    char sub[RECIPE_PATH];
    const struct json *j = llm_key(r, name, "limits", path);
    if (!is_none(j) && !json_is_object(j)) {
        recipe_wrong(r, path, j,
            "an object {\"rpm\": requests, \"tpm\": tokens a minute, \"max_usd\": cap}");
    } else if (!is_none(j)) {
        recipe_known_keys(r, j, path, limit_keys, COUNT_OF(limit_keys));
        llm->rpm =
            inner_int(r, j, path, "rpm", 1, LLM_MAX_PER_MINUTE, 0, "requests a minute");
        llm->tpm =
            inner_int(r, j, path, "tpm", 1, LLM_MAX_PER_MINUTE, 0, "tokens a minute");
        const struct json *cap = json_get(j, "max_usd");
        if (!is_none(cap))
            llm->max_usd = recipe_number(r, cap, recipe_path(sub, path, "max_usd"), 1e-6,
                1e6, 0, "the most USD that this llm may cost");
    }
    read_accepts(r, name, llm);
}

/* What the electricity of a server of one's own is reckoned with. */
static void read_energy(struct recipe_reader *r, const char *name, struct llm *llm)
{
    char path[RECIPE_PATH];
    const struct json *watts = llm_key(r, name, "watts", path);
    llm->watts = is_none(watts) ? 0
                                : recipe_number(r, watts, path, 1e-6, 1e6, 0,
                                      "watts that the device draws while it answers");
    const struct json *tariff = llm_key(r, name, "usd_per_kwh", path);
    llm->usd_per_kwh =
        is_none(tariff) ? 0 : recipe_number(r, tariff, path, 1e-6, 1000, 0, "USD a kWh");
    if (is_none(watts) != is_none(tariff))
        recipe_mistake(r, path,
            "expected \"watts\" and \"usd_per_kwh\" together, found one of them");
}

static void read_settings(struct recipe_reader *r, const char *name, struct llm *llm)
{
    char path[RECIPE_PATH];
    const struct json *j = llm_key(r, name, "key_env", path);
    if (!is_none(j))
        llm->key_env = read_key_env(r, j, path);
    j = llm_key(r, name, "device", path);
    if (!is_none(j) && llm->role == LLM_LOCAL)
        llm->device = recipe_text(r, j, path, "the device's name, like \"Jetson TX2\"");
    else if (!is_none(j) && json_get(json_get(json_get(r->root, "llms"), name), "device"))
        recipe_wrong(r, path, j, "no device but on a local llm");
    j = llm_key(r, name, "stream", path);
    llm->stream = is_none(j) ? 1 : recipe_bool(r, j, path, 1);
    j = llm_key(r, name, "cache", path);
    if (!is_none(j))
        llm->avoid_cache = recipe_choice(r, j, path, llm_cache_names, 2) == 1;
    j = llm_key(r, name, "slots", path);
    llm->slots = is_none(j) ? 1
                            : (int)recipe_int(r, j, path, 1, LLM_MAX_SLOTS, 1,
                                  "calls in flight at once");
    j = llm_key(r, name, "image_tokens", path);
    llm->image_tokens = is_none(j) ? 0
                                   : recipe_int(r, j, path, 0, LLM_MAX_IMAGE_TOKENS, 0,
                                         "the most tokens that an image is billed");
    j = llm_key(r, name, "timeout_s", path);
    llm->timeout_s = is_none(j) ? 120
                                : recipe_number(r, j, path, 0.01, 86400, 120,
                                      "seconds until a call is given up");
    j = llm_key(r, name, "max_attempts", path);
    llm->max_attempts = is_none(j) ? 5
                                   : (int)recipe_int(r, j, path, 1, LLM_MAX_ATTEMPTS, 5,
                                         "attempts for one call");
    read_limits(r, name, llm);
    read_energy(r, name, llm);
}

static void read_system_prompt(struct recipe_reader *r, const char *name, struct llm *llm)
{
    char path[RECIPE_PATH];
    const struct json *j = llm_key(r, name, "system_prompt", path);
    if (!j && llm->role != LLM_JUDGE) { // a judge is no assistant, so it has only its own
        j = json_get(r->root, "system_prompt");
        recipe_path(path, "", "system_prompt");
    }
    if (!is_none(j))
        llm->system_prompt = recipe_text(
            r, j, path, "a text, {\"file\": NAME} or null for no system prompt");
}

/* Which options a protocol has is decided on a higher floor, too. */
static void read_options(struct recipe_reader *r, const char *name, struct llm *llm)
{
    char path[RECIPE_PATH];
    const struct json *j = llm_key(r, name, "options", path);
    if (is_none(j))
        return;
    if (!json_is_object(j)) {
        recipe_wrong(r, path, j, "an object with the protocol's options");
        return;
    }
    llm->options = json_copy(j);
    if (!llm->options)
        r->out_of_memory = 1;
}

/* Numbers are doubles here: a larger whole number would be sent as its neighbour. */
static void check_numbers(struct recipe_reader *r, const struct json *j, const char *path)
{
    char sub[RECIPE_PATH];
    size_t i = 0;
    if (json_is_number(j) && fabs(json_number(j, 0)) >= MAX_EXACT)
        recipe_wrong(r, path, j,
            "a number below 9007199254740992 (2^53), as larger ones are rounded");
    for (const struct json *c = json_first(j); c; c = json_next(c), i++)
        check_numbers(r, c,
            json_key(c) ? recipe_path(sub, path, json_key(c))
                        : recipe_path_at(sub, path, i));
}

static void read_facts(struct recipe_reader *r, const char *name, struct llm *llm)
{
    char path[RECIPE_PATH];
    const struct json *j = llm_key(r, name, "role", path);
    int role = recipe_choice(r, j, path, llm_role_names, COUNT_OF(llm_role_names));
    llm->role = role < 0 ? LLM_CLOUD : (enum llm_role)role;
    r->role_unknown[llm - r->recipe->llms] = role < 0;
    j = llm_key(r, name, "protocol", path);
    llm->protocol = recipe_word(r, j, path, "a protocol like \"openai-chat\"");
    j = llm_key(r, name, "model", path);
    llm->model = recipe_text(r, j, path, "the model's id, as its server knows it");
    j = llm_key(r, name, "url", path);
    llm->url = read_url(r, j, path);
    j = llm_key(r, name, "endpoint", path);
    if (!is_none(j))
        llm->endpoint = recipe_text(r, j, path, "a name for the server");
    else if (llm->url && !(llm->endpoint = host_of(llm->url)))
        recipe_wrong(r, path, j, "a name for the server, as the address has no host");
    j = llm_key(r, name, "parameters", path);
    if (!is_none(j) && !json_is_object(j))
        recipe_wrong(r, path, j, "an object with the protocol's parameters");
    if (json_is_object(j))
        check_numbers(r, j, path);
    llm->parameters = json_is_object(j) ? json_copy(j) : json_new_object();
    if (!llm->parameters)
        r->out_of_memory = 1;
    read_options(r, name, llm);
    read_system_prompt(r, name, llm);
}

/* Role and identity tell llms apart everywhere, so two equal ones are of no use. */
static void identify(struct recipe_reader *r, const char *path, struct llm *llm)
{
    struct error why = ERROR_INIT;
    if (!llm->protocol || !llm->model || !llm->endpoint || !llm->parameters)
        return;
    if (llm_identify(llm, &why)) {
        recipe_mistake(r, path, "%s", why.msg);
        return;
    }
    for (const struct llm *other = r->recipe->llms; other < llm; other++)
        if (other->role == llm->role && text_equal(other->identity, llm->identity))
            recipe_mistake(r, path,
                "expected llms that differ, found the role, protocol, endpoint, model, "
                "parameters, options and system prompt of \"%s\" again (give one another "
                "\"endpoint\" name "
                "if "
                "they are different servers)",
                other->name);
}

static void read_llm(
    struct recipe_reader *r, const struct json *j, const char *path, struct llm *llm)
{
    static const char *const keys[] = { "role", "protocol", "endpoint", "url", "model",
        "key_env", "parameters", "options", "cache", "system_prompt", "device", "slots",
        "stream", "accepts", "limits", "image_tokens", "timeout_s", "max_attempts",
        "watts", "usd_per_kwh", "like", "views" };
    char sub[RECIPE_PATH];
    const char *name = json_key(j);
    llm->name = recipe_copy(r, name);
    if (!recipe_is_word(name))
        recipe_mistake(r, path,
            "expected an llm's name of 1 to 64 letters, digits and "
            ". _ -, found other signs");
    if (!json_is_object(j)) {
        recipe_wrong(r, path, j, "an object {\"role\", \"protocol\", \"model\", ...}");
        return;
    }
    recipe_known_keys(r, j, path, keys, COUNT_OF(keys));
    r->quiet_missing = !check_like(r, j, path);
    read_facts(r, name, llm);
    read_settings(r, name, llm);
    r->quiet_missing = 0;
    const struct json *views = json_get(j, "views");
    recipe_path(sub, path, "views");
    if (views && llm->role != LLM_REFERENCE && !r->role_unknown[llm - r->recipe->llms])
        recipe_wrong(r, sub, views,
            "no \"views\" here (only a reference has them; \"actions\" says what others "
            "add)");
    else if (views && !text_equal(json_text(views, NULL), "all"))
        recipe_wrong(r, sub, views, "\"all\"");
    identify(r, path, llm);
}

void recipe_read_llms(struct recipe_reader *r)
{
    struct recipe *recipe = r->recipe;
    char path[RECIPE_PATH];
    const struct json *llms = recipe_object(r, r->root, "", "llms", 1,
        "an object of llms, a name each, like {\"gpt\": {\"role\": \"cloud\", ...}}");
    if (!llms)
        return;
    if (json_size(llms) > MAX_LLMS) {
        recipe_wrong(r, "llms", llms, "at most %d llms", MAX_LLMS);
        return;
    }
    recipe->llms = recipe_alloc(r, json_size(llms), sizeof *recipe->llms);
    r->role_unknown = recipe_alloc(r, json_size(llms), 1);
    if (!recipe->llms || !r->role_unknown)
        return;
    int plays = 0;
    for (const struct json *j = json_first(llms); j; j = json_next(j)) {
        struct llm *llm = &recipe->llms[recipe->n_llms++];
        read_llm(r, j, recipe_path(path, "llms", json_key(j)), llm);
        plays += llm->role == LLM_LOCAL || llm->role == LLM_CLOUD;
    }
    if (!plays)
        recipe_mistake(r, "llms",
            "expected at least one llm of role \"local\" or \"cloud\", found none");
}
