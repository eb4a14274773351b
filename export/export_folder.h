/* export_folder.h - write a store's content as an export folder or as one JSON file. */
#ifndef EXPORT_EXPORT_FOLDER_H
#define EXPORT_EXPORT_FOLDER_H

#include "export/dataset.h"
#include "export/dataset_build.h"
#include "schema/store.h"

struct export_options {
    const char *split;       /* only its sessions and its file; NULL = all */
    const char *association; /* model; NULL as in from_store.h */
    int include_incomplete;  /* 1 = also turns without answer or score, as null */
    int force;               /* 1 = an export that stands there is replaced */
};

struct export_counts {
    size_t sessions, turns, fan_out, simulated, splits;
    struct left_out left;
    size_t bytes; /* of all files */
};

/* Write store to path: one file where path ends in ".json", else a folder with m4a1.json,
 * splits/NAME.json, README.md and manifest.json.  All is written beside path, synced, and
 * renamed at the end.  E_ARG where something stands at path (with force only a file, or a
 * folder with a manifest of ours, is replaced), or where no session is complete. */
MUST_CHECK enum status export_store(struct store *store, const char *path,
    const struct export_options *options, struct export_counts *counts,
    struct error *err);

#endif
