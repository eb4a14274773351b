/* manifest.c - build and read manifest.json. */
#include "export/manifest.h"

#include <gnu/libc-version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/coverage.h"
#include "export/json_keep.h"
#include "m4a1/base/clock.h"
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "schema/query.h"

#define MANIFEST_MAX ((size_t)64 << 20)

struct builder {
    struct store *store;
    const struct dataset *data;
    struct json *root;
    struct json_keeper kept;
};

/* ---- rows of the store as objects ---- */

static enum status set_column(struct builder *b, struct json *row, const struct query *q,
    int column, const char *key, char type, struct error *err)
{
    char when[32];
    struct json *j;
    if (query_is_null(q, column)) {
        json_keep(&b->kept, json_set_null(row, key));
        return OK;
    }
    switch (type) {
    case 'i':
        json_keep(&b->kept, json_set_int(row, key, query_int(q, column)));
        return OK;
    case 'm': // milliseconds since 1970, shown as a date
        clock_iso8601(query_int(q, column), when, sizeof when);
        json_keep(&b->kept, json_set_text(row, key, when));
        return OK;
    case 'j': { // JSON text
        const char *text = query_text(q, column);
        enum status s = json_parse(text, strlen(text), key, 0, &j, err);
        if (!s)
            json_keep(&b->kept, json_set_copy(row, key, j));
        json_free(j);
        return s;
    }
    default:
        json_keep(&b->kept, json_set_text(row, key, query_text(q, column)));
        return OK;
    }
}

/* Add an object a row to list; keys name the columns, one letter of types each. */
static enum status add_rows(struct builder *b, struct json *list, const char *sql,
    const char *const *keys, const char *types, struct error *err)
{
    struct query *q;
    enum status s = query_open(b->store, sql, &q, err);
    if (s)
        return s;
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        struct json *row = json_keep(&b->kept, json_add_object(list));
        for (int i = 0; types[i] && !s; i++)
            s = set_column(b, row, q, i, keys[i], types[i], err);
        if (s)
            break;
    }
    query_close(q);
    return s;
}

/* ---- the parts ---- */

static enum status set_store(struct builder *b, struct error *err)
{
    static const char *const keys[] = { "name", "created", "created_by", "licence",
        "consent" };
    struct query *q;
    enum status s = query_open(b->store,
        "SELECT name, created_ms, created_by, licence, consent FROM store", &q, err);
    if (s)
        return s;
    struct json *store = json_keep(&b->kept, json_set_object(b->root, "store"));
    s = query_next(q, err);
    for (int i = 0; i < 5 && !s && query_has_row(q); i++)
        s = set_column(b, i < 3 ? store : b->root, q, i, keys[i], "tmttt"[i], err);
    query_close(q);
    return s;
}

static enum status set_libraries(struct builder *b, struct error *err)
{
    struct query *q;
    enum status s = query_open(b->store, "SELECT sqlite_version()", &q, err);
    if (s)
        return s;
    struct json *libraries = json_keep(&b->kept, json_set_object(b->root, "libraries"));
    s = query_next(q, err);
    if (!s && query_has_row(q))
        json_keep(&b->kept, json_set_text(libraries, "sqlite", query_text(q, 0)));
    json_keep(&b->kept, json_set_text(libraries, "glibc", gnu_get_libc_version()));
    query_close(q);
    return s;
}

static enum status set_counts(
    struct builder *b, const struct left_out *left, struct error *err)
{
    struct coverage c;
    enum status s = coverage_count(b->data, &c, err);
    json_keep(&b->kept, json_set_bool(b->root, "simulated", b->data->simulated));
    struct json *j = json_keep(&b->kept, json_set_object(b->root, "counts"));
    json_keep_count(&b->kept, j, "sessions", c.sessions);
    json_keep_count(&b->kept, j, "imported_sessions", c.imported);
    json_keep_count(&b->kept, j, "censored_sessions", c.censored);
    json_keep_count(&b->kept, j, "scenes", c.scenes);
    json_keep_count(&b->kept, j, "tasks", b->data->n_tasks);
    json_keep_count(&b->kept, j, "prompts", c.prompts);
    json_keep_count(&b->kept, j, "turns", c.turns);
    json_keep_count(&b->kept, j, "fan_out", c.fan_out);
    json_keep_count(&b->kept, j, "answers", c.answered);
    json_keep_count(&b->kept, j, "scored", c.scored);
    json_keep_count(&b->kept, j, "refused", c.refused);
    json_keep_count(&b->kept, j, "simulated_answers", c.simulated);
    json_keep_count(&b->kept, j, "turns_with_associations", c.associated);
    j = json_keep(&b->kept, json_set_object(b->root, "left_out"));
    json_keep_count(&b->kept, j, "sessions_without_a_complete_turn", left->sessions);
    json_keep_count(&b->kept, j, "turns_without_an_answer", left->turns_unasked);
    json_keep_count(&b->kept, j, "turns_without_a_score", left->turns_unscored);
    json_keep_count(&b->kept, j, "turns_behind_those", left->turns_behind);
    json_keep_count(&b->kept, j, "fan_out_incomplete", left->fan_out);
    return s;
}

static void set_names(struct builder *b)
{
    struct json *tasks = json_keep(&b->kept, json_set_array(b->root, "tasks"));
    for (size_t i = 0; i < b->data->n_tasks; i++)
        json_keep(&b->kept, json_add_text(tasks, b->data->tasks[i]));
}

static enum status set_rows(struct builder *b, struct error *err)
{
    static const char *const views[] = { "name", "kind", "privacy" };
    static const char *const llms[] = { "name", "role", "identity", "facts" };
    static const char *const prices[] = { "llm", "valid_from", "service_tier",
        "min_input_tokens", "input_pusd", "cache_read_pusd", "cache_write_pusd",
        "output_pusd", "source" };
    static const char *const recipes[] = { "name", "sha256" };
    static const char *const models[] = { "model", "values" };
    static const char *const scenes[] = { "name", "licence", "consent" };
    enum status s;
    struct json *list = json_keep(&b->kept, json_set_array(b->root, "views"));
    if ((s = add_rows(b, list, "SELECT name, kind, privacy FROM view ORDER BY position",
             views, "tti", err)))
        return s;
    list = json_keep(&b->kept, json_set_array(b->root, "llms"));
    if ((s = add_rows(b, list,
             "SELECT name, role, identity, facts FROM llm l WHERE EXISTS"
             " (SELECT 1 FROM call c WHERE c.llm_id = l.llm_id) ORDER BY llm_id",
             llms, "tttj", err)))
        return s;
    // Price rows that were valid when some answer was asked for.
    list = json_keep(&b->kept, json_set_array(b->root, "prices"));
    if ((s = add_rows(b, list,
             "SELECT l.name, p.valid_from_ms, p.service_tier, p.min_input_tokens,"
             " p.input_pusd, p.cache_read_pusd,"
             " p.cache_write_pusd, p.output_pusd, p.source"
             " FROM price p JOIN llm l USING (llm_id) WHERE p.price_id IN"
             " (SELECT price_id FROM response_cost)"
             " ORDER BY l.llm_id, p.service_tier, p.valid_from_ms, p.min_input_tokens",
             prices, "tmtiiiiit", err)))
        return s;
    list = json_keep(&b->kept, json_set_array(b->root, "recipes"));
    if ((s = add_rows(b, list, "SELECT name, sha256 FROM recipe ORDER BY recipe_id",
             recipes, "tt", err)))
        return s;
    list = json_keep(&b->kept, json_set_array(b->root, "association_models"));
    if ((s = add_rows(b, list,
             "SELECT model, count(*) FROM association GROUP BY model ORDER BY model",
             models, "ti", err)))
        return s;
    list = json_keep(&b->kept, json_set_array(b->root, "scenes_with_their_own_terms"));
    return add_rows(b, list,
        "SELECT name, licence, consent FROM scene"
        " WHERE licence IS NOT NULL OR consent IS NOT NULL ORDER BY name",
        scenes, "ttt", err);
}

enum status manifest_build(struct store *store, const struct dataset *data,
    const struct left_out *left, struct json **out, struct error *err)
{
    struct builder b = { store, data, json_new_object(), { 1 } };
    enum status s;
    *out = NULL;
    json_keep(&b.kept, b.root);
    json_keep(&b.kept, json_set_int(b.root, "m4a1_export", EXPORT_FORMAT));
    json_keep(&b.kept, json_set_text(b.root, "tool", "m4a1 " M4A1_VERSION));
    if (!(s = set_libraries(&b, err)) && !(s = set_store(&b, err)) &&
        !(s = set_counts(&b, left, err))) {
        json_keep(&b.kept, json_set_text(b.root, "digest", data->digest));
        set_names(&b);
        s = set_rows(&b, err);
    }
    json_keep(&b.kept, json_set_array(b.root, "splits"));
    json_keep(&b.kept, json_set_array(b.root, "files"));
    if (!s && !b.kept.ok)
        s = error_nomem(err, sizeof b);
    if (s)
        json_free(b.root);
    else
        *out = b.root;
    return s;
}

struct json *manifest_list(struct json *manifest, const char *key)
{
    // The manifest is ours to change, and so is what hangs in it.
    return (struct json *)(uintptr_t)json_get(manifest, key);
}

enum status manifest_add_file(struct json *manifest, const char *name,
    const struct buffer *content, struct error *err)
{
    char hash[HASH_HEX];
    struct builder b = { .kept = { 1 } };
    hash_hex(buffer_str(content), content->len, hash);
    struct json *file =
        json_keep(&b.kept, json_add_object(manifest_list(manifest, "files")));
    json_keep(&b.kept, json_set_text(file, "path", name));
    json_keep(&b.kept, json_set_int(file, "bytes", (int64_t)content->len));
    json_keep(&b.kept, json_set_text(file, "sha256", hash));
    return b.kept.ok ? OK : error_nomem(err, sizeof b);
}

/* ---- reading ---- */

static enum status manifest_read(const char *folder, struct json **out, struct error *err)
{
    *out = NULL;
    char *path = path_join(folder, EXPORT_MANIFEST_FILE);
    if (!path)
        return error_nomem(err, strlen(folder));
    enum status s = json_read_file(path, MANIFEST_MAX, JSON_UNIQUE_KEYS, out, err);
    int64_t format = json_int(json_get(*out, "m4a1_export"), 0);
    if (!s && format != EXPORT_FORMAT)
        s = error_set(err, E_DATA,
            "%s: expected a manifest of m4a1 export, \"m4a1_export\": %d, found %lld%s",
            path, EXPORT_FORMAT, (long long)format,
            format > EXPORT_FORMAT ? "; a newer m4a1 wrote it" : "");
    if (s) {
        json_free(*out);
        *out = NULL;
    }
    free(path);
    return s;
}

int manifest_is_there(const char *folder)
{
    struct json *manifest;
    enum status s = manifest_read(folder, &manifest, NULL);
    json_free(manifest);
    return s == OK;
}

enum status manifest_views(const char *folder, struct dataset *data, struct error *err)
{
    struct json *manifest;
    enum status s = manifest_read(folder, &manifest, err);
    if (s == E_NOT_FOUND)
        return OK;
    if (s)
        return s;
    const struct json *views = json_get(manifest, "views");
    if (json_size(views) != data->n_views)
        s = error_set(err, E_DATA,
            "%s/" EXPORT_MANIFEST_FILE ": %zu views, but " EXPORT_DATA_FILE
            " has %zu; the files are not of one export",
            folder, json_size(views), data->n_views);
    size_t v = 0;
    for (const struct json *c = json_first(views); c && !s; c = json_next(c), v++) {
        char *name = text_copy(json_text(json_get(c, "name"), data->views[v]));
        if (!name) {
            s = error_nomem(err, 64);
            break;
        }
        free(data->views[v]);
        data->views[v] = name;
        data->privacy[v] = (int)json_int(json_get(c, "privacy"), 1);
    }
    json_free(manifest);
    return s;
}
