/* response_cache.c - a hash table from states to estimates, by open addressing.
 *
 * A slot is its state's hash (0 = free), the A estimates (NAN = not asked yet) and the
 * key: prompt, context and states.  Past a ceiling all is forgotten: states that matter
 * come back. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/tmo/environment_parts.h"

#define MAX_BYTES ((size_t)64 << 20)
#define FIRST_SLOTS 1024

void response_cache_init(struct response_cache *cache, const struct environment *env)
{
    memset(cache, 0, sizeof *cache);
    cache->env = env;
}

void response_cache_release(struct response_cache *cache)
{
    free(cache->slots);
    cache->slots = NULL;
    cache->n_slots = cache->n_used = 0;
}

/* The part of a query beside its states that estimates depend on. */
struct head {
    uint64_t prompt, context;
};

/* The published estimator and the means know no prompts, and the states of the default
 * world hold the views of the dialogue. */
static struct head head_of(const struct environment *env, const struct estimator_query *q)
{
    enum estimator_kind kind = estimator_fitted(env->estimator)->kind;
    int knows = kind == ESTIMATOR_RIDGE || kind == ESTIMATOR_METRIC;
    return (struct head) { knows ? q->prompt : 0, knows ? q->context : 0 };
}

/* Sizes in bytes, estimates first, so that they are aligned. */
struct layout {
    size_t values, key, slot;
};

static struct layout lay_out(const struct environment *env)
{
    struct layout l;
    l.values = sizeof(uint64_t);
    l.key = l.values + env->n_actions * sizeof(double);
    l.slot = l.key + sizeof(struct head) + env->rec->space.n_states * sizeof(int16_t);
    l.slot = (l.slot + 7) / 8 * 8;
    return l;
}

static uint64_t mix(uint64_t hash, uint64_t x)
{
    hash = (hash ^ x) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

static uint64_t hash_of(const struct environment *env, const struct estimator_query *q)
{
    struct head head = head_of(env, q);
    uint64_t hash = mix(mix(1, head.prompt), head.context);
    size_t n = env->rec->space.n_states, i = 0;
    for (; i + 4 <= n; i += 4) {
        uint64_t four;
        memcpy(&four, q->states + i, sizeof four);
        hash = mix(hash, four);
    }
    for (; i < n; i++)
        hash = mix(hash, (uint16_t)q->states[i]);
    return hash ? hash : 1;
}

static int is_key(const struct environment *env, const unsigned char *key,
    const struct estimator_query *q)
{
    const struct head head = head_of(env, q);
    return memcmp(key, &head, sizeof head) == 0 &&
           memcmp(key + sizeof head, q->states,
               env->rec->space.n_states * sizeof *q->states) == 0;
}

static void set_key(
    const struct environment *env, unsigned char *key, const struct estimator_query *q)
{
    const struct head head = head_of(env, q);
    memcpy(key, &head, sizeof head);
    memcpy(key + sizeof head, q->states, env->rec->space.n_states * sizeof *q->states);
}

static uint64_t slot_hash(const unsigned char *slot)
{
    uint64_t hash;
    memcpy(&hash, slot, sizeof hash);
    return hash;
}

/* Twice the slots, or none of the old content at the ceiling.  0 = no memory. */
static int grow(struct response_cache *cache, const struct layout *l)
{
    size_t n = cache->n_slots ? 2 * cache->n_slots : FIRST_SLOTS;
    int keep = n <= MAX_BYTES / l->slot;
    if (!keep && cache->n_slots) {
        memset(cache->slots, 0, cache->n_slots * l->slot);
        cache->n_used = 0;
        return 1;
    }
    unsigned char *slots = calloc(n, l->slot);
    if (!slots)
        return 0;
    for (size_t i = 0; i < cache->n_slots; i++) {
        const unsigned char *old = cache->slots + i * l->slot;
        uint64_t hash = slot_hash(old);
        size_t at = hash & (n - 1);
        if (!hash)
            continue;
        while (slot_hash(slots + at * l->slot))
            at = (at + 1) & (n - 1);
        memcpy(slots + at * l->slot, old, l->slot);
    }
    free(cache->slots);
    cache->slots = slots;
    cache->n_slots = n;
    return 1;
}

/* The estimates of a state, NAN where they are not known; NULL = no memory. */
static double *find(struct response_cache *cache, const struct estimator_query *q)
{
    const struct environment *env = cache->env;
    struct layout l = lay_out(env);
    if (2 * cache->n_used >= cache->n_slots && !grow(cache, &l))
        return NULL;
    uint64_t hash = hash_of(env, q);
    size_t at = hash & (cache->n_slots - 1);
    for (;; at = (at + 1) & (cache->n_slots - 1)) {
        unsigned char *slot = cache->slots + at * l.slot;
        double *values = (void *)(slot + l.values);
        uint64_t here = slot_hash(slot);
        if (here == hash && is_key(env, slot + l.key, q))
            return values;
        if (here)
            continue;
        memcpy(slot, &hash, sizeof hash);
        set_key(env, slot + l.key, q);
        for (size_t a = 0; a < env->n_actions; a++)
            values[a] = NAN;
        cache->n_used++;
        return values;
    }
}

double response_cache_one(
    struct response_cache *cache, const struct estimator_query *query, size_t action)
{
    double *values = find(cache, query);
    if (!values)
        return estimator_value(cache->env->estimator, query, action);
    if (isnan(values[action]))
        values[action] = estimator_value(cache->env->estimator, query, action);
    return values[action];
}

void response_cache_all(
    struct response_cache *cache, const struct estimator_query *query, double *by_action)
{
    size_t n = cache->env->n_actions;
    double *values = find(cache, query);
    if (!values) {
        estimator_values(cache->env->estimator, query, by_action);
        return;
    }
    int known = 1;
    for (size_t a = 0; a < n && known; a++)
        known = !isnan(values[a]);
    if (!known)
        estimator_values(cache->env->estimator, query, values);
    memcpy(by_action, values, n * sizeof *values);
}
