/* clip_golden.h - the reference data of golden/clip in the shared material: a tiny
 * checkpoint and what the original code made of it.  golden/clip/README.md tells the files. */
#ifndef TESTS_SUPPORT_CLIP_GOLDEN_H
#define TESTS_SUPPORT_CLIP_GOLDEN_H

#include <stddef.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/json.h"

#define CLIP_GOLDEN_IMAGES 11
#define CLIP_GOLDEN_TEXTS 12

int clip_golden_there(void); /* 0: the test says so and skips */

/* These take a path below golden/clip and abort where it cannot be read. */
char *clip_golden_path(const char *name);                    /* owned by the caller */
void clip_golden_read(const char *name, struct buffer *out); /* initialised and filled */
struct json *clip_golden_json(const char *name);             /* owned by the caller */

/* The n numbers of a .npy file of version 1.0 in C order; *n is 0 to take what is there,
 * else the number that must be there.  Owned by the caller. */
float *clip_golden_floats(const char *name, size_t *n);
double *clip_golden_doubles(const char *name, size_t *n);

#endif
