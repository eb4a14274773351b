/* split.h - what the commands need of splits beyond dataset.h: freezing, and the scenes
 * that both sides share. */
#ifndef EXPORT_SPLIT_H
#define EXPORT_SPLIT_H

#include "export/dataset.h"

/* How many scenes stand on both sides, and over how many test sessions. */
MUST_CHECK enum status split_shared_scenes(const struct dataset *data,
    const struct split *split, size_t *n_scenes, size_t *n_sessions, struct error *err);

#endif
