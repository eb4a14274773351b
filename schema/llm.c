/* llm.c - LLM configurations between recipe, store and engine. */
#include "schema/llm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/text.h"
#include "schema/query.h"

#define LLM_JSON_MAX (1 << 20)

const char *const llm_too_large_names[2] = { "refuse", "resize" };
const char *const llm_cache_names[2] = { "allow", "avoid" };
const char *const llm_role_names[4] = { "local", "cloud", "reference", "judge" };

void llm_release(struct llm *llm)
{
    free(llm->name);
    free(llm->protocol);
    free(llm->endpoint);
    free(llm->model);
    json_free(llm->parameters);
    json_free(llm->options);
    free(llm->system_prompt);
    free(llm->identity);
    free(llm->url);
    free(llm->key_env);
    free(llm->device);
    *llm = (struct llm) { 0 };
}

void llm_free_all(struct llm *llms, size_t n)
{
    for (size_t i = 0; i < n; i++)
        llm_release(&llms[i]);
    free(llms);
}

/* What is said about the size of pictures; nothing is written where nothing is said. */
static int set_image_limits(struct json *j, const struct llm *llm)
{
    int ok = 1;
    if (llm->max_image_px)
        ok = json_set_int(j, "image_px", llm->max_image_px) != NULL;
    if (ok && llm->max_image_bytes)
        ok = json_set_int(j, "image_bytes", llm->max_image_bytes) != NULL;
    if (ok && llm->resizes_images)
        ok = json_set_text(j, "too_large", llm_too_large_names[1]) != NULL;
    return ok;
}

enum status llm_facts(const struct llm *llm, struct json **out, struct error *err)
{
    struct json *j = *out = json_new_object();
    int ok = json_set_text(j, "protocol", llm->protocol) &&
             json_set_text(j, "endpoint", llm->endpoint) &&
             json_set_text(j, "model", llm->model) &&
             json_set_copy(j, "parameters", llm->parameters);
    // Left out where there are none, so that llms of older stores keep their identity.
    if (ok && json_size(llm->options))
        ok = json_set_copy(j, "options", llm->options) != NULL;
    if (ok && llm->resizes_images)
        ok = set_image_limits(json_set_object(j, "images"), llm);
    if (ok && llm->system_prompt)
        ok = json_set_text(j, "system_prompt", llm->system_prompt) != NULL;
    if (ok)
        return OK;
    json_free(j);
    *out = NULL;
    return error_nomem(err, sizeof *llm);
}

/* The settings as an object. */
static enum status settings_of(
    const struct llm *llm, struct json **out, struct error *err)
{
    struct json *j = *out = json_new_object();
    int ok = json_set_text(j, "url", llm->url) &&
             json_set_bool(j, "stream", llm->stream) &&
             json_set_text(j, "cache", llm_cache_names[llm->avoid_cache != 0]) &&
             json_set_int(j, "slots", llm->slots) &&
             json_set_int(j, "max_attempts", llm->max_attempts) &&
             json_set_int(j, "image_tokens", llm->image_tokens) &&
             json_set_int(j, "rpm", llm->rpm) && json_set_int(j, "tpm", llm->tpm) &&
             json_set_number(j, "timeout_s", llm->timeout_s);
    struct json *accepts = ok ? json_set_object(j, "accepts") : NULL;
    ok = accepts != NULL;
    for (int kind = 0; ok && kind < N_VIEW_KINDS; kind++)
        ok = json_set_int(accepts, view_kind_names[kind], llm->accepts[kind]) != NULL;
    ok = ok && set_image_limits(accepts, llm);
    if (ok && llm->max_usd > 0)
        ok = json_set_number(j, "max_usd", llm->max_usd) != NULL;
    if (ok && llm->watts > 0)
        ok = json_set_number(j, "watts", llm->watts) != NULL;
    if (ok && llm->usd_per_kwh > 0)
        ok = json_set_number(j, "usd_per_kwh", llm->usd_per_kwh) != NULL;
    if (ok && llm->key_env)
        ok = json_set_text(j, "key_env", llm->key_env) != NULL;
    if (ok && llm->device)
        ok = json_set_text(j, "device", llm->device) != NULL;
    if (ok)
        return OK;
    json_free(j);
    *out = NULL;
    return error_nomem(err, sizeof *llm);
}

enum status llm_identify(struct llm *llm, struct error *err)
{
    struct json *facts;
    struct buffer text;
    buffer_init(&text, LLM_JSON_MAX);
    enum status s = llm_facts(llm, &facts, err);
    if (!s) {
        buffer_add_str(&text, "m4a1-llm-1\n");
        s = json_print(facts, JSON_CANONICAL, &text, err);
    }
    if (!s) {
        free(llm->identity);
        llm->identity = malloc(HASH_HEX);
        if (llm->identity)
            hash_hex(text.data, text.len, llm->identity);
        else
            s = error_nomem(err, HASH_HEX);
    }
    json_free(facts);
    buffer_release(&text);
    return s;
}

static enum status llm_insert(struct store *store, struct llm *llm, const char *facts,
    const char *settings, struct error *err)
{
    enum status s = store_run(store, err,
        "INSERT INTO llm (name, identity, role, protocol, endpoint, model, facts, "
        "settings) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        "tttttttt", llm->name, llm->identity, llm_role_names[llm->role], llm->protocol,
        llm->endpoint, llm->model, facts, settings);
    if (!s)
        llm->llm_id = store_last_id(store);
    else if (store_was_conflict(store))
        s = error_set(err, E_ARG,
            "llm %s: another llm of this role has the same protocol, endpoint, model and "
            "parameters; give one of them something of its own",
            llm->name);
    return s;
}

/* A row of the same name is there: its settings may change, its facts only while no
 * call has been planned for it. */
static enum status llm_update(struct store *store, struct llm *llm, int64_t id, int same,
    const char *facts, const char *settings, struct error *err)
{
    int64_t n_calls = 0;
    enum status s = store_int(store, 0, &n_calls, err,
        "SELECT count(*) FROM (SELECT 1 FROM call WHERE llm_id = ? LIMIT 1)", "i", id);
    if (s)
        return s;
    if (!same && n_calls)
        return error_set(err, E_ARG,
            "llm %s: calls are planned for it as it was, so its protocol, endpoint, "
            "model, "
            "role, parameters and system prompt stay; give the changed one a new name, "
            "or, "
            "where none of its calls was sent, drop them first (m4a1 plan STORE --undo "
            "--llm %s)",
            llm->name, llm->name);
    llm->llm_id = id;
    return store_run(store, err,
        "UPDATE llm SET identity = ?, role = ?, protocol = ?, endpoint = ?, model = ?, "
        "facts = ?, settings = ?, retired_ms = NULL WHERE llm_id = ?",
        "ttttttti", llm->identity, llm_role_names[llm->role], llm->protocol,
        llm->endpoint, llm->model, facts, settings, id);
}

static enum status find_by_name(
    struct store *store, const struct llm *llm, int64_t *id, int *same, struct error *err)
{
    struct query *q;
    enum status s = query_open(
        store, "SELECT llm_id, identity, role FROM llm WHERE name = ?", &q, err);
    if (s)
        return s;
    query_bind(q, "t", llm->name);
    s = query_next(q, err);
    *id = 0;
    if (!s && query_has_row(q)) {
        *id = query_int(q, 0);
        *same = text_equal(query_text(q, 1), llm->identity) &&
                text_equal(query_text(q, 2), llm_role_names[llm->role]);
    }
    query_close(q);
    return s;
}

enum status llm_save(struct store *store, struct llm *llm, struct error *err)
{
    struct json *facts = NULL, *settings = NULL;
    struct buffer facts_text, settings_text;
    buffer_init(&facts_text, LLM_JSON_MAX);
    buffer_init(&settings_text, LLM_JSON_MAX);
    int64_t id = 0;
    int same = 0;
    enum status s = llm_identify(llm, err);
    if (!s)
        s = llm_facts(llm, &facts, err);
    if (!s)
        s = json_print(facts, JSON_CANONICAL, &facts_text, err);
    if (!s)
        s = settings_of(llm, &settings, err);
    if (!s)
        s = json_print(settings, JSON_CANONICAL, &settings_text, err);
    if (!s)
        s = find_by_name(store, llm, &id, &same, err);
    if (!s && id)
        s = llm_update(store, llm, id, same, facts_text.data, settings_text.data, err);
    else if (!s)
        s = llm_insert(store, llm, facts_text.data, settings_text.data, err);
    json_free(facts);
    json_free(settings);
    buffer_release(&facts_text);
    buffer_release(&settings_text);
    return s;
}

/* A copy of a member's text; NULL where it is missing. */
static char *member(const struct json *object, const char *key, int *failed)
{
    const char *text = json_text(json_get(object, key), NULL);
    char *copy = text ? text_copy(text) : NULL;
    *failed |= text && !copy;
    return copy;
}

void llm_accepts_default(int accepts[N_VIEW_KINDS])
{
    accepts[VIEW_IMAGE] = accepts[VIEW_VIDEO] = accepts[VIEW_TEXT] = -1;
    accepts[VIEW_AUDIO] = 0;
}

/* A store may have been edited: no setting is taken beyond what a recipe can say. */
static int64_t whole(const struct json *object, const char *key, int64_t otherwise,
    int64_t least, int64_t most)
{
    int64_t n = json_int(json_get(object, key), otherwise);
    return n < least ? least : n > most ? most : n;
}

static double number(const struct json *object, const char *key, double otherwise,
    double least, double most)
{
    return fmin(fmax(json_number(json_get(object, key), otherwise), least), most);
}

/* Stores of early versions know "max_images" alone. */
static void read_accepts(const struct json *settings, struct llm *llm)
{
    const struct json *accepts = json_get(settings, "accepts");
    llm_accepts_default(llm->accepts);
    llm->accepts[VIEW_IMAGE] = (int)whole(settings, "max_images", -1, -1, LLM_MAX_VIEWS);
    for (int kind = 0; kind < N_VIEW_KINDS; kind++)
        llm->accepts[kind] = (int)whole(
            accepts, view_kind_names[kind], llm->accepts[kind], -1, LLM_MAX_VIEWS);
    llm->max_image_px = (int)whole(accepts, "image_px", 0, 0, LLM_MAX_IMAGE_PX);
    llm->max_image_bytes = whole(accepts, "image_bytes", 0, 0, LLM_MAX_IMAGE_BYTES);
    llm->resizes_images = text_equal(
        json_text(json_get(accepts, "too_large"), NULL), llm_too_large_names[1]);
}

int llm_is_key_env(const char *name)
{
    size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    return n && n <= 64 && !name[n] && !strchr("0123456789", *name);
}

int llm_is_url(const char *url)
{
    const char *host = text_starts(url, "http://")    ? url + 7
                       : text_starts(url, "https://") ? url + 8
                                                      : "";
    size_t n = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");
    for (const char *c = host; *c; c++)
        if ((unsigned char)*c <= 0x20 || *c == 0x7f || strchr("\"\\@?#", *c))
            return 0;
    if (!n || n > strlen(host))
        return 0;
    const char *port = host + n;
    if (*port != ':')
        return !*port || *port == '/';
    size_t n_digits = strspn(port + 1, "0123456789");
    long value = n_digits && n_digits <= 5 ? strtol(port + 1, NULL, 10) : 0;
    port += 1 + n_digits;
    return value >= 1 && value <= 65535 && (!*port || *port == '/');
}

/* What the rest of the program relies on. */
static enum status check_shape(const struct llm *llm, struct error *err)
{
    const char *what = NULL;
    if (!json_is_object(llm->parameters))
        what = "facts.parameters is no object";
    else if (llm->options && !json_is_object(llm->options))
        what = "facts.options is no object";
    else if (llm->key_env && !llm_is_key_env(llm->key_env))
        what = "settings.key_env is no name of an environment variable in capitals";
    else if (llm->url && *llm->url && !llm_is_url(llm->url))
        what = "settings.url is no address";
    return what ? error_set(err, E_DATA,
                      "llm %s: its row in the store was edited: %s; run m4a1 init with "
                      "its recipe again, or restore a backup",
                      llm->name, what)
                : OK;
}

static enum status llm_from_row(const struct query *q, struct llm *llm, struct error *err)
{
    struct json *facts = NULL, *settings = NULL;
    const char *text = query_text(q, 3);
    int failed = 0;
    enum status s = json_parse(text, strlen(text), "llm.facts", 0, &facts, err);
    if (!s) {
        text = query_text(q, 4);
        s = json_parse(text, strlen(text), "llm.settings", 0, &settings, err);
    }
    if (!s) {
        llm->llm_id = query_int(q, 0);
        llm->name = text_copy(query_text(q, 1));
        llm->identity = text_copy(query_text(q, 2));
        const char *role = query_text(q, 5);
        for (size_t i = 0; i < COUNT_OF(llm_role_names); i++) {
            if (text_equal(role, llm_role_names[i]))
                llm->role = (enum llm_role)i;
        }
        llm->protocol = member(facts, "protocol", &failed);
        llm->endpoint = member(facts, "endpoint", &failed);
        llm->model = member(facts, "model", &failed);
        llm->system_prompt = member(facts, "system_prompt", &failed);
        const struct json *parameters = json_get(facts, "parameters");
        llm->parameters = parameters ? json_copy(parameters) : json_new_object();
        const struct json *options = json_get(facts, "options");
        llm->options = options ? json_copy(options) : NULL;
        failed |= options && !llm->options;
        llm->url = member(settings, "url", &failed);
        llm->key_env = member(settings, "key_env", &failed);
        llm->device = member(settings, "device", &failed);
        llm->stream = json_bool(json_get(settings, "stream"), 0);
        llm->avoid_cache =
            text_equal(json_text(json_get(settings, "cache"), NULL), llm_cache_names[1]);
        llm->slots = (int)whole(settings, "slots", 1, 1, LLM_MAX_SLOTS);
        read_accepts(settings, llm);
        llm->max_attempts = (int)whole(settings, "max_attempts", 1, 1, LLM_MAX_ATTEMPTS);
        llm->image_tokens = whole(settings, "image_tokens", 0, 0, LLM_MAX_IMAGE_TOKENS);
        llm->rpm = whole(settings, "rpm", 0, 0, LLM_MAX_PER_MINUTE);
        llm->tpm = whole(settings, "tpm", 0, 0, LLM_MAX_PER_MINUTE);
        llm->timeout_s = number(settings, "timeout_s", 600, 0.01, 86400);
        llm->max_usd = number(settings, "max_usd", 0, 0, 1e6);
        llm->watts = number(settings, "watts", 0, 0, 1e6);
        llm->usd_per_kwh = number(settings, "usd_per_kwh", 0, 0, 1000);
        if (failed || !llm->name || !llm->identity || !llm->parameters)
            s = error_nomem(err, sizeof *llm);
        else
            s = check_shape(llm, err);
    }
    json_free(facts);
    json_free(settings);
    if (s)
        llm_release(llm);
    return s;
}

enum status llm_load_all(
    struct store *store, int with_retired, struct llm **out, size_t *n, struct error *err)
{
    *out = NULL;
    *n = 0;
    struct query *q;
    enum status s = query_open(store,
        "SELECT llm_id, name, identity, facts, settings, role FROM llm "
        "WHERE retired_ms IS NULL OR ? ORDER BY llm_id",
        &q, err);
    if (s)
        return s;
    query_bind(q, "i", (int64_t)with_retired);
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        struct llm *grown = realloc(*out, (*n + 1) * sizeof **out);
        if (!grown) {
            s = error_nomem(err, (*n + 1) * sizeof **out);
            break;
        }
        *out = grown;
        grown[*n] = (struct llm) { 0 };
        s = llm_from_row(q, &grown[*n], err);
        if (s)
            break;
        ++*n;
    }
    query_close(q);
    if (s) {
        llm_free_all(*out, *n);
        *out = NULL;
        *n = 0;
    }
    return s;
}
