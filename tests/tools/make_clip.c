/* make_clip.c - writes a CLIP folder with random weights, for end-to-end tests:
 *
 *     make_clip DIR [NAME=VALUE...]
 *
 * geometry=small|b32|l14 (first), type=F32|F16|BF16, shards=N, seed=N, activation=gelu,
 * style=old, place=odd.  End-to-end tests find it beside the program under test:
 * "$(dirname "$M4A1")/tests/tools/make_clip". */
#include <stdio.h>
#include <string.h>

#include "m4a1/base/text.h"
#include "tests/support/clip_checkpoint.h"

static void set_geometry(struct clip_checkpoint *how, const char *value)
{
    if (!strcmp(value, "b32"))
        *how = clip_checkpoint_b32();
    else if (!strcmp(value, "l14"))
        *how = clip_checkpoint_l14();
    else
        *how = clip_checkpoint_small();
}

static void set_type(struct clip_checkpoint *how, const char *value)
{
    how->type = !strcmp(value, "F16")    ? TENSOR_F16
                : !strcmp(value, "BF16") ? TENSOR_BF16
                                         : TENSOR_F32;
}

static int set(struct clip_checkpoint *how, const char *name, const char *value)
{
    int64_t n = 0;
    enum status s = OK;
    if (!strcmp(name, "geometry")) {
        set_geometry(how, value);
    } else if (!strcmp(name, "type")) {
        set_type(how, value);
    } else if (!strcmp(name, "activation")) {
        how->config.text.activation = how->config.image.activation =
            !strcmp(value, "gelu") ? CLIP_GELU : CLIP_QUICK_GELU;
    } else if (!strcmp(name, "style")) {
        how->old_style = !strcmp(value, "old");
    } else if (!strcmp(name, "place")) {
        how->misplaced = !strcmp(value, "odd");
    } else if (!strcmp(name, "shards")) {
        s = text_to_int(value, name, 0, TENSORS_MAX_SHARDS, &n, NULL);
        how->n_shards = (unsigned)n;
    } else {
        s = strcmp(name, "seed") ? E_ARG
                                 : text_to_int(value, name, 0, INT64_MAX, &n, NULL);
        how->seed = (uint64_t)n;
    }
    return s == OK;
}

int main(int argc, char **argv)
{
    struct clip_checkpoint how = clip_checkpoint_small();
    int ok = argc >= 2;
    for (int i = 2; i < argc && ok; i++) {
        char *value = strchr(argv[i], '=');
        if (value)
            *value++ = '\0';
        ok = value && set(&how, argv[i], value);
    }
    if (!ok) {
        fprintf(stderr, "usage: make_clip DIR [NAME=VALUE...]; see make_clip.c\n");
        return 2;
    }
    clip_checkpoint_write(argv[1], &how);
    return 0;
}
