/* cholesky.h - small systems of linear equations, symmetric and positive definite.
 *
 * Plain loops over doubles in row-major order: the systems here have tens of unknowns. */
#ifndef M4A1_TMO_CHOLESKY_H
#define M4A1_TMO_CHOLESKY_H

#include <stddef.h>

/* Replace the lower triangle of a[n][n] by L with a = L L^T; the upper one is not looked
 * at.  Returns 0, or -1 where a is not positive definite. */
int cholesky_factor(double *a, size_t n);

/* Solve a x = b in place of b[n], with what cholesky_factor() made of a. */
void cholesky_solve(const double *l, size_t n, double *b);

#endif
