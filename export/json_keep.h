/* json_keep.h - build a document in a run of calls and check once that none was lost.
 *
 *     struct json_keeper k = { 1 };
 *     json_keep(&k, json_set_int(j, "n", n));
 *     ...
 *     return k.ok ? OK : error_nomem(err, size); */
#ifndef EXPORT_JSON_KEEP_H
#define EXPORT_JSON_KEEP_H

#include <math.h>
#include <stddef.h>
#include "m4a1/base/json.h"

struct json_keeper {
    int ok; /* 0 once a value could not be built for lack of memory */
};

static inline struct json *json_keep(struct json_keeper *k, struct json *j)
{
    k->ok = k->ok && j;
    return j;
}

static inline void json_keep_count(
    struct json_keeper *k, struct json *j, const char *key, size_t n)
{
    json_keep(k, json_set_int(j, key, (int64_t)n));
}

/* NAN, a missing figure, becomes null. */
static inline void json_keep_figure(
    struct json_keeper *k, struct json *j, const char *key, double x)
{
    json_keep(k, isnan(x) ? json_set_null(j, key) : json_set_number(j, key, x));
}

#endif
