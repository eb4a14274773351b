/* rmsprop.c - see rmsprop.h for the formulas. */
#include "m4a1/tmo/rmsprop.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 8 /* a constant inner loop, which compilers vectorise at -O2 */

enum status rmsprop_init(struct rmsprop *opt, size_t n, double rate, double alpha,
    double epsilon, struct error *err)
{
    *opt = (struct rmsprop) { rate, alpha, epsilon, n, calloc(n, sizeof(double)) };
    if (!opt->square)
        return error_nomem(err, n * sizeof(double));
    return OK;
}

void rmsprop_release(struct rmsprop *opt)
{
    free(opt->square);
    opt->square = NULL;
}

static inline void step_one(
    double *square, double g, double *x, double rate, double alpha, double epsilon)
{
    *square = alpha * *square + (1 - alpha) * g * g;
    *x -= rate * g / (sqrt(*square) + epsilon);
}

void rmsprop_step(
    struct rmsprop *opt, const double *restrict gradient, double *restrict x)
{
    double *restrict square = opt->square;
    const double rate = opt->rate, alpha = opt->alpha, epsilon = opt->epsilon;
    size_t i = 0;
    for (; i + BLOCK <= opt->n; i += BLOCK)
        for (size_t j = i; j < i + BLOCK; j++)
            step_one(&square[j], gradient[j], &x[j], rate, alpha, epsilon);
    for (; i < opt->n; i++)
        step_one(&square[i], gradient[i], &x[i], rate, alpha, epsilon);
}

double gradient_clip(double *gradient, size_t n, double max)
{
    double lanes[BLOCK] = { 0 }, sum = 0;
    size_t i = 0;
    for (; i + BLOCK <= n; i += BLOCK)
        for (size_t l = 0; l < BLOCK; l++)
            lanes[l] += gradient[i + l] * gradient[i + l];
    for (; i < n; i++)
        sum += gradient[i] * gradient[i];
    for (size_t l = 0; l < BLOCK; l++)
        sum += lanes[l];
    double norm = sqrt(sum), scale = max / (norm + 1e-6);
    if (scale < 1)
        for (i = 0; i < n; i++)
            gradient[i] *= scale;
    return norm;
}
