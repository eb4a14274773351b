/* body.h - the body of a request: its own text, and frames that are lent to it.
 *
 * A body is written as it is stored, with "sha256:" and a hash for every frame.  What is
 * sent are pieces: runs of that text, and between them the base64 that a frame keeps for
 * everybody.  So no picture is copied, and a thousand bodies take little memory.
 * Life cycle: body_init, write text, body_add_frame for each frame in order, body_close,
 * read, body_release. */
#ifndef COLLECTORS_LLM_BODY_H
#define COLLECTORS_LLM_BODY_H

#include <stddef.h>
#include "collectors/frame_cache.h"
#include "m4a1/base/buffer.h"
#include "m4a1/base/error.h"
#include "m4a1/base/hash.h"

#define BODY_MAX (64u << 20) /* bytes as sent */

struct body_piece {
    const char *data; /* of the text, or of the frame */
    size_t len;
    struct frame *frame; /* a reference; NULL = text */
};

struct body {
    struct buffer text; /* as stored; unchanged once the first piece is there */
    size_t n_taken;     /* bytes of it that pieces stand for */
    struct body_piece *pieces;
    size_t n_pieces, n_room;
    size_t len; /* of all pieces */
};

/* Where a reader is. */
struct body_place {
    size_t piece, at;
};

void body_init(struct body *body);
void body_release(struct body *body); /* body is empty again */

/* The text up to byte at, then the frame in place of its mark, which begins there; as a
 * data URL or as base64 alone.  E_DATA where no such mark stands there. */
MUST_CHECK enum status body_add_frame(struct body *body, size_t at, struct frame *frame,
    int is_data_url, struct error *err);

/* The rest of the text.  E_LIMIT where the body is longer than BODY_MAX. */
MUST_CHECK enum status body_close(struct body *body, struct error *err);

/* Copy up to n bytes from a place (at first all zero) on and move it; 0 at the end. */
size_t body_read(const struct body *body, struct body_place *place, char *to, size_t n);

/* Of the bytes as sent. */
MUST_CHECK enum status body_hash(
    const struct body *body, char out[HASH_HEX], struct error *err);

#endif
