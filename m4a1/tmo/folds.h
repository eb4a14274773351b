/* folds.h - rows parted for cross-validation, so that what belongs together stays so.
 *
 * A group is a session, a prompt or a scene.  Groups are shuffled by (seed, "folds") and
 * dealt out one after the other. */
#ifndef M4A1_TMO_FOLDS_H
#define M4A1_TMO_FOLDS_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/tmo/estimator.h"
#include "m4a1/tmo/recorded.h"

struct folds {
    size_t *groups; /* [n] the group of each row, 0 .. n_groups - 1; owned */
    size_t *folds;  /* [n] its fold, 0 .. n_folds - 1; owned */
    size_t n, n_groups, n_folds;
};

/* Part rows[n] (indices into rec->rows).  There are never more folds than groups.
 * E_DATA where there are fewer than two groups. */
MUST_CHECK enum status folds_draw(const struct recorded *rec, const size_t *rows,
    size_t n, enum folds_by by, size_t n_folds, uint64_t seed, struct folds *out,
    struct error *err);
void folds_release(struct folds *folds);

#endif
