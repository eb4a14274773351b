/* mlp.c - passes as products of matrices (mlp_kernels.h), and the drawing of weights. */
#include "m4a1/tmo/mlp.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HIDDEN MLP_HIDDEN

struct mlp mlp_place(size_t n_in, size_t n_out, enum mlp_activation activation, size_t at)
{
    struct mlp m = { .activation = activation,
        .n_in = n_in,
        .n_out = n_out,
        .n_wide = mlp_padded(n_out) };
    m.w1 = at;
    m.b1 = m.w1 + n_in * HIDDEN;
    m.w2 = m.b1 + HIDDEN;
    m.b2 = m.w2 + HIDDEN * HIDDEN;
    m.w3 = m.b2 + HIDDEN;
    m.b3 = m.w3 + HIDDEN * m.n_wide;
    m.end = m.b3 + m.n_wide;
    return m;
}

float *floats_new(size_t n)
{
    size_t bytes = (n * sizeof(float) + 63) / 64 * 64;
    float *x = aligned_alloc(64, bytes ? bytes : 64);
    if (x)
        memset(x, 0, bytes);
    return x;
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

/* An orthogonal layer w [n_in][stride], n_out columns of it. */
static enum status draw_layer(float *w, size_t n_in, size_t n_out, size_t stride,
    double gain, struct rng *rng, struct error *err)
{
    size_t n_long = n_in > n_out ? n_in : n_out, n_short = n_in > n_out ? n_out : n_in;
    double *columns = malloc(n_in * n_out * sizeof *columns);
    if (!columns)
        return error_nomem(err, n_in * n_out * sizeof *columns);
    draw_orthogonal(columns, n_long, n_short, rng);
    for (size_t i = 0; i < n_in; i++)
        for (size_t o = 0; o < n_out; o++)
            w[i * stride + o] = (float)(gain * (n_in > n_out ? columns[o * n_long + i]
                                                             : columns[i * n_long + o]));
    free(columns);
    return OK;
}

enum status mlp_draw_orthogonal(
    const struct mlp *m, float *params, double gain, struct rng *rng, struct error *err)
{
    double hidden = sqrt(2);
    memset(params + m->w1, 0, (m->end - m->w1) * sizeof *params);
    enum status s = draw_layer(params + m->w1, m->n_in, HIDDEN, HIDDEN, hidden, rng, err);
    if (!s)
        s = draw_layer(params + m->w2, HIDDEN, HIDDEN, HIDDEN, hidden, rng, err);
    if (!s)
        s = draw_layer(params + m->w3, HIDDEN, m->n_out, m->n_wide, gain, rng, err);
    return s;
}

/* n numbers uniform within 1 / sqrt(fan_in). */
static void draw_row(float *x, size_t n, size_t fan_in, struct rng *rng)
{
    double limit = 1 / sqrt((double)fan_in);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(limit * (2 * rng_uniform(rng) - 1));
}

void mlp_draw_uniform(const struct mlp *m, float *params, struct rng *rng)
{
    memset(params + m->w1, 0, (m->end - m->w1) * sizeof *params);
    draw_row(params + m->w1, m->n_in * HIDDEN, m->n_in, rng);
    draw_row(params + m->b1, HIDDEN, m->n_in, rng);
    draw_row(params + m->w2, (size_t)HIDDEN * HIDDEN, HIDDEN, rng);
    draw_row(params + m->b2, HIDDEN, HIDDEN, rng);
    for (size_t i = 0; i < HIDDEN; i++)
        draw_row(params + m->w3 + i * m->n_wide, m->n_out, HIDDEN, rng);
    draw_row(params + m->b3, m->n_out, HIDDEN, rng);
}

/* ---- passes ---- */

enum status mlp_pass_init(
    struct mlp_pass *pass, const struct mlp *m, size_t capacity, struct error *err)
{
    size_t wide = m->n_wide > HIDDEN ? m->n_wide : HIDDEN;
    *pass = (struct mlp_pass) {
        .capacity = capacity,
        .h1 = floats_new(capacity * HIDDEN),
        .h2 = floats_new(capacity * HIDDEN),
        .out = floats_new(capacity * m->n_wide),
        .d_out = floats_new(capacity * m->n_wide),
        .d1 = floats_new(capacity * HIDDEN),
        .d2 = floats_new(capacity * HIDDEN),
        .flip = floats_new(wide * HIDDEN),
    };
    if (pass->h1 && pass->h2 && pass->out && pass->d_out && pass->d1 && pass->d2 &&
        pass->flip)
        return OK;
    mlp_pass_release(pass);
    return error_nomem(err, capacity * (4 * HIDDEN + 2 * m->n_wide) * sizeof(float));
}

void mlp_pass_release(struct mlp_pass *pass)
{
    float *owned[] = { pass->h1, pass->h2, pass->out, pass->d_out, pass->d1, pass->d2,
        pass->flip };
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        free(owned[i]);
    *pass = (struct mlp_pass) { 0 };
}

/* y [n][width] = x [n][n_in] w [n_in][width] */
static void layer(const struct mlp_kernels *k, const float *x, size_t n, size_t n_in,
    const float *w, size_t width, float *y)
{
    k->multiply(&(struct mlp_product) { x, n_in, 1, w, y, n, n_in, width });
}

static void forward(const struct mlp *m, const float *params, const float *x, float *h1,
    float *h2, float *out, size_t n)
{
    const struct mlp_kernels *k = mlp_kernels_best();
    void (*activate)(float *, const float *, size_t) =
        m->activation == MLP_TANH ? k->tanh_rows : k->relu_rows;
    layer(k, x, n, m->n_in, params + m->w1, HIDDEN, h1);
    activate(h1, params + m->b1, n);
    layer(k, h1, n, HIDDEN, params + m->w2, HIDDEN, h2);
    activate(h2, params + m->b2, n);
    layer(k, h2, n, HIDDEN, params + m->w3, m->n_wide, out);
    k->add_bias(out, params + m->b3, n, m->n_wide);
}

void mlp_forward(const struct mlp *m, const float *params, const float *x,
    struct mlp_pass *pass, size_t first, size_t n)
{
    forward(m, params, x, pass->h1 + first * HIDDEN, pass->h2 + first * HIDDEN,
        pass->out + first * m->n_wide, n);
}

void mlp_values(const struct mlp *m, const float *params, const float *x, float *out)
{
    float h1[HIDDEN], h2[HIDDEN];
    forward(m, params, x, h1, h2, out, 1);
}

/* gw [n_in][width] = the sum over n rows of x [n][n_in] times d [n][width], gb their sum. */
static void layer_gradient(const struct mlp_kernels *k, const float *x, size_t n_in,
    const float *d, size_t n, size_t width, float *gw, float *gb)
{
    k->multiply(&(struct mlp_product) { x, 1, n_in, d, gw, n_in, n, width });
    k->sum_rows(gb, d, n, width);
}

void mlp_backward(const struct mlp *m, const float *params, const float *x,
    struct mlp_pass *pass, size_t n, float *gradient)
{
    const struct mlp_kernels *k = mlp_kernels_best();
    void (*back)(float *, const float *, size_t) =
        m->activation == MLP_TANH ? k->tanh_back : k->relu_back;
    layer_gradient(k, pass->h2, HIDDEN, pass->d_out, n, m->n_wide, gradient + m->w3,
        gradient + m->b3);
    k->transpose(pass->flip, params + m->w3, m->n_wide);
    k->multiply(&(struct mlp_product) {
        pass->d_out, m->n_wide, 1, pass->flip, pass->d2, n, m->n_out, HIDDEN });
    back(pass->d2, pass->h2, n * HIDDEN);
    layer_gradient(
        k, pass->h1, HIDDEN, pass->d2, n, HIDDEN, gradient + m->w2, gradient + m->b2);
    k->transpose(pass->flip, params + m->w2, HIDDEN);
    layer(k, pass->d2, n, HIDDEN, pass->flip, HIDDEN, pass->d1);
    back(pass->d1, pass->h1, n * HIDDEN);
    layer_gradient(
        k, x, m->n_in, pass->d1, n, HIDDEN, gradient + m->w1, gradient + m->b1);
}

void mlp_softmax(const float *logits, const unsigned char *allowed, size_t n, float *p)
{
    const float *x = logits;
    if (allowed) {
        for (size_t i = 0; i < n; i++)
            p[i] = allowed[i] ? logits[i] : -INFINITY;
        for (size_t i = n; i < mlp_padded(n); i++)
            p[i] = -INFINITY;
        x = p;
    }
    mlp_kernels_best()->softmax(p, x, n);
}

float gradient_scale(const float *gradient, size_t n, double max, double *norm)
{
    double length = sqrt((double)mlp_kernels_best()->square_sum(gradient, n));
    double scale = max / (length + 1e-6);
    if (norm)
        *norm = length;
    return scale < 1 ? (float)scale : 1.0f;
}
