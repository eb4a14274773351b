/* experiment_cell.c - data, split, environment, training, and what came of it. */
#include "m4a1/tmo/experiment_cell.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "export/json_keep.h"
#include "m4a1/base/buffer.h"
#include "m4a1/tmo/baselines.h"
#include "m4a1/tmo/chooser.h"
#include "m4a1/tmo/config.h"
#include "m4a1/tmo/cross_validation.h"
#include "m4a1/tmo/environment.h"
#include "m4a1/tmo/experiment_config.h"
#include "m4a1/tmo/learner.h"
#include "m4a1/tmo/policy_network.h"
#include "m4a1/tmo/oracle.h"
#include "m4a1/tmo/synthetic.h"

#define KEY_MAX ((size_t)16 << 20)
#define TABLE_MAX 4000000 /* estimates that are worth tabulating before training */

const enum experiment_figure experiment_by_session[N_BY_SESSION] = { EX_REWARD,
    EX_RESPONSE, EX_LATENCY_S, EX_USAGE_USD };

/* Everything of one cell; released together. */
struct cell {
    const struct experiment_lab *lab;
    const struct experiment_place *place;
    const struct experiment_row *row;
    struct tmo_config config;
    struct dataset *made; /* synthetic data; owned */
    const struct dataset *data;
    struct recorded *rec, *rec_trained; /* the same, unless trained elsewhere */
    size_t *train, *test;               /* indices into rec; owned */
    size_t n_train, n_test;
    size_t *far_train; /* into rec_trained, where it is another; owned */
    struct environment *env, *env_trained, *env_test;
    double figures[N_EX_FIGURES];       /* NAN = none */
    int64_t *ids;                       /* [n_sessions] */
    double (*by_session)[N_BY_SESSION]; /* [n_sessions] */
    size_t n_sessions;
    double cpu_s;
};

static double thread_cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

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

static const struct json *data_of(const struct experiment_value *value)
{
    return value->data;
}

static const struct json *offer_of(const struct experiment_value *value)
{
    return value->offer;
}

/* The cell's config, with the steps that were asked for on the command line. */
static enum status configure(struct cell *c, struct error *err)
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
    const struct json *shape = value_member(c, data_of);
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

static enum status prepare(struct cell *c, struct error *err)
{
    enum status s = configure(c, err);
    if (!s)
        s = make_data(c, err);
    if (!s)
        s = tmo_config_record(&c->config, c->data, &c->rec, err);
    if (!s)
        s = part(c, c->data, c->rec, &c->train, &c->n_train, &c->test, &c->n_test, err);
    return s;
}

/* ---- what may be chosen ---- */

static int is_offered(const struct environment *env, const struct json *offer, size_t a)
{
    const struct space *space = &env->rec->space;
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

static enum status limit(const struct cell *c, struct environment *env, struct error *err)
{
    const struct json *offers[] = { value_member(c, offer_of), c->row->offer };
    unsigned char *offered = malloc(env->n_actions);
    if (!offered)
        return error_nomem(err, env->n_actions);
    size_t n = 0;
    for (size_t a = 0; a < env->n_actions; a++) {
        offered[a] = 1;
        for (size_t i = 0; i < 2; i++)
            if (offers[i] && !is_offered(env, offers[i], a))
                offered[a] = 0;
        n += offered[a];
    }
    enum status s = OK;
    if (n < env->n_actions)
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

/* ---- playing ---- */

static size_t draw(const double *p, size_t n, struct rng *rng)
{
    double u = rng_uniform(rng), sum = 0;
    size_t last = 0;
    for (size_t a = 0; a < n; a++)
        if (p[a] > 0) {
            last = a;
            sum += p[a];
            if (u < sum)
                break;
        }
    return last;
}

struct tally {
    double reward, response, association, use[N_CONSTRAINT_KINDS];
    double excess, n_over, n_local, n_views;
    size_t n_turns, n_sessions;
};

/* The greatest share of a budget that the session is beyond it. */
static double excess_share(const struct episode *ep)
{
    double most = 0;
    for (size_t i = 0; i < ep->env->settings.n_constraints; i++) {
        double share = ledger_excess(&ep->ledger, i) / environment_scale(ep->env, i);
        most = share > most ? share : most;
    }
    return most;
}

static void play_session(struct episode *ep, const struct chooser *chooser,
    struct rng *rng, double *p, struct tally *tally, double figures[N_BY_SESSION])
{
    const struct recorded *rec = ep->env->rec;
    double reward = 0, response = 0, association = 0;
    while (!ep->done) {
        struct outcome outcome;
        chooser->weigh(chooser->arg, ep, p);
        size_t a = draw(p, ep->env->n_actions, rng);
        tally->n_views += (double)space_count(recorded_shown(rec, a, ep->context));
        tally->n_local += !space_is_cloud(&rec->space, a);
        tally->n_turns++;
        episode_step(ep, a, &outcome);
        reward += outcome.reward;
        response += outcome.response;
        association += outcome.association;
    }
    double n = (double)ep->n_turns, excess = excess_share(ep);
    tally->reward += reward / n;
    tally->response += response / n;
    tally->association += association / n;
    tally->n_over += excess > 0;
    tally->excess += excess;
    tally->n_sessions++;
    for (int k = 0; k < N_CONSTRAINT_KINDS; k++)
        tally->use[k] += ep->ledger.total[k];
    figures[0] = reward / n;
    figures[1] = response / n;
    figures[2] = ep->ledger.total[CONSTRAINT_LATENCY];
    figures[3] = ep->ledger.total[CONSTRAINT_USAGE];
}

/* Play the test sessions in env; keep figures by session where keep. */
static enum status play(struct cell *c, const struct environment *env,
    const struct chooser *chooser, int keep, struct tally *tally, struct error *err)
{
    struct response_cache cache;
    struct rng rng;
    double *p = malloc(env->n_actions * sizeof *p);
    if (!p)
        return error_nomem(err, env->n_actions * sizeof *p);
    memset(tally, 0, sizeof *tally);
    response_cache_init(&cache, env);
    rng_init(&rng, c->place->seed, "experiment/play", 0);
    for (size_t i = 0; i < c->n_test; i++) {
        struct episode ep;
        episode_start(&ep, env, RULES_MODEL, c->test[i]);
        ep.cache = &cache;
        if (ep.done)
            continue;
        double figures[N_BY_SESSION];
        play_session(&ep, chooser, &rng, p, tally, figures);
        if (keep) {
            c->ids[c->n_sessions] = c->rec->sessions[c->test[i]].id;
            memcpy(c->by_session[c->n_sessions++], figures, sizeof figures);
        }
    }
    response_cache_release(&cache);
    free(p);
    return tally->n_sessions ? OK : error_set(err, E_DATA, "no test session has a turn");
}

static void take_figures(struct cell *c, const struct tally *t)
{
    double n = (double)t->n_sessions, n_turns = (double)t->n_turns;
    double *f = c->figures;
    f[EX_REWARD] = t->reward / n;
    f[EX_RESPONSE] = t->response / n;
    f[EX_ASSOCIATION] = t->association / n;
    f[EX_LATENCY_S] = t->use[CONSTRAINT_LATENCY] / n;
    f[EX_USAGE_USD] = t->use[CONSTRAINT_USAGE] / n;
    f[EX_PRIVACY] = t->use[CONSTRAINT_PRIVACY] / n;
    f[EX_VIOLATION] = t->n_over / n;
    f[EX_EXCESS] = t->n_over > 0 ? t->excess / t->n_over : NAN;
    f[EX_LOCAL] = t->n_local / n_turns;
    f[EX_VIEWS] = t->n_views / n_turns;
}

/* The same choices, scored by an estimator that knows the test sessions only. */
static enum status score_on_test(
    struct cell *c, const struct chooser *chooser, struct error *err)
{
    struct tally tally;
    struct error why = { 0 };
    enum status s =
        environment_of(c, &c->config, c->rec, c->test, c->n_test, &c->env_test, &why);
    if (s == E_DATA) // too few rows there for this estimator
        return OK;
    if (s) {
        if (err)
            *err = why;
        return s;
    }
    s = play(c, c->env_test, chooser, 0, &tally, err);
    if (!s)
        c->figures[EX_REWARD_TEST] = tally.reward / (double)tally.n_sessions;
    return s;
}

static enum status evaluate(
    struct cell *c, const struct chooser *chooser, int on_test, struct error *err)
{
    struct tally tally;
    enum status s = play(c, c->env, chooser, 1, &tally, err);
    if (!s)
        take_figures(c, &tally);
    if (!s && on_test && !c->lab->experiment->same_sessions)
        s = score_on_test(c, chooser, err);
    return s;
}

/* ---- rows ---- */

static int report(void *arg, int64_t n_steps)
{
    const struct experiment_lab *lab = arg;
    (void)n_steps;
    return lab->stop && lab->stop();
}

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

static enum status training_ground(
    struct cell *c, struct environment **out, struct error *err)
{
    enum status s = c->row->trained_elsewhere ? train_elsewhere(c, err)
                    : c->row->training        ? train_otherwise(c, err)
                                              : OK;
    *out = c->env_trained ? c->env_trained : c->env;
    return s ? s : tabulate(c, *out, err);
}

static enum status run_learner(struct cell *c, struct error *err)
{
    struct environment *ground;
    struct network network;
    enum status s = training_ground(c, &ground, err);
    if (s)
        return s;
    double before = thread_cpu_s();
    s = learner_train(ground, &c->config.learner, c->place->seed, report,
        (void *)(uintptr_t)c->lab, &network, err);
    if (s)
        return s;
    c->cpu_s = thread_cpu_s() - before;
    c->figures[EX_FEATURES] = (double)network.n_features;
    c->figures[EX_PARAMETERS] = (double)network.n_params;
    const struct chooser chooser = { network_weigh, &network };
    s = evaluate(c, &chooser, 1, err);
    network_release(&network);
    return s;
}

static enum status run_baseline(struct cell *c, struct error *err)
{
    struct baseline_settings settings = baseline_defaults();
    struct baseline baseline;
    settings.seed = c->place->seed;
    settings.steps = c->config.learner.steps;
    double before = thread_cpu_s();
    enum status s = baseline_make(c->env, c->row->baseline, &settings, &baseline, err);
    if (s)
        return s;
    c->cpu_s = thread_cpu_s() - before;
    // A planner looks ahead in the model that it was made for.
    s = evaluate(c, &baseline.chooser, strncmp(c->row->baseline, "planner", 7) != 0, err);
    baseline_release(&baseline);
    return s;
}

static int is_constrained(const struct cell *c)
{
    return c->config.environment.n_constraints &&
           c->config.environment.handling != HANDLING_NONE;
}

static enum status run_bound(struct cell *c, struct error *err)
{
    struct oracle oracle;
    struct oracle_options options = oracle_options();
    double before = thread_cpu_s();
    enum status s = oracle_sessions(c->env, c->test, c->n_test, &options, &oracle, err);
    if (s)
        return s;
    c->cpu_s = thread_cpu_s() - before;
    struct oracle_player player = { &oracle, is_constrained(c) };
    const struct chooser chooser = { oracle_weigh, &player };
    s = evaluate(c, &chooser, 0, err);
    oracle_release(&oracle);
    return s;
}

static void take_validation(struct cell *c, const struct cross_validation *cv)
{
    c->figures[EX_MSE] = cv->mse;
    c->figures[EX_MAE] = cv->mae;
    c->figures[EX_PEARSON] = cv->pearson;
    c->figures[EX_SPEARMAN] = cv->spearman;
    c->figures[EX_SLOPE] = cv->slope;
    c->figures[EX_GAIN] = cv->gain;
    c->figures[EX_BEST_SHARE] = cv->best_share;
}

/* One tenth of the sessions, estimated by what was fitted on the others. */
static enum status hold_out(struct cell *c, struct error *err)
{
    struct estimator *est = NULL;
    struct split split = { 0 };
    size_t *train = NULL, *test = NULL, *rows = NULL, *held = NULL, n_rows, n_held;
    double n = 0, error = 0, sx = 0, sy = 0, sxx = 0, syy = 0, sxy = 0;
    enum status s = split_draw(c->data, 0, 0.9, c->place->seed, &split, err);
    if (!s)
        s = recorded_indices(c->rec, split.train, split.n_train, &train, err);
    if (!s)
        s = recorded_indices(c->rec, split.test, split.n_test, &test, err);
    if (!s)
        s = estimator_rows_of(c->rec, train, split.n_train, 1, &rows, &n_rows, err);
    if (!s)
        s = estimator_rows_of(c->rec, test, split.n_test, 1, &held, &n_held, err);
    if (!s)
        s = estimator_fit(
            &c->config.environment.estimator, c->rec, rows, n_rows, &est, err);
    for (size_t i = 0; !s && i < n_held; i++) {
        const struct recorded_row *row = &c->rec->rows[held[i]];
        struct estimator_query query = estimator_query_of(c->rec, row->turn);
        double x = estimator_value(est, &query, (size_t)row->action), y = row->score;
        n += 1;
        error += (x - y) * (x - y);
        sx += x;
        sy += y;
        sxx += x * x;
        syy += y * y;
        sxy += x * y;
    }
    if (!s && n > 1) {
        double vx = sxx - sx * sx / n, vy = syy - sy * sy / n;
        c->figures[EX_HELD_OUT_MSE] = error / n;
        if (vx > 1e-12 && vy > 1e-12)
            c->figures[EX_HELD_OUT_PEARSON] = (sxy - sx * sy / n) / sqrt(vx * vy);
    }
    estimator_free(est);
    free(train);
    free(test);
    free(rows);
    free(held);
    split_release(&split);
    return s;
}

static enum status run_estimator(struct cell *c, struct error *err)
{
    struct cross_validation_settings settings = cross_validation_defaults();
    struct cross_validation cv;
    size_t *all = malloc(c->rec->n_sessions * sizeof *all);
    if (!all)
        return error_nomem(err, c->rec->n_sessions * sizeof *all);
    for (size_t i = 0; i < c->rec->n_sessions; i++)
        all[i] = i;
    settings.by = c->config.environment.estimator.choose_by;
    settings.n_repeats = 1;
    settings.seed = c->place->seed;
    double before = thread_cpu_s();
    enum status s = cross_validation_run(c->rec, all, c->rec->n_sessions,
        &c->config.environment.estimator, &settings, &cv, err);
    if (!s) {
        take_validation(c, &cv);
        s = hold_out(c, err);
    }
    c->cpu_s = thread_cpu_s() - before;
    free(all);
    return s;
}

static enum status run_row(struct cell *c, struct error *err)
{
    if (c->row->kind == ROW_ESTIMATOR)
        return run_estimator(c, err);
    c->ids = calloc(c->n_test + 1, sizeof *c->ids);
    c->by_session = calloc(c->n_test + 1, sizeof *c->by_session);
    if (!c->ids || !c->by_session)
        return error_nomem(err, c->n_test * sizeof *c->ids);
    enum status s =
        environment_of(c, &c->config, c->rec, c->train, c->n_train, &c->env, err);
    if (s)
        return s;
    switch (c->row->kind) {
    case ROW_LEARNER: return run_learner(c, err);
    case ROW_BASELINE: return run_baseline(c, err);
    case ROW_BOUND: return run_bound(c, err);
    case ROW_ESTIMATOR: break;
    }
    return OK;
}

/* ---- the outcome ---- */

static void cell_release(struct cell *c)
{
    environment_free(c->env);
    environment_free(c->env_trained);
    environment_free(c->env_test);
    recorded_free(c->rec);
    recorded_free(c->rec_trained);
    dataset_free(c->made);
    free(c->train);
    free(c->test);
    free(c->far_train);
    free(c->ids);
    free(c->by_session);
    tmo_config_release(&c->config);
}

static void cell_init(struct cell *c, const struct experiment_lab *lab,
    const struct experiment_place *place)
{
    memset(c, 0, sizeof *c);
    c->lab = lab;
    c->place = place;
    c->row = &lab->experiment->rows[place->row];
    for (int f = 0; f < N_EX_FIGURES; f++)
        c->figures[f] = NAN;
}

/* What the cell is, without what it found. */
static enum status describe(const struct cell *c, struct json **out, struct error *err)
{
    const struct experiment_lab *lab = c->lab;
    struct json_keeper k = { 1 };
    struct json *root = *out = json_keep(&k, json_new_object());
    json_keep(&k, json_set_text(root, "version", M4A1_VERSION));
    json_keep(&k, json_set_text(root, "experiment", lab->experiment->name));
    json_keep(&k, json_set_text(root, "setting",
                      lab->experiment->settings[c->place->setting].label));
    json_keep(&k, json_set_text(root, "row", c->row->name));
    json_keep(&k, json_set_int(root, "seed", (int64_t)c->place->seed));
    json_keep(&k, json_set_text(root, "digest", lab->data ? lab->data->digest : ""));
    json_keep(&k, json_set_text(root, "other", lab->other ? lab->other->digest : ""));
    json_keep(
        &k, json_set_text(root, "baseline", c->row->baseline ? c->row->baseline : ""));
    json_keep(&k, json_set_int(root, "kind", (int64_t)c->row->kind));
    json_keep(&k, json_set_bool(root, "elsewhere", c->row->trained_elsewhere));
    json_keep(&k, json_set_bool(root, "same_sessions", lab->experiment->same_sessions));
    const struct json *parts[] = { value_member(c, data_of), value_member(c, offer_of),
        c->row->offer, c->row->training };
    static const char *const names[] = { "data", "offer", "row_offer", "training" };
    for (size_t i = 0; i < 4; i++)
        if (parts[i])
            json_keep(&k, json_set_copy(root, names[i], parts[i]));
    struct json *config = json_keep(&k, json_set_object(root, "config"));
    enum status s =
        k.ok ? tmo_config_write(&c->config, 1, config, err) : error_nomem(err, 1024);
    if (s) {
        json_free(root);
        *out = NULL;
    }
    return s;
}

static enum status hash(const struct json *root, char key[HASH_HEX], struct error *err)
{
    struct buffer text;
    buffer_init(&text, KEY_MAX);
    enum status s = json_print(root, JSON_CANONICAL, &text, err);
    if (!s)
        s = buffer_status(&text, "a cell", err);
    if (!s)
        hash_hex(text.data, text.len, key);
    buffer_release(&text);
    return s;
}

enum status experiment_cell_key(const struct experiment_lab *lab,
    const struct experiment_place *place, char key[HASH_HEX], struct error *err)
{
    struct cell c;
    struct json *root = NULL;
    cell_init(&c, lab, place);
    enum status s = configure(&c, err);
    if (!s)
        s = describe(&c, &root, err);
    if (!s)
        s = hash(root, key, err);
    json_free(root);
    cell_release(&c);
    return s;
}

static enum status write_outcome(
    const struct cell *c, struct json *root, struct error *err)
{
    struct json_keeper k = { 1 };
    struct json *figures = json_keep(&k, json_set_object(root, "figures"));
    for (int f = 0; f < N_EX_FIGURES; f++)
        if (isfinite(c->figures[f]))
            json_keep(
                &k, json_set_number(figures, experiment_figures[f].name, c->figures[f]));
    struct json *sessions = json_keep(&k, json_set_array(root, "sessions"));
    for (size_t i = 0; i < c->n_sessions; i++) {
        struct json *one = json_keep(&k, json_add_array(sessions));
        json_keep(&k, json_add_int(one, c->ids[i]));
        for (size_t f = 0; f < N_BY_SESSION; f++)
            json_keep(&k, json_add_number(one, c->by_session[i][f]));
    }
    struct json *measured = json_keep(&k, json_set_object(root, "measured"));
    json_keep(&k, json_set_number(measured, experiment_figures[EX_CPU_S].name, c->cpu_s));
    return k.ok ? OK : error_nomem(err, 1024);
}

enum status experiment_cell_run(const struct experiment_lab *lab,
    const struct experiment_place *place, struct json **out, struct error *err)
{
    struct cell c;
    struct json *root = NULL;
    char key[HASH_HEX];
    *out = NULL;
    // The key is that of the config alone, so it is taken before data are made.
    enum status s = experiment_cell_key(lab, place, key, err);
    if (s)
        return s;
    cell_init(&c, lab, place);
    s = prepare(&c, err);
    if (!s)
        s = run_row(&c, err);
    if (!s)
        s = describe(&c, &root, err);
    if (!s && !json_set_text(root, "key", key))
        s = error_nomem(err, 64);
    if (!s)
        s = write_outcome(&c, root, err);
    cell_release(&c);
    if (s)
        json_free(root);
    else
        *out = root;
    return s;
}
