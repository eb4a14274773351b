/* dataset_build.h - what the readers of a data set share while they fill one.
 *
 * A reader allocates with calloc, adds views, tasks, llms and sessions, then calls
 * dataset_tidy() and dataset_seal().  A data set that is only half built can be freed. */
#ifndef EXPORT_DATASET_BUILD_H
#define EXPORT_DATASET_BUILD_H

#include "export/dataset.h"

#define DATASET_MAX_VIEWS 32 /* sets of views are 32-bit masks */

/* n views named view_0 ... with privacy level 1. */
MUST_CHECK enum status dataset_set_views(
    struct dataset *data, size_t n_views, struct error *err);

/* The index of a name, which is added where it is new; -1 when out of memory. */
int dataset_task(struct dataset *data, const char *name);
int dataset_llm_index(struct dataset *data, const char *name, int cloud);

/* All figures missing, no views. */
void interaction_init(struct interaction *it);
void interaction_release(struct interaction *it);

/* The set of views that image_index names; 0 for NULL. */
uint32_t interaction_shown(const struct interaction *it);

/* Tasks and llms to those that are used, tasks sorted by bytes, llms local ones first and
 * then by name; "local" and "cloud" are added where no llm has that role, because the
 * action space has both.  Sets data->simulated. */
MUST_CHECK enum status dataset_tidy(struct dataset *data, struct error *err);

/* Drop every session whose id is not among the n rising ids; tidy and seal again. */
void dataset_keep(struct dataset *data, const int64_t *ids, size_t n);

/* Cut every session before its first path turn without answer or score. */
MUST_CHECK enum status dataset_drop_incomplete(
    struct dataset *data, struct left_out *out, struct error *err);

#endif
