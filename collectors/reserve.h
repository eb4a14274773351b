/* reserve.h - a small file beside the store that keeps answers which the store could not
 * take: the disk is full, a quota or a size limit is reached.
 *
 * Its bytes are allocated before the first request leaves, so that writing into it needs
 * no space.  The next run puts the answers into the store.  STORE.reserve is there while
 * a run sends, and afterwards only where it holds something. */
#ifndef COLLECTORS_RESERVE_H
#define COLLECTORS_RESERVE_H

#include <stddef.h>
#include "collectors/job.h"
#include "schema/llm.h"
#include "schema/store.h"

struct reserve;

/* Allocate room for the answers of so many calls.  E_IO: there is none. */
MUST_CHECK enum status reserve_open(
    struct store *store, int n_calls, struct reserve **out, struct error *err);

/* Keep what came for a job that was sent.  E_LIMIT: the reserve is full. */
MUST_CHECK enum status reserve_keep(
    struct reserve *r, const struct job *job, struct error *err);

int64_t reserve_n_kept(const struct reserve *r);
const char *reserve_path(const struct reserve *r);

/* Removes the file unless it holds something; NULL is fine. */
void reserve_close(struct reserve *r);

/* Put what an earlier run kept into the store, in one transaction, and remove the file.
 * Attempts that are closed already, or are not this store's, are left out.  E_DATA: the
 * file cannot be read; it stays. */
MUST_CHECK enum status reserve_take_in(struct store *store, const struct llm *llms,
    size_t n_llms, int64_t *n_taken, struct error *err);

#endif
