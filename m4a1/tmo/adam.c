/* adam.c - see adam.h for the formulas. */
#include "m4a1/tmo/adam.h"

#include <math.h>
#include <stdlib.h>
#include "m4a1/tmo/mlp.h"

#define BETA1 0.9
#define BETA2 0.999

enum status adam_init(
    struct adam *opt, size_t n, double rate, double epsilon, struct error *err)
{
    *opt = (struct adam) { rate, epsilon, 1, 1, n, floats_new(n), floats_new(n) };
    if (opt->mean && opt->square)
        return OK;
    adam_release(opt);
    return error_nomem(err, 2 * n * sizeof(float));
}

void adam_release(struct adam *opt)
{
    free(opt->mean);
    free(opt->square);
    opt->mean = opt->square = NULL;
}

void adam_step(struct adam *opt, const float *gradient, float scale, float *x)
{
    opt->power1 *= BETA1;
    opt->power2 *= BETA2;
    struct adam_step step = {
        .beta1 = (float)BETA1,
        .rest1 = (float)(1 - BETA1),
        .beta2 = (float)BETA2,
        .rest2 = (float)(1 - BETA2),
        .root_scale = (float)(1 / sqrt(1 - opt->power2)),
        .epsilon = (float)opt->epsilon,
        .rate = (float)(opt->rate / (1 - opt->power1)),
    };
    mlp_kernels_best()->adam(&step, x, opt->mean, opt->square, gradient, scale, opt->n);
}
