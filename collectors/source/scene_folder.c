/* scene_folder.c - folders to scenes, names to views, scene.json. */
#include "collectors/source/scene_folder.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/files.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"

#define DETAILS "scene.json"
#define DETAILS_MAX_BYTES (1u << 20)

struct scan {
    const struct scene_view *views;
    size_t n_views;
    struct ingest_notes *notes;
    struct error *err;
};

// The view whose name is that of the file up to its last dot; n_views where none is.
static size_t view_of(const struct scan *scan, const char *file)
{
    const char *dot = strrchr(file, '.');
    size_t len = dot && dot != file ? (size_t)(dot - file) : strlen(file);
    for (size_t i = 0; i < scan->n_views; i++)
        if (strlen(scan->views[i].name) == len &&
            memcmp(scan->views[i].name, file, len) == 0)
            return i;
    return scan->n_views;
}

static void file_release(struct scene_file *file)
{
    free(file->name);
    free(file->path);
    free(file->item);
}

static void scene_release(struct scene_folder *scene)
{
    for (size_t i = 0; i < scene->n_files; i++)
        file_release(&scene->files[i]);
    free(scene->files);
    free(scene->name);
    free(scene->path);
    free(scene->tags);
    free(scene->licence);
    free(scene->consent);
}

void scene_folders_release(struct scene_folders *folders)
{
    for (size_t i = 0; i < folders->n; i++)
        scene_release(&folders->items[i]);
    free(folders->items);
    *folders = (struct scene_folders) { 0 };
}

// ---- scene.json ----

static enum status check_keys(
    const struct json *root, const char *path, struct error *err)
{
    static const char *const keys[] = { "tags", "licence", "consent" };
    if (!json_is_object(root))
        return error_set(
            err, E_DATA, "%s: expected an object like {\"tags\": [\"tool\"]}", path);
    for (const struct json *j = json_first(root); j; j = json_next(j)) {
        int known = 0;
        for (size_t i = 0; i < COUNT_OF(keys); i++)
            known |= text_equal(json_key(j), keys[i]);
        if (known)
            continue;
        const char *nearest = text_nearest(json_key(j), keys, COUNT_OF(keys));
        return error_set(err, E_DATA, "%s: unknown key \"%s\"; %s%s%s", path, json_key(j),
            nearest ? "did you mean \"" : "known are \"tags\", \"licence\", \"consent",
            nearest ? nearest : "", nearest ? "\"?" : "\"");
    }
    return OK;
}

static enum status check_values(
    const struct json *root, const char *path, struct error *err)
{
    const struct json *tags = json_get(root, "tags");
    if (tags && !json_is_array(tags))
        return error_set(err, E_DATA, "%s: \"tags\" must be a list of words", path);
    for (const struct json *j = json_first(tags); j; j = json_next(j))
        if (!json_is_string(j) || !*json_text(j, ""))
            return error_set(
                err, E_DATA, "%s: each of \"tags\" must be a word in quotes", path);
    static const char *const texts[] = { "licence", "consent" };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        const struct json *j = json_get(root, texts[i]);
        if (j && (!json_is_string(j) || !*json_text(j, "")))
            return error_set(err, E_DATA, "%s: \"%s\" must be a text", path, texts[i]);
    }
    return OK;
}

// *copy = the text of a member, NULL where it is not there.
static enum status copy_text(const struct json *j, char **copy, struct error *err)
{
    if (!j)
        return OK;
    *copy = text_copy(json_text(j, ""));
    return *copy ? OK : error_nomem(err, strlen(json_text(j, "")));
}

static enum status keep_details(
    const struct json *root, struct scene_folder *scene, struct error *err)
{
    struct buffer tags;
    buffer_init(&tags, DETAILS_MAX_BYTES);
    enum status s = OK;
    if (json_get(root, "tags"))
        s = json_print(json_get(root, "tags"), JSON_COMPACT, &tags, err);
    else
        buffer_add_str(&tags, "[]");
    if (s == OK)
        s = buffer_status(&tags, "the scene's tags", err);
    if (s == OK) {
        scene->tags = buffer_detach(&tags, NULL);
        scene->has_details = 1;
        s = copy_text(json_get(root, "licence"), &scene->licence, err);
    }
    if (s == OK)
        s = copy_text(json_get(root, "consent"), &scene->consent, err);
    buffer_release(&tags);
    return s;
}

static enum status read_details(
    const char *path, struct scene_folder *scene, struct error *err)
{
    struct json *root = NULL;
    enum status s = json_read_file(
        path, DETAILS_MAX_BYTES, JSON_COMMENTS | JSON_UNIQUE_KEYS, &root, err);
    if (s == OK)
        s = check_keys(root, path, err);
    if (s == OK)
        s = check_values(root, path, err);
    if (s == OK)
        s = keep_details(root, scene, err);
    json_free(root);
    return s;
}

// ---- files ----

static enum status note_unknown(
    const struct scan *scan, const char *item, const char *file)
{
    const char **names = calloc(scan->n_views + 1, sizeof *names);
    const char *dot = strrchr(file, '.');
    char *stem = text_copy_n(file, dot ? (size_t)(dot - file) : strlen(file));
    enum status s = E_NOMEM;
    if (names && stem) {
        for (size_t i = 0; i < scan->n_views; i++)
            names[i] = scan->views[i].name;
        const char *nearest = text_nearest(stem, names, scan->n_views);
        s = ingest_note(scan->notes, 0, item, scan->err,
            "ignored: no view has this name%s%s%s", nearest ? "; did you mean " : "",
            nearest ? nearest : "", nearest ? "?" : "");
    } else {
        error_nomem(scan->err, strlen(file));
    }
    free(names);
    free(stem);
    return s;
}

static enum status add_file(const struct scan *scan, struct scene_folder *scene,
    size_t view, const char *name, const char *path, const char *item)
{
    struct scene_file *files =
        realloc(scene->files, (scene->n_files + 1) * sizeof *files);
    if (!files)
        return error_nomem(scan->err, sizeof *files);
    scene->files = files;
    struct scene_file *file = &files[scene->n_files++];
    *file =
        (struct scene_file) { view, text_copy(name), text_copy(path), text_copy(item) };
    return file->name && file->path && file->item ? OK
                                                  : error_nomem(scan->err, strlen(path));
}

static enum status look_at(const struct scan *scan, struct scene_folder *scene,
    const char *name, const char *path, const char *item)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        scene->failed = 1;
        return ingest_note(scan->notes, 1, item, scan->err, "it cannot be looked at");
    }
    if (S_ISDIR(st.st_mode))
        return ingest_note(scan->notes, 0, item, scan->err,
            "ignored: a folder inside a scene is not read");
    if (text_equal(name, DETAILS)) {
        struct error why = ERROR_INIT;
        enum status s = read_details(path, scene, &why);
        if (s == OK)
            return OK;
        scene->failed = 1;
        return ingest_note(scan->notes, 1, item, scan->err, "%s", why.msg);
    }
    size_t view = view_of(scan, name);
    if (view == scan->n_views)
        return note_unknown(scan, item, name);
    if (!S_ISREG(st.st_mode))
        return ingest_note(scan->notes, 1, item, scan->err, "not a regular file");
    return add_file(scan, scene, view, name, path, item);
}

// What a file of a view is called, for examples.
static const char *example(const struct scan *scan)
{
    static const char *const endings[] = { "jpg", "mp4", "txt", "wav" };
    return scan->n_views ? endings[scan->views[0].kind] : "jpg";
}

// Two files for one view: nobody knows which is meant, so neither is taken.
static enum status drop_doubles(const struct scan *scan, struct scene_folder *scene)
{
    size_t *count = calloc(scan->n_views + 1, sizeof *count);
    if (!count)
        return error_nomem(scan->err, scan->n_views * sizeof *count);
    for (size_t i = 0; i < scene->n_files; i++)
        count[scene->files[i].view]++;
    enum status s = OK;
    size_t kept = 0;
    for (size_t i = 0; i < scene->n_files; i++) {
        struct scene_file *file = &scene->files[i];
        if (count[file->view] == 1) {
            scene->files[kept++] = *file;
            continue;
        }
        if (s == OK)
            s = ingest_note(scan->notes, 1, file->item, scan->err,
                "refused: %zu files are named like the view %s; keep one",
                count[file->view], scan->views[file->view].name);
        file_release(file);
    }
    scene->n_files = kept;
    free(count);
    return s;
}

static enum status scan_scene(
    const struct scan *scan, const char *path, const char *name, struct scene_folder *out)
{
    char **names = NULL;
    size_t n = 0;
    out->name = text_copy(name);
    out->path = text_copy(path);
    if (!out->name || !out->path)
        return error_nomem(scan->err, strlen(path));
    enum status s = folder_list(path, &names, &n, scan->err);
    for (size_t i = 0; s == OK && i < n; i++) {
        if (names[i][0] == '.')
            continue;
        char *file = path_join(path, names[i]);
        char *item = path_join(name, names[i]);
        s = file && item ? look_at(scan, out, names[i], file, item)
                         : error_nomem(scan->err, strlen(path));
        free(file);
        free(item);
    }
    folder_list_free(names, n);
    if (s == OK)
        s = drop_doubles(scan, out);
    if (s == OK && !out->n_files && !out->failed) {
        out->failed = 1;
        s = ingest_note(scan->notes, 1, name, scan->err,
            "no file in this folder is a view; views are files like %s.%s",
            scan->n_views ? scan->views[0].name : "first_person", example(scan));
    }
    return s;
}

// ---- the folder that was given ----

static enum status add_scene(const struct scan *scan, struct scene_folders *folders,
    const char *path, const char *name)
{
    if (text_utf8_valid(name, strlen(name)) != strlen(name))
        return ingest_note(scan->notes, 1, path, scan->err,
            "the folder's name is not valid UTF-8, so it cannot name a scene");
    struct scene_folder *items =
        realloc(folders->items, (folders->n + 1) * sizeof *items);
    if (!items)
        return error_nomem(scan->err, (folders->n + 1) * sizeof *items);
    folders->items = items;
    struct scene_folder *scene = &items[folders->n++];
    *scene = (struct scene_folder) { 0 };
    return scan_scene(scan, path, name, scene);
}

static enum status add_dir_itself(
    const struct scan *scan, const char *dir, struct scene_folders *out)
{
    char *whole = realpath(dir, NULL);
    if (!whole)
        return error_errno(scan->err, "cannot find the folder %s", dir);
    const char *name = path_base(whole);
    enum status s = *name
                        ? add_scene(scan, out, dir, name)
                        : error_set(scan->err, E_DATA, "%s has no name for a scene", dir);
    free(whole);
    return s;
}

static enum status add_sub_folders(const struct scan *scan, const char *dir,
    char *const *names, size_t n, struct scene_folders *out)
{
    enum status s = OK;
    for (size_t i = 0; s == OK && i < n; i++) {
        if (names[i][0] == '.')
            continue;
        char *path = path_join(dir, names[i]);
        if (!path)
            return error_nomem(scan->err, strlen(dir));
        if (file_is_folder(path))
            s = add_scene(scan, out, path, names[i]);
        else
            s = ingest_note(scan->notes, 0, names[i], scan->err,
                "ignored: it stands beside the scenes' folders, in none of them");
        free(path);
    }
    return s;
}

enum status scene_folders_scan(const char *dir, const struct scene_view *views,
    size_t n_views, struct scene_folders *out, struct ingest_notes *notes,
    struct error *err)
{
    *out = (struct scene_folders) { 0 };
    struct scan scan = { views, n_views, notes, err };
    char **names = NULL;
    size_t n = 0;
    enum status s = folder_list(dir, &names, &n, err);
    if (s)
        return s;
    int is_scene = 0;
    for (size_t i = 0; i < n && !is_scene; i++) {
        char *path = path_join(dir, names[i]);
        is_scene = path && names[i][0] != '.' && view_of(&scan, names[i]) < n_views &&
                   !file_is_folder(path);
        free(path);
    }
    s = is_scene ? add_dir_itself(&scan, dir, out)
                 : add_sub_folders(&scan, dir, names, n, out);
    folder_list_free(names, n);
    if (s == OK && !out->n)
        s = error_set(err, E_DATA,
            "%s holds no scene; a scene is a folder with a file for each view, "
            "like %s/kitchen/%s.%s",
            dir, dir, n_views ? views[0].name : "first_person", example(&scan));
    if (s)
        scene_folders_release(out);
    return s;
}
