/* vocabulary.h - the files of a CLIP vocabulary: vocab.json with merges.txt, or
 * tokenizer.json, as Hugging Face writes them.
 *
 * Tokens are written with bytes_to_unicode() of GPT-2: each byte is one printable character
 * ("Ġ" is a space), and "</w>" ends a word. */
#ifndef ANNOTATE_CLIP_VOCABULARY_H
#define ANNOTATE_CLIP_VOCABULARY_H

#include <stdint.h>
#include "annotate/clip/bpe.h"
#include "m4a1/base/error.h"

#define VOCABULARY_MAX_BYTES ((size_t)64 << 20) /* of a file */
#define VOCABULARY_MAX_IDS (1u << 20)

struct vocabulary {
    struct bpe *bpe;    /* owned by the caller, bpe_free() */
    int32_t start, end; /* "<|startoftext|>", "<|endoftext|>" */
};

/* Read the vocabulary of folder dir; ids are below n_ids, 1 to VOCABULARY_MAX_IDS.  What is
 * refused stands at clip_tokenizer_open(). */
MUST_CHECK enum status vocabulary_read(
    const char *dir, uint32_t n_ids, struct vocabulary *out, struct error *err);

#endif
