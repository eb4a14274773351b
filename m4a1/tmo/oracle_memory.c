/* oracle_memory.c - a chained hash table with a ceiling. */
#include "m4a1/tmo/oracle_memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BUCKETS 1024

int memory_init(struct memory *m, size_t key_size, size_t n_actions, size_t max_bytes)
{
    memset(m, 0, sizeof *m);
    m->key_size = key_size;
    m->n_actions = n_actions;
    m->max_bytes = max_bytes;
    m->n_buckets = FIRST_BUCKETS;
    m->buckets = calloc(m->n_buckets, sizeof *m->buckets);
    return m->buckets != NULL;
}

void memory_release(struct memory *m)
{
    for (size_t i = 0; m->buckets && i < m->n_buckets; i++)
        for (struct memory_entry *e = m->buckets[i], *next; e; e = next) {
            next = e->next;
            for (struct memory_way *w = e->ways, *after; w; w = after) {
                after = w->next;
                free(w);
            }
            free(e);
        }
    free(m->buckets);
    memset(m, 0, sizeof *m);
}

/* FNV-1a over 64 bits, eight bytes a round; keys are compared, so any hash will do. */
static uint64_t hash_key(size_t turn, const unsigned char *key, size_t n)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325) ^ turn;
    for (size_t i = 0; i < n; i += 8) {
        uint64_t word = 0;
        memcpy(&word, key + i, n - i < 8 ? n - i : 8);
        h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 29;
    }
    return h;
}

static void grow(struct memory *m)
{
    size_t n = m->n_buckets * 2;
    struct memory_entry **buckets = calloc(n, sizeof *buckets);
    if (!buckets)
        return; // longer chains are slower, not wrong
    for (size_t i = 0; i < m->n_buckets; i++)
        for (struct memory_entry *e = m->buckets[i], *next; e; e = next) {
            next = e->next;
            e->next = buckets[e->hash & (n - 1)];
            buckets[e->hash & (n - 1)] = e;
        }
    free(m->buckets);
    m->buckets = buckets;
    m->n_buckets = n;
}

struct memory_entry *memory_find(struct memory *m, size_t turn, const void *key)
{
    uint64_t hash = hash_key(turn, key, m->key_size);
    struct memory_entry *e = m->buckets[hash & (m->n_buckets - 1)];
    for (; e; e = e->next)
        if (e->hash == hash && e->turn == turn && memcmp(e->key, key, m->key_size) == 0)
            return e;

    size_t bytes = sizeof *e + m->n_actions * sizeof *e->moves + m->key_size;
    if (m->n_bytes + bytes > m->max_bytes || !(e = malloc(bytes)))
        return NULL;
    if (m->n_entries >= m->n_buckets)
        grow(m);
    m->n_bytes += bytes;
    m->n_entries++;
    *e = (struct memory_entry) { .next = m->buckets[hash & (m->n_buckets - 1)],
        .hash = hash,
        .turn = turn,
        .lower = -INFINITY,
        .upper = INFINITY,
        .moves = (struct search_move *)(e + 1) };
    e->key = (unsigned char *)(e->moves + m->n_actions);
    memcpy(e->key, key, m->key_size);
    m->buckets[hash & (m->n_buckets - 1)] = e;
    return e;
}

void memory_add_way(struct memory *m, struct memory_entry *entry, double reward,
    const double *spent, size_t n, const uint16_t *actions)
{
    struct memory_way *way;
    size_t bytes = sizeof *way + n * sizeof *spent + entry->turn * sizeof *actions;
    if (m->n_bytes + bytes > m->max_bytes || !(way = malloc(bytes)))
        return;
    m->n_bytes += bytes;
    way->next = entry->ways;
    way->reward = reward;
    way->actions = (void *)(way->spent + n);
    memcpy(way->spent, spent, n * sizeof *spent);
    memcpy(way->actions, actions, entry->turn * sizeof *actions);
    entry->ways = way;
}
