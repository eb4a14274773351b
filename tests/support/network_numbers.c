/* network_numbers.c - see network_numbers.h. */
#include "tests/support/network_numbers.h"

#include <math.h>

void network_numbers_fill(const struct network *net, size_t first, float *params)
{
    static const double scale[6] = { 0.5, 0.1, 0.1, 0.1, 0.2, 0.1 };
    struct network_part parts[NETWORK_MAX_PARTS];
    size_t n = network_parts(net, parts);
    for (size_t k = 0; k < n; k++) {
        const struct network_part *part = &parts[k];
        for (size_t r = 0; r < part->n_rows; r++)
            for (size_t c = 0; c < part->n_columns; c++)
                params[part->at + r * part->row_step + c * part->column_step] =
                    (float)(scale[k % 6] *
                            sin((double)(1 + first + k + 2 * r + 3 * c + r * c)));
    }
}

double network_numbers_sum(const struct network *net, size_t k, const float *params)
{
    struct network_part parts[NETWORK_MAX_PARTS];
    double sum = 0;
    network_parts(net, parts);
    const struct network_part *part = &parts[k];
    for (size_t r = 0; r < part->n_rows; r++)
        for (size_t c = 0; c < part->n_columns; c++)
            sum += cos((double)r + 0.7 * (double)c) *
                   (double)params[part->at + r * part->row_step + c * part->column_step];
    return sum;
}
