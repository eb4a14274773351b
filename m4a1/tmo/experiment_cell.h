/* experiment_cell.h - run one cell of an experiment: a setting, a row, a seed.
 *
 * What a cell found is a JSON object that can be kept in a file and read again, so that an
 * experiment can be resumed (experiment_outcome.h). */
#ifndef M4A1_TMO_EXPERIMENT_CELL_H
#define M4A1_TMO_EXPERIMENT_CELL_H

#include <stdint.h>
#include "export/dataset.h"
#include "m4a1/base/error.h"
#include "m4a1/base/hash.h"
#include "m4a1/base/json.h"
#include "m4a1/tmo/experiment.h"
#include "m4a1/tmo/experiment_outcome.h"

/* What all cells share. */
struct experiment_lab {
    const struct experiment *experiment;
    const struct dataset *data;  /* NULL where the experiment makes its own */
    const struct dataset *other; /* "transfer": what is evaluated on; NULL = data */
    int64_t steps;               /* of learners, instead of the file's; 0 = the file's */
    int (*stop)(void);           /* nonzero asks to stop; NULL = never */
};

struct experiment_place {
    size_t setting, row;
    uint64_t seed;
};

/* What fixes the outcome of a cell: SHA-256 over version, data, settings, what the row is
 * and seed.  Names of experiments, settings and rows are not in it: cells of one key are
 * one. */
MUST_CHECK enum status experiment_cell_key(const struct experiment_lab *lab,
    const struct experiment_place *place, char key[HASH_HEX], struct error *err);

/* Refuse what does not go with the data, before anything is run: llms and views that they
 * lack, and rows that are left without an action. */
MUST_CHECK enum status experiment_cell_check(const struct experiment_lab *lab,
    const struct experiment_place *place, struct error *err);

/* Run it.  Any number of threads may run cells of one lab. */
MUST_CHECK enum status experiment_cell_run(const struct experiment_lab *lab,
    const struct experiment_place *place, struct json **out, struct error *err);

#endif
