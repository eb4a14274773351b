/* scene_store.h - one scene with its frames into the store, in one transaction. */
#ifndef COLLECTORS_SOURCE_SCENE_STORE_H
#define COLLECTORS_SOURCE_SCENE_STORE_H

#include "collectors/source/scene_folder.h"
#include "collectors/source/source_frames.h"
#include "schema/store.h"

enum scene_outcome {
    SCENE_ADDED,
    SCENE_UPDATED,   /* frames or details came that were not there */
    SCENE_REPLACED,  /* frames changed; no session used the scene */
    SCENE_UNCHANGED, /* all of it was there already */
    SCENE_REFUSED,   /* nothing was stored; a note says why */
};
extern const char *const scene_outcome_names[5];

/* What a folder gave: one source a file, in the same order, and the scene's instants. */
struct scene_content {
    const struct scene_folder *folder;
    const struct scene_view *views;
    const struct source *sources; /* [folder->n_files] */
    const int64_t *at_ms;         /* rising */
    size_t n_instants;
};

struct scene_result {
    enum scene_outcome outcome;
    int64_t scene_id;
    size_t n_instants; /* instants that the store now has for this scene */
    size_t n_complete; /* of them, those that every view shows */
    char *missing;     /* views without a frame at some instant: "side, overhead"; NULL */
    size_t n_new_frames;
    uint64_t new_bytes;
};

/* Store a scene, or bring a stored one up to what its folder holds:
 * - a frame that is missing is added, also to a scene that sessions use;
 * - a frame that differs replaces the stored one, and instants and parts of clips that
 *   are no longer taken go, unless a session uses the scene: then it is refused as a
 *   whole, with a note that names the files;
 * - a view without a readable file keeps what it has.
 * An error means that nothing was stored.  result->missing is the caller's to free. */
MUST_CHECK enum status scene_store(struct store *store,
    const struct scene_content *content, struct scene_result *result,
    struct ingest_notes *notes, struct error *err);

#endif
