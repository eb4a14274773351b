/* config_split.c - the sessions of a seed: drawn, of a file, or frozen in the data. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/buffer.h"
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "m4a1/tmo/config.h"

#define SPLIT_FILE_MAX ((size_t)64 << 20)

/* key with every {seed} replaced; freed by the caller, NULL when out of memory. */
static char *fill_key(const char *key, uint64_t seed)
{
    struct buffer out;
    buffer_init(&out, 4096);
    for (const char *at = key; *at;) {
        if (text_starts(at, "{seed}")) {
            buffer_printf(&out, "%" PRIu64, seed);
            at += strlen("{seed}");
        } else {
            buffer_add_char(&out, *at++);
        }
    }
    char *filled = text_copy(buffer_str(&out));
    buffer_release(&out);
    return filled;
}

static void list_members(const struct json *root, struct buffer *out)
{
    for (const struct json *c = json_first(root); c; c = json_next(c))
        if (json_is_object(c) && json_key(c))
            buffer_printf(out, "%s%s", out->len ? ", " : "", json_key(c));
}

/* What split_read() checks, for a split that is a member of a larger file. */
struct member {
    const char *path, *key;
    const struct dataset *data;
    char *used; /* [n_sessions] */
};

static enum status read_side(const struct member *m, const struct json *split,
    const char *side, int64_t **ids, size_t *n, struct error *err)
{
    const struct json *list = json_get(split, side);
    if (!json_is_array(list) || !json_size(list))
        return error_set(err, E_DATA,
            "%s: %s.%s: expected a list of session ids; a split is {\"train\": [ids], "
            "\"test\": [ids]}",
            m->path, m->key, side);
    *ids = calloc(json_size(list), sizeof **ids);
    if (!*ids)
        return error_nomem(err, json_size(list) * sizeof **ids);
    for (const struct json *c = json_first(list); c; c = json_next(c)) {
        const struct session *session =
            json_is_int(c) ? dataset_session(m->data, json_int(c, -1)) : NULL;
        if (!session)
            return error_set(err, E_DATA,
                "%s: %s.%s: entry %zu is no session id of %s; is the split from another "
                "data set?",
                m->path, m->key, side, *n, m->data->source);
        char *used = &m->used[session - m->data->sessions];
        if (*used)
            return error_set(err, E_DATA,
                "%s: %s: session %" PRId64 " stands in the split twice", m->path, m->key,
                session->id);
        *used = 1;
        (*ids)[(*n)++] = session->id;
    }
    return OK;
}

static enum status read_member(const char *path, const struct json *root, const char *key,
    const struct dataset *data, struct split *out, struct error *err)
{
    const struct json *split = json_get(root, key);
    struct member m = { path, key, data, NULL };
    if (!split) {
        struct buffer keys;
        buffer_init(&keys, 1000);
        list_members(root, &keys);
        enum status s = error_set(err, E_DATA, "%s has no split \"%s\"; it has %s", path,
            key, keys.len ? buffer_str(&keys) : "none");
        buffer_release(&keys);
        return s;
    }
    m.used = calloc(data->n_sessions + 1, 1);
    if (!m.used)
        return error_nomem(err, data->n_sessions);
    enum status s = read_side(&m, split, "train", &out->train, &out->n_train, err);
    if (!s)
        s = read_side(&m, split, "test", &out->test, &out->n_test, err);
    free(m.used);
    if (s)
        split_release(out);
    return s;
}

/* FILE:KEY, where FILE is there; *is_member tells whether text is of that form. */
static enum status split_member(const char *text, const struct dataset *data,
    uint64_t seed, int *is_member, struct split *out, struct error *err)
{
    const char *colon = strrchr(text, ':');
    *is_member = 0;
    if (!colon || !colon[1])
        return OK;
    char *path = text_copy_n(text, (size_t)(colon - text));
    char *key = fill_key(colon + 1, seed);
    enum status s = path && key ? OK : error_nomem(err, strlen(text));
    if (!s && file_exists(path) && !file_is_folder(path)) {
        struct json *root;
        *is_member = 1;
        s = json_read_file(path, SPLIT_FILE_MAX, JSON_UNIQUE_KEYS, &root, err);
        if (!s) {
            s = read_member(path, root, key, data, out, err);
            json_free(root);
        }
    }
    free(path);
    free(key);
    return s;
}

enum status tmo_config_split(const struct tmo_config *config, const struct dataset *data,
    uint64_t seed, struct split *out, struct error *err)
{
    const char *from = config->split_from;
    memset(out, 0, sizeof *out);
    if (!from)
        return split_draw(
            data, config->split_by == FOLDS_SCENE, config->train_share, seed, out, err);
    if (file_exists(from) && !file_is_folder(from))
        return split_read(from, data, out, err);
    int is_member;
    enum status s = split_member(from, data, seed, &is_member, out, err);
    if (s || is_member)
        return s;
    s = split_of_data(data, from, out, err);
    if (s == E_NOT_FOUND)
        error_prefix(err, "--split %s: there is no such file, and ", from);
    return s;
}
