/* knn_scan.h - the loops that a search of nearest rows spends its time in.
 *
 * Rows lie in blocks of 16, feature by feature: block [d][KNN_LANES].  One text of every
 * loop is compiled for AVX2 and for the processor that the program is built for; all
 * numbers are integers, so both give the same.  No state. */
#ifndef M4A1_TMO_KNN_SCAN_H
#define M4A1_TMO_KNN_SCAN_H

#include <stddef.h>
#include <stdint.h>

#define KNN_LANES 16   /* rows a block */
#define KNN_CHUNK 32   /* blocks whose distances are held at once */
#define KNN_FAR 0x4000 /* above every squared distance here; twice it fits 16 bits */

/* Blocks that lie one behind the other. */
struct knn_chunk {
    const int16_t *blocks; /* [n][d][KNN_LANES] */
    size_t n, d;           /* 1 <= n <= KNN_CHUNK */
    size_t n_last;         /* rows in the last block; the lanes behind repeat a row */
};

/* Some features of a query and where they lie in a block. */
struct knn_terms {
    const uint32_t *offsets; /* [n] position * KNN_LANES */
    const int16_t *values;   /* [n] */
    size_t n;
};

/* All squared distances are below KNN_FAR. */
struct knn_scan {
    const char *name; /* "avx2" or "plain" */
    /* sums [n][KNN_LANES] over terms.  A sum that is above limit (<= KNN_FAR) may stop
     * early: it is KNN_FAR or more then.  Lanes without a row are KNN_FAR. */
    void (*shared)(const struct knn_chunk *c, const struct knn_terms *terms,
        unsigned limit, uint16_t *sums);
    /* d2 [n][KNN_LANES] = sums + those over terms; least [KNN_LANES] of each lane */
    void (*tail)(const struct knn_chunk *c, const struct knn_terms *terms,
        const uint16_t *sums, uint16_t *d2, uint16_t *least);
    /* hits: positions where d2 [n][KNN_LANES] is at most limit (< 2^15); returns how many.
     * Room for n * KNN_LANES + 1. */
    size_t (*select)(const uint16_t *d2, size_t n, unsigned limit, uint16_t *hits);
};

/* The fastest that runs here, and the plain one. */
const struct knn_scan *knn_scan_fastest(void);
const struct knn_scan *knn_scan_plain(void);

#endif
