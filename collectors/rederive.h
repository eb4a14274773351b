/* rederive.h - reads the bytes of stored attempts with today's parsers.
 *
 * Nothing is sent and nothing that is stored changes: where today's reading differs, it
 * goes into the table rederived, a row an attempt and version of the program.  Rows of
 * this version are made anew by each run. */
#ifndef COLLECTORS_REDERIVE_H
#define COLLECTORS_REDERIVE_H

#include <stdint.h>
#include "m4a1/base/progress.h"
#include "schema/store.h"

/* What can differ; names as in the table. */
enum rederive_field {
    REDERIVE_OUTCOME, /* an answer that is none, or the other way round, or another class */
    REDERIVE_TEXT,
    REDERIVE_STOP_REASON,
    REDERIVE_PROVIDER_STOP,
    REDERIVE_MODEL,
    REDERIVE_FINGERPRINT,
    REDERIVE_INPUT,
    REDERIVE_CACHE_READ,
    REDERIVE_CACHE_WRITE,
    REDERIVE_OUTPUT,
    REDERIVE_REASONING,
    REDERIVE_SERVICE_TIER,
    REDERIVE_LOAD,
    REDERIVE_SERVER,
    N_REDERIVE_FIELDS
};
extern const char *const rederive_field_names[N_REDERIVE_FIELDS];

struct rederive_result {
    int64_t n_read; /* attempts whose bytes were parsed */
    int64_t n_left; /* without bytes, or of a protocol that this program does not speak */
    int64_t n_differ;
    int64_t n_gained,
        n_lost; /* failures that are answers today, and the other way round */
    int64_t fields[N_REDERIVE_FIELDS]; /* attempts in which it differs */
    int64_t first_attempt;             /* that differs; 0 = none */
};

/* One transaction.  dry: nothing is written. */
MUST_CHECK enum status rederive(struct store *store, int dry, struct progress *progress,
    struct rederive_result *out, struct error *err);

#endif
