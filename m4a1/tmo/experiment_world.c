/* experiment_world.c - data, split, environments and what may be chosen in them. */
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/buffer.h"
#include "m4a1/base/text.h"
#include "m4a1/tmo/experiment_cell_parts.h"
#include "m4a1/tmo/experiment_config.h"
#include "m4a1/tmo/synthetic.h"

#define TABLE_MAX 4000000 /* estimates that are worth tabulating before training */

/* ---- settings ---- */

static const struct json *value_member(
    const struct cell *c, const struct json *(*member)(const struct experiment_value *))
{
    const struct experiment *e = c->lab->experiment;
    const struct json *found = NULL;
    for (size_t i = 0; i < e->n_factors; i++) {
        const struct experiment_value *value =
            experiment_value_of(e, c->place->setting, i);
        if (value && member(value))
            found = member(value);
    }
    return found;
}

static const struct json *value_data(const struct experiment_value *value)
{
    return value->data;
}

static const struct json *value_offer(const struct experiment_value *value)
{
    return value->offer;
}

const struct json *cell_data_of(const struct cell *c)
{
    return value_member(c, value_data);
}

const struct json *cell_offer_of(const struct cell *c)
{
    return value_member(c, value_offer);
}

/* The cell's config, with the steps that were asked for on the command line. */
enum status cell_configure(struct cell *c, struct error *err)
{
    enum status s = experiment_configure(
        c->lab->experiment, c->place->setting, c->row, &c->config, err);
    if (!s && c->lab->steps)
        c->config.learner.steps = c->lab->steps;
    return s;
}

/* ---- data ---- */

static enum status make_data(struct cell *c, struct error *err)
{
    const struct json *shape = cell_data_of(c);
    if (!shape) {
        c->data = c->lab->other ? c->lab->other : c->lab->data;
        return c->data ? OK
                       : error_set(err, E_ARG, "experiment %s needs data",
                             c->lab->experiment->name);
    }
    struct synthetic_shape of;
    enum status s = experiment_shape(shape, c->lab->experiment->file, &of, err);
    if (!s)
        s = synthetic_make(&of, c->place->seed, &c->made, err);
    if (!s)
        s = synthetic_costs(
            c->config.environment.costs.device, of.n_views, &c->config.table, err);
    c->config.environment.costs.table = c->config.table;
    c->data = c->made;
    return s;
}

/* Which sessions of data are trained on and which are for the test. */
static enum status part(const struct cell *c, const struct dataset *data,
    const struct recorded *rec, size_t **train, size_t *n_train, size_t **test,
    size_t *n_test, struct error *err)
{
    struct split split = { 0 };
    *train = *test = NULL;
    if (c->lab->experiment->same_sessions) {
        *n_train = *n_test = rec->n_sessions;
        *train = malloc(rec->n_sessions * sizeof **train);
        *test = malloc(rec->n_sessions * sizeof **test);
        if (!*train || !*test)
            return error_nomem(err, rec->n_sessions * sizeof **train);
        for (size_t i = 0; i < rec->n_sessions; i++)
            (*train)[i] = (*test)[i] = i;
        return OK;
    }
    enum status s = split_draw(data, c->config.split_by == FOLDS_SCENE,
        c->config.train_share, c->place->seed, &split, err);
    *n_train = split.n_train;
    *n_test = split.n_test;
    if (!s)
        s = recorded_indices(rec, split.train, split.n_train, train, err);
    if (!s)
        s = recorded_indices(rec, split.test, split.n_test, test, err);
    split_release(&split);
    return s;
}

/* ---- what may be chosen ---- */

static int is_offered(const struct space *space, const struct json *offer, size_t a)
{
    const struct space_action *action = &space->actions[a];
    const char *role = json_text(json_get(offer, "role"), NULL);
    const char *views = json_text(json_get(offer, "views"), NULL);
    int cloud = space->cloud[action->llm] != 0;
    if (role && cloud != (strcmp(role, "cloud") == 0))
        return 0;
    if (views && strcmp(views, "none") == 0 && action->views)
        return 0;
    if (views && strcmp(views, "all") == 0 &&
        action->views != space->accepts[action->llm])
        return 0;
    return action->llm < (size_t)json_int(json_get(offer, "llms"), SPACE_MAX_LLMS);
}

/* offered[A] of 0 or 1, and how many are. */
static size_t list_offered(
    const struct cell *c, const struct space *space, unsigned char *offered)
{
    const struct json *offers[] = { cell_offer_of(c), c->row->offer };
    size_t n = 0;
    for (size_t a = 0; a < space->n_actions; a++) {
        offered[a] = 1;
        for (size_t i = 0; i < 2; i++)
            if (offers[i] && !is_offered(space, offers[i], a))
                offered[a] = 0;
        n += offered[a];
    }
    return n;
}

static enum status limit(const struct cell *c, struct environment *env, struct error *err)
{
    unsigned char *offered = malloc(env->n_actions);
    if (!offered)
        return error_nomem(err, env->n_actions);
    enum status s = OK;
    if (list_offered(c, &env->rec->space, offered) < env->n_actions)
        s = environment_offer(env, offered, err);
    free(offered);
    return s;
}

static enum status environment_of(const struct cell *c, const struct tmo_config *config,
    const struct recorded *rec, const size_t *sessions, size_t n,
    struct environment **out, struct error *err)
{
    enum status s = environment_new(rec, &config->environment, sessions, n, out, err);
    if (!s)
        s = limit(c, *out, err);
    return s;
}

/* ---- all ---- */

static enum status record(struct cell *c, struct error *err)
{
    enum status s = cell_configure(c, err);
    if (!s)
        s = make_data(c, err);
    return s ? s : tmo_config_record(&c->config, c->data, &c->rec, err);
}

enum status cell_prepare(struct cell *c, struct error *err)
{
    enum status s = record(c, err);
    if (!s)
        s = part(c, c->data, c->rec, &c->train, &c->n_train, &c->test, &c->n_test, err);
    if (!s && c->row->kind != ROW_ESTIMATOR)
        s = environment_of(c, &c->config, c->rec, c->train, c->n_train, &c->env, err);
    return s;
}

/* An llm of a baseline's name ("llm:NAME") that is there. */
static enum status check_llm(const struct cell *c, struct error *err)
{
    const char *name = c->row->baseline;
    if (!name || !text_starts(name, "llm:"))
        return OK;
    struct buffer list;
    buffer_init(&list, 4096);
    enum status s = E_ARG;
    for (size_t i = 0; i < c->rec->space.n_llms; i++) {
        const char *llm = c->data->llms[c->rec->llms[i]].name;
        s = strcmp(llm, name + 4) == 0 ? OK : s;
        buffer_printf(&list, "%s%s", i ? ", " : "", llm);
    }
    if (s)
        (void)error_set(err, E_ARG,
            "baseline \"%s\": %s has no llm of that name; it has %s", name,
            c->data->source, buffer_str(&list));
    buffer_release(&list);
    return s;
}

enum status cell_check(struct cell *c, struct error *err)
{
    enum status s = record(c, err);
    if (!s)
        s = part(c, c->data, c->rec, &c->train, &c->n_train, &c->test, &c->n_test, err);
    unsigned char *offered = s ? NULL : malloc(c->rec->space.n_actions);
    if (!s && !offered)
        s = error_nomem(err, c->rec->space.n_actions);
    if (!s && !list_offered(c, &c->rec->space, offered))
        s = error_set(
            err, E_ARG, "no action of %s is left by what is offered", c->data->source);
    free(offered);
    return s ? s : check_llm(c, err);
}

/* ---- training ---- */

static enum status tabulate(
    const struct cell *c, struct environment *env, struct error *err)
{
    size_t n = env->rec->n_turns * env->n_actions;
    if (c->config.environment.transitions == TRANSITIONS_RECORDED && n <= TABLE_MAX)
        return environment_tabulate(env, err);
    return OK;
}

/* On the data of the command, with actions and observations as here. */
static enum status train_elsewhere(struct cell *c, struct error *err)
{
    size_t n, n_unused;
    size_t *unused = NULL;
    enum status s = tmo_config_record(&c->config, c->lab->data, &c->rec_trained, err);
    if (!s)
        s = part(
            c, c->lab->data, c->rec_trained, &c->far_train, &n, &unused, &n_unused, err);
    free(unused);
    if (!s)
        s = environment_of(
            c, &c->config, c->rec_trained, c->far_train, n, &c->env_trained, err);
    if (!s && (c->env_trained->n_actions != c->env->n_actions ||
                  c->env_trained->n_features != c->env->n_features))
        s = error_set(err, E_DATA,
            "%s and %s differ in actions or observations; list the actions in the "
            "experiment's config, and map views, tasks and llms",
            c->lab->data->source, c->data->source);
    return s;
}

/* In a world of its own: the row's "training" on top of the config. */
static enum status train_otherwise(struct cell *c, struct error *err)
{
    struct tmo_config config;
    enum status s = experiment_configure_training(
        c->lab->experiment, c->row, &c->config, &config, err);
    if (!s)
        s = environment_of(
            c, &config, c->rec, c->train, c->n_train, &c->env_trained, err);
    tmo_config_release(&config);
    return s;
}

enum status cell_training_ground(
    struct cell *c, struct environment **out, struct error *err)
{
    enum status s = c->row->trained_elsewhere ? train_elsewhere(c, err)
                    : c->row->training        ? train_otherwise(c, err)
                                              : OK;
    *out = c->env_trained ? c->env_trained : c->env;
    return s ? s : tabulate(c, *out, err);
}
