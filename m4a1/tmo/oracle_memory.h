/* oracle_memory.h - what a search for the best sequence knows of the nodes it met. */
#ifndef M4A1_TMO_ORACLE_MEMORY_H
#define M4A1_TMO_ORACLE_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/tmo/oracle_search.h"

/* One way of having come to a node: what it brought, what it spent. */
struct memory_way {
    struct memory_way *next;
    double reward;
    uint16_t *actions; /* [turn] */
    double spent[];    /* less in every number is better */
};

struct memory_entry {
    struct memory_entry *next; /* in its bucket */
    uint64_t hash;
    size_t turn;
    double lower, upper;       /* of the best rewards to come, without limits */
    struct memory_way *ways;   /* by which a search with limits came */
    struct search_move *moves; /* [A] in the same allocation */
    unsigned char *key;        /* likewise */
    int expanded;              /* moves[] is filled */
};

struct memory {
    struct memory_entry **buckets;
    size_t n_buckets, n_entries; /* buckets: a power of two */
    size_t key_size, n_actions;
    size_t n_bytes, max_bytes;
};

/* False without memory. */
int memory_init(struct memory *m, size_t key_size, size_t n_actions, size_t max_bytes);
void memory_release(struct memory *m);

/* The entry of a node, made where there is none; NULL where it would not fit. */
struct memory_entry *memory_find(struct memory *m, size_t turn, const void *key);

/* Keep a way of n numbers and turn actions; quietly not where it would not fit. */
void memory_add_way(struct memory *m, struct memory_entry *entry, double reward,
    const double *spent, size_t n, const uint16_t *actions);

#endif
