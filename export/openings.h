/* openings.h - how often the test sessions of a study were looked at.
 *
 * Whoever looks at results on test sessions and then changes something has begun to train
 * on them.  A store keeps count: one row each time, known by the sessions themselves, so
 * that another name of the same split changes nothing. */
#ifndef EXPORT_OPENINGS_H
#define EXPORT_OPENINGS_H

#include <stddef.h>
#include <stdint.h>
#include "export/dataset.h"

/* Test sessions that results are shown of. */
struct opening {
    const char *split;   /* a frozen split's name, or how it was drawn */
    const int64_t *test; /* [n_test] session ids */
    size_t n_test;
    const char *const *what; /* [n_what] names of what is evaluated */
    size_t n_what;

    char sha256[HASH_HEX]; /* of the sessions; set by openings_count() */
    int64_t n_before;      /* how often they were opened before */
    int64_t first_ms;      /* when first; 0 = never */
    int is_counted;        /* this time is entered, too */
};

/* Count n openings of data, which was read from a store, and enter them; no two of the
 * same sessions.  Where the store cannot be written to now, they are only counted, and
 * why[size] says the reason; "" where all is entered. */
MUST_CHECK enum status openings_count(const struct dataset *data, struct opening *all,
    size_t n, char *why, size_t size, struct error *err);

#endif
