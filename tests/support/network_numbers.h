/* network_numbers.h - networks with weights by a formula, and sums that tell whether an
 * array of parameters or of gradients is the expected one; PyTorch computes the same in the
 * comments of the tests that use this. */
#ifndef TESTS_SUPPORT_NETWORK_NUMBERS_H
#define TESTS_SUPPORT_NETWORK_NUMBERS_H

#include "m4a1/tmo/policy_network.h"

/* Set params: element (r, c) of part k (network_parts(), counted on from first) to scale *
 * sin(1 + k + 2 r + 3 c + r c), in single precision; scale by part: 0.5, 0.1, 0.1, 0.1, 0.2,
 * 0.1, and again from the seventh on.  Padding is left alone. */
void network_numbers_fill(const struct network *net, size_t first, float *params);

/* The sum of part k of params times cos(r + 0.7 c). */
double network_numbers_sum(const struct network *net, size_t k, const float *params);

#endif
