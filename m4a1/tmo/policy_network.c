/* policy_network.c - see policy_network.h. */
#include "m4a1/tmo/policy_network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum status network_init(struct network *net, enum network_kind kind, size_t n_features,
    size_t n_actions, struct error *err)
{
    memset(net, 0, sizeof *net);
    if (!n_features || n_features > NETWORK_MAX_FEATURES || !n_actions ||
        n_actions > NETWORK_MAX_ACTIONS)
        return error_set(err, E_ARG,
            "a network of %zu features (1 to %d) and %zu actions (1 to %d)", n_features,
            NETWORK_MAX_FEATURES, n_actions, NETWORK_MAX_ACTIONS);
    net->kind = kind;
    net->n_features = n_features;
    net->n_actions = n_actions;
    net->mlps[0] =
        mlp_place(n_features, n_actions, kind == NETWORK_Q ? MLP_RELU : MLP_TANH, 0);
    net->n_mlps = 1;
    if (kind == NETWORK_ACTOR_CRITIC)
        net->mlps[net->n_mlps++] = mlp_place(n_features, 1, MLP_TANH, net->mlps[0].end);
    net->n_params = net->mlps[net->n_mlps - 1].end;
    net->params = floats_new(net->n_params);
    return net->params ? OK : error_nomem(err, net->n_params * sizeof *net->params);
}

void network_release(struct network *net)
{
    free(net->params);
    net->params = NULL;
}

enum status network_draw(struct network *net, struct rng *rng, struct error *err)
{
    if (net->kind == NETWORK_Q) {
        mlp_draw_uniform(&net->mlps[0], net->params, rng);
        return OK;
    }
    enum status s =
        mlp_draw_orthogonal(&net->mlps[NETWORK_POLICY], net->params, 0.01, rng, err);
    return s ? s
             : mlp_draw_orthogonal(&net->mlps[NETWORK_VALUE], net->params, 1, rng, err);
}

enum status network_check(const struct network *net, struct error *err)
{
    for (size_t i = 0; i < net->n_params; i++)
        if (!isfinite(net->params[i]))
            return error_set(err, E_DATA,
                "training diverged: parameter %zu is not finite; are the scores of the "
                "data within reason, and the learning rate?",
                i);
    return OK;
}

/* values[padded A] of features[F] */
static void ask(const struct network *net, const double *features, float *values)
{
    float x[NETWORK_MAX_FEATURES];
    for (size_t i = 0; i < net->n_features; i++)
        x[i] = (float)features[i];
    mlp_values(&net->mlps[NETWORK_POLICY], net->params, x, values);
}

void network_scores(const struct network *net, const double *features, double *scores)
{
    float values[NETWORK_MAX_ACTIONS + MLP_LANES];
    ask(net, features, values);
    for (size_t a = 0; a < net->n_actions; a++)
        scores[a] = (double)values[a];
}

size_t network_greedy(
    const struct network *net, const double *features, const unsigned char *allowed)
{
    float values[NETWORK_MAX_ACTIONS + MLP_LANES];
    size_t best = net->n_actions;
    ask(net, features, values);
    for (size_t a = 0; a < net->n_actions; a++)
        if ((!allowed || allowed[a]) &&
            (best == net->n_actions || values[a] > values[best]))
            best = a;
    return best;
}

void network_weigh(void *net, const struct episode *ep, double *p)
{
    double features[NETWORK_MAX_FEATURES];
    unsigned char allowed[NETWORK_MAX_ACTIONS];
    episode_observe(ep, features);
    episode_allowed(ep, allowed);
    memset(p, 0, ep->env->n_actions * sizeof *p);
    p[network_greedy(net, features, allowed)] = 1;
}

size_t network_parts(
    const struct network *net, struct network_part out[NETWORK_MAX_PARTS])
{
    size_t n = 0;
    for (size_t i = 0; i < net->n_mlps; i++) {
        const struct mlp *m = &net->mlps[i];
        const char *mlp = net->kind == NETWORK_Q ? "q" : i ? "value" : "policy";
        const size_t h = MLP_HIDDEN;
        out[n++] = (struct network_part) { mlp, "w1", m->w1, m->n_in, h, h, 1 };
        out[n++] = (struct network_part) { mlp, "b1", m->b1, 1, h, h, 1 };
        out[n++] = (struct network_part) { mlp, "w2", m->w2, h, h, h, 1 };
        out[n++] = (struct network_part) { mlp, "b2", m->b2, 1, h, h, 1 };
        out[n++] = (struct network_part) { mlp, "w3", m->w3, m->n_out, h, 1, m->n_wide };
        out[n++] = (struct network_part) { mlp, "b3", m->b3, 1, m->n_out, m->n_wide, 1 };
    }
    return n;
}
