/* advantage.c - see advantage.h. */
#include "m4a1/tmo/advantage.h"

#include <math.h>

void advantages(const double *reward, const double *value, const unsigned char *ended,
    size_t n, double gamma, double lambda, double *advantage)
{
    double next = 0;
    for (size_t t = n; t-- > 0;) {
        double goes_on = ended[t] ? 0 : 1;
        double delta = reward[t] + gamma * goes_on * value[t + 1] - value[t];
        next = delta + gamma * lambda * goes_on * next;
        advantage[t] = next;
    }
}

size_t draw_action(const float *p, size_t n_actions, struct rng *rng)
{
    double u = rng_uniform(rng), sum = 0;
    size_t last = 0;
    for (size_t a = 0; a < n_actions; a++) {
        if (p[a] <= 0)
            continue;
        last = a;
        sum += (double)p[a];
        if (u < sum)
            break;
    }
    return last;
}

void set_log_loss(float *d, const float *p, size_t n_actions, size_t action, double scale)
{
    for (size_t a = 0; a < n_actions; a++)
        d[a] = (float)scale * p[a];
    d[action] -= (float)scale;
}

double add_entropy_loss(float *d, const float *p, size_t n_actions, double weight)
{
    double entropy = 0;
    for (size_t a = 0; a < n_actions; a++)
        entropy -= p[a] > 0 ? (double)p[a] * log((double)p[a]) : 0;
    for (size_t a = 0; a < n_actions; a++)
        if (p[a] > 0)
            d[a] += (float)(weight * (double)p[a] * (log((double)p[a]) + entropy));
    return entropy;
}
