/* world_data.c - the text of an extended authors' file, drawn at random, and its costs. */
#include "tests/support/world_data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/text.h"
#include "tests/support/tmo_data.h"

#define TEXT_MAX ((size_t)64 << 20)

static void fail(const char *what)
{
    fprintf(stderr, "world_data: %s\n", what);
    exit(1);
}

/* One interaction's members; held gets what it adds. */
static void add_answer(struct buffer *b, const struct world_shape *shape, struct rng *rng,
    size_t llm, uint32_t *held)
{
    uint32_t shown = *held;
    if (llm)
        shown |= (uint32_t)rng_below(rng, (uint64_t)1 << shape->n_views);
    if (llm)
        buffer_printf(b, "\"action\": 1, \"llm\": \"cloud%zu\", ", llm - 1);
    else
        buffer_add_str(b, "\"action\": 0, \"llm\": \"local\", ");
    buffer_printf(b,
        "\"answer\": \"yes\", \"score\": %.3f, \"interaction_time\": 1, \"usage_cost\": "
        "0.001, \"image_index\": ",
        2 * rng_uniform(rng));
    if (shown == *held) {
        buffer_add_str(b, "null");
        return;
    }
    const char *sep = "[";
    for (size_t v = 0; v < shape->n_views; v++)
        if (shown >> v & 1) {
            buffer_printf(b, "%s%zu", sep, v);
            sep = ", ";
        }
    buffer_add_char(b, ']');
    *held = shown;
}

static void add_session(
    struct buffer *b, const struct world_shape *shape, struct rng *rng, size_t i)
{
    size_t n_turns = i ? 1 + rng_below(rng, shape->max_turns) : shape->n_cloud + 1;
    uint32_t held = 0;
    buffer_printf(b, "%s{\"id\": %zu, \"image_paths\": [", i ? ", " : "", i);
    for (size_t v = 0; v < shape->n_views; v++)
        buffer_printf(
            b, "%s\"Scenario_%zu_Modality_%zu_Activity_0.jpg\"", v ? ", " : "", i, v);
    buffer_add_str(b, "], \"interactions\": [");
    for (size_t t = 0; t < n_turns; t++) {
        // The first session lets every llm answer.
        size_t llm = i ? rng_below(rng, shape->n_cloud + 1) : t;
        uint32_t beside = held;
        buffer_printf(b, "%s{\"question\": \"q%d\", \"task_cat\": \"%c\", ",
            t ? ", " : "", (int)rng_below(rng, 5),
            (char)('a' + (int)rng_below(rng, shape->n_tasks)));
        add_answer(b, shape, rng, llm, &held);
        if (rng_below(rng, 2)) {
            buffer_add_str(b, ", \"fan_out\": [{");
            add_answer(b, shape, rng, rng_below(rng, shape->n_cloud + 1), &beside);
            buffer_add_str(b, "}]");
        }
        buffer_add_char(b, '}');
    }
    buffer_add_str(b, "], \"association_score\": [");
    for (size_t t = 0; t < n_turns; t++)
        for (size_t v = 0; v < shape->n_views; v++)
            buffer_printf(b, "%s%.3f%s",
                v   ? ", "
                : t ? ", ["
                    : "[",
                rng_uniform(rng) - 0.2, v + 1 == shape->n_views ? "]" : "");
    buffer_add_str(b, "]}");
}

/* Round numbers, so that budgets can be met exactly; with some llms views make answers
 * quicker, as the published network has it. */
static void draw_costs(struct world *w, struct rng *rng)
{
    w->costs.n_rows = w->data->n_llms;
    w->costs.rows = calloc(w->costs.n_rows, sizeof *w->costs.rows);
    if (!w->costs.rows)
        fail("no memory");
    for (size_t i = 0; i < w->costs.n_rows; i++) {
        struct cost_row *row = &w->costs.rows[i];
        row->llm = w->data->llms[i].name;
        for (size_t n = 0; n < COST_CELLS; n++) {
            row->latency_s[n] = (double)(1 + rng_below(rng, 8)) / 4;
            row->usage_usd[n] = (double)(rng_below(rng, 4) + n) / 100;
            row->latency_reserve_s[n] = row->latency_s[n];
            row->usage_reserve_usd[n] = row->usage_usd[n];
        }
    }
}

void world_make(struct world *w, const struct world_shape *shape, uint64_t seed)
{
    struct buffer b;
    struct rng rng;
    struct error err = ERROR_INIT;
    memset(w, 0, sizeof *w);
    rng_init(&rng, seed, "world", 0);
    buffer_init(&b, TEXT_MAX);
    buffer_add_char(&b, '[');
    for (size_t i = 0; i < shape->n_sessions; i++)
        add_session(&b, shape, &rng, i);
    buffer_add_char(&b, ']');
    w->data = text_dataset(buffer_str(&b));
    buffer_release(&b);
    for (size_t v = 0; v < w->data->n_views; v++)
        w->data->privacy[v] = 1 + (int)rng_below(&rng, 3);
    draw_costs(w, &rng);
    struct recorded_settings set = recorded_defaults();
    set.tau = 3;
    if (recorded_build(w->data, &set, &w->rec, &err))
        fail(err.msg);
}

void world_release(struct world *w)
{
    recorded_free(w->rec);
    dataset_free(w->data);
    free(w->costs.rows);
}

struct environment *world_environment(
    const struct world *w, const struct environment_settings *settings)
{
    struct environment_settings set = *settings;
    struct environment *env;
    struct error err = ERROR_INIT;
    size_t *train = calloc(w->rec->n_sessions, sizeof *train);
    if (!train)
        fail("no memory");
    for (size_t i = 0; i < w->rec->n_sessions; i++)
        train[i] = i;
    set.estimator.k = 1;
    set.costs.table = &w->costs;
    if (environment_new(w->rec, &set, train, w->rec->n_sessions, &env, &err))
        fail(err.msg);
    free(train);
    return env;
}
