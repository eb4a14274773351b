/* analyzer.h - what the static analyzer cannot see, told to it in macros.
 *
 * `make check-tidy` puts this before every file but error.c.  The analyzer looks at one file
 * at a time, so that it would follow `return error_set(...)` into a caller's path of success
 * and warn of what cannot be. */
#ifndef TESTS_SUPPORT_ANALYZER_H
#define TESTS_SUPPORT_ANALYZER_H

#include "m4a1/base/error.h"

#define error_set(err, code, ...) (error_set(err, code, __VA_ARGS__), (code))
#define error_prefix(err, ...) (error_prefix(err, __VA_ARGS__), E_DATA)
#define error_nomem(err, n_bytes) (error_nomem(err, n_bytes), E_NOMEM)
#define error_errno(err, ...) (error_errno(err, __VA_ARGS__), E_IO)

#endif
