/* synthetic.c - draw sessions, turn by turn. */
#include "m4a1/tmo/synthetic.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/dataset_build.h"
#include "m4a1/base/json.h"
#include "m4a1/base/random.h"
#include "m4a1/base/text.h"
#include "m4a1/tmo/costs.h"

#define LOCAL_MEAN 0.7
#define CLOUD_MEAN 1.0
#define VIEW_GAIN 0.1
#define DEVIATION 0.3
#define SCORE_MOST 2.0
#define UPLOAD_SHARE 0.7
#define ASSOCIATION_LEAST 0.1
#define ASSOCIATION_MOST 0.5

static double clip(double x)
{
    return x < 0 ? 0 : x > SCORE_MOST ? SCORE_MOST : x;
}

static double cloud_latency_s(size_t n_views)
{
    return 0.5 + 1.5 * (double)n_views;
}

static double cloud_usage_usd(size_t n_views)
{
    return 0.0005 + 0.004 * (double)n_views;
}

/* The views that a cloud turn uploads, listed in rising order. */
static enum status draw_views(
    struct interaction *it, size_t n_views, struct rng *rng, struct error *err)
{
    size_t scratch[SPACE_MAX_VIEWS], chosen[SPACE_MAX_VIEWS];
    if (rng_uniform(rng) >= UPLOAD_SHARE)
        return OK;
    size_t n = 1 + rng_below(rng, n_views);
    uint32_t set = 0;
    rng_sample(rng, n_views, n, scratch, chosen);
    for (size_t i = 0; i < n; i++)
        set |= UINT32_C(1) << chosen[i];
    it->image_index = calloc(n, sizeof *it->image_index);
    if (!it->image_index)
        return error_nomem(err, n * sizeof *it->image_index);
    for (size_t v = 0; v < n_views; v++)
        if (set >> v & 1)
            it->image_index[it->n_image_index++] = (int)v;
    return OK;
}

struct maker {
    struct dataset *data;
    const struct synthetic_shape *shape;
    int local, cloud;
    struct rng rng;
};

static enum status draw_turn(struct maker *m, struct turn *turn, uint32_t *context,
    size_t *n_uploaded, struct error *err)
{
    size_t n_views = m->shape->n_views;
    struct interaction *it = &turn->path;
    char name[24];
    interaction_init(it);
    it->refused = 0;
    it->probability = NAN;
    turn->association = calloc(n_views, sizeof *turn->association);
    snprintf(
        name, sizeof name, "task_%03zu", (size_t)rng_below(&m->rng, m->shape->n_tasks));
    turn->prompt = text_copy(name);
    turn->task = dataset_task(m->data, name);
    if (!turn->association || !turn->prompt || turn->task < 0)
        return error_nomem(err, n_views * sizeof *turn->association);

    int cloud = rng_uniform(&m->rng) >= 0.5;
    it->llm = cloud ? m->cloud : m->local;
    enum status s = cloud ? draw_views(it, n_views, &m->rng, err) : OK;
    uint32_t shown = interaction_shown(it);
    it->views_added = shown & ~*context;
    it->views_context = *context |= shown;
    *n_uploaded += it->n_image_index;

    double mean = cloud ? CLOUD_MEAN + VIEW_GAIN * (double)*n_uploaded : LOCAL_MEAN;
    it->score = clip(mean + DEVIATION * rng_normal(&m->rng));
    for (size_t v = 0; v < n_views; v++)
        turn->association[v] =
            ASSOCIATION_LEAST +
            (ASSOCIATION_MOST - ASSOCIATION_LEAST) * rng_uniform(&m->rng);
    if (cloud) {
        it->latency_s = cloud_latency_s(it->n_image_index);
        it->cost_usd = cloud_usage_usd(it->n_image_index);
    }
    return s;
}

static enum status draw_sessions(struct maker *m, struct error *err)
{
    struct dataset *data = m->data;
    const struct synthetic_shape *shape = m->shape;
    data->sessions = calloc(shape->n_sessions, sizeof *data->sessions);
    if (!data->sessions)
        return error_nomem(err, shape->n_sessions * sizeof *data->sessions);
    for (size_t i = 0; i < shape->n_sessions; i++) {
        struct session *session = &data->sessions[data->n_sessions++];
        uint32_t context = 0;
        size_t n_uploaded = 0;
        session->id = (int64_t)i;
        session->imported = 1;
        session->turns = calloc(shape->n_turns, sizeof *session->turns);
        if (!session->turns)
            return error_nomem(err, shape->n_turns * sizeof *session->turns);
        while (session->n_turns < shape->n_turns) {
            enum status s = draw_turn(
                m, &session->turns[session->n_turns++], &context, &n_uploaded, err);
            if (s)
                return s;
        }
    }
    return OK;
}

enum status synthetic_check(const struct synthetic_shape *shape, struct error *err)
{
    if (shape->n_views < 1 || shape->n_views > SPACE_MAX_VIEWS)
        return error_set(err, E_ARG, "synthetic data have 1 to %d views, not %zu",
            SPACE_MAX_VIEWS, shape->n_views);
    if (shape->n_tasks < 1 || shape->n_tasks > SYNTHETIC_MAX_TASKS)
        return error_set(err, E_ARG, "synthetic data have 1 to %d tasks, not %zu",
            SYNTHETIC_MAX_TASKS, shape->n_tasks);
    if (shape->n_turns < 1 || shape->n_turns > SYNTHETIC_MAX_TURNS)
        return error_set(err, E_ARG, "synthetic sessions have 1 to %d turns, not %zu",
            SYNTHETIC_MAX_TURNS, shape->n_turns);
    if (shape->n_sessions < 1 || shape->n_sessions > SYNTHETIC_MAX_SESSIONS)
        return error_set(err, E_ARG, "synthetic data have 1 to %d sessions, not %zu",
            SYNTHETIC_MAX_SESSIONS, shape->n_sessions);
    return OK;
}

enum status synthetic_make(const struct synthetic_shape *shape, uint64_t seed,
    struct dataset **out, struct error *err)
{
    *out = NULL;
    enum status s = synthetic_check(shape, err);
    if (s)
        return s;
    struct maker m = { .data = calloc(1, sizeof *m.data), .shape = shape };
    if (!m.data)
        return error_nomem(err, sizeof *m.data);
    rng_init(&m.rng, seed, "synthetic", 0);
    m.data->source = text_format("synthetic: %zu views, %zu tasks, %zu turns",
        shape->n_views, shape->n_tasks, shape->n_turns);
    if (!m.data->source)
        s = error_nomem(err, 64);
    if (!s)
        s = dataset_set_views(m.data, shape->n_views, err);
    m.local = s ? -1 : dataset_llm_index(m.data, "local", 0);
    m.cloud = s ? -1 : dataset_llm_index(m.data, "cloud", 1);
    if (!s && (m.local < 0 || m.cloud < 0))
        s = error_nomem(err, 64);
    if (!s)
        s = draw_sessions(&m, err);
    if (!s)
        s = dataset_tidy(m.data, err);
    if (!s)
        s = dataset_seal(m.data, err);
    if (s) {
        dataset_free(m.data);
        return s;
    }
    *out = m.data;
    return OK;
}

/* What the published profiles say that a local answer costs on a device. */
static enum status local_cost(
    const char *device, double *latency_s, double *usage_usd, struct error *err)
{
    struct costs_settings settings = costs_published();
    const char *const names[] = { "local", "cloud" };
    struct space space;
    struct costs costs;
    settings.device = device;
    enum status s = space_init_published(&space, 1, 1, 1, err);
    if (s)
        return s;
    s = costs_build(&settings, &space, names, &costs, err);
    space_release(&space);
    if (s)
        return s;
    *latency_s = costs.latency_s[costs_cell(&costs, 0, 0)];
    *usage_usd = costs.usage_usd[costs_cell(&costs, 0, 0)];
    costs_release(&costs);
    return OK;
}

enum status synthetic_costs(
    const char *device, size_t n_views, struct cost_table **out, struct error *err)
{
    double latency_s, usage_usd;
    *out = NULL;
    enum status s = local_cost(device, &latency_s, &usage_usd, err);
    if (s)
        return s;
    struct json *root = json_new_object();
    if (!root)
        return error_nomem(err, 64);
    json_set_int(root, "m4a1_cost_table", 1);
    struct json *llms = json_set_object(root, "llms");
    struct json *local = json_set_object(llms, "local");
    json_add_number(json_set_array(local, "latency_s"), latency_s);
    json_add_number(json_set_array(local, "usage_usd"), usage_usd);
    struct json *cloud = json_set_object(llms, "cloud");
    struct json *seconds = json_set_array(cloud, "latency_s");
    struct json *usd = json_set_array(cloud, "usage_usd");
    for (size_t k = 0; k <= n_views; k++) {
        json_add_number(seconds, cloud_latency_s(k));
        json_add_number(usd, cloud_usage_usd(k));
    }
    s = cost_table_parse(root, "synthetic costs", out, err);
    json_free(root);
    return s;
}
