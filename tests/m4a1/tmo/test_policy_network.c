/* test_policy_network.c - sizes, parts for files, drawn weights, the greedy action, a chooser. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/tmo/policy_network.h"
#include "tests/support/learner_case.h"

#define HIDDEN MLP_HIDDEN

static struct network make(enum network_kind kind, size_t n_features, size_t n_actions)
{
    struct network net;
    assert_int_equal(network_init(&net, kind, n_features, n_actions, NULL), OK);
    return net;
}

static void test_sizes(void **state)
{
    (void)state;
    struct network net;
    struct error err = ERROR_INIT;
    assert_int_equal(network_init(&net, NETWORK_Q, 0, 2, &err), E_ARG);
    assert_int_equal(
        network_init(&net, NETWORK_Q, NETWORK_MAX_FEATURES + 1, 2, &err), E_ARG);
    assert_int_equal(network_init(&net, NETWORK_Q, 2, 0, &err), E_ARG);
    assert_int_equal(
        network_init(&net, NETWORK_Q, 2, NETWORK_MAX_ACTIONS + 1, &err), E_ARG);
    assert_non_null(strstr(err.msg, "2 features"));
    net = make(NETWORK_ACTOR_CRITIC, 25, 9);
    assert_int_equal(net.n_mlps, 2);
    assert_int_equal(net.n_params % MLP_LANES, 0);
    network_release(&net);
    net = make(NETWORK_Q, 25, 9);
    assert_int_equal(net.n_mlps, 1);
    network_release(&net);
}

/* The parts are all parameters but the padding, each once; as many as torch counts. */
static void check_parts(enum network_kind kind, size_t expected, const char *last)
{
    struct network net = make(kind, 25, 9);
    struct network_part parts[NETWORK_MAX_PARTS];
    size_t n = network_parts(&net, parts), count = 0;
    unsigned char *seen = calloc(net.n_params, 1);
    struct rng rng;
    assert_non_null(seen);
    rng_init(&rng, 1, "test/parts", 0);
    assert_int_equal(network_draw(&net, &rng, NULL), OK);
    for (size_t i = 0; i < n; i++)
        for (size_t r = 0; r < parts[i].n_rows; r++)
            for (size_t c = 0; c < parts[i].n_columns; c++) {
                size_t at =
                    parts[i].at + r * parts[i].row_step + c * parts[i].column_step;
                assert_true(at < net.n_params && !seen[at]);
                seen[at] = 1;
                count++;
            }
    assert_int_equal(count, expected);
    assert_string_equal(parts[n - 1].mlp, last);
    for (size_t i = 0; i < net.n_params; i++)
        assert_true(seen[i] || net.params[i] == 0);
    // w3 is [outputs][64]: its first row is what makes the first output.
    const struct mlp *m = &net.mlps[0];
    double x[25] = { 0 }, scores[9], sum;
    float h[MLP_LANES * 2];
    for (size_t i = m->w1; i < m->w2; i++)
        net.params[i] = 0;
    memset(net.params + m->b2, 0, HIDDEN * sizeof *net.params);
    net.params[m->b2 + 7] = 1; // all features of the last layer but the seventh are 0
    network_scores(&net, x, scores);
    sum = (double)net.params[parts[4].at + 7 * parts[4].column_step] *
              (kind == NETWORK_Q ? 1 : tanh(1)) +
          (double)net.params[parts[5].at];
    assert_true(fabs(scores[0] - sum) < 1e-6);
    mlp_values(m, net.params, (float[25]) { 0 }, h);
    assert_true(scores[8] == (double)h[8]);
    free(seen);
    network_release(&net);
}

static void test_parts(void **state)
{
    (void)state;
    size_t hidden = 25 * 64 + 64 + 64 * 64 + 64;
    check_parts(NETWORK_ACTOR_CRITIC, 2 * hidden + 64 * 9 + 9 + 64 + 1, "value");
    check_parts(NETWORK_Q, hidden + 64 * 9 + 9, "q");
}

/* Stable-Baselines3's gains: logits near 0, values of ordinary size. */
static void test_draw(void **state)
{
    (void)state;
    struct network net = make(NETWORK_ACTOR_CRITIC, 25, 9), again;
    struct rng rng;
    rng_init(&rng, 3, "test/draw", 0);
    assert_int_equal(network_draw(&net, &rng, NULL), OK);
    double lengths[2] = { 0, 0 };
    for (size_t i = 0; i < HIDDEN; i++) {
        for (size_t k = 0; k < 2; k++) {
            const struct mlp *m = &net.mlps[k];
            double w = (double)net.params[m->w3 + i * m->n_wide];
            lengths[k] += w * w;
        }
    }
    assert_true(fabs(sqrt(lengths[0]) - 0.01) < 1e-7);
    assert_true(fabs(sqrt(lengths[1]) - 1) < 1e-5);
    again = make(NETWORK_ACTOR_CRITIC, 25, 9);
    rng_init(&rng, 3, "test/draw", 0);
    assert_int_equal(network_draw(&again, &rng, NULL), OK);
    assert_memory_equal(net.params, again.params, net.n_params * sizeof *net.params);
    network_release(&again);
    again = make(NETWORK_Q, 25, 9);
    assert_int_equal(network_draw(&again, &rng, NULL), OK);
    assert_true(again.params[again.mlps[0].b1] != 0); // PyTorch draws biases, too
    network_release(&again);
    network_release(&net);
}

static void test_greedy(void **state)
{
    (void)state;
    struct network net = make(NETWORK_Q, 3, 4);
    const double x[3] = { 1, 0, -1 };
    double scores[4];
    float *b3 = net.params + net.mlps[0].b3;
    assert_int_equal(network_greedy(&net, x, NULL), 0); // the first among equals
    b3[0] = -1;
    b3[1] = 2;
    b3[2] = -3;
    b3[3] = 2;
    network_scores(&net, x, scores);
    assert_true(scores[0] == -1 && scores[1] == 2 && scores[2] == -3 && scores[3] == 2);
    assert_int_equal(network_greedy(&net, x, NULL), 1);
    assert_int_equal(network_greedy(&net, x, (const unsigned char[]) { 1, 0, 1, 1 }), 3);
    assert_int_equal(network_greedy(&net, x, (const unsigned char[]) { 1, 0, 1, 0 }), 0);
    assert_int_equal(network_greedy(&net, x, (const unsigned char[]) { 0, 0, 1, 0 }), 2);
    network_release(&net);
}

static void test_divergence_is_found(void **state)
{
    (void)state;
    struct network net = make(NETWORK_ACTOR_CRITIC, 3, 4);
    struct error err = ERROR_INIT;
    assert_int_equal(network_check(&net, &err), OK);
    net.params[11] = (float)NAN;
    assert_int_equal(network_check(&net, &err), E_DATA);
    assert_non_null(strstr(err.msg, "parameter 11"));
    network_release(&net);
}

/* As a chooser all probability lies on the greedy action of those that are allowed. */
static void test_weigh(void **state)
{
    (void)state;
    struct learner_case c;
    struct episode ep;
    double p[5], features[2 * 4];
    learner_case_simple(&c, 4, 2, 1);
    struct network net = make(NETWORK_ACTOR_CRITIC, c.env->n_features, c.env->n_actions);
    struct rng rng;
    rng_init(&rng, 3, "test/weigh", 0);
    assert_int_equal(network_draw(&net, &rng, NULL), OK);
    assert_int_equal(c.env->n_actions, 5);
    for (size_t i = 0; i < c.n_test; i++) {
        episode_start(&ep, c.env, RULES_MODEL, i);
        while (!ep.done) {
            struct outcome outcome;
            episode_observe(&ep, features);
            size_t best = network_greedy(&net, features, NULL);
            network_weigh(&net, &ep, p);
            for (size_t a = 0; a < 5; a++)
                assert_true(p[a] == (a == best ? 1 : 0));
            episode_step(&ep, best, &outcome);
        }
    }
    // A shield whose budget is met by local turns alone leaves only these.
    c.env->settings.handling = HANDLING_SHIELD;
    c.env->settings.longest = 2;
    c.env->settings.n_constraints = 1;
    c.env->settings.constraints[0] =
        (struct constraint) { .kind = CONSTRAINT_USAGE, .budget = 1e-4 };
    net.params[net.mlps[NETWORK_POLICY].b3] = -100;
    episode_start(&ep, c.env, RULES_MODEL, 0);
    network_weigh(&net, &ep, p);
    assert_true(p[0] == 1 && p[1] == 0);
    network_release(&net);
    learner_case_release(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_draw),
        cmocka_unit_test(test_greedy),
        cmocka_unit_test(test_weigh),
        cmocka_unit_test(test_divergence_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
