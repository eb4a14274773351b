/* test_ppo.c - losses, gradients and steps of PyTorch, finite differences, learning where
 * the best is known, the authors' means on the public data, masks, on-policy training
 * beside the bound.
 *
 * tests/run: limit 300 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/tmo/adam.h"
#include "m4a1/tmo/oracle.h"
#include "m4a1/tmo/ppo.h"
#include "tests/support/learner_checks.h"
#include "tests/support/network_numbers.h"
#include "tests/support/tmo_data.h"

#define NEAR(a, b, tolerance) assert_true(fabs((a) - (b)) <= (tolerance))
#define F 3
#define A 3
#define B 6

/* The figures are PyTorch 1.13's in float64, printed by
 *
 *     def fill(rows, cols, k, scale):   # in single precision, then double
 *         return [[scale * sin(1 + k + 2*r + 3*c + r*c) for c in range(cols)]
 *                 for r in range(rows)]
 *     P = []
 *     for k, n in ((0, 3), (6, 1)):     # policy, value
 *         P += [fill(3, 64, k, .5), fill(1, 64, k+1, .1), fill(64, 64, k+2, .1),
 *               fill(1, 64, k+3, .1), fill(n, 64, k+4, .2), fill(1, n, k+5, .1)]
 *     def net(x, p):
 *         return ((x@p[0] + p[1]).tanh()@p[2] + p[3]).tanh()@p[4].T + p[5]
 *     opt = torch.optim.Adam(P, lr=3e-3, eps=1e-5)
 *     for step in range(3):
 *         d = Categorical(logits=net(x, P[:6]).masked_fill(~allowed, -inf))
 *         a = (adv - adv.mean()) / (adv.std() + 1e-8)
 *         ratio = exp(d.log_prob(chosen) - p_old.log())
 *         policy = -min(a * ratio, a * ratio.clamp(.8, 1.2)).mean()
 *         value = mse_loss(net(x, P[6:]).flatten(), target)
 *         entropy = (-p log p summed over the allowed).mean()
 *         loss = policy + .5 * value - .01 * entropy
 *         opt.zero_grad(); loss.backward(); clip_grad_norm_(P, .5); opt.step()
 *
 * which is the inner loop of Stable-Baselines3's PPO.train(). */
static const float x[B][F] = { { 1, 0, -1 }, { 0, 1, 2 }, { .5F, .5F, .5F }, { -1, 2, 0 },
    { 0, 0, 1 }, { 2, -1, 1 } };
static const size_t chosen[B] = { 0, 1, 2, 0, 1, 2 };
static const unsigned char allowed[B][A] = { { 1, 1, 1 }, { 0, 1, 1 }, { 1, 1, 1 },
    { 1, 0, 1 }, { 1, 1, 1 }, { 1, 1, 1 } };
static const double p_old[B] = { .3, .6, .25, .9, .2, .5 };
static const double advantage[B] = { 1, -.5, 2, .25, -1, .75 };
static const double target[B] = { 1, 0, 2, -1, .5, 1.5 };

static const double norms[3] = { 2.77363575, 1.23120477, 0.90102214 };
static const double of_gradient[12] = { -0.15761668, -0.11027692, 0.00989655, 0.09286856,
    -0.13142044, 0.20574409, 0.10531087, 0.11006031, 0.09998850, 0.10739160, 0.06133174,
    -0.36255928 };
static const double behind[12] = { 0.32754399, 0.08982160, 2.34467421, -0.06351532,
    -0.03030960, -0.00289429, 0.49670868, 0.10036611, 2.47443745, -0.07561001,
    -0.18830109, -0.04617288 };

static void fill_batch(struct ppo_batch *batch)
{
    batch->n = B;
    memcpy(batch->x, x, sizeof x);
    memcpy(batch->chosen, chosen, sizeof chosen);
    memcpy(batch->allowed, allowed, sizeof allowed);
    memcpy(batch->p_old, p_old, sizeof p_old);
    memcpy(batch->advantage, advantage, sizeof advantage);
    memcpy(batch->target, target, sizeof target);
}

static struct learner_settings entropic(void)
{
    struct learner_settings set = learner_published(LEARNER_PPO);
    set.entropy_weight = 0.01;
    return set;
}

static void test_steps_of_pytorch(void **state)
{
    (void)state;
    const struct learner_settings set = entropic();
    struct network net;
    struct ppo_batch batch;
    struct ppo_loss loss;
    struct adam opt;
    assert_int_equal(network_init(&net, NETWORK_ACTOR_CRITIC, F, A, NULL), OK);
    network_numbers_fill(&net, 0, net.params);
    assert_int_equal(ppo_batch_init(&batch, &net, B, 1, NULL), OK);
    assert_int_equal(adam_init(&opt, net.n_params, 3e-3, 1e-5, NULL), OK);
    float *gradient = floats_new(net.n_params);
    for (size_t step = 0; step < 3; step++) {
        double norm;
        fill_batch(&batch);
        ppo_gradient(&net, &set, &batch, gradient, &loss);
        float scale = gradient_scale(gradient, net.n_params, 0.5, &norm);
        NEAR(norm, norms[step], 1e-5);
        if (step == 0) {
            NEAR(loss.policy, 0.11453232, 1e-6);
            NEAR(loss.value, 0.79527663, 1e-6);
            NEAR(loss.entropy, 0.93775695, 1e-6);
            NEAR(loss.clipped, 2.0 / B, 1e-12); // the first and the fourth
            for (size_t k = 0; k < 12; k++)
                NEAR(network_numbers_sum(&net, k, gradient), of_gradient[k], 1e-5);
        }
        adam_step(&opt, gradient, scale, net.params);
    }
    for (size_t k = 0; k < 12; k++)
        NEAR(network_numbers_sum(&net, k, net.params), behind[k], 2e-5);
    free(gradient);
    adam_release(&opt);
    ppo_batch_release(&batch);
    network_release(&net);
}

static double loss_of(const struct network *net, const struct learner_settings *set,
    struct ppo_batch *batch, float *gradient)
{
    struct ppo_loss loss;
    fill_batch(batch);
    ppo_gradient(net, set, batch, gradient, &loss);
    return loss.policy + set->value_weight * loss.value -
           set->entropy_weight * loss.entropy;
}

/* Along random directions, with advantages as they are and normalised.  Single precision
 * leaves some 1e-6 of the losses, so steps are long. */
static void test_finite_differences(void **state)
{
    (void)state;
    struct learner_settings set = entropic();
    struct network net;
    struct ppo_batch batch;
    struct rng rng;
    assert_int_equal(network_init(&net, NETWORK_ACTOR_CRITIC, F, A, NULL), OK);
    network_numbers_fill(&net, 3, net.params);
    assert_int_equal(ppo_batch_init(&batch, &net, B, 1, NULL), OK);
    float *gradient = floats_new(net.n_params), *other = floats_new(net.n_params);
    float *direction = floats_new(net.n_params), *base = floats_new(net.n_params);
    memcpy(base, net.params, net.n_params * sizeof *base);
    rng_init(&rng, 0, "test", 0);
    for (int i = 0; i < 20; i++) {
        const double h = 3e-3;
        double slope = 0, values[2];
        set.normalise_advantages = i % 2;
        memcpy(net.params, base, net.n_params * sizeof *base);
        loss_of(&net, &set, &batch, gradient);
        for (size_t j = 0; j < net.n_params; j++) {
            direction[j] = base[j] != 0 ? (float)(0.1 * rng_normal(&rng)) : 0;
            slope += (double)direction[j] * (double)gradient[j];
        }
        for (int side = 0; side < 2; side++) {
            for (size_t j = 0; j < net.n_params; j++)
                net.params[j] = base[j] + (float)(side ? h : -h) * direction[j];
            values[side] = loss_of(&net, &set, &batch, other);
        }
        NEAR((values[1] - values[0]) / (2 * h), slope, 1e-3 + 5e-3 * fabs(slope));
    }
    free(gradient);
    free(other);
    free(direction);
    free(base);
    ppo_batch_release(&batch);
    network_release(&net);
}

/* One step alone has no deviation: its advantage stays. */
static void test_batch_of_one(void **state)
{
    (void)state;
    const struct learner_settings set = learner_published(LEARNER_PPO);
    struct network net;
    struct ppo_batch batch;
    struct ppo_loss loss;
    assert_int_equal(network_init(&net, NETWORK_ACTOR_CRITIC, F, A, NULL), OK);
    network_numbers_fill(&net, 0, net.params);
    assert_int_equal(ppo_batch_init(&batch, &net, B, 1, NULL), OK);
    float *gradient = floats_new(net.n_params);
    fill_batch(&batch);
    batch.n = 1;
    ppo_gradient(&net, &set, &batch, gradient, &loss);
    assert_true(batch.advantage[0] == 1);
    assert_true(isfinite(loss.policy));
    free(gradient);
    ppo_batch_release(&batch);
    network_release(&net);
}

/* Batches that do not divide a rollout leave a smaller one at the end. */
static void test_learns_the_known_best(void **state)
{
    (void)state;
    struct learner_case c;
    struct learner_settings set = learner_published(LEARNER_PPO);
    set.steps = 10000;
    set.n_rollout = 500;
    learner_case_simple(&c, 32, 1, 1);
    for (uint64_t seed = 0; seed < 3; seed++) {
        struct network net = learner_case_train(&c, &set, seed);
        assert_true(learner_case_share(&c, &net) > 0.95);
        network_release(&net);
    }
    learner_case_release(&c);
}

static void test_public_data(void **state)
{
    (void)state;
    check_public(LEARNER_PPO, 0, 1.174, 0.051);
}

static void test_public_data_with_budgets(void **state)
{
    (void)state;
    check_public(LEARNER_PPO, 1, 1.141, 0.058);
}

/* ---- on-policy, beside the bound ---- */

/* An environment in the published world with the learner's own transitions. */
static struct environment *own_transitions(const struct recorded *rec,
    const size_t *train, size_t n_train, double latency_s, double usage_usd)
{
    struct error err = ERROR_INIT;
    struct environment *env;
    struct environment_settings set = environment_published();
    set.transitions = TRANSITIONS_MODEL;
    set.features = FEATURES_ONE_HOT;
    if (latency_s > 0) {
        set.constraints[0].budget = latency_s;
        set.constraints[1].budget = usage_usd;
        set.handling = HANDLING_SHIELD;
        set.resource_aware = 1;
    }
    if (environment_new(rec, &set, train, n_train, &env, &err))
        fail_msg("%s", err.msg);
    return env;
}

/* The share of the bound on test sessions of the split of a seed.  No session that can
 * keep its budgets (0 = none are given) exceeds one. */
static double share_of_bound(const struct dataset *data, const struct recorded *rec,
    const struct learner_settings *set, uint64_t seed, double latency_s, double usage_usd)
{
    struct error err = ERROR_INIT;
    struct split split;
    size_t *train, *test;
    struct oracle oracle;
    const struct oracle_options options = oracle_options();
    struct network net;
    double sum = 0;
    assert_int_equal(split_draw(data, 0, 0.8, seed, &split, &err), OK);
    assert_int_equal(recorded_indices(rec, split.train, split.n_train, &train, &err), OK);
    assert_int_equal(recorded_indices(rec, split.test, split.n_test, &test, &err), OK);
    struct environment *env =
        own_transitions(rec, train, split.n_train, latency_s, usage_usd);
    assert_int_equal(
        oracle_sessions(env, test, split.n_test, &options, &oracle, &err), OK);
    assert_int_equal(oracle.n_unproved, 0);
    assert_int_equal(learner_train(env, set, seed, NULL, NULL, &net, &err), OK);
    for (size_t i = 0; i < oracle.n_sessions; i++) {
        struct episode ep;
        double p[NETWORK_MAX_ACTIONS], of_session = 0;
        episode_start(&ep, env, RULES_MODEL, oracle.sessions[i].session);
        while (!ep.done) {
            struct outcome outcome;
            size_t action = 0;
            network_weigh(&net, &ep, p);
            while (p[action] < 1)
                action++;
            episode_step(&ep, action, &outcome);
            of_session += outcome.reward;
        }
        sum += of_session / (double)ep.n_turns;
        for (size_t k = 0; latency_s > 0 && k < 2; k++)
            assert_true(
                !oracle.sessions[i].kept.feasible || ledger_excess(&ep.ledger, k) == 0);
    }
    double bound = latency_s > 0 ? oracle.kept : oracle.best;
    print_message("seed %d: reward %.4f, bound %.4f\n", (int)seed,
        sum / (double)oracle.n_sessions, bound);
    double share = sum / (double)oracle.n_sessions / bound;
    network_release(&net);
    oracle_release(&oracle);
    environment_free(env);
    free(train);
    free(test);
    split_release(&split);
    return share;
}

/* Ten splits of ours with M4A1_LONG=1, else one and a fifth of the steps; the defaults for
 * training in the model.  docs/tmo-learners.md has the figures. */
static void check_shares(double latency_s, double usage_usd, double least)
{
    int is_long = getenv("M4A1_LONG") != NULL;
    struct learner_settings set = learner_defaults(LEARNER_PPO);
    struct dataset *data = golden_dataset();
    struct recorded *rec;
    if (!data) {
        print_message("no shared public data\n");
        skip();
    }
    const struct recorded_settings how = recorded_published(0, 1, 5);
    assert_int_equal(recorded_build(data, &how, &rec, NULL), OK);
    uint64_t n = is_long ? 10 : 1;
    double sum = 0;
    if (!is_long)
        set.steps /= 5;
    for (uint64_t seed = 0; seed < n; seed++)
        sum += share_of_bound(data, rec, &set, seed, latency_s, usage_usd);
    print_message("PPO on-policy: %.1f %% of the bound\n", 100 * sum / (double)n);
    assert_true(sum / (double)n > least);
    recorded_free(rec);
    dataset_free(data);
}

static void test_on_policy(void **state)
{
    (void)state;
    check_shares(0, 0, 0.84);
}

/* Budgets that more than half of the best sequences would exceed. */
static void test_on_policy_behind_a_shield(void **state)
{
    (void)state;
    check_shares(13, 0.015, 0.84);
}

static void test_seed_masks_and_stop(void **state)
{
    (void)state;
    struct learner_case c;
    struct learner_settings set = learner_published(LEARNER_PPO);
    struct network first, again, other;
    struct error err = ERROR_INIT;
    set.steps = 1000;
    set.n_rollout = 100;
    set.entropy_weight = 0.01;
    set.learning_rate_last = set.entropy_last = 0;
    set.recombine = 1;
    learner_case_simple(&c, 8, 3, 5);
    c.env->settings.transitions = TRANSITIONS_MODEL;
    first = learner_case_train(&c, &set, 4);
    again = learner_case_train(&c, &set, 4);
    other = learner_case_train(&c, &set, 5);
    assert_memory_equal(
        first.params, again.params, first.n_params * sizeof *first.params);
    assert_memory_not_equal(
        first.params, other.params, first.n_params * sizeof *first.params);
    network_release(&again);
    network_release(&other);

    // Where only two actions are offered, the others' outputs are pulled by nothing.
    unsigned char offered[NETWORK_MAX_ACTIONS] = { 1, 0, 1 };
    assert_int_equal(environment_offer(c.env, offered, NULL), OK);
    again = learner_case_train(&c, &set, 4);
    struct network drawn;
    struct rng init;
    assert_int_equal(network_init(&drawn, NETWORK_ACTOR_CRITIC, c.env->n_features,
                         c.env->n_actions, NULL),
        OK);
    rng_init(&init, 4, "ppo/init", 0);
    assert_int_equal(network_draw(&drawn, &init, NULL), OK);
    const struct mlp *m = &drawn.mlps[NETWORK_POLICY];
    for (size_t a = 0; a < c.env->n_actions; a++)
        assert_true((again.params[m->b3 + a] == drawn.params[m->b3 + a]) != offered[a]);
    network_release(&drawn);
    network_release(&again);
    network_release(&first);

    assert_int_equal(
        learner_train(c.env, &set, 4, stop_at_once, NULL, &first, &err), E_INTERRUPTED);
    set.clip_range = 0;
    assert_int_equal(learner_train(c.env, &set, 4, NULL, NULL, &first, &err), E_ARG);
    assert_non_null(strstr(err.msg, "clip_range"));
    learner_case_release(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps_of_pytorch),
        cmocka_unit_test(test_finite_differences),
        cmocka_unit_test(test_batch_of_one),
        cmocka_unit_test(test_learns_the_known_best),
        cmocka_unit_test(test_public_data),
        cmocka_unit_test(test_public_data_with_budgets),
        cmocka_unit_test(test_on_policy),
        cmocka_unit_test(test_on_policy_behind_a_shield),
        cmocka_unit_test(test_seed_masks_and_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
