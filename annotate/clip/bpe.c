/* bpe.c - byte-level byte-pair encoding of one word. */
#include "annotate/clip/bpe.h"

#include <stdlib.h>
#include <string.h>

#define NO_RANK UINT32_MAX
#define NONE UINT32_MAX
#define SHORT_WORD 48 /* bytes; longer words are worked on in the heap */

struct bpe {
    int32_t inner[256], last[256];
    struct bpe_merge *merges; /* by left, then right */
    uint32_t *first;          /* [n_ids + 1], of each left in merges */
};

/* --- the table --- */

static int compare_merges(const void *a, const void *b)
{
    const struct bpe_merge *x = a, *y = b;
    if (x->left != y->left)
        return x->left < y->left ? -1 : 1;
    if (x->right != y->right)
        return x->right < y->right ? -1 : 1;
    return x->rank < y->rank ? -1 : 1;
}

/* The least rank that repeats a pair, or n. */
static size_t find_twice(const struct bpe_merge *merges, size_t n)
{
    size_t twice = n;
    for (size_t i = 1; i < n; i++)
        if (merges[i].left == merges[i - 1].left &&
            merges[i].right == merges[i - 1].right && merges[i].rank < twice)
            twice = merges[i].rank;
    return twice;
}

enum status bpe_new(struct bpe_merge *merges, size_t n, const int32_t inner[256],
    const int32_t last[256], uint32_t n_ids, struct bpe **out, struct error *err)
{
    *out = NULL;
    struct bpe *bpe = calloc(1, sizeof *bpe);
    uint32_t *first = calloc((size_t)n_ids + 1, sizeof *first);
    if (!bpe || !first) {
        free(bpe);
        free(first);
        free(merges);
        return error_nomem(err, (size_t)n_ids * sizeof *first);
    }
    memcpy(bpe->inner, inner, sizeof bpe->inner);
    memcpy(bpe->last, last, sizeof bpe->last);
    bpe->merges = merges;
    bpe->first = first;
    for (size_t i = 0; i < n; i++)
        merges[i].rank = (uint32_t)i;
    if (n)
        qsort(merges, n, sizeof *merges, compare_merges);
    size_t twice = find_twice(merges, n);
    if (twice < n) {
        bpe_free(bpe);
        return error_set(err, E_DATA, "merge %zu stands in the list before", twice + 1);
    }
    for (size_t i = 0; i < n; i++)
        first[merges[i].left + 1]++;
    for (uint32_t id = 0; id < n_ids; id++)
        first[id + 1] += first[id];
    *out = bpe;
    return OK;
}

void bpe_free(struct bpe *bpe)
{
    if (!bpe)
        return;
    free(bpe->merges);
    free(bpe->first);
    free(bpe);
}

static const struct bpe_merge *find_merge(
    const struct bpe *bpe, int32_t left, int32_t right)
{
    uint32_t low = bpe->first[left], high = bpe->first[left + 1];
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (bpe->merges[middle].right < right)
            low = middle + 1;
        else
            high = middle;
    }
    const struct bpe_merge *m = &bpe->merges[low];
    return low < bpe->first[left + 1] && m->right == right ? m : NULL;
}

/* --- a word --- */

/* A symbol of the word, in a list linked by places. */
struct symbol {
    int32_t id, merged;  /* merged: what it and the next become */
    uint32_t rank;       /* of that merge; NO_RANK where there is none, or it is gone */
    uint32_t prev, next; /* NONE at the ends */
};

/* Pairs that may be merged, the least rank first, then from left to right: rank << 32 |
 * place.  A pair that has changed since is passed over when it comes up. */
struct queue {
    uint64_t *at;
    size_t n;
};

static void queue_push(struct queue *q, uint64_t x)
{
    size_t i = q->n++;
    while (i && q->at[(i - 1) / 2] > x) {
        q->at[i] = q->at[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    q->at[i] = x;
}

static uint64_t queue_pop(struct queue *q)
{
    uint64_t top = q->at[0], x = q->at[--q->n];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= q->n)
            break;
        if (child + 1 < q->n && q->at[child + 1] < q->at[child])
            child++;
        if (q->at[child] >= x)
            break;
        q->at[i] = q->at[child];
        i = child;
    }
    q->at[i] = x;
    return top;
}

struct word {
    const struct bpe *bpe;
    struct symbol *symbols; /* [len] */
    struct queue queue;     /* room for 3 * len: len - 1 pairs, and 2 a merge */
    struct queue waiting;   /* the same; pairs of this round that rank before it */
};

/* Look the pair at a place up, and queue it.  The original finishes a rank before it looks
 * at what that made possible, so what ranks below the round waits for its end. */
static void queue_pair(struct word *w, uint32_t place, uint32_t round)
{
    struct symbol *s = &w->symbols[place];
    const struct bpe_merge *m =
        s->next == NONE ? NULL : find_merge(w->bpe, s->id, w->symbols[s->next].id);
    s->rank = m ? m->rank : NO_RANK;
    if (!m)
        return;
    s->merged = m->merged;
    uint64_t entry = (uint64_t)m->rank << 32 | place;
    if (m->rank < round)
        w->waiting.at[w->waiting.n++] = entry;
    else
        queue_push(&w->queue, entry);
}

static void merge_pair(struct word *w, uint32_t place, uint32_t round)
{
    struct symbol *s = &w->symbols[place], *gone = &w->symbols[s->next];
    s->id = s->merged;
    s->next = gone->next;
    gone->rank = NO_RANK;
    if (s->next != NONE)
        w->symbols[s->next].prev = place;
    queue_pair(w, place, round);
    if (s->prev != NONE)
        queue_pair(w, s->prev, round);
}

static void merge_all(struct word *w)
{
    while (w->queue.n) {
        uint32_t round = (uint32_t)(w->queue.at[0] >> 32);
        while (w->queue.n && w->queue.at[0] >> 32 == round) {
            uint32_t place = (uint32_t)queue_pop(&w->queue);
            if (w->symbols[place].rank == round)
                merge_pair(w, place, round);
        }
        while (w->waiting.n)
            queue_push(&w->queue, w->waiting.at[--w->waiting.n]);
    }
}

static size_t encode(
    struct word *w, const uint8_t *bytes, size_t len, int32_t *ids, size_t max)
{
    for (size_t i = 0; i < len; i++) {
        int at_end = i + 1 == len;
        w->symbols[i] = (struct symbol) {
            .id = (at_end ? w->bpe->last : w->bpe->inner)[bytes[i]],
            .rank = NO_RANK,
            .prev = i ? (uint32_t)i - 1 : NONE,
            .next = at_end ? NONE : (uint32_t)i + 1,
        };
    }
    for (size_t i = 0; i + 1 < len; i++)
        queue_pair(w, (uint32_t)i, 0);
    merge_all(w);
    size_t n = 0;
    for (uint32_t i = 0; i != NONE && n < max; i = w->symbols[i].next)
        ids[n++] = w->symbols[i].id;
    return n;
}

enum status bpe_encode(const struct bpe *bpe, const uint8_t *word, size_t len,
    int32_t *ids, size_t max, size_t *n, struct error *err)
{
    *n = 0;
    if (len <= SHORT_WORD) {
        struct symbol symbols[SHORT_WORD];
        uint64_t queue[3 * SHORT_WORD], waiting[3 * SHORT_WORD];
        struct word w = { bpe, symbols, { queue, 0 }, { waiting, 0 } };
        *n = encode(&w, word, len, ids, max);
        return OK;
    }
    struct symbol *symbols = malloc(len * sizeof *symbols);
    uint64_t *queues = malloc(6 * len * sizeof *queues);
    if (symbols && queues) {
        struct word w = { bpe, symbols, { queues, 0 }, { queues + 3 * len, 0 } };
        *n = encode(&w, word, len, ids, max);
    }
    enum status s = symbols && queues ? OK : error_nomem(err, 6 * len * sizeof *queues);
    free(symbols);
    free(queues);
    return s;
}
