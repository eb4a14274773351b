/* random.h - reproducible random numbers.
 *
 * A generator is named by (seed, stream, index): their SHA-256 seeds xoshiro256++
 * (Blackman & Vigna, "Scrambled linear pseudorandom number generators", 2021).  Streams
 * are words ("plan", "split", "a2c/actions"), so adding a consumer moves no other. */
#ifndef M4A1_BASE_RANDOM_H
#define M4A1_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t s[4];
};

void rng_init(struct rng *rng, uint64_t seed, const char *stream, uint64_t index);
uint64_t rng_next(struct rng *rng);              /* uniform over 64 bits */
double rng_uniform(struct rng *rng);             /* [0, 1), 53 bits */
uint64_t rng_below(struct rng *rng, uint64_t n); /* unbiased in [0, n), n > 0 */
double rng_normal(struct rng *rng);              /* mean 0, deviation 1 */

/* k different numbers of [0, n) in random order into out[k], k <= n (a partial
 * Fisher-Yates over scratch[n]). */
void rng_sample(struct rng *rng, size_t n, size_t k, size_t *scratch, size_t *out);
void rng_shuffle(struct rng *rng, size_t *items, size_t n);

#endif
