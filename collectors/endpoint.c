/* endpoint.c - see endpoint.h. */
#include "collectors/endpoint.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/llm/fetch.h"
#include "m4a1/base/clock.h"
#include "m4a1/base/files.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"
#include "schema/query.h"

#define WAIT_NS INT64_C(2000000000)
#define MAX_DETAILS 65536
#define MAX_FACT 200 /* bytes of what a server says of itself */

struct asking {
    const struct llm *llm;
    char *base; /* the address without the protocol's "/v1" */
    struct endpoint_facts *facts;
    int is_unreached, no_memory;
};

void endpoint_facts_release(struct endpoint_facts *f)
{
    free(f->server);
    free(f->build);
    free(f->model_digest);
    free(f->quantisation);
    free(f->gpu);
    *f = (struct endpoint_facts) { .context_tokens = -1, .slots = -1 };
}

/* Cut to a length that anybody reads, and in one line. */
static void keep(struct asking *a, char **slot, const char *text)
{
    if (!text || !*text || *slot)
        return;
    size_t n = strnlen(text, MAX_FACT);
    *slot = text_copy_n(text, n == MAX_FACT ? text_utf8_valid(text, n) : n);
    a->no_memory |= !*slot;
    for (char *c = *slot; c && *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
}

/* The JSON object at this path, owned by the caller; NULL where there is none. */
static struct json *ask(struct asking *a, const char *path, const char *body)
{
    struct json *j = NULL;
    struct fetched f;
    char *url = a->is_unreached ? NULL : text_format("%s%s", a->base, path);
    if (!url)
        return NULL;
    // An Ollama or llama.cpp has no key; a vLLM may have one, which goes to it alone.
    struct key_use key = { .way = KEY_BEARER, .env = a->llm->key_env };
    struct error why = ERROR_INIT;
    enum status s =
        fetch(url, key_check(&key, NULL) == OK ? &key : NULL, body, WAIT_NS, &f, &why);
    a->is_unreached |= s != OK && f.http_status == 0;
    if (s == OK && f.http_status == 200 &&
        json_parse(buffer_str(&f.body), f.body.len, "answer", 0, &j, NULL) != OK)
        j = NULL;
    if (j && !json_is_object(j)) {
        json_free(j);
        j = NULL;
    }
    fetched_release(&f);
    free(url);
    return j;
}

/* ---- Ollama --------------------------------------------------------------------- */

/* The entry of the llm's model; a name without a tag stands for ":latest". */
static const struct json *find_model(const struct json *list, const char *model)
{
    char *latest = text_format("%s:latest", model);
    const struct json *m = json_first(list);
    for (; m; m = json_next(m)) {
        const char *name = json_text(json_get(m, "name"), "");
        if (text_equal(name, model) || text_equal(name, latest))
            break;
    }
    free(latest);
    return m;
}

static char *model_as_body(const char *model)
{
    struct buffer b;
    struct json *j = json_new_object();
    buffer_init(&b, MAX_DETAILS);
    char *text =
        json_set_text(j, "model", model) && json_print(j, JSON_COMPACT, &b, NULL) == OK
            ? buffer_detach(&b, NULL)
            : NULL;
    json_free(j);
    buffer_release(&b);
    return text;
}

static void read_show(struct asking *a)
{
    char *body = model_as_body(a->llm->model);
    struct json *show = body ? ask(a, "/api/show", body) : NULL;
    const struct json *info = json_first(json_get(show, "model_info"));
    for (; info; info = json_next(info))
        if (text_ends(json_key(info), ".context_length"))
            a->facts->context_tokens = json_int(info, -1);
    keep(a, &a->facts->quantisation,
        json_text(json_get(json_get(show, "details"), "quantization_level"), NULL));
    json_free(show);
    free(body);
}

/* How much of a loaded model lies in video memory. */
static void read_loaded(struct asking *a)
{
    struct json *ps = ask(a, "/api/ps", NULL);
    const struct json *m = find_model(json_get(ps, "models"), a->llm->model);
    double size = json_number(json_get(m, "size"), 0);
    double vram = json_number(json_get(m, "size_vram"), -1);
    if (size > 0 && vram >= 0) {
        char *text = text_format("%.0f %% in video memory", 100 * vram / size);
        keep(a, &a->facts->gpu, text);
        free(text);
    }
    json_free(ps);
}

static int ask_ollama(struct asking *a)
{
    struct json *version = ask(a, "/api/version", NULL);
    const char *build = json_text(json_get(version, "version"), NULL);
    struct json *tags = build ? ask(a, "/api/tags", NULL) : NULL;
    int found = json_is_array(json_get(tags, "models"));
    if (found) {
        const struct json *m = find_model(json_get(tags, "models"), a->llm->model);
        keep(a, &a->facts->server, "ollama");
        keep(a, &a->facts->build, build);
        keep(a, &a->facts->model_digest, json_text(json_get(m, "digest"), NULL));
        keep(a, &a->facts->quantisation,
            json_text(json_get(json_get(m, "details"), "quantization_level"), NULL));
        read_show(a);
        read_loaded(a);
    }
    json_free(tags);
    json_free(version);
    return found;
}

/* ---- llama.cpp ------------------------------------------------------------------ */

/* "Q4_K_M" of "llava-1.6-mistral-7b.Q4_K_M.gguf"; NULL where the name has none. */
static char *quantisation_of(const char *file)
{
    for (const char *s = file; *s; s++) {
        int begins = s == file || strchr("-._", s[-1]) != NULL;
        int is_float = text_starts(s, "F16") || text_starts(s, "F32") ||
                       text_starts(s, "BF16") || text_starts(s, "f16");
        int is_quant = (*s == 'Q' || *s == 'q') && isdigit((unsigned char)s[1]);
        is_quant |= text_starts(s, "IQ") && isdigit((unsigned char)s[2]);
        if (begins && (is_float || is_quant))
            return text_copy_n(s, strcspn(s, ".-"));
    }
    return NULL;
}

static int ask_llama_cpp(struct asking *a)
{
    struct json *props = ask(a, "/props", NULL);
    const struct json *settings = json_get(props, "default_generation_settings");
    int found = json_is_object(settings);
    if (found) {
        keep(a, &a->facts->server, "llama.cpp");
        keep(a, &a->facts->build, json_text(json_get(props, "build_info"), NULL));
        // The file's name, never its folder: that would tell of the machine.
        const char *file = path_base(json_text(json_get(props, "model_path"), ""));
        char *quantisation = quantisation_of(file);
        keep(a, &a->facts->model_digest, file);
        keep(a, &a->facts->quantisation, quantisation);
        free(quantisation);
        a->facts->slots = json_int(json_get(props, "total_slots"), -1);
        a->facts->context_tokens = json_int(json_get(settings, "n_ctx"), -1);
    }
    json_free(props);
    return found;
}

/* ---- vLLM ----------------------------------------------------------------------- */

static int ask_vllm(struct asking *a)
{
    struct json *models = ask(a, "/v1/models", NULL);
    const struct json *m = json_first(json_get(models, "data"));
    while (m && !text_equal(json_text(json_get(m, "id"), NULL), a->llm->model))
        m = json_next(m);
    int found = text_equal(json_text(json_get(m, "owned_by"), NULL), "vllm");
    if (found) {
        struct json *version = ask(a, "/version", NULL);
        keep(a, &a->facts->server, "vllm");
        keep(a, &a->facts->build, json_text(json_get(version, "version"), NULL));
        a->facts->context_tokens = json_int(json_get(m, "max_model_len"), -1);
        json_free(version);
    }
    json_free(models);
    return found;
}

enum status endpoint_ask(
    const struct llm *llm, struct endpoint_facts *out, struct error *err)
{
    *out = (struct endpoint_facts) { .context_tokens = -1, .slots = -1 };
    if (!llm->url)
        return OK;
    size_t len = strlen(llm->url);
    struct asking a = { .llm = llm, .facts = out };
    a.base = text_copy_n(llm->url, text_ends(llm->url, "/v1") ? len - 3 : len);
    a.no_memory = !a.base;
    if (a.base && !ask_ollama(&a) && !ask_llama_cpp(&a))
        ask_vllm(&a);
    free(a.base);
    return a.no_memory ? error_nomem(err, len) : OK;
}

/* ---- the store ------------------------------------------------------------------ */

static int set_details(struct json *j, const struct endpoint_facts *f)
{
    const struct {
        const char *key, *text;
    } texts[] = { { "server", f->server }, { "build", f->build },
        { "model_digest", f->model_digest }, { "quantisation", f->quantisation },
        { "gpu", f->gpu } };
    int ok = j != NULL;
    for (size_t i = 0; ok && i < COUNT_OF(texts); i++)
        if (texts[i].text)
            ok = json_set_text(j, texts[i].key, texts[i].text) != NULL;
    if (ok && f->context_tokens >= 0)
        ok = json_set_int(j, "context_tokens", f->context_tokens) != NULL;
    if (ok && f->slots >= 0)
        ok = json_set_int(j, "slots", f->slots) != NULL;
    return ok;
}

enum status endpoint_save(struct store *store, int64_t llm_id,
    const struct endpoint_facts *f, struct error *err)
{
    struct buffer details;
    struct json *j = json_new_object();
    int64_t now_ms = clock_wall_ms(), same = 0;
    buffer_init(&details, MAX_DETAILS);
    enum status s = set_details(j, f) ? json_print(j, JSON_CANONICAL, &details, err)
                                      : error_nomem(err, 1);
    if (s == OK)
        s = store_int(store, 0, &same, err,
            "SELECT endpoint_id FROM endpoint WHERE endpoint_id = (SELECT"
            " max(endpoint_id) FROM endpoint WHERE llm_id = ?) AND details = ?",
            "it", llm_id, buffer_str(&details));
    if (s == OK && same)
        s = store_run(store, err,
            "UPDATE endpoint SET last_seen_ms = ? WHERE endpoint_id = ?", "ii", now_ms,
            same);
    else if (s == OK)
        s = store_run(store, err,
            "INSERT INTO endpoint (llm_id, first_seen_ms, last_seen_ms, server, build,"
            " model_digest, quantisation, context_tokens, slots, gpu, details)"
            " VALUES (?1, ?2, ?2, ?, ?, ?, ?, ?, ?, ?, ?)",
            "iittttIItt", llm_id, now_ms, f->server ? f->server : "unknown", f->build,
            f->model_digest, f->quantisation,
            f->context_tokens >= 0 ? &f->context_tokens : NULL,
            f->slots >= 0 ? &f->slots : NULL, f->gpu, buffer_str(&details));
    json_free(j);
    buffer_release(&details);
    return s;
}
