/* dialogue.h - what a call says: the messages that lead to the answer asked for.
 *
 * A dialogue knows no wire format.  A message of the user is, for every view it adds,
 * a short label ("View first_person:") and the image, in order of position, then the
 * text.  Text between images also keeps llama-server from mixing up images of requests
 * that share a beginning. */
#ifndef COLLECTORS_DIALOGUE_H
#define COLLECTORS_DIALOGUE_H

#include <stddef.h>
#include <stdint.h>
#include "collectors/frame_cache.h"
#include "m4a1/base/error.h"
#include "schema/llm.h"
#include "schema/store.h"

struct dialogue_part {
    char *text;          /* a text, or NULL where this is a frame */
    struct frame *frame; /* a reference of the dialogue's own */
};

struct dialogue_message {
    int is_assistant; /* else the user's */
    struct dialogue_part *parts;
    size_t n_parts;
};

struct dialogue {
    char *system_prompt; /* NULL = none */
    struct dialogue_message *messages;
    size_t n_messages;
};

/* The dialogue of a call as this llm is to see it: behind its system prompt, and as text
 * alone where it accepts no images (accepts[VIEW_IMAGE] 0).  One with its own text (a judge's question) is one message
 * of the user: the views in views_added and that text.  Any other is the history that
 * parent_id stands for, as the plan's settings say (plan.settings, member history:
 * {"images": "keep" | "drop", "max_turns": null | N}), and then the turn's prompt with
 * the views it adds.
 * E_NOT_FOUND: no such call; E_DATA: a view has no frame at the session's instant, is
 * no image, or an earlier turn has no answer.  Free with dialogue_free(). */
MUST_CHECK enum status dialogue_build(struct store *store, struct frame_cache *cache,
    int64_t call_id, const struct llm *llm, struct dialogue **out, struct error *err);

void dialogue_free(struct dialogue *d); /* NULL is fine; any thread */

size_t dialogue_n_images(const struct dialogue *d);

/* Most tokens that the input can be billed: one a byte of text, a few a message, and
 * for each image image_tokens or, where that is 0, the dearest published rule: 2833 +
 * 5667 for every tile of 512 pixels (gpt-4o-mini). */
int64_t dialogue_max_input_tokens(const struct dialogue *d, int64_t image_tokens);

#endif
