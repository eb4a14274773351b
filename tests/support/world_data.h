/* world_data.h - random worlds for tests: several llms, views that accumulate, fan-out,
 * costs and privacy levels of every kind. */
#ifndef TESTS_SUPPORT_WORLD_DATA_H
#define TESTS_SUPPORT_WORLD_DATA_H

#include "m4a1/base/random.h"
#include "m4a1/tmo/cost_table.h"
#include "m4a1/tmo/environment.h"

struct world_shape {
    size_t n_cloud; /* cloud llms "cloud0", ... beside the one "local"; 1 .. 9 */
    size_t n_views, n_tasks, n_sessions, max_turns; /* views 1 .. 10, tasks 1 .. 26 */
};

struct world {
    struct dataset *data;
    struct cost_table
        costs;            /* of every llm and number of views; a part falls with them */
    struct recorded *rec; /* the default encoding, tau 3 */
};

/* A world that seed fixes; every llm answers at least once.  Fails the program where it
 * cannot be made. */
void world_make(struct world *w, const struct world_shape *shape, uint64_t seed);
void world_release(struct world *w);

/* An environment on all sessions; the published estimator with k 1. */
struct environment *world_environment(
    const struct world *w, const struct environment_settings *settings);

#endif
