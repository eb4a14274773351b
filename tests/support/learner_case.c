/* learner_case.c - see learner_case.h. */
#include "tests/support/learner_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/support/tmo_data.h"

static void expect(enum status s, const struct error *err)
{
    if (!s)
        return;
    fprintf(stderr, "learner_case: %s\n", err->msg);
    exit(1);
}

static void build(struct learner_case *c, size_t tau, int resource_aware, size_t k)
{
    struct error err = ERROR_INIT;
    const struct recorded_settings how = recorded_published(0, 1, tau);
    struct environment_settings set = environment_published();
    set.resource_aware = resource_aware;
    set.handling = resource_aware ? HANDLING_PUBLISHED : HANDLING_NONE;
    set.estimator.k = k;
    expect(recorded_build(c->data, &how, &c->rec, &err), &err);
    if (!c->train) {
        c->n_train = c->n_test = c->rec->n_sessions;
        c->train = calloc(c->n_train, sizeof *c->train);
        c->test = calloc(c->n_test, sizeof *c->test);
        for (size_t i = 0; c->train && c->test && i < c->n_train; i++)
            c->train[i] = c->test[i] = i;
    }
    expect(environment_new(c->rec, &set, c->train, c->n_train, &c->env, &err), &err);
    expect(environment_tabulate(c->env, &err), &err);
}

static size_t *find(const struct dataset *data, const struct json *list, size_t *n)
{
    int64_t *ids = golden_ids(list, n);
    size_t *out = calloc(*n, sizeof *out);
    for (size_t i = 0; out && i < *n; i++)
        while (out[i] < data->n_sessions && data->sessions[out[i]].id != ids[i])
            out[i]++;
    free(ids);
    return out;
}

int learner_case_public(struct learner_case *c, int seed, int resource_aware)
{
    char key[16];
    memset(c, 0, sizeof *c);
    struct json *split = golden_json("golden/tmo/split.json");
    c->data = split ? golden_dataset() : NULL;
    if (!c->data) {
        json_free(split);
        return 0;
    }
    snprintf(key, sizeof key, "seed%d", seed);
    c->train = find(c->data, json_get(json_get(split, key), "train"), &c->n_train);
    c->test = find(c->data, json_get(json_get(split, key), "test"), &c->n_test);
    json_free(split);
    build(c, 5, resource_aware, 5);
    return 1;
}

void learner_case_simple(
    struct learner_case *c, size_t n_sessions, size_t n_turns, size_t k)
{
    static const double scores[2][2] = { { 0, 2 }, { 2, 0 } };
    memset(c, 0, sizeof *c);
    c->data = simple_dataset(n_sessions, n_turns, scores);
    build(c, 2, 0, k);
}

void learner_case_release(struct learner_case *c)
{
    environment_free(c->env);
    recorded_free(c->rec);
    dataset_free(c->data);
    free(c->train);
    free(c->test);
}

struct network learner_case_train(
    const struct learner_case *c, const struct learner_settings *set, uint64_t seed)
{
    struct error err = ERROR_INIT;
    struct network net;
    expect(learner_train(c->env, set, seed, NULL, NULL, &net, &err), &err);
    return net;
}

double learner_case_reward(const struct learner_case *c, const struct network *net)
{
    static double features[NETWORK_MAX_FEATURES];
    double sum = 0;
    for (size_t i = 0; i < c->n_test; i++) {
        struct episode ep;
        double of_session = 0;
        episode_start(&ep, c->env, RULES_MODEL, c->test[i]);
        while (!ep.done) {
            struct outcome outcome;
            episode_observe(&ep, features);
            episode_step(&ep, network_greedy(net, features, NULL), &outcome);
            of_session += outcome.reward;
        }
        sum += of_session / (double)ep.n_turns;
    }
    return sum / (double)c->n_test;
}

double learner_case_mean(enum learner_kind kind, int resource_aware)
{
    enum { RUNS = 5 };
    const struct learner_settings set = learner_published(kind);
    double sum = 0;
    for (int seed = 0; seed < 3; seed++) {
        struct learner_case c;
        if (!learner_case_public(&c, seed, resource_aware))
            return NAN;
        for (uint64_t run = 0; run < RUNS; run++) {
            struct network net = learner_case_train(&c, &set, run);
            sum += learner_case_reward(&c, &net);
            network_release(&net);
        }
        learner_case_release(&c);
    }
    return sum / (3 * RUNS);
}

double learner_case_share(const struct learner_case *c, const struct network *net)
{
    static double features[NETWORK_MAX_FEATURES];
    double got = 0, best = 0;
    for (size_t i = 0; i < c->n_test; i++) {
        struct episode ep;
        episode_start(&ep, c->env, RULES_RECORDED, c->test[i]);
        while (!ep.done) {
            struct outcome outcome;
            double most = -1e9;
            for (size_t a = 0; a < c->env->n_actions; a++) {
                episode_outcome(&ep, a, &outcome);
                most = outcome.reward > most ? outcome.reward : most;
            }
            episode_observe(&ep, features);
            episode_step(&ep, network_greedy(net, features, NULL), &outcome);
            got += outcome.reward;
            best += most;
        }
    }
    return got / best;
}
