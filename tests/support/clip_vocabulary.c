/* clip_vocabulary.c - small vocabularies of CLIP as texts. */
#include "tests/support/clip_vocabulary.h"

#include "m4a1/base/unicode.h"

const char *const clip_vocabulary_merges[CLIP_VOCABULARY_N_MERGES][2] = {
    { "c", "a" },
    { "t", "h" },
    { "ca", "t</w>" },
    { "th", "e</w>" },
    { "a", "t</w>" },
    { "b", "at</w>" },
};

/* The character that stands for a byte, as a JSON string has it. */
static void add_byte(struct buffer *out, int byte)
{
    int printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte != 0xAD);
    int n_before = 0; // bytes below that are not printable
    for (int b = 0; b < byte; b++)
        n_before += !((b >= '!' && b <= '~') || (b >= 0xA1 && b != 0xAD));
    if (byte == '"' || byte == '\\')
        buffer_add_char(out, '\\');
    unicode_add(out, printable ? byte : 256 + n_before);
}

void clip_vocabulary_tokens(struct buffer *out, int marks)
{
    buffer_add_char(out, '{');
    for (int id = 0; id < CLIP_VOCABULARY_BYTES; id++) {
        buffer_add_str(out, id ? ",\"" : "\"");
        add_byte(out, id % 256);
        buffer_printf(out, "%s\":%d", id < 256 ? "" : "</w>", id);
    }
    for (int i = 0; i < CLIP_VOCABULARY_N_MERGES; i++)
        buffer_printf(out, ",\"%s%s\":%d", clip_vocabulary_merges[i][0],
            clip_vocabulary_merges[i][1], CLIP_VOCABULARY_BYTES + i);
    if (marks)
        buffer_printf(out, ",\"<|startoftext|>\":%d,\"<|endoftext|>\":%d",
            CLIP_VOCABULARY_START, CLIP_VOCABULARY_END);
    buffer_add_char(out, '}');
}

void clip_vocabulary_merge_lines(struct buffer *out)
{
    buffer_add_str(out, "#version: 0.2\n");
    for (int i = 0; i < CLIP_VOCABULARY_N_MERGES; i++)
        buffer_printf(
            out, "%s %s\n", clip_vocabulary_merges[i][0], clip_vocabulary_merges[i][1]);
}

void clip_vocabulary_one_file(struct buffer *out, int pairs)
{
    buffer_printf(out,
        "{\"version\":\"1.0\",\"added_tokens\":["
        "{\"id\":%d,\"content\":\"<|startoftext|>\",\"special\":true},"
        "{\"id\":%d,\"content\":\"<|endoftext|>\",\"special\":true}],"
        "\"model\":{\"type\":\"BPE\",\"unk_token\":\"<|endoftext|>\","
        "\"continuing_subword_prefix\":\"\",\"end_of_word_suffix\":\"</w>\",\"vocab\":",
        CLIP_VOCABULARY_START, CLIP_VOCABULARY_END);
    clip_vocabulary_tokens(out, 0);
    buffer_add_str(out, ",\"merges\":[");
    for (int i = 0; i < CLIP_VOCABULARY_N_MERGES; i++)
        buffer_printf(out, pairs ? "%s[\"%s\",\"%s\"]" : "%s\"%s %s\"", i ? "," : "",
            clip_vocabulary_merges[i][0], clip_vocabulary_merges[i][1]);
    buffer_add_str(out, "]}}");
}
