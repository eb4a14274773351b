/* scene_folder.h - which scenes and files a folder holds, before anything is decoded.
 *
 * A folder with files of views in it is one scene; otherwise every sub-folder is one.
 * A file belongs to the view that its name says up to the last dot.  Hidden files are
 * ignored; all else that does not fit becomes a note. */
#ifndef COLLECTORS_SOURCE_SCENE_FOLDER_H
#define COLLECTORS_SOURCE_SCENE_FOLDER_H

#include <stddef.h>
#include <stdint.h>
#include "collectors/source/ingest_notes.h"
#include "schema/view.h"

struct scene_view {
    int64_t view_id;
    char *name;
    enum view_kind kind;
};

struct scene_file {
    size_t view; /* index of scene_view */
    char *name;  /* "side.jpg" */
    char *path;
    char *item; /* "kitchen/side.jpg", for messages */
};

struct scene_folder {
    char *name;
    char *path;
    struct scene_file *files; /* in the order of their names */
    size_t n_files;
    int has_details;         /* scene.json was there: the next three are from it */
    char *tags;              /* JSON array of strings */
    char *licence, *consent; /* NULL = not said */
    int failed;              /* something is wrong with it that a note tells */
};

struct scene_folders {
    struct scene_folder *items; /* in the order of their names */
    size_t n;
};

/* Look through dir.  E_NOT_FOUND, E_IO: it cannot be read; E_DATA: there is no scene in
 * it; E_NOMEM.  What is wrong with single files and scenes goes to notes. */
MUST_CHECK enum status scene_folders_scan(const char *dir, const struct scene_view *views,
    size_t n_views, struct scene_folders *out, struct ingest_notes *notes,
    struct error *err);
void scene_folders_release(struct scene_folders *folders);

#endif
