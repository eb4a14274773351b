/* environment_parts.h - what the files of the environment share; nobody else includes it. */
#ifndef M4A1_TMO_ENVIRONMENT_PARTS_H
#define M4A1_TMO_ENVIRONMENT_PARTS_H

#include "m4a1/tmo/environment.h"

/* The estimates of a turn from memory, or asked and remembered. */
double response_cache_one(
    struct response_cache *cache, const struct estimator_query *query, size_t action);
void response_cache_all(
    struct response_cache *cache, const struct estimator_query *query, double *by_action);

#endif
