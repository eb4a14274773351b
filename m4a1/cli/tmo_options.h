/* tmo_options.h - options that train, evaluate and trace share. */
#ifndef M4A1_CLI_TMO_OPTIONS_H
#define M4A1_CLI_TMO_OPTIONS_H

#include <stddef.h>
#include <stdint.h>
#include "export/dataset.h"
#include "m4a1/cli/cli.h"
#include "m4a1/cli/tmo_setup.h"

/* DATA, the first argument: complete rows only.  Says so where that is a policy. */
MUST_CHECK enum status tmo_data(struct cli *cli, struct dataset **out, struct error *err);

/* --seeds: a list ("0,1,2") or a count N for 0 .. N-1; --seed: one.  Default 0,1,2.
 * *seeds is freed by the caller. */
MUST_CHECK enum status tmo_seeds(
    struct cli *cli, uint64_t **seeds, size_t *n, struct error *err);

/* --split for one seed: a file, FILE:KEY for a member of an object of splits (where
 * {seed} in KEY stands for the seed), or the name of a split frozen in the store DATA.
 * Without it 80 % of the sessions, drawn by seed. */
MUST_CHECK enum status tmo_split(const struct cli *cli, const struct dataset *data,
    uint64_t seed, struct split *out, struct error *err);

/* Whole numbers of a comma-separated list, each in [min, max]; freed by the caller. */
MUST_CHECK enum status tmo_numbers(const char *text, const char *what, int64_t min,
    int64_t max, int64_t **out, size_t *n, struct error *err);

#endif
