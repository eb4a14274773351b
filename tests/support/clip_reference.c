/* clip_reference.c - slow on purpose. */
#include "tests/support/clip_reference.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct walk {
    struct tensors *tensors;
    const char *model;
    clip_reference_see *see;
    void *arg;
};

static double *numbers(size_t n)
{
    double *x = calloc(n, sizeof *x);
    if (!x)
        abort();
    return x;
}

/* The tensor of that name, whatever its shape. */
PRINTF_LIKE(2, 3)
static const float *tensor(const struct walk *w, const char *fmt, ...)
{
    char name[160];
    const float *out = NULL;
    struct error err = ERROR_INIT;
    va_list args;
    va_start(args, fmt);
    vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    const struct tensor *t = tensors_find(w->tensors, name);
    if (!t || tensors_f32(w->tensors, name, t->dims, t->n_dims, &out, &err) != OK) {
        fprintf(stderr, "clip_reference: %s: %s\n", name, err.msg);
        abort();
    }
    return out;
}

PRINTF_LIKE(5, 6)
static void see(const struct walk *w, const double *data, size_t n_rows, size_t width,
    const char *fmt, ...)
{
    char stage[64];
    va_list args;
    va_start(args, fmt);
    vsnprintf(stage, sizeof stage, fmt, args);
    va_end(args);
    if (w->see)
        w->see(w->arg, stage, data, n_rows, width);
}

/* y [n_rows][n_out] = x [n_rows][n_in] weight' + bias */
static void linear(const double *x, size_t n_rows, size_t n_in, const float *weight,
    const float *bias, size_t n_out, double *y)
{
    for (size_t r = 0; r < n_rows; r++)
        for (size_t o = 0; o < n_out; o++) {
            double sum = bias ? bias[o] : 0;
            for (size_t i = 0; i < n_in; i++)
                sum += x[r * n_in + i] * weight[o * n_in + i];
            y[r * n_out + o] = sum;
        }
}

static void named_linear(const struct walk *w, const char *block, const char *name,
    const double *x, size_t n_rows, size_t n_in, size_t n_out, double *y)
{
    linear(x, n_rows, n_in, tensor(w, "%s.%s.weight", block, name),
        tensor(w, "%s.%s.bias", block, name), n_out, y);
}

static void layer_norm(const struct walk *w, const char *name, const double *x,
    size_t n_rows, size_t width, double eps, double *y)
{
    const float *gain = tensor(w, "%s.weight", name), *bias = tensor(w, "%s.bias", name);
    for (size_t r = 0; r < n_rows; r++, x += width, y += width) {
        double mean = 0, variance = 0;
        for (size_t i = 0; i < width; i++)
            mean += x[i] / (double)width;
        for (size_t i = 0; i < width; i++)
            variance += (x[i] - mean) * (x[i] - mean) / (double)width;
        for (size_t i = 0; i < width; i++)
            y[i] = (x[i] - mean) / sqrt(variance + eps) * gain[i] + bias[i];
    }
}

/* Softmax over the positions that query i may see, then their values' sum. */
static void attention(const double *q, const double *k, const double *v, size_t n,
    size_t width, size_t n_heads, int causal, double *y)
{
    size_t d = width / n_heads;
    double *p = numbers(n);
    for (size_t h = 0; h < width; h += d)
        for (size_t i = 0; i < n; i++) {
            size_t n_seen = causal ? i + 1 : n;
            double sum = 0;
            for (size_t j = 0; j < n_seen; j++) {
                double score = 0;
                for (size_t c = h; c < h + d; c++)
                    score += q[i * width + c] * k[j * width + c];
                p[j] = exp(score / sqrt((double)d));
                sum += p[j];
            }
            for (size_t c = h; c < h + d; c++) {
                y[i * width + c] = 0;
                for (size_t j = 0; j < n_seen; j++)
                    y[i * width + c] += p[j] / sum * v[j * width + c];
            }
        }
    free(p);
}

static double activate(double x, enum clip_activation how)
{
    return how == CLIP_GELU ? x * 0.5 * (1 + erf(x / sqrt(2)))
                            : x / (1 + exp(-1.702 * x));
}

static void add(double *x, const double *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] += y[i];
}

static void run_block(const struct walk *w, const struct clip_tower *tower, size_t index,
    int causal, size_t n, double *x)
{
    size_t width = tower->width, mlp = tower->mlp;
    double eps = (double)tower->layer_norm_eps;
    char block[96], name[128];
    snprintf(block, sizeof block, "%s.encoder.layers.%zu", w->model, index);
    double *y = numbers(n * width), *q = numbers(n * width), *k = numbers(n * width),
           *v = numbers(n * width), *hidden = numbers(n * mlp);

    snprintf(name, sizeof name, "%s.layer_norm1", block);
    layer_norm(w, name, x, n, width, eps, y);
    see(w, y, n, width, "block%zu_ln1", index);
    named_linear(w, block, "self_attn.q_proj", y, n, width, width, q);
    named_linear(w, block, "self_attn.k_proj", y, n, width, width, k);
    named_linear(w, block, "self_attn.v_proj", y, n, width, width, v);
    attention(q, k, v, n, width, tower->n_heads, causal, y);
    see(w, y, n, width, "block%zu_attn", index);
    named_linear(w, block, "self_attn.out_proj", y, n, width, width, q);
    see(w, q, n, width, "block%zu_attn_out", index);
    add(x, q, n * width);

    snprintf(name, sizeof name, "%s.layer_norm2", block);
    layer_norm(w, name, x, n, width, eps, y);
    see(w, y, n, width, "block%zu_ln2", index);
    named_linear(w, block, "mlp.fc1", y, n, width, mlp, hidden);
    see(w, hidden, n, mlp, "block%zu_fc1", index);
    for (size_t i = 0; i < n * mlp; i++)
        hidden[i] = activate(hidden[i], tower->activation);
    see(w, hidden, n, mlp, "block%zu_gelu", index);
    named_linear(w, block, "mlp.fc2", hidden, n, mlp, width, q);
    see(w, q, n, width, "block%zu_mlp_out", index);
    add(x, q, n * width);
    see(w, x, n, width, "block%zu", index);
    free(y);
    free(q);
    free(k);
    free(v);
    free(hidden);
}

/* patches [n][3][p][p] of an image [3][side][side] */
static void cut_patches(const float *pixels, size_t side, size_t p, double *patches)
{
    size_t grid = side / p;
    for (size_t i = 0; i < grid * grid; i++)
        for (size_t c = 0; c < 3; c++)
            for (size_t y = 0; y < p; y++)
                for (size_t x = 0; x < p; x++)
                    *patches++ = pixels[c * side * side + (i / grid * p + y) * side +
                                        i % grid * p + x];
}

void clip_reference_image(struct tensors *t, const struct clip_config *config,
    const float *pixels, clip_reference_see *look, void *arg, double *out)
{
    struct walk w = { t, "vision_model", look, arg };
    size_t width = config->image.width, p = config->patch, side = config->image_size;
    size_t n_patches = side / p * (side / p), n = n_patches + 1;
    double eps = (double)config->image.layer_norm_eps;
    double *patches = numbers(n_patches * 3 * p * p), *x = numbers(n * width),
           *y = numbers(n * width);
    const float *class_token = tensor(&w, "vision_model.embeddings.class_embedding");
    const float *positions =
        tensor(&w, "vision_model.embeddings.position_embedding.weight");

    cut_patches(pixels, side, p, patches);
    linear(patches, n_patches, 3 * p * p,
        tensor(&w, "vision_model.embeddings.patch_embedding.weight"), NULL, width,
        x + width);
    see(&w, x + width, n_patches, width, "conv1");
    for (size_t i = 0; i < width; i++)
        x[i] = class_token[i];
    for (size_t i = 0; i < n * width; i++)
        x[i] += positions[i];
    see(&w, x, n, width, "embeddings");
    layer_norm(&w, "vision_model.pre_layrnorm", x, n, width, eps, y);
    see(&w, y, n, width, "pre_ln");
    for (size_t i = 0; i < config->image.n_layers; i++)
        run_block(&w, &config->image, i, 0, n, y);
    layer_norm(&w, "vision_model.post_layernorm", y, 1, width, eps, x);
    see(&w, x, 1, width, "post_ln");
    linear(x, 1, width, tensor(&w, "visual_projection.weight"), NULL, config->projection,
        out);
    see(&w, out, 1, config->projection, "proj");
    free(patches);
    free(x);
    free(y);
}

void clip_reference_text(struct tensors *t, const struct clip_config *config,
    const int32_t *ids, size_t n, clip_reference_see *look, void *arg, double *out)
{
    struct walk w = { t, "text_model", look, arg };
    size_t width = config->text.width;
    double *x = numbers(n * width), *y = numbers(n * width);
    const float *tokens = tensor(&w, "text_model.embeddings.token_embedding.weight");
    const float *positions =
        tensor(&w, "text_model.embeddings.position_embedding.weight");
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < width; j++)
            x[i * width + j] =
                (double)tokens[(size_t)ids[i] * width + j] + positions[i * width + j];
    see(&w, x, n, width, "embeddings");
    for (size_t i = 0; i < config->text.n_layers; i++)
        run_block(&w, &config->text, i, 1, n, x);
    layer_norm(&w, "text_model.final_layer_norm", x, n, width,
        (double)config->text.layer_norm_eps, y);
    see(&w, y, n, width, "final_ln");
    linear(y + (n - 1) * width, 1, width, tensor(&w, "text_projection.weight"), NULL,
        config->projection, out);
    see(&w, out, 1, config->projection, "proj");
    free(x);
    free(y);
}
