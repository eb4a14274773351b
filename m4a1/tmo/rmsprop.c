/* rmsprop.c - see rmsprop.h for the formula. */
#include "m4a1/tmo/rmsprop.h"

#include <stdlib.h>
#include "m4a1/tmo/mlp.h"

enum status rmsprop_init(struct rmsprop *opt, size_t n, double rate, double alpha,
    double epsilon, struct error *err)
{
    *opt = (struct rmsprop) { rate, alpha, epsilon, n, floats_new(n) };
    return opt->square ? OK : error_nomem(err, n * sizeof(float));
}

void rmsprop_release(struct rmsprop *opt)
{
    free(opt->square);
    opt->square = NULL;
}

void rmsprop_step(struct rmsprop *opt, const float *gradient, float scale, float *x)
{
    struct rmsprop_step step = { (float)opt->alpha, (float)(1 - opt->alpha),
        (float)opt->epsilon, (float)opt->rate };
    mlp_kernels_best()->rmsprop(&step, x, opt->square, gradient, scale, opt->n);
}
