/* split.h - what the commands need of splits beyond dataset.h: freezing them in a store,
 * and the scenes that both sides share. */
#ifndef EXPORT_SPLIT_H
#define EXPORT_SPLIT_H

#include "export/dataset.h"
#include "export/session_numbers.h"
#include "schema/store.h"

/* How many scenes stand on both sides, and over how many test sessions. */
MUST_CHECK enum status split_shared_scenes(const struct dataset *data,
    const struct split *split, size_t *n_scenes, size_t *n_sessions, struct error *err);

/* What a frozen split was made by. */
struct split_info {
    char *rule;            /* "by scene, train share 0.8" */
    int64_t seed;          /* of the draw */
    char sha256[HASH_HEX]; /* over the identities of the sessions, in their order */
};

void split_info_release(struct split_info *info);

/* A name is also that of a file: 1 to 64 of A-Z a-z 0-9 . _ -, the first no dot. */
MUST_CHECK enum status split_check_name(const char *name, struct error *err);

/* Freeze a split of data, which was read from this store, under a name; in one
 * transaction.  E_ARG where the name is taken: a frozen split is never changed. */
MUST_CHECK enum status split_freeze(struct store *store, const char *name,
    const struct dataset *data, const struct split *split, struct split_info *info,
    struct error *err);

/* A frozen split with the ids that data sets have.  E_NOT_FOUND names those there are. */
MUST_CHECK enum status split_load(struct store *store, const char *name,
    const struct session_numbers *numbers, struct split *out, struct split_info *info,
    struct error *err);

/* The names of all frozen splits, sorted; freed with folder_list_free(). */
MUST_CHECK enum status split_names(
    struct store *store, char ***names, size_t *n, struct error *err);

#endif
