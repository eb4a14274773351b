/* experiment_config.h - the config of a cell: what an experiment's file says of it, from the
 * file's own config to the row's. */
#ifndef M4A1_TMO_EXPERIMENT_CONFIG_H
#define M4A1_TMO_EXPERIMENT_CONFIG_H

#include <stddef.h>
#include "m4a1/base/error.h"
#include "m4a1/tmo/config.h"
#include "m4a1/tmo/experiment.h"

/* The file's config, then that of each value of the setting, then the row's; settled.
 * Released by the caller, also on an error, which begins with the file and what of it is
 * wrong. */
MUST_CHECK enum status experiment_configure(const struct experiment *e, size_t setting,
    const struct experiment_row *row, struct tmo_config *out, struct error *err);

/* The config of the world that a row trains in: "training" on top of the row's.  Released by
 * the caller, also on an error. */
MUST_CHECK enum status experiment_configure_training(const struct experiment *e,
    const struct experiment_row *row, const struct tmo_config *config,
    struct tmo_config *out, struct error *err);

/* The shape of the synthetic data of a value.  E_DATA. */
struct synthetic_shape;
MUST_CHECK enum status experiment_shape(const struct json *data, const char *where,
    struct synthetic_shape *out, struct error *err);

#endif
