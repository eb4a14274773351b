/* probe.h - a look into a tower while it computes; for tests. */
#ifndef ANNOTATE_CLIP_PROBE_H
#define ANNOTATE_CLIP_PROBE_H

#include <stddef.h>

struct clip;

/* Sees what a tower computes, stage by stage, in float32 and on one thread.
 *   see  is given data [n_rows][width].  Of the whole tower: "patches" (images: the
 *        convolution), "embeddings", "pre_ln" (images), "post_ln" (images) or "final_ln",
 *        "proj".  Of each block: "ln1", "attention" (heads, before their product), "middle"
 *        (the stream behind attention), "ln2", "activation", "block" (the stream).  Of the
 *        last block all but "ln1" have a row a sequence. */
struct clip_probe {
    void (*see)(void *arg, const char *stage, size_t block, const float *data,
        size_t n_rows, size_t width);
    void *arg;
};

/* Look, or no longer (NULL).  The clip must have one thread and float32. */
void clip_watch(struct clip *clip, const struct clip_probe *probe);

#endif
