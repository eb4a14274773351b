/* fuzz_tokenizer.c - any bytes as a text, by a small vocabulary, and as a vocabulary.  The
 * first byte says which: T a text, V vocab.json, M merges.txt, O tokenizer.json.  Ids lie
 * in the vocabulary and between the marks; cleaned texts are clean, and tidy. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "annotate/clip/clean_text.h"
#include "annotate/clip/tokenizer.h"
#include "m4a1/base/buffer.h"
#include "m4a1/base/text.h"
#include "tests/support/clip_vocabulary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define N_IDS 600 /* more than the vocabulary has, so that it may grow */

static char folder[64];

static void put(const char *name, const void *data, size_t len)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, len, f) != len || fclose(f))
        abort();
}

static void put_good(const char *name, void (*add)(struct buffer *))
{
    struct buffer text;
    buffer_init(&text, 1 << 20);
    add(&text);
    put(name, text.data, text.len);
    buffer_release(&text);
}

static void add_tokens(struct buffer *out)
{
    clip_vocabulary_tokens(out, 1);
}

static void remove_all(void)
{
    static const char *const names[] = { "vocab.json", "merges.txt", "tokenizer.json" };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
}

static void leave(void)
{
    remove_all();
    rmdir(folder);
}

static void begin(void)
{
    if (folder[0])
        return;
    snprintf(folder, sizeof folder, "/tmp/fuzz_tokenizer.XXXXXX");
    if (!mkdtemp(folder))
        abort();
    atexit(leave);
}

static struct clip_tokenizer *open_folder(uint32_t context)
{
    struct clip_tokenizer *t = NULL;
    struct error err = ERROR_INIT;
    enum status s = clip_tokenizer_open(folder, N_IDS, context, &t, &err);
    if ((s == OK) != (t != NULL) || (s == OK) != (err.msg[0] == '\0'))
        abort();
    return t;
}

static void check_ids(const struct clip_tokenizer *t, const char *text, size_t context)
{
    int32_t ids[CLIP_CONTEXT];
    size_t n = 0;
    struct error err = ERROR_INIT;
    if (clip_tokenize(t, text, ids, &n, &err)) {
        if (text_utf8_valid(text, strlen(text)) == strlen(text))
            abort();
        return;
    }
    if (n < 2 || n > context || ids[0] != clip_tokenizer_start(t) ||
        ids[n - 1] != clip_tokenizer_end(t))
        abort();
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= N_IDS)
            abort();
}

static void check_clean(const char *text, size_t len)
{
    struct buffer clean;
    struct error err = ERROR_INIT;
    buffer_init(&clean, 8 * len + 64);
    enum status s = clean_text(text, len, &clean, &err);
    if ((s == OK) != (text_utf8_valid(text, len) == len))
        abort();
    const char *c = buffer_str(&clean);
    if (!s &&
        (text_utf8_valid(c, clean.len) != clean.len || strstr(c, "  ") || c[0] == ' ' ||
            (clean.len && c[clean.len - 1] == ' ') || strpbrk(c, "\t\n\rABCXYZ")))
        abort();
    buffer_release(&clean);
}

static void try_text(const char *text, size_t len)
{
    static struct clip_tokenizer *wide, *narrow; // kept, since the vocabulary is
    if (!wide) {
        put_good("vocab.json", add_tokens);
        put_good("merges.txt", clip_vocabulary_merge_lines);
        wide = open_folder(CLIP_CONTEXT);
        narrow = open_folder(4);
        if (!wide || !narrow)
            abort();
    }
    check_clean(text, len);
    check_ids(wide, text, CLIP_CONTEXT);
    check_ids(narrow, text, 4);
}

static void try_vocabulary(char kind, const char *data, size_t len)
{
    remove_all();
    if (kind == 'O')
        put("tokenizer.json", data, len);
    if (kind == 'V')
        put_good("merges.txt", clip_vocabulary_merge_lines);
    if (kind == 'V')
        put("vocab.json", data, len);
    if (kind == 'M')
        put_good("vocab.json", add_tokens);
    if (kind == 'M')
        put("merges.txt", data, len);
    struct clip_tokenizer *t = open_folder(CLIP_CONTEXT);
    if (t)
        check_ids(t, "the cat, a bat's hat 42 caf\xc3\xa9 catcatcat", CLIP_CONTEXT);
    clip_tokenizer_close(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (!len)
        return 0;
    begin();
    char *text = malloc(len); // with a NUL behind it
    if (!text)
        return 0;
    memcpy(text, data + 1, len - 1);
    text[len - 1] = '\0';
    if (strchr("VMO", data[0]) && data[0])
        try_vocabulary((char)data[0], text, len - 1);
    else
        try_text(text, len - 1);
    free(text);
    return 0;
}
