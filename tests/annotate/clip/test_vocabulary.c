/* Vocabularies in all forms, and broken ones, which are refused by file and token or line. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "annotate/clip/vocabulary.h"
#include "m4a1/base/text.h"
#include "tests/support/clip_vocabulary.h"
#include "tests/support/scratch_folder.h"

#define SIZE CLIP_VOCABULARY_SIZE

static char folder[256];
static struct buffer tokens, merges;

static int setup(void **state)
{
    (void)state;
    scratch_folder_open(folder);
    buffer_init(&tokens, 1 << 27);
    buffer_init(&merges, 1 << 27);
    clip_vocabulary_tokens(&tokens, 1);
    clip_vocabulary_merge_lines(&merges);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_folder_close(folder);
    buffer_release(&tokens);
    buffer_release(&merges);
    return 0;
}

static void write_two_files(void)
{
    scratch_file(folder, "vocab.json", buffer_str(&tokens), tokens.len);
    scratch_file(folder, "merges.txt", buffer_str(&merges), merges.len);
}

static void write_one_file(int pairs)
{
    buffer_clear(&tokens);
    clip_vocabulary_one_file(&tokens, pairs);
    scratch_file(folder, "tokenizer.json", buffer_str(&tokens), tokens.len);
}

/* Put to in place of the first from. */
static void change(struct buffer *b, const char *from, const char *to)
{
    char *at = strstr(b->data, from);
    assert_non_null(at);
    char *tail = text_copy(at + strlen(from));
    assert_non_null(tail);
    b->len = (size_t)(at - b->data);
    buffer_add_str(b, to);
    buffer_add_str(b, tail);
    free(tail);
    assert_int_equal(b->failed, OK);
}

static void expect_ids(const struct bpe *bpe, const char *word, const char *expected)
{
    int32_t ids[32];
    char found[300] = "";
    size_t n = 0, at = 0;
    assert_int_equal(
        bpe_encode(bpe, (const uint8_t *)word, strlen(word), ids, 32, &n, NULL), OK);
    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(found + at, sizeof found - at, i ? " %d" : "%d", ids[i]);
    assert_string_equal(found, expected);
}

static void expect_good(void)
{
    struct vocabulary v;
    struct error err = ERROR_INIT;
    if (vocabulary_read(folder, SIZE, &v, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(v.start, CLIP_VOCABULARY_START);
    assert_int_equal(v.end, CLIP_VOCABULARY_END);
    expect_ids(v.bpe, "cat", "514"); // "c a" first, then "ca t</w>"
    expect_ids(v.bpe, "the", "515");
    expect_ids(v.bpe, "at", "516");
    expect_ids(v.bpe, "bat", "517");
    expect_ids(v.bpe, "cab", "512 354");
    expect_ids(v.bpe, "a", "353");
    expect_ids(v.bpe, "x y\xff", "120 32 121 511");
    bpe_free(v.bpe);
}

/* Refused, with both words in the message. */
static void expect_refusal(uint32_t n_ids, const char *file, const char *what)
{
    struct vocabulary v;
    struct error err = ERROR_INIT;
    assert_int_equal(vocabulary_read(folder, n_ids, &v, &err), E_DATA);
    assert_null(v.bpe);
    if (!strstr(err.msg, file) || !strstr(err.msg, what))
        fail_msg("'%s' has no '%s' and '%s'", err.msg, file, what);
    assert_int_equal(text_utf8_valid(err.msg, strlen(err.msg)), strlen(err.msg));
}

static void expect_refused_tokens(const char *from, const char *to, const char *what)
{
    struct buffer whole = tokens;
    buffer_init(&tokens, 1 << 27);
    buffer_add(&tokens, whole.data, whole.len);
    change(&tokens, from, to);
    write_two_files();
    expect_refusal(SIZE, "vocab.json", what);
    buffer_release(&tokens);
    tokens = whole;
}

static void expect_refused_merges(const char *text, size_t len, const char *what)
{
    write_two_files();
    scratch_file(folder, "merges.txt", text, len);
    expect_refusal(SIZE, "merges.txt", what);
}

/* --- */

static void reads_every_form(void **state)
{
    (void)state;
    write_two_files();
    expect_good();
    change(&merges, "#version: 0.2\n", ""); // it may be left out; lines may end in CR LF
    change(&merges, "t h\n", "t h\r\n");
    buffer_add_str(&merges, "\r\n\n");
    write_two_files();
    expect_good();
    scratch_remove(folder, "vocab.json");
    scratch_remove(folder, "merges.txt");
    for (int pairs = 0; pairs < 2; pairs++) {
        write_one_file(pairs);
        expect_good();
    }
    // As transformers 4 writes it: the marks in both places, suffixes that are null.
    change(&tokens, "\"bat</w>\":517", "\"bat</w>\":517,\"<|startoftext|>\":518");
    change(&tokens, "\"continuing_subword_prefix\":\"\"",
        "\"continuing_subword_prefix\":null");
    scratch_file(folder, "tokenizer.json", tokens.data, tokens.len);
    expect_good();
}

static void prefers_the_two_files(void **state)
{
    (void)state;
    write_two_files();
    scratch_text(folder, "tokenizer.json", "broken");
    expect_good();
    scratch_remove(folder, "merges.txt");
    expect_refusal(SIZE, "tokenizer.json", "not JSON");
}

static void says_what_is_not_there(void **state)
{
    (void)state;
    struct vocabulary v;
    struct error err = ERROR_INIT;
    assert_int_equal(vocabulary_read(folder, SIZE, &v, &err), E_NOT_FOUND);
    assert_non_null(strstr(err.msg, "neither vocab.json"));
    write_two_files();
    scratch_remove(folder, "merges.txt");
    assert_int_equal(vocabulary_read(folder, SIZE, &v, &err), E_NOT_FOUND);
    assert_non_null(strstr(err.msg, "merges.txt"));
    assert_int_equal(vocabulary_read(folder, 0, &v, &err), E_ARG);
    assert_int_equal(vocabulary_read(folder, (1u << 20) + 1, &v, &err), E_ARG);
}

static void refuses_broken_tokens(void **state)
{
    (void)state;
    expect_refused_tokens("<|startoftext|>", "<|start|>", "'<|startoftext|>' is missing");
    expect_refused_tokens("<|endoftext|>", "<|end|>", "'<|endoftext|>' is missing");
    expect_refused_tokens("\"cat</w>\":514", "\"cat</w>\":513", "'cat</w>' has id 513");
    expect_refused_tokens("\"cat</w>\"", "\"th\"", "same key twice");
    expect_refused_tokens(":519}", ":520}", "from 0 to 519");
    expect_refused_tokens(":519}", ":-1}", "from 0 to 519");
    expect_refused_tokens(":519}", ":18446744073709551615}", "from 0 to 519");
    expect_refused_tokens(":519}", ":5.5}", "from 0 to 519");
    expect_refused_tokens(":519}", ":\"519\"}", "from 0 to 519");
    expect_refused_tokens("\"q</w>\"", "\"qq</w>\"", "'q</w>' for the byte 0x71");
    expect_refused_tokens("\"\xc4\xa0\"", "\"gone\"", "for the byte 0x20");
    expect_refused_tokens("\"cat</w>\"", "\"\"", "is empty");
    expect_refused_tokens("\"cat</w>\"", "\"\xff\"", "not UTF-8");
    expect_refused_tokens("\"cat</w>\"", "\"\\u0000\"", "NUL");
    expect_refused_tokens("{", "[{", "JSON");
    write_two_files();
    expect_refusal(100, "vocab.json", "from 0 to 99"); // fewer embeddings than tokens
    static const char *const others[] = { "", "{}", "[]", "null", "{\"a\":0", "\"x\"" };
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        scratch_text(folder, "vocab.json", others[i]);
        expect_refusal(SIZE, "vocab.json", "");
    }
}

static void refuses_broken_merges(void **state)
{
    (void)state;
    static const struct {
        const char *text, *what;
    } cases[] = {
        { "#version: 0.2\nc a\nx q\n", "line 3, 'xq', makes what is no token" },
        { "c a\ncax t\n", "line 2, 'caxt', merges what is no token" },
        { "c a\n\nt h\n", "line 2, '', is not two tokens" },
        { "c a t\n", "line 1, 'c a t'" },
        { "ca\n", "line 1, 'ca'" },
        { " ca\n", "line 1, ' ca'" },
        { "c  a\n", "line 1" },
        { "ca \n", "line 1" },
        { "c a\nt h\nca t</w>\nth e</w>\na t</w>\nb at</w>\nc a\n",
            "merge 7 stands in the list before" },
        { "c \xff\n", "line 1, 'c" },
        { "\xff \xff\n", "line 1, ''" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        expect_refused_merges(cases[i].text, strlen(cases[i].text), cases[i].what);
    expect_refused_merges("c\0 a\n", 5, "line 1");
    expect_refused_merges("c a\0\n", 5, "line 1");
    // Cut short at the end of a line, all words would silently fall into pieces.
    expect_refused_merges("", 0, "'at</w>' of vocab.json is made by none of 0 merges");
    expect_refused_merges(
        "c a\nt h\nca t</w>\n", 17, "'at</w>' of vocab.json is made by none of 3");
}

/* Long tokens and lines are refused, or no more than shown in part; files are bounded. */
static void refuses_what_is_too_long(void **state)
{
    (void)state;
    const size_t len = 20 << 20;
    char *line = malloc(len + 1);
    assert_non_null(line);
    memset(line, 'x', len);
    line[len] = '\0';
    expect_refused_merges(line, len, "line 1, 'xxx");
    memset(line, '\n', len);
    line[len - 1] = 'x';
    expect_refused_merges(line, len, "merges; expected at most 1048576");
    char *key = text_format("\"%02000d\"", 0);
    assert_non_null(key);
    expect_refused_tokens("\"cat</w>\"", key, "longer than 1024 bytes");
    free(key);
    free(line);
    buffer_clear(&merges);
    while (merges.len <= (100 << 20))
        buffer_add(&merges, "0123456789abcdef0123456789abcdef", 32);
    write_two_files();
    struct vocabulary v;
    struct error err = ERROR_INIT;
    assert_int_equal(vocabulary_read(folder, SIZE, &v, &err), E_LIMIT);
    assert_non_null(strstr(err.msg, "merges.txt"));
}

static void expect_refused_file(const char *from, const char *to, const char *what)
{
    write_one_file(0);
    change(&tokens, from, to);
    scratch_file(folder, "tokenizer.json", tokens.data, tokens.len);
    expect_refusal(SIZE, "tokenizer.json", what);
}

static void refuses_other_tokenizers(void **state)
{
    (void)state;
    expect_refused_file("\"BPE\"", "\"WordPiece\"", "model.type is 'WordPiece'");
    expect_refused_file("\"BPE\"", "7", "model.type");
    expect_refused_file("\"type\"", "\"kind\"", "model.type");
    expect_refused_file("\"end_of_word_suffix\":\"</w>\"", "\"end_of_word_suffix\":null",
        "end_of_word_suffix");
    expect_refused_file("\"continuing_subword_prefix\":\"\"",
        "\"continuing_subword_prefix\":\"##\"", "continuing_subword_prefix");
    expect_refused_file("\"model\"", "\"other\"", "model.type");
    expect_refused_file("\"vocab\"", "\"words\"", "object of tokens");
    expect_refused_file("\"merges\"", "\"joins\"", "model.merges is no list");
    expect_refused_file("\"c a\"", "\"c x\"", "merge 1, 'cx'");
    expect_refused_file("\"c a\"", "[\"c\"]", "merge 1");
    expect_refused_file("\"c a\"", "[\"c\",\"\"]", "merge 1");
    expect_refused_file("\"c a\"", "[\"c\",\"a\",\"t\"]", "merge 1");
    expect_refused_file("\"c a\"", "12", "merge 1");
    expect_refused_file("\"id\":518", "\"id\":517", "has id 517");
    expect_refused_file("\"id\":518", "\"id\":99999", "from 0 to 519");
    expect_refused_file("\"content\":\"<|startoftext|>\"", "\"content\":\"cat</w>\"",
        "one id in model.vocab and another");
    expect_refused_file("\"content\":\"<|startoftext|>\"",
        "\"content\":\"<|endoftext|>\"", "in added_tokens twice");
    expect_refused_file("\"content\":\"<|startoftext|>\"", "\"content\":8", "is empty");
    expect_refused_file("<|startoftext|>", "<|start|>", "'<|startoftext|>' is missing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_every_form, setup, teardown),
        cmocka_unit_test_setup_teardown(prefers_the_two_files, setup, teardown),
        cmocka_unit_test_setup_teardown(says_what_is_not_there, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_broken_tokens, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_broken_merges, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_what_is_too_long, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_other_tokenizers, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
