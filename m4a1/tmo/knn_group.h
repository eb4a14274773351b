/* knn_group.h - bring equal rows of small integers together. */
#ifndef M4A1_TMO_KNN_GROUP_H
#define M4A1_TMO_KNN_GROUP_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"

/* Numbers of rows x [n][d] in an order in which equal ones are neighbours, rising among
 * themselves; the order of the groups depends on their features alone.  n >= 1 and below
 * UINT32_MAX.  *out [n] is freed with free(). */
MUST_CHECK enum status knn_group_rows(
    const int16_t *x, size_t n, size_t d, uint32_t **out, struct error *err);

#endif
