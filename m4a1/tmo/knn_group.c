/* knn_group.c - a radix sort by a hash of the features, and by the features themselves
 * where hashes are equal and features are not, or where there are few rows. */
#include "m4a1/tmo/knn_group.h"

#include <stdlib.h>
#include <string.h>

#define FEW 256 /* rows that are sorted without hashing */
#define RADIX_BITS 11
#define RADIX_PASSES 4 /* even: the result is where it began */

struct keyed {
    uint64_t key;
    uint32_t row;
};

/* A mix of multiplications (splitmix64's) over eight bytes at a time. */
static uint64_t hash_row(const int16_t *x, size_t d)
{
    const unsigned char *bytes = (const unsigned char *)x;
    size_t n = d * sizeof *x;
    uint64_t h = n;
    for (size_t i = 0; i < n; i += 8) {
        uint64_t part = 0;
        memcpy(&part, bytes + i, n - i < 8 ? n - i : 8);
        h = (h ^ part) * UINT64_C(0xbf58476d1ce4e5b9);
        h ^= h >> 32;
    }
    h *= UINT64_C(0x94d049bb133111eb);
    return h ^ h >> 31;
}

/* Stable, by RADIX_PASSES * RADIX_BITS low bits of the key; the result is in `all`. */
static void radix_sort(struct keyed *all, struct keyed *scratch, size_t n)
{
    struct keyed *from = all, *to = scratch;
    for (int pass = 0; pass < RADIX_PASSES; pass++) {
        size_t counts[1 << RADIX_BITS] = { 0 }, at = 0;
        int shift = pass * RADIX_BITS;
        const uint64_t mask = (UINT64_C(1) << RADIX_BITS) - 1;
        for (size_t i = 0; i < n; i++)
            counts[from[i].key >> shift & mask]++;
        for (size_t v = 0; v <= mask; v++) {
            size_t count = counts[v];
            counts[v] = at;
            at += count;
        }
        for (size_t i = 0; i < n; i++)
            to[counts[from[i].key >> shift & mask]++] = from[i];
        struct keyed *swap = from;
        from = to;
        to = swap;
    }
}

static int compare_rows(
    const int16_t *x, size_t d, const struct keyed *a, const struct keyed *b)
{
    int c = memcmp(x + a->row * d, x + b->row * d, d * sizeof *x);
    return c ? c : a->row < b->row ? -1 : a->row > b->row;
}

/* Merge sort by features, since qsort() takes no context. */
static void sort_rows(
    const int16_t *x, size_t d, struct keyed *all, struct keyed *scratch, size_t n)
{
    if (n < 2)
        return;
    size_t half = n / 2;
    sort_rows(x, d, all, scratch, half);
    sort_rows(x, d, all + half, scratch, n - half);
    memcpy(scratch, all, half * sizeof *all);
    size_t i = 0, j = half, out = 0;
    while (i < half && j < n)
        all[out++] =
            compare_rows(x, d, &scratch[i], &all[j]) <= 0 ? scratch[i++] : all[j++];
    while (i < half)
        all[out++] = scratch[i++];
}

static int same_row(
    const int16_t *x, size_t d, const struct keyed *a, const struct keyed *b)
{
    return !memcmp(x + a->row * d, x + b->row * d, d * sizeof *x);
}

/* Equal keys lie side by side; where their rows differ after all, sort those. */
static void part_collisions(
    const int16_t *x, size_t d, struct keyed *all, struct keyed *scratch, size_t n)
{
    const uint64_t mask = (UINT64_C(1) << RADIX_PASSES * RADIX_BITS) - 1;
    for (size_t i = 0, end = 0; i < n; i = end) {
        int differ = 0;
        for (end = i + 1; end < n && !((all[i].key ^ all[end].key) & mask); end++)
            differ |= !same_row(x, d, &all[i], &all[end]);
        if (differ)
            sort_rows(x, d, all + i, scratch, end - i);
    }
}

enum status knn_group_rows(
    const int16_t *x, size_t n, size_t d, uint32_t **out, struct error *err)
{
    *out = NULL;
    struct keyed *all = malloc(n * sizeof *all), *scratch = malloc(n * sizeof *all);
    uint32_t *rows = malloc(n * sizeof *rows);
    enum status s = OK;
    if (!all || !scratch || !rows) {
        s = error_nomem(err, n * sizeof *all);
        goto out;
    }
    for (size_t i = 0; i < n; i++)
        all[i] = (struct keyed) { n < FEW ? 0 : hash_row(x + i * d, d), (uint32_t)i };
    if (n < FEW) {
        sort_rows(x, d, all, scratch, n);
    } else {
        radix_sort(all, scratch, n);
        part_collisions(x, d, all, scratch, n);
    }
    for (size_t i = 0; i < n; i++)
        rows[i] = all[i].row;
    *out = rows;
    rows = NULL;
out:
    free(all);
    free(scratch);
    free(rows);
    return s;
}
