/* export_folder.c - collect what an export holds, and put it in place whole. */
#include "export/export_folder.h"

#include <stdlib.h>
#include <string.h>

#include "export/coverage.h"
#include "export/from_store.h"
#include "export/m4a1_json.h"
#include "export/manifest.h"
#include "export/split.h"
#include "export/staging.h"
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"

#define SPLIT_FILE_MAX ((size_t)64 << 20)
#define CARD_MAX ((size_t)1 << 20)

struct exporter {
    struct store *store;
    const struct export_options *options;
    struct export_counts *counts;
    struct dataset *data;
    struct session_numbers numbers;
    struct json *manifest;
    const char *folder; /* the one that is filled */
};

/* ---- what is exported ---- */

static int compare_ids(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* Leave only the sessions of the split. */
static enum status keep_split(struct exporter *e, struct error *err)
{
    struct split split;
    struct split_info info;
    enum status s =
        split_load(e->store, e->options->split, &e->numbers, &split, &info, err);
    if (s)
        return s;
    size_t n = split.n_train + split.n_test;
    int64_t *ids = calloc(n + 1, sizeof *ids);
    if (ids) {
        memcpy(ids, split.train, split.n_train * sizeof *ids);
        memcpy(ids + split.n_train, split.test, split.n_test * sizeof *ids);
        qsort(ids, n, sizeof *ids, compare_ids);
        dataset_keep(e->data, ids, n);
    } else {
        s = error_nomem(err, n * sizeof *ids);
    }
    free(ids);
    split_release(&split);
    split_info_release(&info);
    return s;
}

static enum status gather(struct exporter *e, struct error *err)
{
    struct coverage c;
    enum status s;
    if ((s = dataset_of_snapshot(e->store, e->options->association, &e->data, err)) ||
        (s = session_numbers_read(e->store, &e->numbers, err)))
        return s;
    if (e->options->split && (s = keep_split(e, err)))
        return s;
    s = e->options->include_incomplete
            ? dataset_tidy(e->data, err)
            : dataset_drop_incomplete(e->data, &e->counts->left, err);
    if (s || (s = dataset_seal(e->data, err)) || (s = coverage_count(e->data, &c, err)))
        return s;
    e->counts->sessions = c.sessions;
    e->counts->turns = c.turns;
    e->counts->fan_out = c.fan_out;
    e->counts->simulated = c.simulated;
    if (c.sessions == 0 && !e->counts->left.sessions)
        return error_set(err, E_ARG,
            "the store %s has no session to export; m4a1 status says what is to be done",
            store_path(e->store));
    if (c.sessions == 0)
        return error_set(err, E_ARG,
            "the store %s has no complete session: %zu have a first turn without "
            "an answer or a score; m4a1 status says what is to be done "
            "(--include-incomplete exports them as they are)",
            store_path(e->store), e->counts->left.sessions);
    return OK;
}

/* ---- the files of a folder ---- */

static enum status write_file(
    struct exporter *e, const char *name, const struct buffer *content, struct error *err)
{
    char *path = path_join(e->folder, name);
    enum status s = buffer_status(content, name, err);
    if (!s && !path)
        s = error_nomem(err, strlen(name));
    if (!s)
        s = file_write(path, buffer_str(content), content->len, err);
    if (!s)
        e->counts->bytes += content->len;
    free(path);
    return s;
}

static enum status write_listed(
    struct exporter *e, const char *name, const struct buffer *content, struct error *err)
{
    enum status s = write_file(e, name, content, err);
    return s ? s : manifest_add_file(e->manifest, name, content, err);
}

static enum status write_data(struct exporter *e, struct error *err)
{
    struct buffer text;
    buffer_init(&text, M4A1_JSON_MAX);
    enum status s = m4a1_json_print(e->data, &text, err);
    if (!s)
        s = write_listed(e, EXPORT_DATA_FILE, &text, err);
    buffer_release(&text);
    return s;
}

/* Append the ids that are exported; *left counts those that are not. */
static void add_ids(const struct dataset *data, const int64_t *ids, size_t n,
    struct buffer *out, size_t *kept, size_t *left)
{
    *kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (!dataset_session(data, ids[i])) {
            ++*left;
            continue;
        }
        buffer_printf(out, "%s%lld", (*kept)++ ? ", " : "", (long long)ids[i]);
    }
}

struct split_text {
    struct buffer text;
    size_t n_train, n_test, left;
};

static enum status print_split(struct exporter *e, const char *name,
    const struct split *split, const struct split_info *info, struct split_text *out,
    struct error *err)
{
    struct buffer *b = &out->text;
    struct json *head = json_new_object();
    enum status s = OK;
    if (!json_set_text(head, "name", name) || !json_set_text(head, "rule", info->rule) ||
        !json_set_int(head, "seed", info->seed) ||
        !json_set_text(head, "sha256", info->sha256))
        s = error_nomem(err, 256);
    if (!s)
        s = json_print(head, JSON_COMPACT, b, err);
    json_free(head);
    if (s)
        return s;
    b->len--; // the object goes on
    buffer_add_str(b, ",\n \"train\": [");
    add_ids(e->data, split->train, split->n_train, b, &out->n_train, &out->left);
    buffer_add_str(b, "],\n \"test\": [");
    add_ids(e->data, split->test, split->n_test, b, &out->n_test, &out->left);
    buffer_printf(b, "],\n \"left_out\": %zu}\n", out->left);
    return OK;
}

static enum status list_split(struct exporter *e, const char *name,
    const struct split_info *info, const struct split_text *text, struct error *err)
{
    struct json *row = json_add_object(manifest_list(e->manifest, "splits"));
    if (json_set_text(row, "name", name) && json_set_text(row, "rule", info->rule) &&
        json_set_int(row, "seed", info->seed) &&
        json_set_text(row, "sha256", info->sha256) &&
        json_set_int(row, "train", (int64_t)text->n_train) &&
        json_set_int(row, "test", (int64_t)text->n_test) &&
        json_set_int(row, "left_out", (int64_t)text->left))
        return OK;
    return error_nomem(err, 256);
}

static enum status write_split(struct exporter *e, const char *name, struct error *err)
{
    struct split split;
    struct split_info info;
    struct split_text out = { .n_train = 0 };
    enum status s = split_check_name(name, err);
    if (s || (s = split_load(e->store, name, &e->numbers, &split, &info, err)))
        return s;
    buffer_init(&out.text, SPLIT_FILE_MAX);
    char *file = text_format(EXPORT_SPLITS "/%s.json", name);
    s = file ? print_split(e, name, &split, &info, &out, err) : error_nomem(err, 64);
    if (!s)
        s = write_listed(e, file, &out.text, err);
    if (!s)
        s = list_split(e, name, &info, &out, err);
    e->counts->splits++;
    free(file);
    buffer_release(&out.text);
    split_release(&split);
    split_info_release(&info);
    return s;
}

static enum status write_splits(struct exporter *e, struct error *err)
{
    char **names;
    size_t n;
    enum status s = split_names(e->store, &names, &n, err);
    if (s)
        return s;
    char *folder = path_join(e->folder, EXPORT_SPLITS);
    if (!folder)
        s = error_nomem(err, 64);
    if (!s && n)
        s = folder_make(folder, err);
    for (size_t i = 0; i < n && !s; i++) {
        if (!e->options->split || strcmp(names[i], e->options->split) == 0)
            s = write_split(e, names[i], err);
    }
    free(folder);
    folder_list_free(names, n);
    return s;
}

static enum status write_card_and_manifest(struct exporter *e, struct error *err)
{
    struct buffer text;
    buffer_init(&text, CARD_MAX);
    enum status s = manifest_card(e->manifest, &text, err);
    if (!s)
        s = write_listed(e, EXPORT_CARD_FILE, &text, err);
    buffer_release(&text);
    buffer_init(&text, SPLIT_FILE_MAX);
    if (!s)
        s = json_print(e->manifest, JSON_PRETTY, &text, err);
    buffer_add_char(&text, '\n');
    if (!s)
        s = write_file(e, EXPORT_MANIFEST_FILE, &text, err);
    buffer_release(&text);
    return s;
}

/* ---- putting it in place ---- */

/* Only what an export wrote is replaced: a manifest of ours, and no file besides. */
static enum status check_folder(const char *path, struct error *err)
{
    static const char *const ours[] = { EXPORT_DATA_FILE, EXPORT_MANIFEST_FILE,
        EXPORT_CARD_FILE, EXPORT_SPLITS };
    char **names;
    size_t n;
    if (!manifest_is_there(path))
        return error_set(err, E_ARG,
            "%s is a folder, but not one that m4a1 export wrote (no " EXPORT_MANIFEST_FILE
            " of ours), so it is not replaced; name another",
            path);
    enum status s = folder_list(path, &names, &n, err);
    if (s)
        return s;
    for (size_t i = 0; i < n && !s; i++) {
        size_t k = 0;
        while (k < COUNT_OF(ours) && strcmp(names[i], ours[k]) != 0)
            k++;
        if (k == COUNT_OF(ours))
            s = error_set(err, E_ARG,
                "%s holds %s, which m4a1 export did not write, so the folder is not "
                "replaced; move that file away or name another folder",
                path, names[i]);
    }
    folder_list_free(names, n);
    return s;
}

static enum status check_target(const char *path, int force, struct error *err)
{
    int is_file = text_ends(path, ".json");
    if (!file_exists(path))
        return OK;
    if (!force)
        return error_set(err, E_ARG,
            "%s is there already; --force replaces an export that stands there", path);
    if (is_file == file_is_folder(path))
        return error_set(err, E_ARG,
            "%s is a %s, and would become a %s; name another (a name in .json gives a "
            "file, any other a folder)",
            path, is_file ? "folder" : "file", is_file ? "file" : "folder");
    return is_file ? OK : check_folder(path, err);
}

static enum status write_folder(struct exporter *e, const char *path, struct error *err)
{
    struct staging staging;
    enum status s = staging_open(path, &staging, err);
    e->folder = staging.folder;
    if (!s && !(s = write_data(e, err)) && !(s = write_splits(e, err)) &&
        !(s = write_card_and_manifest(e, err)))
        s = staging_commit(&staging, err);
    staging_close(&staging);
    return s;
}

static enum status write_one_file(struct exporter *e, const char *path, struct error *err)
{
    struct buffer text;
    buffer_init(&text, M4A1_JSON_MAX);
    enum status s = m4a1_json_print(e->data, &text, err);
    if (!s)
        s = file_write(path, buffer_str(&text), text.len, err);
    e->counts->bytes = text.len;
    buffer_release(&text);
    return s;
}

static enum status export_snapshot(
    struct exporter *e, const char *path, struct error *err)
{
    enum status s = gather(e, err);
    if (s)
        return s;
    if (text_ends(path, ".json"))
        return write_one_file(e, path, err);
    s = manifest_build(e->store, e->data, &e->counts->left, &e->manifest, err);
    return s ? s : write_folder(e, path, err);
}

enum status export_store(struct store *store, const char *path,
    const struct export_options *options, struct export_counts *counts, struct error *err)
{
    *counts = (struct export_counts) { 0 };
    struct exporter e = { .store = store, .options = options, .counts = counts };
    char *target = text_copy(path);
    if (!target)
        return error_nomem(err, strlen(path));
    for (size_t n = strlen(target); n > 1 && target[n - 1] == '/'; n--)
        target[n - 1] = '\0';
    enum status s = check_target(target, options->force, err);
    if (!s && !(s = snapshot_begin(store, err))) {
        s = export_snapshot(&e, target, err);
        store_rollback(store);
    }
    dataset_free(e.data);
    session_numbers_release(&e.numbers);
    json_free(e.manifest);
    free(target);
    return s;
}
