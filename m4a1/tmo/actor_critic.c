/* actor_critic.c - forward and backward passes in plain loops.
 *
 * Weights lie so that the hot loops run over a row of HIDDEN numbers: they add a multiple
 * of it, or take its product with another (kernels.h). */
#include "m4a1/tmo/actor_critic.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/tmo/kernels.h"

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

/* out[H] = tanh(b + sum over in of x[in] * w[in][H]) */
static void hidden_layer(
    const double *w, const double *b, const double *x, size_t n_in, double *out)
{
    kernel_combine(out, w, x, n_in, HIDDEN);
    for (size_t i = 0; i < HIDDEN; i++)
        out[i] = tanh(out[i] + b[i]);
}

static void mlp_forward(const double *params, const struct mlp_layout *m, const double *x,
    double *h1, double *h2, double *out)
{
    hidden_layer(params + m->w1, params + m->b1, x, m->n_in, h1);
    hidden_layer(params + m->w2, params + m->b2, h1, HIDDEN, h2);
    for (size_t o = 0; o < m->n_out; o++)
        out[o] = params[m->b3 + o] + kernel_dot(params + m->w3 + o * HIDDEN, h2, HIDDEN);
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

/* What the steps of a batch have in one network: features, both hidden layers behind
 * tanh, and the derivatives of the loss by both before tanh (d2 at first behind it). */
struct batch {
    size_t n;
    const double *x[ACTOR_CRITIC_MAX_BATCH], *h1[ACTOR_CRITIC_MAX_BATCH],
        *h2[ACTOR_CRITIC_MAX_BATCH];
    double d1[ACTOR_CRITIC_MAX_BATCH * HIDDEN], d2[ACTOR_CRITIC_MAX_BATCH * HIDDEN];
};

/* From d2 down to the first weights, a row of weights at a time for the whole batch. */
static void hidden_backward(
    const double *params, const struct mlp_layout *m, struct batch *b, double *gradient)
{
    double scale[ACTOR_CRITIC_MAX_BATCH];
    for (size_t t = 0; t < b->n; t++)
        for (size_t i = 0; i < HIDDEN; i++)
            b->d2[t * HIDDEN + i] *= 1 - b->h2[t][i] * b->h2[t][i];
    for (size_t i = 0; i < HIDDEN; i++) {
        const double *w = params + m->w2 + i * HIDDEN;
        for (size_t t = 0; t < b->n; t++) {
            scale[t] = b->h1[t][i];
            b->d1[t * HIDDEN + i] =
                kernel_dot(w, b->d2 + t * HIDDEN, HIDDEN) * (1 - scale[t] * scale[t]);
        }
        kernel_combine(gradient + m->w2 + i * HIDDEN, b->d2, scale, b->n, HIDDEN);
    }
    for (size_t i = 0; i < m->n_in; i++) {
        for (size_t t = 0; t < b->n; t++)
            scale[t] = b->x[t][i];
        kernel_combine(gradient + m->w1 + i * HIDDEN, b->d1, scale, b->n, HIDDEN);
    }
    for (size_t t = 0; t < b->n; t++)
        scale[t] = 1;
    kernel_combine(gradient + m->b1, b->d1, scale, b->n, HIDDEN);
    kernel_combine(gradient + m->b2, b->d2, scale, b->n, HIDDEN);
}

/* Clear what the outputs add to: d2, and the gradients of w3 and b3. */
static void output_clear(struct batch *b, const struct mlp_layout *m, double *gradient)
{
    memset(b->d2, 0, b->n * HIDDEN * sizeof *b->d2);
    memset(gradient + m->w3, 0, (m->b3 + m->n_out - m->w3) * sizeof *gradient);
}

/* The derivative d by output o of step t. */
static void output_backward(const double *params, const struct mlp_layout *m,
    struct batch *b, size_t t, size_t o, double d, double *gradient)
{
    gradient[m->b3 + o] += d;
    kernel_add(gradient + m->w3 + o * HIDDEN, b->h2[t], d, HIDDEN);
    kernel_add(b->d2 + t * HIDDEN, params + m->w3 + o * HIDDEN, d, HIDDEN);
}

void actor_critic_backward(const struct actor_critic *ac, const struct batch_step *steps,
    size_t n, double *gradient)
{
    struct batch b;
    b.n = n;
    for (size_t t = 0; t < n; t++) {
        b.x[t] = steps[t].act->features;
        b.h1[t] = steps[t].act->policy1;
        b.h2[t] = steps[t].act->policy2;
    }
    output_clear(&b, &ac->policy, gradient);
    for (size_t t = 0; t < n; t++) {
        for (size_t a = 0; a < ac->n_actions; a++) {
            // -log p(action) has the derivative p - 1[action] by the logits.
            double d = steps[t].act->probabilities[a] - (a == steps[t].action ? 1 : 0);
            output_backward(
                ac->params, &ac->policy, &b, t, a, steps[t].policy_scale * d, gradient);
        }
    }
    hidden_backward(ac->params, &ac->policy, &b, gradient);

    for (size_t t = 0; t < n; t++) {
        b.h1[t] = steps[t].act->value1;
        b.h2[t] = steps[t].act->value2;
    }
    output_clear(&b, &ac->value, gradient);
    for (size_t t = 0; t < n; t++)
        output_backward(ac->params, &ac->value, &b, t, 0, steps[t].value_scale, gradient);
    hidden_backward(ac->params, &ac->value, &b, gradient);
}
