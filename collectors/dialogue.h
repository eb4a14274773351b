/* dialogue.h - what a call says: the messages that lead to the answer asked for.
 *
 * A dialogue knows no wire format.  A message of the user is the views that it adds, in
 * order of position, then the text.  A view is a short label and what it shows
 * (modality.h):
 *
 *     image  "View side:", the image
 *     video  "View clip, 3 frames, every 0.5 s:", then "At 0 s:" and so on, an image each
 *     text   "View log:", the text
 *     audio  "View mic:", the sound
 *
 * Text between images also keeps llama-server from mixing up images of requests that
 * share a beginning. */
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
    struct frame *frame; /* a picture or sound; a reference of the dialogue's own */
    int64_t duration_ms; /* of sound */
};

struct dialogue_message {
    int is_assistant; /* else the user's */
    struct dialogue_part *parts;
    size_t n_parts;
};

/* What counts against one limit of llm.accepts. */
struct dialogue_shown {
    int n;       /* views; of VIEW_IMAGE pictures, frames of videos included */
    char *views; /* "side, clip"; NULL = none */
};

struct dialogue {
    char *system_prompt; /* NULL = none */
    struct dialogue_message *messages;
    size_t n_messages;
    struct dialogue_shown shown[N_VIEW_KINDS];
};

/* The dialogue of a call as this llm is to see it: behind its system prompt, and without
 * views of a kind that it is never sent (accepts_sent()).  One with its own text (a judge's
 * question) is one message of the user: the views in views_added and that text.  Any other
 * is the history that parent_id stands for, as the plan's settings say (plan.settings,
 * member history: {"images": "keep" | "drop", "max_turns": null | N}; "images" stands for
 * views of every kind), and then the turn's prompt with the views it adds.
 * E_NOT_FOUND: no such call; E_DATA: a view has no frame at the session's instant, one of
 * a type that its kind does not have, or an earlier turn has no answer.  Free with
 * dialogue_free(). */
MUST_CHECK enum status dialogue_build(struct store *store, struct frame_cache *cache,
    int64_t call_id, const struct llm *llm, struct dialogue **out, struct error *err);

void dialogue_free(struct dialogue *d); /* NULL is fine; any thread */

/* Put a text (taken; NULL = out of memory), or a frame (one more reference is held), at
 * the end of a message. */
MUST_CHECK enum status dialogue_say(
    struct dialogue_message *m, char *text, struct error *err);
MUST_CHECK enum status dialogue_show(struct dialogue_message *m, struct frame *frame,
    int64_t duration_ms, struct error *err);

int dialogue_is_sound(const struct dialogue_part *part);

/* E_DATA where there is more of a kind than the llm accepts: names llm and views. */
MUST_CHECK enum status dialogue_check_accepts(
    const struct dialogue *d, const struct llm *llm, struct error *err);

/* Most tokens that the input can be billed, by the dearest published rules: one a byte of
 * text, a few a message; for a picture image_tokens or, where that is 0, 2833 + 5667 for
 * every tile of 512 pixels (gpt-4o-mini); for sound 32 a second begun (Gemini; OpenAI
 * counts 10). */
int64_t dialogue_max_input_tokens(const struct dialogue *d, int64_t image_tokens);
/* Bytes of text in it, system prompt included. */
size_t dialogue_n_text_bytes(const struct dialogue *d);

#endif
