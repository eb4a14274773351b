/* clip_vocabulary.h - small vocabularies of CLIP as texts, to be changed and broken. */
#ifndef TESTS_SUPPORT_CLIP_VOCABULARY_H
#define TESTS_SUPPORT_CLIP_VOCABULARY_H

#include "m4a1/base/buffer.h"

/* Ids: 512 for the bytes, then one a merge, then the two marks. */
#define CLIP_VOCABULARY_BYTES 512
#define CLIP_VOCABULARY_N_MERGES 6
#define CLIP_VOCABULARY_START (CLIP_VOCABULARY_BYTES + CLIP_VOCABULARY_N_MERGES)
#define CLIP_VOCABULARY_END (CLIP_VOCABULARY_START + 1)
#define CLIP_VOCABULARY_SIZE (CLIP_VOCABULARY_START + 2)

/* The merges, in order: "c a", "t h", "ca t</w>", "th e</w>", "a t</w>", "b at</w>". */
extern const char *const clip_vocabulary_merges[CLIP_VOCABULARY_N_MERGES][2];

/* Append {"token":id,...}: inner bytes from 0, bytes at the end of a word from 256, merged
 * tokens from 512, the marks where marks is set. */
void clip_vocabulary_tokens(struct buffer *out, int marks);

/* Append merges.txt. */
void clip_vocabulary_merge_lines(struct buffer *out);

/* Append tokenizer.json; pairs: merges as ["c", "a"] instead of "c a".  The marks are in
 * added_tokens only. */
void clip_vocabulary_one_file(struct buffer *out, int pairs);

#endif
