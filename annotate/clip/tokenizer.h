/* tokenizer.h - texts to token ids, as openai/CLIP's simple_tokenizer.py and clip.tokenize()
 * give them: cleaned (annotate/clip/clean_text.h), split, byte-level BPE.
 *
 * The vocabulary comes from a Hugging Face folder: vocab.json with merges.txt, or, where
 * these are absent, tokenizer.json.  The cleaning and the splitting pattern are always those
 * of the original.  A tokenizer is read-only once it is open, so any number of threads may
 * use it.  It is linear in the length of a text (n log n in that of one word). */
#ifndef ANNOTATE_CLIP_TOKENIZER_H
#define ANNOTATE_CLIP_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"

#define CLIP_CONTEXT 77                       /* positions of every CLIP: the most ids */
#define CLIP_MAX_TEXT_BYTES ((size_t)1 << 22) /* a longer text is E_LIMIT */

struct clip_tokenizer; /* opaque */

/* Read the vocabulary of folder dir.
 *   vocab_size  rows of the token embedding; each id must be below it
 *   context     positions of the text tower, 3 to CLIP_CONTEXT
 *   out         owned by the caller, freed with clip_tokenizer_close(); NULL on failure
 * Refused with E_DATA, by file and token or line: a file that is no vocabulary, an id twice
 * or out of range, a merge twice, a merge of or into something that is no token, a
 * vocabulary without "<|startoftext|>", "<|endoftext|>" or the tokens of one of the 256
 * bytes (so that every text has ids).  E_NOT_FOUND where there is no vocabulary at all. */
MUST_CHECK enum status clip_tokenizer_open(const char *dir, uint32_t vocab_size,
    uint32_t context, struct clip_tokenizer **out, struct error *err);

/* Ids of text from the start token to the end token; a text of more than context ids is cut
 * to context, the last one being the end token (truncate=True of the original).
 *   ids  [context]; the first *n are written, 2 <= *n <= context.  The original pads to
 *        context with 0
 * E_DATA for a text that is not UTF-8 (with the place), E_LIMIT, E_NOMEM. */
MUST_CHECK enum status clip_tokenize(const struct clip_tokenizer *t, const char *text,
    int32_t *ids, size_t *n, struct error *err);

int32_t clip_tokenizer_start(const struct clip_tokenizer *t); /* "<|startoftext|>" */
int32_t clip_tokenizer_end(const struct clip_tokenizer *t);   /* "<|endoftext|>" */

void clip_tokenizer_close(struct clip_tokenizer *t); /* NULL is fine */

#endif
