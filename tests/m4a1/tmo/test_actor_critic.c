/* test_actor_critic.c - forward pass against a plain one, gradients against finite
 * differences, orthogonal weights. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/tmo/actor_critic.h"

#define NEAR(a, b, tolerance) assert_true(fabs((a) - (b)) <= (tolerance))
#define F 7
#define A 5

/* A network with random weights and biases of ordinary size. */
static struct actor_critic make(uint64_t seed)
{
    struct actor_critic ac;
    struct rng rng;
    rng_init(&rng, seed, "test/network", 0);
    assert_int_equal(actor_critic_init(&ac, F, A, NULL), OK);
    for (size_t i = 0; i < ac.n_params; i++)
        ac.params[i] = 0.3 * rng_normal(&rng);
    return ac;
}

static void fill(struct activations *act, const struct actor_critic *ac, uint64_t seed)
{
    struct rng rng;
    rng_init(&rng, seed, "test/features", 0);
    assert_int_equal(activations_init(act, ac, NULL), OK);
    for (size_t i = 0; i < F; i++)
        act->features[i] = (double)rng_below(&rng, 4) - 1; // zeros among them
}

/* One network in the plainest form. */
static void plain_mlp(
    const double *params, const struct mlp_layout *m, const double *x, double *out)
{
    double h1[HIDDEN], h2[HIDDEN];
    for (size_t j = 0; j < HIDDEN; j++) {
        h1[j] = params[m->b1 + j];
        for (size_t i = 0; i < m->n_in; i++)
            h1[j] += x[i] * params[m->w1 + i * HIDDEN + j];
        h1[j] = tanh(h1[j]);
    }
    for (size_t j = 0; j < HIDDEN; j++) {
        h2[j] = params[m->b2 + j];
        for (size_t i = 0; i < HIDDEN; i++)
            h2[j] += h1[i] * params[m->w2 + i * HIDDEN + j];
        h2[j] = tanh(h2[j]);
    }
    for (size_t o = 0; o < m->n_out; o++) {
        out[o] = params[m->b3 + o];
        for (size_t i = 0; i < HIDDEN; i++)
            out[o] += h2[i] * params[m->w3 + o * HIDDEN + i];
    }
}

/* policy_scale * -log p(action) + value_scale * value, plainly. */
static double loss(const struct actor_critic *ac, const double *x, size_t action,
    double policy_scale, double value_scale)
{
    double logits[A], value, sum = 0;
    plain_mlp(ac->params, &ac->policy, x, logits);
    plain_mlp(ac->params, &ac->value, x, &value);
    for (size_t a = 0; a < A; a++)
        sum += exp(logits[a]);
    return policy_scale * (log(sum) - logits[action]) + value_scale * value;
}

static void test_forward(void **state)
{
    (void)state;
    struct actor_critic ac = make(1);
    struct activations act;
    fill(&act, &ac, 1);
    actor_critic_forward(&ac, &act);
    double logits[A], fast[A], value, sum = 0, total = 0;
    plain_mlp(ac.params, &ac.policy, act.features, logits);
    plain_mlp(ac.params, &ac.value, act.features, &value);
    actor_critic_logits(&ac, act.features, fast);
    for (size_t a = 0; a < A; a++)
        sum += exp(logits[a]);
    for (size_t a = 0; a < A; a++) {
        NEAR(fast[a], logits[a], 1e-12);
        NEAR(act.probabilities[a], exp(logits[a]) / sum, 1e-12);
        total += act.probabilities[a];
    }
    NEAR(total, 1, 1e-12);
    NEAR(act.value, value, 1e-12);
    activations_release(&act);
    actor_critic_release(&ac);
}

/* Every one of the parameters, by central differences of the sum over three steps. */
static void test_gradients(void **state)
{
    (void)state;
    struct actor_critic ac = make(2);
    struct activations act[3];
    const struct batch_step steps[] = { { &act[0], 3, 0.7, -1.3 },
        { &act[1], 0, -0.4, 0.2 }, { &act[2], 3, 0, 1 } };
    for (uint64_t t = 0; t < 3; t++) {
        fill(&act[t], &ac, t);
        actor_critic_forward(&ac, &act[t]);
    }
    double *gradient = calloc(ac.n_params, sizeof *gradient);
    assert_non_null(gradient);
    for (size_t i = 0; i < ac.n_params; i++)
        gradient[i] = 1e9; // what was there before is overwritten
    actor_critic_backward(&ac, steps, 3, gradient);

    const double h = 1e-5;
    size_t n_nonzero = 0;
    for (size_t i = 0; i < ac.n_params; i++) {
        double kept = ac.params[i], difference = 0;
        for (int side = -1; side <= 1; side += 2) {
            ac.params[i] = kept + side * h;
            for (size_t t = 0; t < 3; t++)
                difference += side * loss(&ac, act[t].features, steps[t].action,
                                         steps[t].policy_scale, steps[t].value_scale);
        }
        ac.params[i] = kept;
        NEAR(gradient[i], difference / (2 * h), 1e-8);
        n_nonzero += gradient[i] != 0;
    }
    assert_true(n_nonzero > ac.n_params / 2);
    free(gradient);
    for (size_t t = 0; t < 3; t++)
        activations_release(&act[t]);
    actor_critic_release(&ac);
}

/* Rows or columns, whichever are fewer, are orthogonal and of length gain. */
static void check_orthogonal(const double *w, size_t n_in, size_t n_out, size_t step_in,
    size_t step_out, double gain)
{
    int by_input = n_in < n_out;
    size_t n = by_input ? n_in : n_out, len = by_input ? n_out : n_in;
    for (size_t a = 0; a < n; a++) {
        for (size_t b = 0; b <= a; b++) {
            double dot = 0;
            for (size_t i = 0; i < len; i++)
                dot +=
                    by_input
                        ? w[a * step_in + i * step_out] * w[b * step_in + i * step_out]
                        : w[i * step_in + a * step_out] * w[i * step_in + b * step_out];
            NEAR(dot, a == b ? gain * gain : 0, 1e-12);
        }
    }
}

static void test_orthogonal_weights(void **state)
{
    (void)state;
    struct actor_critic ac, again;
    struct rng rng;
    assert_int_equal(actor_critic_init(&ac, 25, 9, NULL), OK);
    assert_int_equal(actor_critic_init(&again, 25, 9, NULL), OK);
    rng_init(&rng, 5, "test/draw", 0);
    assert_int_equal(actor_critic_draw(&ac, &rng, NULL), OK);
    const struct mlp_layout *layouts[] = { &ac.policy, &ac.value };
    const double gains[] = { 0.01, 1 };
    for (size_t i = 0; i < 2; i++) {
        const struct mlp_layout *m = layouts[i];
        check_orthogonal(ac.params + m->w1, 25, HIDDEN, HIDDEN, 1, sqrt(2));
        check_orthogonal(ac.params + m->w2, HIDDEN, HIDDEN, HIDDEN, 1, sqrt(2));
        check_orthogonal(ac.params + m->w3, HIDDEN, m->n_out, 1, HIDDEN, gains[i]);
        for (size_t j = 0; j < HIDDEN; j++)
            assert_true(ac.params[m->b1 + j] == 0 && ac.params[m->b2 + j] == 0);
    }
    // The same draws give the same weights.
    rng_init(&rng, 5, "test/draw", 0);
    assert_int_equal(actor_critic_draw(&again, &rng, NULL), OK);
    assert_memory_equal(ac.params, again.params, ac.n_params * sizeof *ac.params);
    actor_critic_release(&ac);
    actor_critic_release(&again);
}

static void test_sizes(void **state)
{
    (void)state;
    struct actor_critic ac;
    struct error err = ERROR_INIT;
    assert_int_equal(actor_critic_init(&ac, 0, 2, &err), E_ARG);
    assert_int_equal(actor_critic_init(&ac, SPACE_MAX_FEATURES + 1, 2, &err), E_ARG);
    assert_int_equal(actor_critic_init(&ac, 2, 0, &err), E_ARG);
    assert_int_equal(actor_critic_init(&ac, 25, 9, &err), OK);
    // As torch counts them: 2 x (25 x 64 + 64 + 64 x 64 + 64) + 64 x 9 + 9 + 64 + 1.
    assert_int_equal(ac.n_params, 2 * (25 * 64 + 64 + 64 * 64 + 64) + 64 * 9 + 9 + 65);
    actor_critic_release(&ac);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward),
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_orthogonal_weights),
        cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
