/* accepts.h - can an llm take these views?  One rule, for recipes, plans, offers and calls.
 *
 * An llm says how many views of each kind one request may hold (llm.accepts).  A limit on
 * images counts pictures, so the sampled frames of a video count there, each as one; a
 * limit on videos counts videos.  A kind with the limit 0 is never sent: such views of
 * earlier turns are left out of what the llm sees, and its own actions cannot add them.  A
 * video is pictures, so an llm that takes no images takes no videos. */
#ifndef SCHEMA_ACCEPTS_H
#define SCHEMA_ACCEPTS_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/error.h"
#include "schema/store.h"
#include "schema/view.h"

#define ACCEPTS_MAX_VIEWS 32 /* a set of views is a mask of so many bits */

struct accepts_view {
    const char *name; /* NULL = no such view */
    enum view_kind kind;
    int n_pictures; /* 1 for an image, the most sampled frames for a video, else 0 */
};

/* Why a set of views cannot be taken. */
struct accepts_why {
    enum view_kind kind; /* the first kind of which there is too much; see above */
    int n, most;         /* how many there are, and how many are accepted */
    uint32_t views;      /* the ones that count */
};

/* Views are given as views[32], bit i of a set standing for views[i]; limits are
 * llm.accepts. */

/* Those of set that the llm is ever sent. */
uint32_t accepts_sent(
    const int limits[N_VIEW_KINDS], const struct accepts_view *views, uint32_t set);

/* 1 where one request of the llm can hold all of set; else 0 with *why (may be NULL). */
int accepts_all(const int limits[N_VIEW_KINDS], const struct accepts_view *views,
    uint32_t set, struct accepts_why *why);

/* The same for an action that shows set in a dialogue that holds context: every view of
 * set has to be sendable, and where keeps_views is true the views of earlier turns that
 * the llm is sent go with it; else only what is new. */
int accepts_action(const int limits[N_VIEW_KINDS], const struct accepts_view *views,
    uint32_t set, uint32_t context, int keeps_views, struct accepts_why *why);

/* The sentence to a refusal, put at the end of out.  doing is who brings the views:
 * "llm phi accepts no audio, but " doing " view mic", or
 * "llm phi accepts 2 images, but " doing " 3: side, clip (2 frames)". */
void accepts_explain(const char *llm, const struct accepts_view *views,
    const struct accepts_why *why, const char *doing, struct buffer *out);

/* The same as an error of this code. */
enum status accepts_refuse(const char *llm, const struct accepts_view *views,
    const struct accepts_why *why, const char *doing, enum status code,
    struct error *err);

/* The names of a set as recipes write it, "side+mic"; "" for none.  Put at the end. */
void accepts_names(const struct accepts_view *views, uint32_t set, struct buffer *out);

/* "image", "images", "audio views" ... */
const char *accepts_noun(enum view_kind kind, int64_t n);

/* The views of a store by position; a video has as many pictures as the longest of its
 * clips in the store. */
struct accepts_store {
    struct accepts_view views[ACCEPTS_MAX_VIEWS];
    char *names[ACCEPTS_MAX_VIEWS]; /* owned; views[].name points there */
};
MUST_CHECK enum status accepts_load(
    struct store *store, struct accepts_store *out, struct error *err);
void accepts_release(struct accepts_store *views); /* may be zeroed */

#endif
