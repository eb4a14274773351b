/* text_tower.h - token ids to embeddings: tokens and positions, causal blocks, projection of
 * the last token.  Since no token sees a later one, texts end with their end token. */
#ifndef ANNOTATE_CLIP_TEXT_TOWER_H
#define ANNOTATE_CLIP_TEXT_TOWER_H

#include "annotate/clip/encoder.h"

struct text_tower {
    struct encoder encoder;
    size_t context, vocab, projection;
    const float *tokens; /* [vocab][width], of the tensors, which must stay open */
    float *positions;    /* [context][width] */
    struct norm final;
    struct linear *project; /* float32 in bfloat16, too */
};

MUST_CHECK enum status text_tower_load(const struct weights *w,
    const struct clip_config *config, struct text_tower *out, struct error *err);
void text_tower_release(struct text_tower *t); /* {0} is fine */

/* A text as the tower takes it. */
struct text_ids {
    const int32_t *ids; /* below vocab */
    size_t n;           /* 1 to context */
};

/* The rows of a pass whose texts have n_ids ids together: a few more, so that only some
 * numbers of rows occur, since a product is made for each. */
size_t text_tower_rows(size_t n_ids);

/* max_rows is such a number of rows. */
MUST_CHECK enum status text_tower_room(const struct text_tower *t, size_t max_rows,
    size_t max_texts, size_t n_members, struct room *out, struct error *err);

/* Say what a pass takes in; before the members run it. */
void text_tower_begin(const struct text_ids *texts, size_t n_texts, struct room *room);

/* A member's part of a pass: texts to out [n_texts][projection]. */
void text_tower_run(const struct text_tower *t, struct member *m, struct room *room,
    const struct text_ids *texts, float *out);

#endif
