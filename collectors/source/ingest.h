/* ingest.h - a folder of scenes into a store: what `m4a1 ingest` does.
 *
 * Files are decoded on worker threads, the store is written by the calling thread, one
 * transaction a scene, in the order of names; so two runs give the same rows. */
#ifndef COLLECTORS_SOURCE_INGEST_H
#define COLLECTORS_SOURCE_INGEST_H

#include "collectors/source/scene_store.h"
#include "m4a1/base/progress.h"
#include "schema/recipe.h"

#define INGEST_MAX_INSTANTS 10000 /* a scene (of clips: frames); more are refused */

struct ingest_options {
    const char *folder;
    unsigned n_threads;        /* 0 = one a processor */
    struct progress *progress; /* counts files; NULL is fine */
    int (*is_stopped)(void);   /* asked between scenes; NULL = never */
};

struct ingest_scene {
    char *name;
    struct scene_result result;
};

struct ingest_report {
    struct ingest_scene *scenes; /* in the order of names */
    size_t n_scenes;
    size_t n_outcomes[5]; /* by enum scene_outcome */
    size_t n_incomplete;  /* stored, with instants that lack a view */
    size_t n_files, n_files_failed;
    size_t n_new_frames;
    uint64_t new_bytes;
    struct scene_view *views; /* those in use, in the order of their positions */
    size_t n_views;
    struct ingest_notes notes;
};

/* Ingest every scene of a folder with the recipe's frame settings.  A file that cannot
 * be read is noted, and the rest goes on; a scene is stored with the views that can be
 * read and noted as incomplete.  The report is filled on failure too.
 * OK; E_PARTIAL: the notes tell what is missing; E_INTERRUPTED: the report holds what
 * was stored; all else: nothing further was stored. */
MUST_CHECK enum status ingest_folder(struct store *store, const struct recipe *recipe,
    const struct ingest_options *options, struct ingest_report *report,
    struct error *err);
void ingest_report_release(struct ingest_report *report);

#endif
