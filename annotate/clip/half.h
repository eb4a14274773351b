/* half.h - the two 16-bit floating point formats of checkpoints, made wide exactly. */
#ifndef ANNOTATE_CLIP_HALF_H
#define ANNOTATE_CLIP_HALF_H

#include <stddef.h>
#include <stdint.h>

/* n numbers of two bytes each, little-endian and of any alignment, to float32.  Every
 * value, subnormal numbers, infinities and NaN included, keeps its value. */
void half_to_float(const uint8_t *half, size_t n, float *out);     /* IEEE binary16 */
void bfloat_to_float(const uint8_t *bfloat, size_t n, float *out); /* upper half of F32 */

#endif
