/* vocabulary.c - reading the files of a CLIP vocabulary. */
#include "annotate/clip/vocabulary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/buffer.h"
#include "m4a1/base/files.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"
#include "m4a1/base/unicode.h"

#define MAX_TOKEN 1024 /* bytes of a token as it is written */
#define MAX_SHOWN 60   /* bytes of a token in a message */
#define START_TOKEN "<|startoftext|>"
#define END_TOKEN "<|endoftext|>"
#define WORD_END "</w>"

struct token {
    const char *text; /* in the JSON document */
    int32_t id;
};

/* Everything while it is read. */
struct reader {
    const char *file;     /* the path in messages */
    const char *place;    /* what is counted in messages about merges */
    struct token *tokens; /* [n_ids], by text once they are sorted */
    size_t n_tokens;
    const char **by_id; /* [n_ids], the token that took an id */
    uint32_t n_ids;
    struct bpe_merge *merges;
    size_t n_merges;
    struct error *err;
};

static void reader_release(struct reader *r)
{
    free(r->tokens);
    free(r->by_id);
    free(r->merges);
}

/* How much of a text of len bytes a message shows: whole characters. */
static int shown(const char *text, size_t len)
{
    return (int)text_utf8_valid(text, len < MAX_SHOWN ? len : MAX_SHOWN);
}

/* --- tokens --- */

static enum status refuse_token(const struct reader *r, const char *text, const char *why)
{
    return error_set(r->err, E_DATA, "%s: token '%.*s' %s", r->file,
        shown(text, strlen(text)), text, why);
}

static enum status add_token(
    struct reader *r, const char *text, const struct json *id_value)
{
    char why[2 * MAX_SHOWN + 64];
    int64_t id = json_int(id_value, -1);
    if (id < 0 || id >= r->n_ids) {
        snprintf(why, sizeof why,
            "has an id that is no whole number from 0 to %u; the checkpoint has no "
            "embedding for it",
            r->n_ids - 1);
        return refuse_token(r, text, why);
    }
    if (!text[0] || strlen(text) > MAX_TOKEN)
        return refuse_token(r, text, "is empty or longer than 1024 bytes");
    if (r->by_id[id]) {
        const char *other = r->by_id[id];
        snprintf(why, sizeof why, "has id %d, and so has '%.*s'", (int)id,
            shown(other, strlen(other)), other);
        return refuse_token(r, text, why);
    }
    r->by_id[id] = text;
    r->tokens[r->n_tokens++] = (struct token) { text, (int32_t)id };
    return OK;
}

static int compare_tokens(const void *a, const void *b)
{
    return strcmp(((const struct token *)a)->text, ((const struct token *)b)->text);
}

static void sort_tokens(struct reader *r)
{
    if (r->n_tokens)
        qsort(r->tokens, r->n_tokens, sizeof *r->tokens, compare_tokens);
}

/* The id of one of the first n tokens, which are sorted, or -1. */
static int32_t find_token_of(const struct reader *r, size_t n, const char *text)
{
    struct token key = { text, 0 };
    const struct token *found =
        n ? bsearch(&key, r->tokens, n, sizeof key, compare_tokens) : NULL;
    return found ? found->id : -1;
}

static int32_t find_token(const struct reader *r, const char *text)
{
    return find_token_of(r, r->n_tokens, text);
}

/* Tokens of an object {text: id}, which has unique keys. */
static enum status read_tokens(struct reader *r, const struct json *object)
{
    if (!json_is_object(object) || !json_size(object))
        return error_set(r->err, E_DATA,
            "%s: expected an object of tokens and their ids, {\"!\": 0, ...}", r->file);
    r->tokens = malloc(r->n_ids * sizeof *r->tokens);
    r->by_id = calloc(r->n_ids, sizeof *r->by_id);
    if (!r->tokens || !r->by_id)
        return error_nomem(r->err, (size_t)r->n_ids * sizeof *r->tokens);
    for (const struct json *j = json_first(object); j; j = json_next(j)) {
        enum status s = add_token(r, json_key(j), j);
        if (s)
            return s;
    }
    sort_tokens(r);
    return OK;
}

/* tokenizer.json may have the special tokens outside of its vocabulary, or in both. */
static enum status read_added_tokens(struct reader *r, const struct json *list)
{
    size_t n = r->n_tokens;
    for (const struct json *j = json_first(list); j; j = json_next(j)) {
        const char *text = json_text(json_get(j, "content"), "");
        int32_t id = find_token_of(r, n, text);
        if (id >= 0 && json_int(json_get(j, "id"), -1) != id)
            return refuse_token(
                r, text, "has one id in model.vocab and another in added_tokens");
        enum status s = id >= 0 ? OK : add_token(r, text, json_get(j, "id"));
        if (s)
            return s;
    }
    sort_tokens(r);
    for (size_t i = 1; i < r->n_tokens; i++)
        if (!compare_tokens(&r->tokens[i - 1], &r->tokens[i]))
            return refuse_token(r, r->tokens[i].text, "is in added_tokens twice");
    return OK;
}

/* --- merges --- */

static enum status refuse_merge(
    const struct reader *r, size_t at, const char *text, size_t len, const char *why)
{
    return error_set(r->err, E_DATA, "%s: %s %zu, '%.*s', %s", r->file, r->place, at,
        shown(text, len), text, why);
}

/* The merge of two tokens, NUL-terminated and of MAX_TOKEN bytes at most together. */
static enum status add_merge(
    struct reader *r, size_t at, const char *left, const char *right)
{
    char whole[2 * MAX_TOKEN + 1];
    snprintf(whole, sizeof whole, "%s%s", left, right);
    struct bpe_merge m = { find_token(r, left), find_token(r, right),
        find_token(r, whole), 0 };
    if (m.left < 0 || m.right < 0)
        return refuse_merge(r, at, whole, strlen(whole), "merges what is no token");
    if (m.merged < 0)
        return refuse_merge(r, at, whole, strlen(whole), "makes what is no token");
    r->merges[r->n_merges++] = m;
    return OK;
}

/* The merge of a text "left right". */
static enum status add_merge_text(
    struct reader *r, size_t at, const char *text, size_t len)
{
    char pair[MAX_TOKEN + 2];
    if (len >= sizeof pair)
        return refuse_merge(r, at, text, len, "is too long");
    memcpy(pair, text, len);
    pair[len] = '\0';
    char *space = strchr(pair, ' ');
    if (!space || space == pair || !space[1] || strchr(space + 1, ' ') ||
        strlen(pair) != len)
        return refuse_merge(r, at, text, len, "is not two tokens and a space between");
    *space = '\0';
    return add_merge(r, at, pair, space + 1);
}

static enum status reserve_merges(struct reader *r, size_t n)
{
    if (n > VOCABULARY_MAX_IDS)
        return error_set(r->err, E_DATA, "%s: %zu merges; expected at most %u", r->file,
            n, VOCABULARY_MAX_IDS);
    r->merges = malloc((n + 1) * sizeof *r->merges);
    return r->merges ? OK : error_nomem(r->err, (n + 1) * sizeof *r->merges);
}

/* Lines "left right"; the first may be "#version: 0.2", the end may be blank. */
static enum status read_merges_text(struct reader *r, const char *text, size_t len)
{
    size_t n_lines = 1, line = 0;
    for (size_t i = 0; i < len; i++)
        n_lines += text[i] == '\n';
    r->place = "line";
    enum status s = reserve_merges(r, n_lines);
    while (len && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        len--;
    for (size_t i = 0; i < len && !s;) {
        const char *found = memchr(text + i, '\n', len - i);
        size_t end = found ? (size_t)(found - text) : len, n = end - i;
        if (n && text[end - 1] == '\r')
            n--;
        int is_version = line++ == 0 && n >= 8 && !memcmp(text + i, "#version", 8);
        if (!is_version)
            s = add_merge_text(r, line, text + i, n);
        i = end + 1;
    }
    return s;
}

/* A list of "left right", or, since tokenizers 0.20, of ["left", "right"]. */
static enum status read_merges_json(struct reader *r, const struct json *list)
{
    if (!json_is_array(list))
        return error_set(r->err, E_DATA, "%s: model.merges is no list", r->file);
    size_t at = 0;
    r->place = "merge";
    enum status s = reserve_merges(r, json_size(list));
    for (const struct json *j = json_first(list); j && !s; j = json_next(j)) {
        const char *left = json_text(json_at(j, 0), ""),
                   *right = json_text(json_at(j, 1), ""), *text = json_text(j, NULL);
        at++;
        if (text)
            s = add_merge_text(r, at, text, strlen(text));
        else if (json_size(j) != 2 || !*left || !*right ||
                 strlen(left) + strlen(right) > MAX_TOKEN)
            s = refuse_merge(r, at, "", 0, "is not two tokens");
        else
            s = add_merge(r, at, left, right);
    }
    return s;
}

/* --- the parts together --- */

/* bytes_to_unicode() of GPT-2: printable Latin-1 stands for itself, the rest for what comes
 * from U+0100 on, in order. */
static void byte_characters(int32_t out[256])
{
    int32_t next = 256;
    for (int32_t b = 0; b < 256; b++) {
        int printable = (b >= '!' && b <= '~') || (b >= 0xA1 && b != 0xAD);
        out[b] = printable ? b : next++;
    }
}

static enum status find_bytes(
    const struct reader *r, const char *suffix, int32_t ids[256])
{
    int32_t characters[256];
    byte_characters(characters);
    struct buffer token;
    buffer_init(&token, 64);
    enum status s = OK;
    for (int b = 0; b < 256 && !s; b++) {
        buffer_clear(&token);
        unicode_add(&token, characters[b]);
        buffer_add_str(&token, suffix);
        s = buffer_status(&token, "a token", r->err);
        ids[b] = s ? -1 : find_token(r, buffer_str(&token));
        if (!s && ids[b] < 0)
            s = error_set(r->err, E_DATA,
                "%s: there is no token '%s' for the byte 0x%02X; expected a byte-level "
                "vocabulary of CLIP",
                r->file, buffer_str(&token), (unsigned)b);
    }
    buffer_release(&token);
    return s;
}

static int is_mark(const char *text)
{
    return text_starts(text, "<") && text_ends(text, ">") && !text_equal(text, WORD_END);
}

/* Each token but the bytes and the marks must be made by a merge.  A merges.txt that was
 * cut short would otherwise make letters of all words, and nobody would see it. */
static enum status check_made(struct reader *r, const char *merges_file)
{
    uint8_t *made = calloc(r->n_ids, 1);
    if (!made)
        return error_nomem(r->err, r->n_ids);
    for (size_t i = 0; i < r->n_merges; i++)
        made[r->merges[i].merged] = 1;
    enum status s = OK;
    for (size_t i = 0; i < r->n_tokens && !s; i++) {
        const char *text = r->tokens[i].text;
        size_t len = strlen(text), at = 0;
        (void)unicode_next(text, len, &at);
        int is_byte = at == len || text_equal(text + at, WORD_END);
        if (!is_byte && !is_mark(text) && !made[r->tokens[i].id])
            s = error_set(r->err, E_DATA,
                "%s: token '%.*s' of vocab.json is made by none of %zu merges; is the "
                "file downloaded in full?",
                merges_file, shown(text, len), text, r->n_merges);
    }
    free(made);
    return s;
}

static enum status find_mark(const struct reader *r, const char *text, int32_t *id)
{
    *id = find_token(r, text);
    return *id >= 0 ? OK
                    : refuse_token(r, text, "is missing; expected a vocabulary of CLIP");
}

/* Takes r's merges, which stood in merges_file. */
static enum status build(
    struct reader *r, const char *merges_file, struct vocabulary *out)
{
    int32_t inner[256], last[256];
    enum status s = find_mark(r, START_TOKEN, &out->start);
    if (!s)
        s = find_mark(r, END_TOKEN, &out->end);
    if (!s)
        s = find_bytes(r, "", inner);
    if (!s)
        s = find_bytes(r, WORD_END, last);
    if (!s && merges_file != r->file) // one file would be broken JSON
        s = check_made(r, merges_file);
    if (s)
        return s;
    struct bpe_merge *merges = r->merges;
    r->merges = NULL;
    s = bpe_new(merges, r->n_merges, inner, last, r->n_ids, &out->bpe, r->err);
    if (s == E_DATA)
        error_prefix(r->err, "%s: ", merges_file);
    return s;
}

static enum status read_two_files(struct reader *r, const char *vocab_path,
    const char *merges_path, struct vocabulary *out)
{
    struct json *root = NULL;
    struct buffer text;
    buffer_init(&text, VOCABULARY_MAX_BYTES);
    r->file = vocab_path;
    enum status s =
        json_read_file(vocab_path, VOCABULARY_MAX_BYTES, JSON_UNIQUE_KEYS, &root, r->err);
    if (!s)
        s = read_tokens(r, root);
    if (!s)
        s = file_read(merges_path, &text, r->err);
    r->file = merges_path;
    if (!s)
        s = read_merges_text(r, buffer_str(&text), text.len);
    r->file = vocab_path;
    if (!s)
        s = build(r, merges_path, out);
    buffer_release(&text);
    json_free(root);
    return s;
}

/* Other tokenizers are written to the same file; expect a member that CLIP's has. */
static enum status expect_text(const struct reader *r, const struct json *model,
    const char *key, const char *expected)
{
    const struct json *j = json_get(model, key);
    const char *found = json_text(j, "");
    if (text_equal(found, expected) && (!j || json_is_string(j) || json_is_null(j)))
        return OK;
    return error_set(r->err, E_DATA, "%s: model.%s is '%.*s'; CLIP has '%s'", r->file,
        key, shown(found, strlen(found)), found, expected);
}

static enum status read_one_file(
    struct reader *r, const char *path, struct vocabulary *out)
{
    struct json *root = NULL;
    r->file = path;
    enum status s =
        json_read_file(path, VOCABULARY_MAX_BYTES, JSON_UNIQUE_KEYS, &root, r->err);
    if (s)
        return s;
    const struct json *model = json_get(root, "model");
    s = expect_text(r, model, "type", "BPE");
    if (!s)
        s = expect_text(r, model, "end_of_word_suffix", WORD_END);
    if (!s)
        s = expect_text(r, model, "continuing_subword_prefix", "");
    if (!s)
        s = read_tokens(r, json_get(model, "vocab"));
    if (!s)
        s = read_added_tokens(r, json_get(root, "added_tokens"));
    if (!s)
        s = read_merges_json(r, json_get(model, "merges"));
    if (!s)
        s = build(r, path, out);
    json_free(root);
    return s;
}

enum status vocabulary_read(
    const char *dir, uint32_t n_ids, struct vocabulary *out, struct error *err)
{
    *out = (struct vocabulary) { 0 };
    if (!n_ids || n_ids > VOCABULARY_MAX_IDS)
        return error_set(err, E_ARG, "a vocabulary of %u ids; expected 1 to %u", n_ids,
            VOCABULARY_MAX_IDS);
    char *vocab = path_join(dir, "vocab.json"), *merges = path_join(dir, "merges.txt"),
         *one = path_join(dir, "tokenizer.json");
    struct reader r = { .n_ids = n_ids, .err = err };
    enum status s = OK;
    if (!vocab || !merges || !one)
        s = error_nomem(err, strlen(dir));
    else if (file_exists(vocab) && (file_exists(merges) || !file_exists(one)))
        s = read_two_files(&r, vocab, merges, out);
    else if (file_exists(one))
        s = read_one_file(&r, one, out);
    else
        s = error_set(err, E_NOT_FOUND,
            "%s has neither vocab.json with merges.txt nor tokenizer.json; download them "
            "from where the weights come from",
            dir);
    reader_release(&r);
    free(vocab);
    free(merges);
    free(one);
    return s;
}
