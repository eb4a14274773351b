/* tokenizer.c - texts to token ids of CLIP: clean, split, encode. */
#include "annotate/clip/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "annotate/clip/bpe.h"
#include "annotate/clip/clean_text.h"
#include "annotate/clip/vocabulary.h"
#include "m4a1/base/buffer.h"
#include "m4a1/base/regex.h"

#define START_TEXT "<|startoftext|>"
#define END_TEXT "<|endoftext|>"

/* simple_tokenizer.py, with a space where it has \s: no other white space is left in a
 * cleaned text, and PCRE2's \s has U+180E, which Python's has not.  U+0345 is in no piece,
 * as with Python's regex: its capital is a letter, so that, case ignored, neither the class
 * of letters nor the last one takes it. */
#define PATTERN                                                                          \
    "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|"  \
    "[^ \\p{L}\\p{N}\\x{345}]+"

/* What cleaning can make of a text: NFC and lower case grow some characters threefold. */
#define MAX_CLEAN_BYTES (4 * CLIP_MAX_TEXT_BYTES)

struct clip_tokenizer {
    struct vocabulary vocabulary;
    struct regex *splitter;
    uint32_t context;
};

enum status clip_tokenizer_open(const char *dir, uint32_t vocab_size, uint32_t context,
    struct clip_tokenizer **out, struct error *err)
{
    *out = NULL;
    if (context < 3 || context > CLIP_CONTEXT)
        return error_set(err, E_ARG, "a context of %u tokens; expected 3 to %d", context,
            CLIP_CONTEXT);
    struct clip_tokenizer *t = calloc(1, sizeof *t);
    if (!t)
        return error_nomem(err, sizeof *t);
    t->context = context;
    enum status s = regex_open(PATTERN, REGEX_IGNORE_CASE, &t->splitter, err);
    if (!s)
        s = vocabulary_read(dir, vocab_size, &t->vocabulary, err);
    if (s)
        clip_tokenizer_close(t);
    else
        *out = t;
    return s;
}

void clip_tokenizer_close(struct clip_tokenizer *t)
{
    if (!t)
        return;
    regex_close(t->splitter);
    bpe_free(t->vocabulary.bpe);
    free(t);
}

int32_t clip_tokenizer_start(const struct clip_tokenizer *t)
{
    return t->vocabulary.start;
}

int32_t clip_tokenizer_end(const struct clip_tokenizer *t)
{
    return t->vocabulary.end;
}

/* Append the ids of one piece while there is room in ids[context]. */
static enum status add_piece(const struct clip_tokenizer *t, const char *piece,
    size_t len, int32_t *ids, size_t *n, struct error *err)
{
    // Spelt out in a text, the marks are marks, as in the original.
    if (len == strlen(START_TEXT) && !memcmp(piece, START_TEXT, len)) {
        ids[(*n)++] = t->vocabulary.start;
        return OK;
    }
    if (len == strlen(END_TEXT) && !memcmp(piece, END_TEXT, len)) {
        ids[(*n)++] = t->vocabulary.end;
        return OK;
    }
    size_t n_more = 0;
    enum status s = bpe_encode(t->vocabulary.bpe, (const uint8_t *)piece, len, ids + *n,
        t->context - *n, &n_more, err);
    *n += n_more;
    return s;
}

static enum status add_pieces(const struct clip_tokenizer *t, const char *text,
    size_t len, int32_t *ids, size_t *n, struct error *err)
{
    struct regex_scan *scan = NULL;
    enum status s = regex_scan_open(t->splitter, text, len, &scan, err);
    while (!s && *n < t->context) {
        size_t from = 0, to = 0;
        s = regex_scan_next(scan, &from, &to, err);
        if (!s)
            s = add_piece(t, text + from, to - from, ids, n, err);
    }
    regex_scan_close(scan);
    return s == E_NOT_FOUND ? OK : s;
}

enum status clip_tokenize(const struct clip_tokenizer *t, const char *text, int32_t *ids,
    size_t *n, struct error *err)
{
    *n = 0;
    size_t len = strlen(text);
    if (len > CLIP_MAX_TEXT_BYTES)
        return error_set(err, E_LIMIT, "a text of %zu bytes; expected %zu or fewer", len,
            CLIP_MAX_TEXT_BYTES);
    struct buffer clean;
    buffer_init(&clean, MAX_CLEAN_BYTES);
    enum status s = clean_text(text, len, &clean, err);
    if (!s) {
        ids[(*n)++] = t->vocabulary.start;
        s = add_pieces(t, buffer_str(&clean), clean.len, ids, n, err);
    }
    if (!s && *n == t->context)
        (*n)--;
    if (s)
        *n = 0;
    else
        ids[(*n)++] = t->vocabulary.end;
    buffer_release(&clean);
    return s;
}
