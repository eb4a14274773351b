/* clip_golden.c - reading the reference data. */
#include "tests/support/clip_golden.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/files.h"
#include "tests/support/scratch_folder.h"

#define MAX_FILE ((size_t)1 << 26)
#define NPY_HEADER 10 /* magic, version, length of the description */

static _Noreturn void stop(const char *what, const char *name)
{
    fprintf(stderr, "clip_golden: %s: %s\n", what, name);
    abort();
}

int clip_golden_there(void)
{
    char *path = shared_path("golden/clip/README.md");
    free(path);
    return path != NULL;
}

char *clip_golden_path(const char *name)
{
    char *folder = shared_path("golden/clip");
    char *path = folder ? path_join(folder, name) : NULL;
    if (!path || !file_exists(path))
        stop("is not there", name);
    free(folder);
    return path;
}

void clip_golden_read(const char *name, struct buffer *out)
{
    char *path = clip_golden_path(name);
    buffer_init(out, MAX_FILE);
    if (file_read(path, out, NULL) != OK)
        stop("cannot be read", name);
    free(path);
}

struct json *clip_golden_json(const char *name)
{
    struct json *j = NULL;
    char *path = clip_golden_path(name);
    if (json_read_file(path, MAX_FILE, 0, &j, NULL) != OK)
        stop("is no JSON", name);
    free(path);
    return j;
}

static void *read_numbers(const char *name, const char *type, size_t each, size_t *n)
{
    struct buffer b;
    clip_golden_read(name, &b);
    if (b.len < NPY_HEADER || memcmp(b.data, "\x93NUMPY\x01", 7) != 0)
        stop("is no .npy file of version 1", name);
    const unsigned char *raw = (const unsigned char *)b.data;
    size_t at = NPY_HEADER + raw[8] + 256u * raw[9];
    if (at > b.len || !strstr(b.data + NPY_HEADER, type))
        stop("has another type of numbers", name);
    size_t found = (b.len - at) / each;
    if (*n && *n != found)
        stop("has another shape", name);
    *n = found;
    void *out = malloc(found * each);
    if (!out)
        stop("no memory", name);
    memcpy(out, b.data + at, found * each);
    buffer_release(&b);
    return out;
}

float *clip_golden_floats(const char *name, size_t *n)
{
    return read_numbers(name, "'<f4'", sizeof(float), n);
}

double *clip_golden_doubles(const char *name, size_t *n)
{
    return read_numbers(name, "'<f8'", sizeof(double), n);
}
