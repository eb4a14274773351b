/* test_dqn.c - targets, gradients and steps of PyTorch, what is kept of targets, learning
 * where the best is known, the authors' means on the public data.
 *
 * tests/run: limit 120 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/tmo/adam.h"
#include "m4a1/tmo/dqn.h"
#include "tests/support/learner_checks.h"
#include "tests/support/network_numbers.h"

#define NEAR(a, b, tolerance) assert_true(fabs((a) - (b)) <= (tolerance))
#define F 3
#define A 3
#define B 6

/* The figures are PyTorch 1.13's in float64, printed by
 *
 *     def make(k):                      # fill() as in test_ppo.c
 *         return [fill(3, 64, k, .5), fill(1, 64, k+1, .1), fill(64, 64, k+2, .1),
 *                 fill(1, 64, k+3, .1), fill(3, 64, k+4, .2), fill(1, 3, k+5, .1)]
 *     P, T = make(0), make(6)
 *     def net(x, p):
 *         return ((x@p[0] + p[1]).relu()@p[2] + p[3]).relu()@p[4].T + p[5]
 *     next = net(x, T).masked_fill(~allowed, -inf).max(1)[0][1:]
 *     target = reward + (1 - ended) * .99 * next
 *     opt = torch.optim.Adam(P, lr=1e-3, eps=1e-8)
 *     for step in range(3):
 *         q = net(x[:6], P).gather(1, chosen[:, None])[:, 0]
 *         loss = smooth_l1_loss(q, target)
 *         opt.zero_grad(); loss.backward(); clip_grad_norm_(P, 10); opt.step()
 *
 * which is the inner loop of Stable-Baselines3's DQN.train(). */
static const float x[B + 1][F] = { { 1, 0, -1 }, { 0, 1, 2 }, { .5F, .5F, .5F },
    { -1, 2, 0 }, { 0, 0, 1 }, { 2, -1, 1 }, { 1, 1, 1 } };
static const size_t chosen[B] = { 0, 1, 2, 0, 1, 2 };
static const double reward[B] = { 1, -3, .5, 2, 0, .25 };
static const unsigned char allowed[B + 1][A] = { { 1, 1, 1 }, { 0, 1, 1 }, { 1, 1, 1 },
    { 1, 0, 1 }, { 1, 1, 1 }, { 1, 1, 1 }, { 1, 0, 0 } };
static const double target[B] = { 1.29859857, -2.91067569, 0.5, 2.18586353, 0.55685985,
    0.35054904 };
static const double losses[3] = { 0.95079761, 0.90192748, 0.85703754 };
static const double norms[3] = { 1.33948017, 1.29811272, 1.24694859 };
static const double of_gradient[6] = { -0.15440393, 0.02998043, -0.64059885, 0.08384371,
    -0.12024127, -0.29261125 };
static const double behind[6] = { 0.33109473, 0.06342310, 2.38808969, -0.09842232,
    -0.00280064, -0.00432472 };

struct worked {
    struct network net, target;
    struct replay replay;
    struct dqn_batch batch;
};

/* A replay of the six steps; the third one ended its session. */
static void worked_make(struct worked *w)
{
    assert_int_equal(network_init(&w->net, NETWORK_Q, F, A, NULL), OK);
    assert_int_equal(network_init(&w->target, NETWORK_Q, F, A, NULL), OK);
    network_numbers_fill(&w->net, 0, w->net.params);
    network_numbers_fill(&w->target, 6, w->target.params);
    replay_init(&w->replay, F, A, 100, 1);
    for (size_t i = 0; i <= B; i++) {
        assert_int_equal(replay_observe(&w->replay, x[i], allowed[i], NULL), OK);
        if (i < B)
            replay_act(&w->replay, chosen[i], reward[i], i == 2);
    }
    assert_int_equal(dqn_batch_init(&w->batch, &w->net, B, NULL), OK);
    w->batch.n = B;
    for (size_t i = 0; i < B; i++)
        w->batch.rows[i] = i;
}

static void worked_release(struct worked *w)
{
    dqn_batch_release(&w->batch);
    replay_release(&w->replay);
    network_release(&w->target);
    network_release(&w->net);
}

static void test_steps_of_pytorch(void **state)
{
    (void)state;
    struct worked w;
    struct adam opt;
    worked_make(&w);
    assert_int_equal(adam_init(&opt, w.net.n_params, 1e-3, 1e-8, NULL), OK);
    float *gradient = floats_new(w.net.n_params);
    for (size_t step = 0; step < 3; step++) {
        double norm;
        dqn_targets(&w.net, w.target.params, 1, 0.99, &w.replay, &w.batch);
        for (size_t i = 0; i < B; i++)
            NEAR(w.batch.target[i], target[i], 1e-6);
        NEAR(dqn_gradient(&w.net, &w.batch, gradient), losses[step], 1e-6);
        float scale = gradient_scale(gradient, w.net.n_params, 10, &norm);
        NEAR(norm, norms[step], 1e-5);
        for (size_t k = 0; step == 0 && k < 6; k++)
            NEAR(network_numbers_sum(&w.net, k, gradient), of_gradient[k], 1e-5);
        adam_step(&opt, gradient, scale, w.net.params);
    }
    for (size_t k = 0; k < 6; k++)
        NEAR(network_numbers_sum(&w.net, k, w.net.params), behind[k], 2e-5);
    free(gradient);
    adam_release(&opt);
    worked_release(&w);
}

/* Along random directions from random weights; short steps cross few kinks of the ReLU, and
 * single precision leaves some 1e-7 of the loss.  Slopes are up to 0.3. */
static void test_finite_differences(void **state)
{
    (void)state;
    struct worked w;
    struct rng rng;
    worked_make(&w);
    rng_init(&rng, 0, "test", 0);
    assert_int_equal(network_draw(&w.net, &rng, NULL), OK);
    dqn_targets(&w.net, w.target.params, 1, 0.99, &w.replay, &w.batch);
    size_t n = w.net.n_params;
    float *gradient = floats_new(n), *other = floats_new(n), *base = floats_new(n);
    float *direction = floats_new(n);
    memcpy(base, w.net.params, n * sizeof *base);
    dqn_gradient(&w.net, &w.batch, gradient);
    for (int i = 0; i < 20; i++) {
        const double h = 1e-3;
        double slope = 0, values[2];
        for (size_t j = 0; j < n; j++) {
            direction[j] = base[j] != 0 ? (float)(0.1 * rng_normal(&rng)) : 0;
            slope += (double)direction[j] * (double)gradient[j];
        }
        for (int side = 0; side < 2; side++) {
            for (size_t j = 0; j < n; j++)
                w.net.params[j] = base[j] + (float)(side ? h : -h) * direction[j];
            values[side] = dqn_gradient(&w.net, &w.batch, other);
        }
        NEAR((values[1] - values[0]) / (2 * h), slope, 1.5e-3);
    }
    free(gradient);
    free(other);
    free(base);
    free(direction);
    worked_release(&w);
}

/* What the target network said is kept while its version stays, and asked anew behind it. */
static void test_kept_targets(void **state)
{
    (void)state;
    struct worked w;
    worked_make(&w);
    dqn_targets(&w.net, w.target.params, 1, 0.99, &w.replay, &w.batch);
    double before = w.batch.target[0];
    network_numbers_fill(&w.target, 2, w.target.params);
    dqn_targets(&w.net, w.target.params, 1, 0.99, &w.replay, &w.batch);
    assert_true(w.batch.target[0] == before);
    dqn_targets(&w.net, w.target.params, 2, 0.99, &w.replay, &w.batch);
    assert_true(w.batch.target[0] != before);
    assert_true(w.batch.target[2] == reward[2]);
    // The same row twice in a batch is asked once, and serves both.
    w.batch.rows[1] = 0;
    double now = w.batch.target[0];
    dqn_targets(&w.net, w.target.params, 3, 0.99, &w.replay, &w.batch);
    assert_true(w.batch.target[0] == now && w.batch.target[1] == now);
    worked_release(&w);
}

static void test_learns_the_known_best(void **state)
{
    (void)state;
    struct learner_case c;
    struct learner_settings set = learner_published(LEARNER_DQN);
    set.steps = 10000;
    set.learning_rate = 1e-3;
    set.target_every = 500;
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
    check_public(LEARNER_DQN, 0, 1.136, 0.051);
}

static void test_public_data_with_budgets(void **state)
{
    (void)state;
    check_public(LEARNER_DQN, 1, 1.081, 0.041);
}

/* A buffer of less than the steps goes round, masks or not, recombined sessions or not. */
static void test_seed_masks_and_stop(void **state)
{
    (void)state;
    struct learner_case c;
    struct learner_settings set = learner_published(LEARNER_DQN);
    struct error err = ERROR_INIT;
    set.steps = 1203;
    set.buffer_size = 300;
    set.target_every = 50;
    set.target_rate = 0.5;
    learner_case_simple(&c, 8, 3, 5);
    c.env->settings.transitions = TRANSITIONS_MODEL;
    for (int masked = 0; masked < 2; masked++) {
        struct network first, again, other;
        int64_t n_steps = 0;
        set.recombine = masked;
        if (masked)
            assert_int_equal(
                environment_offer(c.env, (unsigned char[16]) { 1, 0, 1 }, NULL), OK);
        assert_int_equal(
            learner_train(c.env, &set, 4, count_steps, &n_steps, &first, NULL), OK);
        assert_int_equal(n_steps, 1203);
        again = learner_case_train(&c, &set, 4);
        other = learner_case_train(&c, &set, 5);
        size_t bytes = first.n_params * sizeof *first.params;
        assert_memory_equal(first.params, again.params, bytes);
        assert_memory_not_equal(first.params, other.params, bytes);
        network_release(&first);
        network_release(&again);
        network_release(&other);
    }
    struct network none;
    assert_int_equal(
        learner_train(c.env, &set, 4, stop_at_once, NULL, &none, &err), E_INTERRUPTED);
    set.batch_size = 0;
    assert_int_equal(learner_train(c.env, &set, 4, NULL, NULL, &none, &err), E_ARG);
    assert_non_null(strstr(err.msg, "batch_size"));
    learner_case_release(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps_of_pytorch),
        cmocka_unit_test(test_finite_differences),
        cmocka_unit_test(test_kept_targets),
        cmocka_unit_test(test_learns_the_known_best),
        cmocka_unit_test(test_public_data),
        cmocka_unit_test(test_public_data_with_budgets),
        cmocka_unit_test(test_seed_masks_and_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
