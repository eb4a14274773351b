/* tmo_options.c - seeds, llms, settings and splits from the command line. */
#include "m4a1/cli/tmo_options.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/buffer.h"
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "m4a1/tmo/evaluation.h"
#include "m4a1/tmo/policy.h"

#define LIST_MAX 100000
#define SEED_MAX (INT64_MAX >> 10) /* what a JSON number of a policy file holds exactly */
#define SPLIT_FILE_MAX ((size_t)64 << 20)

enum status tmo_data(struct cli *cli, struct dataset **out, struct error *err)
{
    const char *path = cli_arg(cli, 0);
    enum status s = dataset_read(path, out, err);
    if (s == E_DATA && policy_is_file(path))
        return cli_usage(cli, err,
            "%s is a policy, and DATA comes first: m4a1 evaluate DATA %s", path, path);
    return s;
}

enum status tmo_numbers(const char *text, const char *what, int64_t min, int64_t max,
    int64_t **out, size_t *n, struct error *err)
{
    size_t size = 1;
    *n = 0;
    for (const char *s = text; *s; s++)
        size += *s == ',';
    *out = calloc(size, sizeof **out);
    if (!*out)
        return error_nomem(err, size * sizeof **out);
    enum status s = size > LIST_MAX ? error_set(err, E_ARG, "%s: more than %d entries",
                                          what, LIST_MAX)
                                    : OK;
    for (const char *at = text; !s && (*at || !*n);) {
        size_t len = strcspn(at, ",");
        char *one = text_copy_n(at, len);
        s = one ? text_to_int(one, what, min, max, &(*out)[*n], err)
                : error_nomem(err, len);
        free(one);
        ++*n;
        at += len;
        if (*at == ',')
            at++;
    }
    if (s) {
        free(*out);
        *out = NULL;
        *n = 0;
    }
    return s;
}

static enum status one_seed(
    struct cli *cli, uint64_t **seeds, size_t *n, struct error *err)
{
    int64_t seed;
    if (cli_value(cli, "seeds"))
        return cli_usage(cli, err, "--seed is one seed, --seeds are several: give one");
    enum status s = cli_int(cli, "seed", 0, 0, SEED_MAX, &seed, err);
    if (s)
        return s;
    *seeds = calloc(1, sizeof **seeds);
    if (!*seeds)
        return error_nomem(err, sizeof **seeds);
    **seeds = (uint64_t)seed;
    *n = 1;
    return OK;
}

static enum status check_seeds(
    struct cli *cli, const int64_t *list, size_t n, int is_count, struct error *err)
{
    if (n == 0)
        return cli_usage(
            cli, err, "--seeds 0 is no seed at all; for seed 0 alone say --seed 0");
    if (n > EVALUATION_MAX_SEEDS)
        return cli_usage(cli, err, "--seeds: %zu of them, and %d is the most", n,
            EVALUATION_MAX_SEEDS);
    for (size_t i = 0; !is_count && i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (list[i] == list[j])
                return cli_usage(
                    cli, err, "--seeds: %" PRId64 " stands there twice", list[i]);
    return OK;
}

enum status tmo_seeds(struct cli *cli, uint64_t **seeds, size_t *n, struct error *err)
{
    const char *text = cli_value(cli, "seeds");
    int64_t *list;
    *seeds = NULL;
    *n = 0;
    if (cli_value(cli, "seed"))
        return one_seed(cli, seeds, n, err);
    if (!text)
        text = "0,1,2";
    size_t n_listed;
    enum status s = tmo_numbers(text, "--seeds", 0, SEED_MAX, &list, &n_listed, err);
    if (s)
        return s;
    int is_count = !strchr(text, ',');
    size_t n_seeds = is_count ? (size_t)list[0] : n_listed;
    s = check_seeds(cli, list, n_seeds, is_count, err);
    if (!s) {
        *seeds = calloc(n_seeds, sizeof **seeds);
        if (!*seeds)
            s = error_nomem(err, n_seeds * sizeof **seeds);
    }
    for (size_t i = 0; !s && i < n_seeds; i++)
        (*seeds)[i] = is_count ? i : (uint64_t)list[i];
    free(list);
    *n = s ? 0 : n_seeds;
    return s;
}

/* ---- splits ---- */

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
        if (json_is_object(c))
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

enum status tmo_split(const struct cli *cli, const struct dataset *data, uint64_t seed,
    struct split *out, struct error *err)
{
    const char *text = cli_value(cli, "split");
    memset(out, 0, sizeof *out);
    if (!text)
        return split_draw(data, 0, 0.8, seed, out, err);
    if (file_exists(text))
        return split_read(text, data, out, err);
    int is_member;
    enum status s = split_member(text, data, seed, &is_member, out, err);
    if (s || is_member)
        return s;
    s = split_of_data(data, text, out, err);
    if (s == E_NOT_FOUND)
        error_prefix(err, "--split %s: there is no such file, and ", text);
    return s;
}
