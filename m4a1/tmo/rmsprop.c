/* rmsprop.c - see rmsprop.h for the formulas. */
#include "m4a1/tmo/rmsprop.h"

#include <math.h>
#include <stdlib.h>
#include "m4a1/tmo/kernels.h"

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

void rmsprop_step(struct rmsprop *opt, const double *gradient, double *x)
{
    const double rate = opt->rate, alpha = opt->alpha, epsilon = opt->epsilon;
    size_t i = 0;
    for (; i + 2 <= opt->n; i += 2) {
        pair_of_doubles g = kernel_load(gradient + i);
        pair_of_doubles square =
            alpha * kernel_load(opt->square + i) + (1 - alpha) * g * g;
        kernel_store(opt->square + i, square);
        kernel_store(
            x + i, kernel_load(x + i) - rate * g / (kernel_roots(square) + epsilon));
    }
    for (; i < opt->n; i++) {
        double g = gradient[i];
        opt->square[i] = alpha * opt->square[i] + (1 - alpha) * g * g;
        x[i] -= rate * g / (sqrt(opt->square[i]) + epsilon);
    }
}

double gradient_clip(double *gradient, size_t n, double max)
{
    size_t whole = n - n % KERNEL_STEP;
    double sum = kernel_dot(gradient, gradient, whole);
    for (size_t i = whole; i < n; i++)
        sum += gradient[i] * gradient[i];
    double norm = sqrt(sum), scale = max / (norm + 1e-6);
    if (scale < 1)
        for (size_t i = 0; i < n; i++)
            gradient[i] *= scale;
    return norm;
}
