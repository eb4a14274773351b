/* actor_critic.c - forward and backward passes in plain loops.
 *
 * Inner loops run over HIDDEN or 8 numbers, a constant, which is what lets gcc and
 * clang vectorise them at -O2.  Weights lie so that the hot loops add a multiple of a
 * row; where a sum over a row is needed, eight running sums fix its order. */
#include "m4a1/tmo/actor_critic.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LANES 8

static struct mlp_layout mlp_place(size_t n_in, size_t n_out, size_t *at)
{
    struct mlp_layout m = { .n_in = n_in, .n_out = n_out };
    m.w1 = *at;
    m.b1 = m.w1 + n_in * HIDDEN;
    m.w2 = m.b1 + HIDDEN;
    m.b2 = m.w2 + HIDDEN * HIDDEN;
    m.w3 = m.b2 + HIDDEN;
    m.b3 = m.w3 + n_out * HIDDEN;
    *at = m.b3 + n_out;
    return m;
}

enum status actor_critic_init(
    struct actor_critic *ac, size_t n_features, size_t n_actions, struct error *err)
{
    memset(ac, 0, sizeof *ac);
    if (!n_features || n_features > SPACE_MAX_FEATURES || !n_actions)
        return error_set(err, E_ARG,
            "a network of %zu features (1 to %d) and %zu actions", n_features,
            SPACE_MAX_FEATURES, n_actions);
    ac->n_features = n_features;
    ac->n_actions = n_actions;
    ac->policy = mlp_place(n_features, n_actions, &ac->n_params);
    ac->value = mlp_place(n_features, 1, &ac->n_params);
    ac->params = calloc(ac->n_params, sizeof *ac->params);
    if (!ac->params)
        return error_nomem(err, ac->n_params * sizeof *ac->params);
    return OK;
}

void actor_critic_release(struct actor_critic *ac)
{
    free(ac->params);
    ac->params = NULL;
}

/* ---- drawing weights ---- */

/* long[n_long][n_short] with orthonormal columns: Gram-Schmidt, twice for accuracy, on
 * normal draws.  Its distribution is that of the QR factor with a positive diagonal,
 * which torch.nn.init.orthogonal_ takes. */
static void draw_orthogonal(
    double *columns, size_t n_long, size_t n_short, struct rng *rng)
{
    for (size_t c = 0; c < n_short; c++) {
        double *v = columns + c * n_long;
        for (size_t i = 0; i < n_long; i++)
            v[i] = rng_normal(rng);
        for (int pass = 0; pass < 2; pass++) {
            for (size_t b = 0; b < c; b++) {
                const double *u = columns + b * n_long;
                double dot = 0;
                for (size_t i = 0; i < n_long; i++)
                    dot += u[i] * v[i];
                for (size_t i = 0; i < n_long; i++)
                    v[i] -= dot * u[i];
            }
        }
        double norm = 0;
        for (size_t i = 0; i < n_long; i++)
            norm += v[i] * v[i];
        norm = sqrt(norm);
        for (size_t i = 0; i < n_long; i++)
            v[i] /= norm;
    }
}

/* An orthogonal layer of n_in x n_out weights at w, w[in * step_in + out * step_out]. */
static enum status draw_layer(double *w, size_t n_in, size_t n_out, size_t step_in,
    size_t step_out, double gain, struct rng *rng, struct error *err)
{
    size_t n_long = n_in > n_out ? n_in : n_out, n_short = n_in > n_out ? n_out : n_in;
    double *columns = malloc(n_in * n_out * sizeof *columns);
    if (!columns)
        return error_nomem(err, n_in * n_out * sizeof *columns);
    draw_orthogonal(columns, n_long, n_short, rng);
    for (size_t i = 0; i < n_in; i++)
        for (size_t o = 0; o < n_out; o++)
            w[i * step_in + o * step_out] =
                gain * (n_in > n_out ? columns[o * n_long + i] : columns[i * n_long + o]);
    free(columns);
    return OK;
}

static enum status draw_mlp(double *params, const struct mlp_layout *m, double gain,
    struct rng *rng, struct error *err)
{
    double hidden = sqrt(2);
    memset(params + m->w1, 0, (m->b3 + m->n_out - m->w1) * sizeof *params);
    enum status s =
        draw_layer(params + m->w1, m->n_in, HIDDEN, HIDDEN, 1, hidden, rng, err);
    if (!s)
        s = draw_layer(params + m->w2, HIDDEN, HIDDEN, HIDDEN, 1, hidden, rng, err);
    if (!s)
        s = draw_layer(params + m->w3, HIDDEN, m->n_out, 1, HIDDEN, gain, rng, err);
    return s;
}

enum status actor_critic_draw(struct actor_critic *ac, struct rng *rng, struct error *err)
{
    enum status s = draw_mlp(ac->params, &ac->policy, 0.01, rng, err);
    if (!s)
        s = draw_mlp(ac->params, &ac->value, 1, rng, err);
    return s;
}

/* ---- forward ---- */

enum status activations_init(
    struct activations *act, const struct actor_critic *ac, struct error *err)
{
    memset(act, 0, sizeof *act);
    act->probabilities = calloc(ac->n_actions, sizeof *act->probabilities);
    if (!act->probabilities)
        return error_nomem(err, ac->n_actions * sizeof *act->probabilities);
    return OK;
}

void activations_release(struct activations *act)
{
    free(act->probabilities);
    act->probabilities = NULL;
}

static double dot(const double *restrict a, const double *restrict b)
{
    double lanes[LANES] = { 0 };
    for (size_t i = 0; i < HIDDEN; i += LANES)
        for (size_t l = 0; l < LANES; l++)
            lanes[l] += a[i + l] * b[i + l];
    double sum = 0;
    for (size_t l = 0; l < LANES; l++)
        sum += lanes[l];
    return sum;
}

/* y[H] += scale * x[H] */
static void add_scaled(double *restrict y, const double *restrict x, double scale)
{
    for (size_t i = 0; i < HIDDEN; i++)
        y[i] += scale * x[i];
}

/* out[H] = tanh(b + sum over in of x[in] * w[in][H]); zero inputs, of which an
 * observation has many, cost nothing. */
static void hidden_layer(
    const double *w, const double *b, const double *x, size_t n_in, double *out)
{
    memcpy(out, b, HIDDEN * sizeof *out);
    for (size_t i = 0; i < n_in; i++)
        if (x[i] != 0)
            add_scaled(out, w + i * HIDDEN, x[i]);
    for (size_t i = 0; i < HIDDEN; i++)
        out[i] = tanh(out[i]);
}

static void mlp_forward(const double *params, const struct mlp_layout *m, const double *x,
    double *h1, double *h2, double *out)
{
    hidden_layer(params + m->w1, params + m->b1, x, m->n_in, h1);
    hidden_layer(params + m->w2, params + m->b2, h1, HIDDEN, h2);
    for (size_t o = 0; o < m->n_out; o++)
        out[o] = params[m->b3 + o] + dot(params + m->w3 + o * HIDDEN, h2);
}

static void softmax(double *x, size_t n)
{
    double max = x[0], sum = 0;
    for (size_t i = 1; i < n; i++)
        max = x[i] > max ? x[i] : max;
    for (size_t i = 0; i < n; i++) {
        x[i] = exp(x[i] - max);
        sum += x[i];
    }
    for (size_t i = 0; i < n; i++)
        x[i] /= sum;
}

void actor_critic_forward(const struct actor_critic *ac, struct activations *act)
{
    mlp_forward(ac->params, &ac->policy, act->features, act->policy1, act->policy2,
        act->probabilities);
    softmax(act->probabilities, ac->n_actions);
    mlp_forward(
        ac->params, &ac->value, act->features, act->value1, act->value2, &act->value);
}

void actor_critic_logits(
    const struct actor_critic *ac, const double *features, double *logits)
{
    double h1[HIDDEN], h2[HIDDEN];
    mlp_forward(ac->params, &ac->policy, features, h1, h2, logits);
}

/* ---- backward ---- */

/* From the derivatives d2[H] behind the second hidden layer down to the first weights;
 * d2 is changed. */
static void hidden_backward(const double *params, const struct mlp_layout *m,
    const double *x, const double *h1, const double *h2, double *d2, double *gradient)
{
    double d1[HIDDEN];
    for (size_t i = 0; i < HIDDEN; i++)
        d2[i] *= 1 - h2[i] * h2[i];
    add_scaled(gradient + m->b2, d2, 1);
    for (size_t i = 0; i < HIDDEN; i++) {
        add_scaled(gradient + m->w2 + i * HIDDEN, d2, h1[i]);
        d1[i] = dot(params + m->w2 + i * HIDDEN, d2) * (1 - h1[i] * h1[i]);
    }
    add_scaled(gradient + m->b1, d1, 1);
    for (size_t i = 0; i < m->n_in; i++)
        if (x[i] != 0)
            add_scaled(gradient + m->w1 + i * HIDDEN, d1, x[i]);
}

void actor_critic_backward(const struct actor_critic *ac, const struct activations *act,
    size_t action, double policy_scale, double value_scale, double *gradient)
{
    const double *params = ac->params;
    const struct mlp_layout *m = &ac->policy;
    double d2[HIDDEN] = { 0 };
    // -log p(action) has the derivative p - 1[action] by the logits.
    for (size_t a = 0; a < ac->n_actions; a++) {
        double d = policy_scale * (act->probabilities[a] - (a == action ? 1 : 0));
        gradient[m->b3 + a] += d;
        add_scaled(gradient + m->w3 + a * HIDDEN, act->policy2, d);
        add_scaled(d2, params + m->w3 + a * HIDDEN, d);
    }
    hidden_backward(params, m, act->features, act->policy1, act->policy2, d2, gradient);

    m = &ac->value;
    memset(d2, 0, sizeof d2);
    gradient[m->b3] += value_scale;
    add_scaled(gradient + m->w3, act->value2, value_scale);
    add_scaled(d2, params + m->w3, value_scale);
    hidden_backward(params, m, act->features, act->value1, act->value2, d2, gradient);
}
