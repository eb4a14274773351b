/* live.h - a policy's play against real llms: held-out sessions written down as scripts,
 * a store of its own to play them in, and what came of it.
 *
 * The store of play follows the recipe of the store that it was made from and has its
 * scenes.  Each policy is a plan in it, known by a seed that follows from the policy's
 * file, whose session i is held-out session i.  Collecting and judging are the engine's
 * and the judge's, as for any other store. */
#ifndef M4A1_TMO_LIVE_H
#define M4A1_TMO_LIVE_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/error.h"
#include "schema/store.h"

/* The plan's seed of a policy file, from its SHA-256: 0 .. 2^48 - 1. */
int64_t live_seed(const char *sha256);

/* The script (plan_script.h) of n sessions, by their session_id in from: a line each with
 * scene, instant and prompts, appended to out.  E_ARG names a session whose prompt has no
 * id in the recipe, as imported ones have none. */
MUST_CHECK enum status live_script(struct store *from, const int64_t *sessions, size_t n,
    struct buffer *out, struct error *err);

/* Open the store of play at path, creating it where it is not there, with the recipe of
 * from and the scenes of these sessions.  E_ARG where path is a store of something else,
 * or of another recipe. */
MUST_CHECK enum status live_open(struct store *from, const char *path,
    const int64_t *sessions, size_t n, struct store **out, struct error *err);

/* True in *planned where the plan of this seed is there. */
MUST_CHECK enum status live_is_planned(
    struct store *store, int64_t seed, int *planned, struct error *err);

/* One session as it was played.  Missing figures are NAN. */
struct live_session {
    size_t n_turns, n_scored; /* turns, and those with an answer that has a score */
    double response;          /* mean over turns, refusals 0; NAN unless all are scored */
    double latency_s, usage_usd; /* totals; NAN unless all turns are known */
};

/* Fill sessions[n] of the plan of this seed.  as_published: refusals by the published rule,
 * else by the mended one, as in training. */
MUST_CHECK enum status live_read(struct store *store, int64_t seed, int as_published,
    struct live_session *sessions, size_t n, struct error *err);

#endif
