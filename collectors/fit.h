/* fit.h - pictures within the limits of the server that they are sent to.
 *
 * A limit is the llm's own (accepts.image_px, accepts.image_bytes) or else what is
 * published for its protocol.  A larger picture is refused before anything is sent or,
 * where the recipe says so, made smaller: once, as a frame of its own in the store
 * (frame_fit), so that the store holds what was sent. */
#ifndef COLLECTORS_FIT_H
#define COLLECTORS_FIT_H

#include <signal.h>
#include "collectors/ready.h"
#include "m4a1/base/buffer.h"
#include "m4a1/base/error.h"
#include "m4a1/base/progress.h"
#include "schema/llm.h"
#include "schema/store.h"

struct fit_limits {
    int64_t max_px;    /* longest side; 0 = no limit */
    int64_t max_bytes; /* of the file; 0 = no limit */
};
struct fit_limits fit_limits_of(const struct llm *llm);

struct fit_run {
    const struct ready_rules *scope; /* a shard is not looked at: all count */
    const struct llm *llms;
    size_t n_llms;
    const int *used;           /* [n_llms], 1 = calls of it are to be sent; NULL = all */
    struct progress *progress; /* counts pictures; NULL is fine */
    const volatile sig_atomic_t *interrupted; /* NULL is fine */
};

/* See to it that every picture that an open call in scope may send is within the limits
 * of the call's llm.  E_ARG: some are not and may not be resized, or cannot be made small
 * enough (the message has llm, view, scene, size, limit and what to do; nothing was
 * stored); E_DATA: a stored picture cannot be decoded; E_INTERRUPTED: what was made so
 * far is kept; E_STORE. */
MUST_CHECK enum status fit_pictures(
    struct store *store, const struct fit_run *run, struct error *err);

/* For a plan, before it is written for good: E_ARG where open calls of the store would send
 * an llm pictures that are too large for it and may not be resized. */
MUST_CHECK enum status fit_check(
    struct store *store, const struct llm *llms, size_t n_llms, struct error *err);

/* The frame that the llm is sent in place of a frame: itself, or the one made from it.
 * E_DATA where it is too large and there is none. */
MUST_CHECK enum status fit_lookup(struct store *store, const struct llm *llm,
    int64_t frame_id, int64_t *sent_id, struct error *err);

/* Append to out a JPEG of a picture file, within the limits: shrunk to the longest side,
 * then at falling quality (90 to 50), then ever smaller.  The same bytes give the same
 * bytes.  E_DATA: it cannot be decoded; E_ARG: not even a tiny one has so few bytes. */
MUST_CHECK enum status fit_jpeg(const void *bytes, size_t len, struct fit_limits limits,
    struct buffer *out, int *width, int *height, struct error *err);

#endif
