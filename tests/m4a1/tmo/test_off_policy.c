/* Off-policy values: by hand, on simulated data of known truth, and on the public data
 * against the reference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/random.h"
#include "m4a1/tmo/evaluation.h"
#include "m4a1/tmo/off_policy.h"
#include "tests/support/tmo_data.h"

#define NEAR(a, b) assert_true(fabs((a) - (b)) <= 1e-9)

/* Data, its encoding, and an environment whose estimator knows all of it. */
struct world {
    struct dataset *data;
    struct recorded *rec;
    struct environment *env;
    size_t *all;
};

static void world_init(struct world *w, struct dataset *data, int as_published)
{
    struct recorded_settings settings =
        as_published ? recorded_published(0, 1, 5) : recorded_defaults();
    struct environment_settings set =
        as_published ? environment_published() : environment_defaults();
    w->data = data;
    assert_int_equal(recorded_build(data, &settings, &w->rec, NULL), OK);
    w->all = calloc(w->rec->n_sessions, sizeof *w->all);
    assert_non_null(w->all);
    for (size_t i = 0; i < w->rec->n_sessions; i++)
        w->all[i] = i;
    assert_int_equal(
        environment_new(w->rec, &set, w->all, w->rec->n_sessions, &w->env, NULL), OK);
}

static void world_release(struct world *w)
{
    environment_free(w->env);
    recorded_free(w->rec);
    dataset_free(w->data);
    free(w->all);
}

/* Local, or the cloud without any view. */
static void weigh_role(void *arg, const struct episode *ep, double *p)
{
    const struct space *space = &ep->env->rec->space;
    for (size_t a = 0; a < space->n_actions; a++)
        p[a] = 0;
    p[space_find(space, *(size_t *)arg, 0)] = 1;
}

static void ask(struct world *w, const size_t *sessions, size_t n,
    const struct chooser *chooser, struct off_policy_value *out)
{
    struct off_policy_settings set = off_policy_defaults();
    struct off_policy *op;
    assert_int_equal(off_policy_new(w->env, sessions, n, &set, &op, NULL), OK);
    struct off_policy_turn *turns = calloc(off_policy_n_turns(op), sizeof *turns);
    assert_non_null(turns);
    if (chooser)
        assert_int_equal(off_policy_ask(op, chooser, turns, NULL), OK);
    else
        off_policy_behaviour(op, turns);
    off_policy_summary(turns, off_policy_n_turns(op), out);
    free(turns);
    off_policy_free(op);
}

/* ---- the public data ---- */

static int public_world(struct world *w, int as_published)
{
    struct dataset *data = golden_dataset();
    if (!data)
        return 0;
    world_init(w, data, as_published);
    return 1;
}

/* The reference's values, of rewards as the authors count them: by their refusal rule and
 * their view bits.  Weights leave nothing to choose, so these are to the last digit that
 * the reference prints; the doubly robust ones depend on folds and model. */
static void values_of_the_reference(void **state)
{
    (void)state;
    struct world w;
    if (!public_world(&w, 1)) {
        print_message("no shared public data\n");
        skip();
        return;
    }
    struct off_policy_value behaviour, local, cloud;
    size_t role = 0;
    const struct chooser chooser = { weigh_role, &role };
    ask(&w, w.all, w.rec->n_sessions, NULL, &behaviour);
    ask(&w, w.all, w.rec->n_sessions, &chooser, &local);
    role = 1;
    ask(&w, w.all, w.rec->n_sessions, &chooser, &cloud);
    print_message("behaviour %.4f; local %.4f, robust %.4f; cloud %.4f, robust %.4f, "
                  "effective n %.1f\n",
        behaviour.of[OFF_POLICY_TURN], local.of[OFF_POLICY_TURN],
        local.of[OFF_POLICY_TURN_ROBUST], cloud.of[OFF_POLICY_TURN],
        cloud.of[OFF_POLICY_TURN_ROBUST], cloud.effective_turns);
    print_message("sequence: local %.3f, robust %.3f, effective n %.1f; cloud %.3f, "
                  "robust %.3f, effective n %.1f\n",
        local.of[OFF_POLICY_SEQUENCE], local.of[OFF_POLICY_SEQUENCE_ROBUST],
        local.effective_sessions, cloud.of[OFF_POLICY_SEQUENCE],
        cloud.of[OFF_POLICY_SEQUENCE_ROBUST], cloud.effective_sessions);
    assert_int_equal(behaviour.n_turns, 352);
    assert_true(fabs(behaviour.of[OFF_POLICY_TURN] - 0.805) < 5e-4);
    assert_true(fabs(local.of[OFF_POLICY_TURN] - 0.654) < 5e-4);
    assert_true(fabs(local.of[OFF_POLICY_TURN_ROBUST] - 0.645) < 0.01);
    assert_true(fabs(cloud.of[OFF_POLICY_TURN] - 0.940) < 5e-4);
    assert_true(fabs(cloud.of[OFF_POLICY_TURN_ROBUST] - 0.969) < 0.04);
    assert_true(fabs(cloud.effective_turns - 62) < 0.5);
    world_release(&w);
}

/* By prompt the better of the two, as ridge has it. */
struct by_prompt {
    const struct estimator *est;
};

static void weigh_by_prompt(void *arg, const struct episode *ep, double *p)
{
    const struct by_prompt *by = arg;
    struct estimator_query query = episode_query(ep);
    size_t best = 0, role;
    double most = -INFINITY;
    for (role = 0; role < 2; role++) {
        size_t action = space_find(&ep->env->rec->space, role, 0);
        struct outcome outcome;
        episode_outcome(ep, action, &outcome);
        double reward =
            outcome.reward - outcome.response + estimator_value(by->est, &query, action);
        if (reward > most) {
            most = reward;
            best = role;
        }
    }
    weigh_role(&best, ep, p);
}

/* The reference: .956, doubly robust .979, with folds and a model that it does not name;
 * other folds alone move both by .03, and their standard error is .12. */
static void better_by_prompt_cross_fitted(void **state)
{
    (void)state;
    struct world w;
    enum { N_FOLDS = 5 };
    if (!public_world(&w, 1)) {
        print_message("no shared public data\n");
        skip();
        return;
    }
    double sums[2] = { 0 }, mean[2] = { 0 };
    for (uint64_t repeat = 0; repeat < 4; repeat++) {
        struct rng rng;
        double above = 0, below = 0, robust = 0;
        rng_init(&rng, repeat, "test folds", 0);
        rng_shuffle(&rng, w.all, w.rec->n_sessions);
        for (size_t fold = 0; fold < N_FOLDS; fold++) {
            size_t own[100], others[100], n_own = 0, n_others = 0, *rows, n_rows;
            struct estimator_settings set = off_policy_defaults().model;
            struct estimator *est;
            struct off_policy_value value;
            for (size_t i = 0; i < 100; i++)
                if (i % N_FOLDS == fold)
                    own[n_own++] = w.all[i];
                else
                    others[n_others++] = w.all[i];
            assert_int_equal(
                estimator_rows_of(w.rec, others, n_others, 0, &rows, &n_rows, NULL), OK);
            assert_int_equal(estimator_fit(&set, w.rec, rows, n_rows, &est, NULL), OK);
            struct by_prompt by = { est };
            const struct chooser chooser = { weigh_by_prompt, &by };
            ask(&w, own, n_own, &chooser, &value);
            double n = (double)value.n_turns;
            above += value.of[OFF_POLICY_TURN] * value.mean_ratio * n;
            below += value.mean_ratio * n;
            robust += value.of[OFF_POLICY_TURN_ROBUST] * n;
            estimator_free(est);
            free(rows);
        }
        sums[0] = above / below;
        sums[1] = robust / 352;
        print_message("%.3f, robust %.3f\n", sums[0], sums[1]);
        mean[0] += sums[0] / 4;
        mean[1] += sums[1] / 4;
    }
    assert_true(fabs(mean[0] - 0.956) < 0.04);
    assert_true(fabs(mean[1] - 0.979) < 0.08);
    world_release(&w);
}

/* On turns whose dialogue holds no view: Local .726, cloud without a view .763. */
static void turns_without_views(void **state)
{
    (void)state;
    static const double want[] = { 0.726, 0.763 };
    struct world w;
    if (!public_world(&w, 1)) {
        print_message("no shared public data\n");
        skip();
        return;
    }
    struct off_policy_settings set = off_policy_defaults();
    struct off_policy *op;
    struct off_policy_turn turns[352];
    assert_int_equal(off_policy_new(w.env, w.all, 100, &set, &op, NULL), OK);
    for (size_t role = 0; role < 2; role++) {
        const struct chooser chooser = { weigh_role, &role };
        struct off_policy_value value;
        size_t n = 0, n_weighed = 0;
        assert_int_equal(off_policy_ask(op, &chooser, turns, NULL), OK);
        for (size_t i = 0; i < 352; i++)
            if (w.rec->contexts[turns[i].turn] == 0)
                turns[n++] = turns[i];
        for (size_t i = 0; i < n; i++)
            n_weighed += turns[i].ratio > 0;
        off_policy_summary(turns, n, &value);
        assert_true(fabs(value.of[OFF_POLICY_TURN] - want[role]) < 5e-4);
        assert_true(role == 0 || n_weighed == 28);
    }
    off_policy_free(op);
    world_release(&w);
}

/* The reference's standard errors, .051, .057 and .122, by intervals over sessions. */
static void errors_of_the_reference(void **state)
{
    (void)state;
    static const double want[] = { 0.051, 0.057, 0.122 };
    static double above[3 * 100], below[3 * 100], weights[3 * 100];
    static struct off_policy_turn turns[352];
    struct world w;
    struct clusters sessions;
    if (!public_world(&w, 1)) {
        print_message("no shared public data\n");
        skip();
        return;
    }
    struct off_policy_settings set = off_policy_defaults();
    struct off_policy *op;
    assert_int_equal(off_policy_new(w.env, w.all, 100, &set, &op, NULL), OK);
    assert_int_equal(clusters_build(w.rec, FOLDS_SESSION, &sessions, NULL), OK);
    for (size_t i = 0; i < 3; i++) {
        size_t role = i == 2;
        const struct chooser chooser = { weigh_role, &role };
        off_policy_behaviour(op, turns);
        if (i)
            assert_int_equal(off_policy_ask(op, &chooser, turns, NULL), OK);
        off_policy_sums(turns, 352, OFF_POLICY_TURN, &sessions, above + i * 100,
            below + i * 100, weights + i * 100);
    }
    const struct bootstrap_sums sums = { 3, 100, above, below, weights };
    struct bootstrap_settings boot = bootstrap_defaults();
    struct interval values[3];
    struct comparison against[3];
    assert_int_equal(bootstrap_run(&sums, 1, &boot, values, against, NULL), OK);
    for (size_t i = 0; i < 3; i++) {
        double error = (values[i].high - values[i].low) / (2 * 1.96);
        print_message("%.3f [%.3f, %.3f], error %.3f\n", values[i].value, values[i].low,
            values[i].high, error);
        assert_true(fabs(error - want[i]) < 0.1 * want[i]);
    }
    clusters_release(&sessions);
    off_policy_free(op);
    world_release(&w);
}

/* ---- by hand ---- */

static const double scores[2][2] = { { 1, 2 }, { 1, 2 } };

/* Local with probability 3/4, else the cloud without a view. */
static void weigh_mixed(void *arg, const struct episode *ep, double *p)
{
    const struct space *space = &ep->env->rec->space;
    (void)arg;
    for (size_t a = 0; a < space->n_actions; a++)
        p[a] = 0;
    p[space_find(space, 0, 0)] = 0.75;
    p[space_find(space, 1, 0)] = 0.25;
}

/* Ratios and products of each turn; and since scores follow from task and llm alone, which
 * the outcome model of means by llm knows, doubly robust values are exact. */
static void ratios_by_hand(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, simple_dataset(8, 3, scores), 0);
    struct off_policy_settings set = off_policy_defaults();
    set.model.kind = ESTIMATOR_ROLE;
    struct off_policy *op;
    struct off_policy_turn turns[24];
    const struct chooser chooser = { weigh_mixed, NULL };
    assert_int_equal(off_policy_new(w.env, w.all, 8, &set, &op, NULL), OK);
    assert_int_equal(off_policy_n_turns(op), 24);
    assert_int_equal(off_policy_n_direct(op), 0);
    assert_int_equal(off_policy_ask(op, &chooser, turns, NULL), OK);
    const struct propensity *known = off_policy_propensity(op);
    double product = 1;
    for (size_t i = 0; i < 24; i++) {
        size_t t = turns[i].turn;
        int local = w.rec->actions[t] == 0, none = !w.rec->added[t];
        assert_int_equal(t, i);
        double ratio = (local ? 0.75 : none ? 0.25 : 0) / known->path[t];
        product = (i % 3 ? product : 1) * ratio;
        NEAR(turns[i].ratio, ratio);
        NEAR(turns[i].product, product);
        assert_int_equal(turns[i].is_last, i % 3 == 2);
        assert_true(isnan(turns[i].direct));
        /* the reward: score, less a third of the shares of costs, and a third of the
         * association of what the cloud sees */
        const struct costs *costs = &w.env->costs;
        size_t at = costs_cell(
            costs, !local, local ? 0 : space_count(w.rec->contexts[t] | w.rec->added[t]));
        double seen = 0;
        for (size_t v = 0; v < 2 && !local; v++)
            if ((w.rec->contexts[t] | w.rec->added[t]) >> v & 1)
                seen += v ? 2 / 3.0 : 1 / 3.0;
        NEAR(turns[i].reward,
            (local ? 1 : 2) +
                (seen - costs->latency_share[at] - costs->usage_share[at]) / 3);
    }
    off_policy_free(op);

    /* Without costs and associations: per turn 3/4 * 1 + 1/4 * 2, for a sequence too. */
    w.env->settings.beta_association = w.env->settings.beta_latency =
        w.env->settings.beta_usage = 0;
    struct off_policy_value value;
    assert_int_equal(off_policy_new(w.env, w.all, 8, &set, &op, NULL), OK);
    assert_int_equal(off_policy_ask(op, &chooser, turns, NULL), OK);
    off_policy_summary(turns, 24, &value);
    NEAR(value.of[OFF_POLICY_TURN_ROBUST], 1.25);
    /* what follows a turn is drawn, so it is exact on the mean only */
    assert_true(fabs(value.of[OFF_POLICY_SEQUENCE_ROBUST] - 1.25) < 0.25);
    size_t role = 1;
    const struct chooser cloud = { weigh_role, &role };
    assert_int_equal(off_policy_ask(op, &cloud, turns, NULL), OK);
    off_policy_summary(turns, 24, &value);
    NEAR(value.of[OFF_POLICY_TURN], 2);
    NEAR(value.of[OFF_POLICY_TURN_ROBUST], 2);
    NEAR(value.of[OFF_POLICY_SEQUENCE_ROBUST], 2);
    off_policy_free(op);
    world_release(&w);
}

static void observed_costs(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, simple_dataset(8, 3, scores), 0);
    struct off_policy_settings set = off_policy_defaults();
    struct off_policy_turn table[24], seen[24];
    for (int pass = 0; pass < 2; pass++) {
        struct off_policy *op;
        set.observed_costs = pass;
        assert_int_equal(off_policy_new(w.env, w.all, 8, &set, &op, NULL), OK);
        off_policy_behaviour(op, pass ? seen : table);
        off_policy_free(op);
    }
    /* every answer took 1.5 s and 0.001 USD */
    const struct costs *costs = &w.env->costs;
    double range_s = 6.46030 - costs->latency_s[0],
           range_usd = 0.00945 - costs->usage_usd[0];
    for (size_t t = 0; t < 24; t++) {
        int local = w.rec->actions[t] == 0;
        size_t at = costs_cell(
            costs, !local, local ? 0 : space_count(w.rec->contexts[t] | w.rec->added[t]));
        NEAR(table[t].reward - seen[t].reward,
            (1.5 - costs->latency_s[at]) / range_s / 3 +
                (0.001 - costs->usage_usd[at]) / range_usd / 3);
    }
    world_release(&w);
}

/* Every action of the first turn was measured beside the path: its own reward is known. */
static void direct_values(void **state)
{
    (void)state;
    struct dataset *data = simple_dataset(8, 2, scores);
    static struct interaction others[5];
    static char answer[] = "yes";
    struct turn *turn = &data->sessions[2].turns[0];
    size_t n = 0;
    for (int llm = 0; llm < 2; llm++)
        for (uint32_t views = 0; views < (llm ? 4 : 1); views++)
            others[n++] = (struct interaction) { .llm = llm,
                .views_added = views,
                .views_context = views,
                .answer = answer,
                .score = 0.5 + llm + views,
                .refused = 0,
                .latency_s = 1,
                .cost_usd = 1,
                .probability = NAN };
    turn->fan_out = others;
    turn->n_fan_out = n;
    struct world w;
    world_init(&w, data, 0);
    w.env->settings.beta_association = w.env->settings.beta_latency =
        w.env->settings.beta_usage = 0;
    struct off_policy_settings set = off_policy_defaults();
    set.model.kind = ESTIMATOR_CONSTANT;
    struct off_policy *op;
    struct off_policy_turn turns[16];
    struct off_policy_value value;
    const struct chooser chooser = { weigh_mixed, NULL };
    assert_int_equal(off_policy_new(w.env, w.all, 8, &set, &op, NULL), OK);
    assert_int_equal(off_policy_n_direct(op), 1);
    assert_int_equal(off_policy_ask(op, &chooser, turns, NULL), OK);
    off_policy_summary(turns, 16, &value);
    assert_int_equal(value.n_direct, 1);
    /* the path is one sample more of what it did */
    int cloud = turn->path.llm;
    double local = cloud ? 0.5 : (0.5 + turn->path.score) / 2;
    double plain = cloud && !turn->path.views_added ? (1.5 + turn->path.score) / 2 : 1.5;
    NEAR(value.of[OFF_POLICY_DIRECT], 0.75 * local + 0.25 * plain);
    off_policy_behaviour(op, turns);
    off_policy_summary(turns, 16, &value);
    assert_int_equal(value.n_direct, 1);
    NEAR(value.of[OFF_POLICY_DIRECT], turn->path.score);
    off_policy_free(op);
    turn->fan_out = NULL;
    turn->n_fan_out = 0;
    world_release(&w);
}

static void refusals(void **state)
{
    (void)state;
    struct world w;
    struct error err = ERROR_INIT;
    struct off_policy *op;
    world_init(&w, simple_dataset(4, 2, scores), 0);
    struct off_policy_settings set = off_policy_defaults();
    assert_int_equal(off_policy_new(w.env, w.all, 0, &set, &op, &err), E_DATA);
    assert_null(op);
    set.n_folds = 1;
    assert_int_equal(off_policy_new(w.env, w.all, 4, &set, &op, &err), E_ARG);
    assert_non_null(strstr(err.msg, "2 to 1000 folds"));
    set = off_policy_defaults();
    set.n_draws = 0;
    assert_int_equal(off_policy_new(w.env, w.all, 4, &set, &op, &err), E_ARG);
    w.data->sessions[0].turns[1].path.probability = -1;
    set = off_policy_defaults();
    assert_int_equal(off_policy_new(w.env, w.all, 4, &set, &op, &err), E_DATA);
    world_release(&w);
}

/* ---- simulated data ---- */

static int is_long(void)
{
    const char *text = getenv("M4A1_LONG");
    return text && *text && *text != '0';
}

/* What an answer is worth on average: more in the cloud, and with each view that it sees;
 * nothing of this where noise is all there is. */
static double worth(int cloud, uint32_t seen, size_t task, int noise)
{
    if (noise)
        return 3;
    return 2.5 + 0.3 * (double)task + (cloud ? 0.4 + 0.3 * (double)space_count(seen) : 0);
}

/* 80 sessions of 2 turns by M4A1's rule, as an authors' file. */
static struct dataset *simulate(uint64_t seed, int noise)
{
    struct buffer text;
    struct rng rng;
    buffer_init(&text, (size_t)1 << 24);
    rng_init(&rng, seed, "test sessions", 0);
    for (size_t i = 0; i < 80; i++) {
        uint32_t held = 0;
        buffer_printf(&text,
            "%s{\"id\": %zu, \"image_paths\": [\"%zu-a\", \"%zu-b\"], \"interactions\": "
            "[",
            i ? ", " : "[", i, i, i);
        for (size_t t = 0; t < 2; t++) {
            size_t task = rng_below(&rng, 2);
            int cloud = rng_uniform(&rng) < 0.5;
            uint32_t views = 0, before = held;
            size_t n = rng_below(&rng, 3);
            if (cloud)
                views = n == 2 ? 3 : n == 1 ? 1u << rng_below(&rng, 2) : 0;
            held |= views;
            double score = worth(cloud, held, task, noise) + 0.5 * rng_normal(&rng);
            static const char *const lists[] = { "null", "[0]", "[1]", "[0, 1]" };
            buffer_printf(&text,
                "%s{\"question\": \"q%zu\", \"task_cat\": \"t%zu\", \"action\": %d, "
                "\"answer\": \"yes\", \"score\": %.17g, \"interaction_time\": 1, "
                "\"usage_cost\": 0.001, \"image_index\": %s}",
                t ? ", " : "", rng_below(&rng, 5), task, cloud, score > 0 ? score : 0,
                lists[held != before ? held : 0]);
        }
        buffer_add_str(&text, "], \"association_score\": [[0.1, 0.2], [0.1, 0.2]]}");
    }
    buffer_add_char(&text, ']');
    struct dataset *data = text_dataset(buffer_str(&text));
    buffer_release(&text);
    return data;
}

/* The cloud with both views. */
static void weigh_all_views(void *arg, const struct episode *ep, double *p)
{
    const struct space *space = &ep->env->rec->space;
    (void)arg;
    for (size_t a = 0; a < space->n_actions; a++)
        p[a] = a == space_find(space, 1, 3);
}

struct held {
    int n[N_OFF_POLICY_FIGURES], of[N_OFF_POLICY_FIGURES],
        gains; /* n: have an interval */
    double error[N_OFF_POLICY_FIGURES];
};

/* Intervals of one data set: the cloud with both views, and less Local. */
static void one_data_set(uint64_t seed, int noise, struct held *held)
{
    static struct off_policy_turn local[160], cloud[160];
    struct world w;
    struct clusters sessions;
    struct off_policy *op;
    struct off_policy_settings set = off_policy_defaults();
    size_t role = 0;
    const struct chooser of_local = { weigh_role, &role },
                         of_cloud = { weigh_all_views, NULL };
    world_init(&w, simulate(seed, noise), 0);
    w.env->settings.beta_association = w.env->settings.beta_latency =
        w.env->settings.beta_usage = 0;
    assert_int_equal(off_policy_new(w.env, w.all, 80, &set, &op, NULL), OK);
    assert_int_equal(clusters_build(w.rec, FOLDS_SESSION, &sessions, NULL), OK);
    assert_int_equal(off_policy_ask(op, &of_local, local, NULL), OK);
    assert_int_equal(off_policy_ask(op, &of_cloud, cloud, NULL), OK);
    for (enum off_policy_figure f = 0; f < OFF_POLICY_DIRECT; f++) {
        double above[160] = { 0 }, below[160] = { 0 }, weights[160] = { 0 };
        struct interval values[2];
        struct comparison against[2];
        struct bootstrap_settings boot = { 1000, seed, 0.95 };
        off_policy_sums(local, 160, f, &sessions, above, below, weights);
        off_policy_sums(cloud, 160, f, &sessions, above + 80, below + 80, weights + 80);
        const struct bootstrap_sums sums = { 2, 80, above, below, weights };
        assert_int_equal(bootstrap_run(&sums, 0, &boot, values, against, NULL), OK);
        // Whether in one turn or in all: the llm sees both views.
        double want = (worth(1, 3, 0, noise) + worth(1, 3, 1, noise)) / 2;
        held->n[f] += !isnan(values[1].low);
        held->of[f] += values[1].low <= want && values[1].high >= want;
        held->error[f] += values[1].value - want;
        if (f == OFF_POLICY_TURN_ROBUST)
            held->gains += against[1].p <= 0.05;
    }
    clusters_release(&sessions);
    off_policy_free(op);
    world_release(&w);
}

static void simulated_truth(void **state)
{
    (void)state;
    int n = is_long() ? 1000 : 100;
    double slack = is_long() ? 0 : 3 * sqrt(0.95 * 0.05 / n);
    struct held held = { 0 }, noise = { 0 };
    for (int i = 0; i < n; i++) {
        one_data_set((uint64_t)i, 0, &held);
        one_data_set((uint64_t)i, 1, &noise);
    }
    for (enum off_policy_figure f = 0; f < OFF_POLICY_DIRECT; f++)
        print_message("%s: %.1f %% of %d held the truth, mean error %.4f\n",
            off_policy_names[f], 100.0 * held.of[f] / held.n[f], held.n[f],
            held.error[f] / n);
    print_message("gains in noise: %.1f %%\n", 100.0 * noise.gains / n);
    for (enum off_policy_figure f = 0; f < OFF_POLICY_DIRECT; f++) {
        double share = (double)held.of[f] / held.n[f];
        assert_true(held.n[f] > n / 2);
        assert_true(share >= 0.93 - slack && share <= 0.97 + slack);
        assert_true(fabs(held.error[f] / n) < 0.05);
    }
    assert_true((double)noise.gains / n <= 0.07 + slack);
}

/* The action that the environment's estimator likes best. */
static void weigh_greedy(void *arg, const struct episode *ep, double *p)
{
    static struct outcome outcomes[SPACE_MAX_ACTIONS];
    size_t best = 0;
    (void)arg;
    episode_outcomes(ep, outcomes);
    for (size_t a = 0; a < ep->env->n_actions; a++) {
        p[a] = 0;
        if (outcomes[a].reward > outcomes[best].reward)
            best = a;
    }
    p[best] = 1;
}

/* Where scores are noise, what a policy learned from half of the sessions is worth nothing
 * on the other half: the simulator says it gained, the recorded answers do not. */
static void nothing_is_learned_from_noise(void **state)
{
    (void)state;
    int n = is_long() ? 1000 : 100, called = 0, n_sets = 0;
    double gain = 0, robust = 0;
    for (int i = 0; i < n; i++) {
        static struct off_policy_turn turns[2][80];
        struct world w;
        struct off_policy *op;
        struct clusters sessions;
        struct off_policy_settings set = off_policy_defaults();
        struct environment_settings settings = environment_defaults();
        size_t role = 0;
        const struct chooser choosers[] = { { weigh_greedy, NULL },
            { weigh_role, &role } };
        struct evaluation returns[2];
        double above[160] = { 0 }, below[160] = { 0 }, weights[160] = { 0 };
        world_init(&w, simulate((uint64_t)i, 1), 0);
        environment_free(w.env);
        settings.beta_association = settings.beta_latency = settings.beta_usage = 0;
        assert_int_equal(environment_new(w.rec, &settings, w.all, 40, &w.env, NULL), OK);
        assert_int_equal(off_policy_new(w.env, w.all + 40, 40, &set, &op, NULL), OK);
        assert_int_equal(clusters_build(w.rec, FOLDS_SESSION, &sessions, NULL), OK);
        for (size_t k = 0; k < 2; k++) {
            assert_int_equal(
                evaluation_run(w.env, w.all + 40, 40, &choosers[k], 0, &returns[k], NULL),
                OK);
            assert_int_equal(off_policy_ask(op, &choosers[k], turns[k], NULL), OK);
            off_policy_sums(turns[k], 80, OFF_POLICY_TURN_ROBUST, &sessions,
                above + k * 80, below + k * 80, weights + k * 80);
        }
        const struct bootstrap_sums sums = { 2, 80, above, below, weights };
        struct bootstrap_settings boot = { 1000, (uint64_t)i, 0.95 };
        struct interval values[2];
        struct comparison against[2];
        assert_int_equal(bootstrap_run(&sums, 1, &boot, values, against, NULL), OK);
        gain += (returns[0].reward - returns[1].reward) / n;
        robust += against[0].difference.value / n;
        n_sets += !isnan(against[0].p);
        called += against[0].p <= 0.05;
        clusters_release(&sessions);
        off_policy_free(op);
        world_release(&w);
    }
    print_message("gain inside the simulator %.3f, by recorded answers %.3f; called a "
                  "difference in %.1f %% of %d\n",
        gain, robust, 100.0 * called / n_sets, n_sets);
    assert_true(gain > 0.2);
    assert_true(fabs(robust) < 0.05);
    assert_true(
        (double)called / n_sets <= 0.07 + (is_long() ? 0 : 3 * sqrt(0.95 * 0.05 / n)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_the_reference),
        cmocka_unit_test(better_by_prompt_cross_fitted),
        cmocka_unit_test(turns_without_views),
        cmocka_unit_test(errors_of_the_reference),
        cmocka_unit_test(ratios_by_hand),
        cmocka_unit_test(observed_costs),
        cmocka_unit_test(direct_values),
        cmocka_unit_test(refusals),
        cmocka_unit_test(simulated_truth),
        cmocka_unit_test(nothing_is_learned_from_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
