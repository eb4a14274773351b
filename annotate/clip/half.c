/* half.c - the two 16-bit floating point formats of checkpoints, made wide exactly. */
#include "annotate/clip/half.h"

#include <string.h>

#define TWO_112 0x1p112f /* between the exponent biases, 127 and 15 */

/* The exponent of a half put into a float's place is 112 too small; a product with a power
 * of two mends it, for subnormal numbers, too.  No branch, so that compilers can do
 * several at once. */
static float widen(uint16_t half)
{
    uint32_t bits = (uint32_t)(half & 0x7fff) << 13;
    float x;
    memcpy(&x, &bits, sizeof x);
    x *= TWO_112;
    memcpy(&bits, &x, sizeof bits);
    bits |= (half & 0x7c00) == 0x7c00 ? 0x7f800000u : 0; /* infinity and NaN */
    bits |= (uint32_t)(half & 0x8000) << 16;
    memcpy(&x, &bits, sizeof x);
    return x;
}

void half_to_float(const uint8_t *half, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, half + 2 * i, sizeof h);
        out[i] = widen(h);
    }
}

void bfloat_to_float(const uint8_t *bfloat, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t b;
        memcpy(&b, bfloat + 2 * i, sizeof b);
        uint32_t bits = (uint32_t)b << 16;
        memcpy(&out[i], &bits, sizeof bits);
    }
}
