/* engine_options.c - what a run is told, and the same as JSON for its row. */
#include <stdlib.h>

#include "collectors/engine_private.h"
#include "m4a1/base/json.h"

const char *const engine_timing_names[2] = { "loaded", "isolated" };

void engine_options_init(struct engine_options *o)
{
    *o = (struct engine_options) {
        .max_usd = -1,
        .in_flight = 16,
        .limit = -1,
        .grace_s = 60,
        .connect_timeout_s = 30,
        .seed = 1,
        .n_workers = 2,
        .pace_rules = &pace_rules_default,
    };
}

/* No path, no host, no key: only what explains the figures of a run. */
enum status engine_options_text(
    const struct engine_options *o, struct buffer *out, struct error *err)
{
    struct json *j = json_new_object();
    int ok = json_set_text(j, "timing", engine_timing_names[o->timing]) &&
             json_set_bool(j, "fresh_connections", o->fresh_connections) &&
             json_set_int(j, "in_flight", o->in_flight) &&
             json_set_int(j, "seed", (int64_t)o->seed) &&
             json_set_bool(j, "retry_failed", o->retry_failed) &&
             json_set_bool(j, "allow_unpriced", o->allow_unpriced) &&
             json_set_bool(j, "simulator", o->simulator_url != NULL);
    if (ok && o->max_usd >= 0)
        ok = json_set_number(j, "max_usd", o->max_usd) != NULL;
    if (ok && o->max_attempts)
        ok = json_set_int(j, "max_attempts", o->max_attempts) != NULL;
    if (ok && o->limit >= 0)
        ok = json_set_int(j, "limit", o->limit) != NULL;
    if (ok && o->until_ms)
        ok = json_set_int(j, "until_ms", o->until_ms) != NULL;
    if (ok && o->n_shards > 1)
        ok = json_set_int(j, "shard", o->shard) && json_set_int(j, "shards", o->n_shards);
    struct json *chosen = ok && o->n_llm_ids ? json_set_array(j, "llm_ids") : NULL;
    for (size_t i = 0; ok && i < o->n_llm_ids; i++)
        ok = json_add_int(chosen, o->llm_ids[i]) != NULL;
    struct json *purposes = ok && o->purposes ? json_set_array(j, "purposes") : NULL;
    for (size_t i = 0; ok && o->purposes && i < o->n_purposes; i++)
        ok = json_add_text(purposes, o->purposes[i]) != NULL;
    enum status s = ok ? json_print(j, JSON_COMPACT, out, err) : error_nomem(err, 1);
    json_free(j);
    return s;
}
