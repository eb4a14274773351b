/* random.c - xoshiro256++ seeded by SHA-256. */
#include "m4a1/base/random.h"

#include <math.h>
#include <string.h>

#include "m4a1/base/hash.h"

static uint64_t read_le64(const uint8_t *p)
{
    uint64_t x = 0;
    for (int i = 7; i >= 0; i--)
        x = x << 8 | p[i];
    return x;
}

static void write_le64(uint8_t *p, uint64_t x)
{
    for (int i = 0; i < 8; i++, x >>= 8)
        p[i] = (uint8_t)x;
}

void rng_init(struct rng *rng, uint64_t seed, const char *stream, uint64_t index)
{
    /* The stream's own hash keeps the hashed text of one length, so that no two
     * (seed, stream, index) can run together. */
    uint8_t text[8 + HASH_BYTES + 8], state[HASH_BYTES];
    write_le64(text, seed);
    hash_bytes(stream, strlen(stream), text + 8);
    write_le64(text + 8 + HASH_BYTES, index);
    hash_bytes(text, sizeof text, state);
    for (int i = 0; i < 4; i++)
        rng->s[i] = read_le64(state + 8 * i);
}

static uint64_t rotate_left(uint64_t x, int k)
{
    return x << k | x >> (64 - k);
}

uint64_t rng_next(struct rng *rng)
{
    uint64_t *s = rng->s;
    uint64_t result = rotate_left(s[0] + s[3], 23) + s[0];
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

double rng_uniform(struct rng *rng)
{
    return (double)(rng_next(rng) >> 11) * 0x1p-53;
}

uint64_t rng_below(struct rng *rng, uint64_t n)
{
    /* Draws under 2^64 mod n are refused, so that every residue is equally likely. */
    uint64_t floor = (0 - n) % n, x;
    do
        x = rng_next(rng);
    while (x < floor);
    return x % n;
}

double rng_normal(struct rng *rng)
{
    /* Box and Muller; the second value is dropped, so that a draw is one step. */
    double u = 1.0 - rng_uniform(rng), v = rng_uniform(rng);
    return sqrt(-2.0 * log(u)) * cos(2.0 * 3.14159265358979323846 * v);
}

void rng_sample(struct rng *rng, size_t n, size_t k, size_t *scratch, size_t *out)
{
    for (size_t i = 0; i < n; i++)
        scratch[i] = i;
    for (size_t i = 0; i < k; i++) {
        size_t j = i + (size_t)rng_below(rng, n - i);
        out[i] = scratch[j];
        scratch[j] = scratch[i];
    }
}

void rng_shuffle(struct rng *rng, size_t *items, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)rng_below(rng, i), t = items[i - 1];
        items[i - 1] = items[j];
        items[j] = t;
    }
}
