/* offers.h - which sets of views an answer's image_index can list.
 *
 * image_index lists all views of the dialogue where an action adds some.  So it depends
 * on what the recipe lets each llm add, and on what turns before may have added. */
#ifndef EXPORT_OFFERS_H
#define EXPORT_OFFERS_H

#include "export/dataset.h"

#define OFFERS_MAX_VIEWS 16

/* possible [n_llms][1 << n_views]: 1 where an answer of that llm can list that set, by
 * the recipe of the store that data was read from.  Where there is none, and for llms it
 * does not name: every set for a cloud llm, the empty one for a local llm.  Owned by the
 * caller.  E_ARG above OFFERS_MAX_VIEWS views. */
MUST_CHECK enum status offers_of_data(
    const struct dataset *data, char **possible, struct error *err);

#endif
