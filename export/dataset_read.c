/* dataset_read.c - tell the kinds of DATA apart and hand each to its reader. */
#include "export/dataset.h"

#include <stdlib.h>
#include <string.h>

#include "export/dataset_build.h"
#include "export/from_store.h"
#include "export/m4a1_json.h"
#include "export/manifest.h"
#include "export/split.h"
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "schema/store.h"

static enum status read_store(const char *path, struct dataset **out, struct error *err)
{
    struct store *store;
    enum status s = store_open(path, STORE_READ, &store, err);
    if (!s)
        s = dataset_of_store(store, NULL, out, err);
    store_close(store);
    return s;
}

/* An export folder: the sessions of m4a1.json, the views' names and privacy levels of
 * the manifest. */
static enum status read_folder(const char *path, struct dataset **out, struct error *err)
{
    char *file = path_join(path, EXPORT_DATA_FILE);
    enum status s = OK;
    if (!file)
        return error_nomem(err, strlen(path));
    if (!file_exists(file))
        s = error_set(err, E_NOT_FOUND,
            "%s: a folder without " EXPORT_DATA_FILE
            "; expected a store, a folder that m4a1 export wrote, or the authors' JSON",
            path);
    if (!s)
        s = m4a1_json_read(file, 0, out, err);
    free(file);
    if (s)
        return s;
    free((*out)->source);
    (*out)->source = text_copy(path);
    s = (*out)->source ? manifest_views(path, *out, err) : error_nomem(err, strlen(path));
    if (s) {
        dataset_free(*out);
        *out = NULL;
    }
    return s;
}

enum status dataset_read_all(const char *path, struct dataset **out, struct error *err)
{
    *out = NULL;
    if (file_is_folder(path))
        return read_folder(path, out, err);
    if (store_is_database(path))
        return read_store(path, out, err);
    return m4a1_json_read(path, 0, out, err);
}

enum status dataset_read(const char *path, struct dataset **out, struct error *err)
{
    enum status s = dataset_read_all(path, out, err);
    if (s)
        return s;
    if ((s = dataset_drop_incomplete(*out, &(*out)->left, err)) ||
        (s = dataset_seal(*out, err))) {
        dataset_free(*out);
        *out = NULL;
        return s;
    }
    return OK;
}

/* "DATA has no split 'x', but main.json, seed0.json". */
static enum status no_split(
    const char *folder, const struct dataset *data, const char *name, struct error *err)
{
    char **names = NULL;
    size_t n = 0;
    struct buffer list;
    buffer_init(&list, 4096);
    if (folder_list(folder, &names, &n, NULL) != OK)
        n = 0;
    for (size_t i = 0; i < n; i++)
        buffer_printf(&list, "%s%.*s", i ? ", " : "; it has ",
            (int)(strlen(names[i]) - (text_ends(names[i], ".json") ? 5 : 0)), names[i]);
    folder_list_free(names, n);
    error_set(err, E_NOT_FOUND, "%s has no split '%s'%s", data->source, name,
        buffer_str(&list));
    buffer_release(&list);
    return E_NOT_FOUND;
}

enum status split_of_data(
    const struct dataset *data, const char *name, struct split *out, struct error *err)
{
    *out = (struct split) { 0 };
    if (store_is_database(data->source))
        return split_of_store(data->source, name, out, err);
    if (!file_is_folder(data->source))
        return error_set(err, E_NOT_FOUND,
            "%s is a single file, which has no split '%s'; name a file of session ids, "
            "or "
            "take the store or its export folder",
            data->source, name);
    enum status s = split_check_name(name, err);
    if (s)
        return s;
    char *folder = path_join(data->source, EXPORT_SPLITS);
    char *path = text_format("%s/" EXPORT_SPLITS "/%s.json", data->source, name);
    if (!folder || !path)
        s = error_nomem(err, strlen(data->source));
    else if (!file_exists(path))
        s = no_split(folder, data, name, err);
    else
        s = split_read(path, data, out, err);
    free(folder);
    free(path);
    return s;
}
