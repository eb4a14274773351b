/* ridge.c - normal equations whose prompt blocks are eliminated one by one.
 *
 * In the order (prompts, rest) the matrix is an arrow:
 *     [ B_p        C_p ]     B_p [W][W] a prompt's own columns, W = 1 + L
 *     [ C_p^T      D   ]     C_p [W][B] what they share with the rest, D [B][B] the rest
 * With S = D - sum_p C_p^T B_p^-1 C_p the rest solves S x = g - sum_p C_p^T B_p^-1 f_p,
 * and then each prompt B_p u = f_p - C_p x. */
#include "m4a1/tmo/ridge.h"

#include <stdlib.h>
#include <string.h>

#include "m4a1/tmo/cholesky.h"

#define MAX_WIDTH (1 + SPACE_MAX_LLMS)

struct ridge {
    size_t n_prompts, n_llms;
    size_t width;    /* W = 1 + L: prompt, prompt x llm columns */
    size_t n_rest;   /* B: intercept, llms, views, tasks */
    double *prompts; /* [P][W] owned */
    double *rest;    /* [B] owned */
};

/* A row's columns that are not 0; their values are 1 but for views. */
struct columns {
    size_t own[2], n_own;          /* of the prompt's block */
    size_t rest[4], n_rest, views; /* of the rest; rest[views] has the value n_views */
    double n_views;
};

struct system {
    double *own;    /* [P][W][W] */
    double *shared; /* [P][W][B] */
    double *right;  /* [P][W] */
    double *rest;   /* [B][B] */
    size_t *n_rows; /* [P] */
};

struct ridge_penalties ridge_uniform(double alpha)
{
    return (struct ridge_penalties) { alpha, alpha, alpha, 10 * alpha, alpha };
}

static void find_columns(
    const struct ridge *ridge, const struct sample *x, struct columns *c)
{
    size_t n_llm_columns = ridge->width - 1;
    size_t llm = ridge->n_llms == 2 ? (x->llm == 1 ? 0 : SIZE_MAX) : x->llm;
    int has_llm = llm < n_llm_columns;
    c->n_own = c->n_rest = 0;
    c->own[c->n_own++] = 0;
    c->rest[c->n_rest++] = 0;
    if (has_llm) {
        c->own[c->n_own++] = 1 + llm;
        c->rest[c->n_rest++] = 1 + llm;
    }
    c->views = c->n_rest;
    c->n_views = (double)space_count(x->shown);
    c->rest[c->n_rest++] = 1 + n_llm_columns;
    c->rest[c->n_rest++] = 2 + n_llm_columns + x->task;
}

static double rest_value(const struct columns *c, size_t i)
{
    return i == c->views ? c->n_views : 1;
}

static void add_row(
    const struct ridge *ridge, struct system *sys, const struct sample *x, double y)
{
    size_t w = ridge->width, b = ridge->n_rest;
    struct columns c;
    find_columns(ridge, x, &c);
    for (size_t i = 0; i < c.n_rest; i++) {
        double value = rest_value(&c, i);
        for (size_t j = 0; j < c.n_rest; j++)
            sys->rest[c.rest[i] * b + c.rest[j]] += value * rest_value(&c, j);
        ridge->rest[c.rest[i]] += value * y;
    }
    if (x->prompt >= ridge->n_prompts)
        return;
    sys->n_rows[x->prompt]++;
    double *own = sys->own + x->prompt * w * w, *shared = sys->shared + x->prompt * w * b;
    for (size_t i = 0; i < c.n_own; i++) {
        for (size_t j = 0; j < c.n_own; j++)
            own[c.own[i] * w + c.own[j]] += 1;
        for (size_t j = 0; j < c.n_rest; j++)
            shared[c.own[i] * b + c.rest[j]] += rest_value(&c, j);
        sys->right[x->prompt * w + c.own[i]] += y;
    }
}

static void add_penalties(
    const struct ridge *ridge, struct system *sys, const struct ridge_penalties *p)
{
    size_t w = ridge->width, b = ridge->n_rest;
    for (size_t prompt = 0; prompt < ridge->n_prompts; prompt++)
        for (size_t i = 0; i < w; i++)
            sys->own[prompt * w * w + i * w + i] += i ? p->product : p->prompt;
    for (size_t i = 1; i < b; i++)
        sys->rest[i * b + i] += i < w ? p->llm : i == w ? p->views : p->task;
}

/* Take one prompt's part from the rest: its own block stays factored. */
static int eliminate(const struct ridge *ridge, struct system *sys, size_t prompt)
{
    size_t w = ridge->width, b = ridge->n_rest;
    double *own = sys->own + prompt * w * w;
    const double *shared = sys->shared + prompt * w * b, *right = sys->right + prompt * w;
    double column[MAX_WIDTH];
    if (cholesky_factor(own, w))
        return -1;
    for (size_t j = 0; j < b; j++) {
        int any = 0;
        for (size_t i = 0; i < w; i++) {
            column[i] = shared[i * b + j];
            any |= column[i] != 0;
        }
        if (!any)
            continue;
        cholesky_solve(own, w, column);
        for (size_t i = 0; i < w; i++) {
            if (column[i] == 0)
                continue;
            for (size_t k = 0; k < b; k++)
                sys->rest[j * b + k] -= column[i] * shared[i * b + k];
            ridge->rest[j] -= column[i] * right[i];
        }
    }
    return 0;
}

static int solve(struct ridge *ridge, struct system *sys)
{
    size_t w = ridge->width, b = ridge->n_rest;
    for (size_t p = 0; p < ridge->n_prompts; p++)
        if (sys->n_rows[p] && eliminate(ridge, sys, p))
            return -1;
    if (cholesky_factor(sys->rest, b))
        return -1;
    cholesky_solve(sys->rest, b, ridge->rest);
    for (size_t p = 0; p < ridge->n_prompts; p++) {
        double *u = ridge->prompts + p * w;
        if (!sys->n_rows[p])
            continue; // coefficients stay 0
        for (size_t i = 0; i < w; i++) {
            u[i] = sys->right[p * w + i];
            for (size_t j = 0; j < b; j++)
                u[i] -= sys->shared[(p * w + i) * b + j] * ridge->rest[j];
        }
        cholesky_solve(sys->own + p * w * w, w, u);
    }
    return 0;
}

static void release_system(struct system *sys)
{
    free(sys->own);
    free(sys->shared);
    free(sys->right);
    free(sys->rest);
    free(sys->n_rows);
}

static enum status allocate(struct ridge *ridge, struct system *sys, struct error *err)
{
    size_t p = ridge->n_prompts ? ridge->n_prompts : 1, w = ridge->width;
    size_t b = ridge->n_rest;
    ridge->prompts = calloc(p * w, sizeof *ridge->prompts);
    ridge->rest = calloc(b, sizeof *ridge->rest);
    sys->own = calloc(p * w * w, sizeof *sys->own);
    sys->shared = calloc(p * w * b, sizeof *sys->shared);
    sys->right = calloc(p * w, sizeof *sys->right);
    sys->rest = calloc(b * b, sizeof *sys->rest);
    sys->n_rows = calloc(p, sizeof *sys->n_rows);
    if (!ridge->prompts || !ridge->rest || !sys->own || !sys->shared || !sys->right ||
        !sys->rest || !sys->n_rows)
        return error_nomem(err, p * w * b * sizeof *sys->shared);
    return OK;
}

enum status ridge_fit(const struct samples *samples, const unsigned char *use,
    const struct ridge_penalties *penalties, struct ridge **out, struct error *err)
{
    *out = NULL;
    const struct recorded *rec = samples->rec;
    struct system sys = { 0 };
    struct ridge *ridge = calloc(1, sizeof *ridge);
    if (!ridge)
        return error_nomem(err, sizeof *ridge);
    size_t n_llms = rec->space.n_llms, n_tasks = rec->space.n_tasks;
    ridge->n_prompts = rec->n_prompts;
    ridge->n_llms = n_llms;
    ridge->width = 1 + (n_llms == 1 ? 0 : n_llms == 2 ? 1 : n_llms);
    ridge->n_rest = ridge->width + 1 + n_tasks;
    enum status s = allocate(ridge, &sys, err);
    if (s)
        goto out;
    for (size_t i = 0; i < samples->n; i++)
        if (!use || use[i])
            add_row(ridge, &sys, &samples->all[i].x, samples->all[i].y);
    add_penalties(ridge, &sys, penalties);
    if (solve(ridge, &sys))
        s = error_set(err, E_DATA,
            "ridge: the equations cannot be solved; take a greater alpha, or look for "
            "scores that are far out");
out:
    release_system(&sys);
    if (s)
        ridge_free(ridge);
    else
        *out = ridge;
    return s;
}

void ridge_free(struct ridge *ridge)
{
    if (!ridge)
        return;
    free(ridge->prompts);
    free(ridge->rest);
    free(ridge);
}

double ridge_value(const struct ridge *ridge, const struct sample *x)
{
    struct columns c;
    find_columns(ridge, x, &c);
    double sum = 0;
    for (size_t i = 0; i < c.n_rest; i++)
        sum += ridge->rest[c.rest[i]] * rest_value(&c, i);
    if (x->prompt < ridge->n_prompts)
        for (size_t i = 0; i < c.n_own; i++)
            sum += ridge->prompts[x->prompt * ridge->width + c.own[i]];
    return sum;
}
