/* What the parsers of all protocols have to stand: characters cut in two, counts that are
 * nonsense, redirects and compressed bodies.  Every case is read by every protocol, from
 * a whole answer and from a stream. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collectors/llm/protocol.h"
#include "m4a1/base/clock.h"
#include "m4a1/base/text.h"
#include "tests/support/event_frames.h"

#define MAX_BODY (1u << 20)

/* Where a protocol has its text and its counts: a whole answer, and a stream as what
 * comes first, one event a piece of text, and what comes last.  "%s" is the text;
 * "%u" in whole and last stands for the input's and the output's count. */
struct form {
    const struct protocol *p;
    const char *headers; /* of the stream */
    const char *whole, *first, *piece, *last;
};

#define CHAT_USAGE "\"usage\":{\"prompt_tokens\":%u,\"completion_tokens\":%u}"
#define RESPONSES_USAGE "\"usage\":{\"input_tokens\":%u,\"output_tokens\":%u}"
#define GEMINI_USAGE                                                                     \
    "\"usageMetadata\":{\"promptTokenCount\":%u,\"candidatesTokenCount\":%u}"
#define OLLAMA_USAGE "\"prompt_eval_count\":%u,\"eval_count\":%u"
#define BEDROCK_USAGE "\"usage\":{\"inputTokens\":%u,\"outputTokens\":%u}"
#define CHAT_FORM(protocol)                                                              \
    {                                                                                    \
        protocol, "",                                                                    \
            "{\"choices\":[{\"message\":{\"content\":\"%s\"},\"finish_reason\":"         \
            "\"stop\"}]," CHAT_USAGE "}",                                                \
            "", "data: {\"choices\":[{\"delta\":{\"content\":\"%s\"}}]}\n\n",            \
            "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]," CHAT_USAGE \
            "}\n\ndata: [DONE]\n\n"                                                      \
    }

static const struct form forms[] = {
    CHAT_FORM(&protocol_openai_chat),
    CHAT_FORM(&protocol_azure_openai),
    { &protocol_openai_responses, "",
        "{\"status\":\"completed\",\"output\":[{\"type\":\"message\",\"content\":[{"
        "\"type\":\"output_text\",\"text\":\"%s\"}]}]," RESPONSES_USAGE "}",
        "", "data: {\"type\":\"response.output_text.delta\",\"delta\":\"%s\"}\n\n",
        "data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\","
        "\"output\":[]," RESPONSES_USAGE "}}\n\n" },
    { &protocol_anthropic, "",
        "{\"type\":\"message\",\"content\":[{\"type\":\"text\",\"text\":\"%s\"}],"
        "\"stop_reason\":\"end_turn\"," RESPONSES_USAGE "}",
        "data: {\"type\":\"message_start\",\"message\":{\"content\":[]}}\n\n",
        "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\","
        "\"text\":\"%s\"}}\n\n",
        "data: "
        "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}"
        "," RESPONSES_USAGE "}\n\ndata: {\"type\":\"message_stop\"}\n\n" },
    { &protocol_gemini, "",
        "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"%s\"}]},"
        "\"finishReason\":\"STOP\"}]," GEMINI_USAGE "}",
        "", "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"%s\"}]}}]}\n\n",
        "data: {\"candidates\":[{\"finishReason\":\"STOP\"}]," GEMINI_USAGE "}\n\n" },
    { &protocol_ollama, "Content-Type: application/x-ndjson\r\n",
        "{\"message\":{\"content\":\"%s\"},\"done\":true,\"done_reason\":"
        "\"stop\"," OLLAMA_USAGE "}",
        "", "{\"message\":{\"content\":\"%s\"},\"done\":false}\n",
        "{\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":"
        "\"stop\"," OLLAMA_USAGE "}\n" },
    { &protocol_bedrock_converse, "",
        "{\"output\":{\"message\":{\"content\":[{\"text\":\"%s\"}]}},\"stopReason\":"
        "\"end_turn\"," BEDROCK_USAGE "}",
        "", "{\"contentBlockIndex\":0,\"delta\":{\"text\":\"%s\"}}",
        "{" BEDROCK_USAGE "}" },
};

static struct answer a;

/* Copy form into b with what its places stand for. */
static void fill(struct buffer *b, const char *form, const char *text, const char *count)
{
    for (; *form; form++) {
        int is_place = form[0] == '%' && (form[1] == 's' || form[1] == 'u');
        if (!is_place)
            buffer_add_char(b, *form);
        else
            buffer_add_str(b, *++form == 's' ? text : count);
    }
}

static void add_frame(struct buffer *b, const char *name, const char *form,
    const char *text, const char *count)
{
    struct buffer payload;
    buffer_init(&payload, MAX_BODY);
    fill(&payload, form, text, count);
    event_frames_add(b, "event", name, buffer_str(&payload));
    buffer_release(&payload);
}

static void read_body(
    const struct form *f, int http_status, const char *headers, const struct buffer *b)
{
    struct wire_answer wire = { http_status, headers, b->data, b->len, 1 };
    answer_release(&a);
    assert_int_equal(f->p->parse(&wire, &a, NULL), OK);
}

static void read_whole(const struct form *f, const char *text, const char *count)
{
    struct buffer b;
    buffer_init(&b, MAX_BODY);
    fill(&b, f->whole, text, count);
    read_body(f, 200, "", &b);
    buffer_release(&b);
}

/* A stream with these pieces of a text, each an event; NULL ends them. */
static void read_stream(
    const struct form *f, const char *const *pieces, const char *count)
{
    struct buffer b;
    int is_framed = f->p == &protocol_bedrock_converse;
    buffer_init(&b, MAX_BODY);
    if (is_framed)
        event_frames_add(&b, "event", "messageStart", "{\"role\":\"assistant\"}");
    fill(&b, f->first, "", count);
    for (; *pieces; pieces++)
        if (is_framed)
            add_frame(&b, "contentBlockDelta", f->piece, *pieces, count);
        else
            fill(&b, f->piece, *pieces, count);
    if (is_framed) {
        event_frames_add(&b, "event", "messageStop", "{\"stopReason\":\"end_turn\"}");
        add_frame(&b, "metadata", f->last, "", count);
    } else {
        fill(&b, f->last, "", count);
    }
    read_body(f, 200, f->headers, &b);
    buffer_release(&b);
}

static void expect_text(const struct form *f, const char *text)
{
    if (a.failure != FAILURE_NONE || !text_equal(a.text, text))
        fail_msg("%s: %s, \"%s\" instead of \"%s\" (%s)", f->p->name,
            failure_names[a.failure], a.text ? a.text : "", text,
            a.error ? a.error : "no error");
}

/* ---- characters ----------------------------------------------------------------- */

#define EMOJI "\xF0\x9F\x98\x80" /* U+1F600, in JSON \ud83d\ude00 */
#define LOST "\xEF\xBF\xBD"      /* U+FFFD */

static void test_split_pairs(void **state)
{
    (void)state;
    static const struct {
        const char *pieces[6], *text;
    } rows[] = {
        { { "a \\ud83d\\ude00 b" }, "a " EMOJI " b" },
        { { "a \\ud83d", "\\ude00 b" }, "a " EMOJI " b" },
        { { "a", "\\uD83D", "\\uDE00", "b" }, "a" EMOJI "b" },
        // An event without text in between does not part the halves.
        { { "\\ud83d", "", "\\ude00" }, EMOJI },
        { { "\\ud83d", "\\ude00\\ud83d", "\\ude00" }, EMOJI EMOJI },
        // A half that never gets its other one.
        { { "a\\ud83d", "b" }, "a" LOST "b" },
        { { "a\\ud83d" }, "a" LOST },
        { { "a", "\\ude00b" }, "a" LOST "b" },
        { { "\\ude00", "\\ud83d" }, LOST LOST },
        { { "\\ud83d\\ud83d", "\\ude00" }, LOST EMOJI },
        { { "\\ud83d\\\\ude00" }, LOST "\\ude00" },
        { { "\\u0000." }, LOST "." },
        // What only looks like one.
        { { "\\\\ud83d", "\\\\ude00" }, "\\ud83d\\ude00" },
        { { "\xED\x9F\xBF\xEE\x80\x80" }, "\xED\x9F\xBF\xEE\x80\x80" },
    };
    for (size_t i = 0; i < COUNT_OF(forms); i++)
        for (size_t k = 0; k < COUNT_OF(rows); k++) {
            read_stream(&forms[i], rows[k].pieces, "1");
            expect_text(&forms[i], rows[k].text);
        }
}

static void test_whole_with_half(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        read_whole(&forms[i], "a \\ud83d\\ude00", "1");
        expect_text(&forms[i], "a " EMOJI);
        read_whole(&forms[i], "a \\ud83d b", "1");
        expect_text(&forms[i], "a " LOST " b");
        read_whole(&forms[i], "\\ude00", "1");
        expect_text(&forms[i], LOST);
        // Still no answer: an escape that is none.
        read_whole(&forms[i], "\\ud8zz", "1");
        assert_int_equal(a.failure, FAILURE_MALFORMED);
        read_whole(&forms[i], "\\uzzzz", "1");
        assert_int_equal(a.failure, FAILURE_MALFORMED);
    }
}

static const struct form *form_of(const struct protocol *p)
{
    for (size_t i = 0; i < COUNT_OF(forms); i++)
        if (forms[i].p == p)
            return &forms[i];
    return NULL;
}

/* Every text that is stored is UTF-8, not only the answer's. */
static void test_halves_elsewhere(void **state)
{
    (void)state;
    static const char body[] =
        "{\"model\":\"m\\ud83d\",\"system_fingerprint\":\"\\ude00f\",\"id\":\"i\\ud83d\","
        "\"choices\":[{\"message\":{\"content\":\"x\"},\"finish_reason\":\"s\\ud83d\"}],"
        "\"usage\":{\"prompt_tokens\":1,\"note\":\"\\ud83d\",\"\\ude00\":1}}";
    struct wire_answer wire = { 200, "", body, strlen(body), 1 };
    answer_release(&a);
    assert_int_equal(protocol_openai_chat.parse(&wire, &a, NULL), OK);
    expect_text(form_of(&protocol_openai_chat), "x");
    assert_string_equal(a.model, "m" LOST);
    assert_string_equal(a.fingerprint, LOST "f");
    assert_string_equal(a.request_id, "i" LOST);
    assert_string_equal(a.provider_stop, "s" LOST);
    assert_string_equal(
        a.usage, "{\"prompt_tokens\":1,\"note\":\"" LOST "\",\"" LOST "\":1}");
    static const char error[] = "{\"error\":{\"message\":\"no \\ud83d\"}}";
    wire = (struct wire_answer) { 500, "", error, strlen(error), 1 };
    answer_release(&a);
    assert_int_equal(protocol_openai_chat.parse(&wire, &a, NULL), OK);
    assert_string_equal(a.error, "no " LOST);
}

/* ---- counts --------------------------------------------------------------------- */

static void expect_counts(const struct form *f, const char *count, int64_t n)
{
    if (a.failure != FAILURE_NONE || a.input_tokens != n || a.output_tokens != n)
        fail_msg("%s, %s: %s, %lld and %lld instead of %lld", f->p->name, count,
            failure_names[a.failure], (long long)a.input_tokens,
            (long long)a.output_tokens, (long long)n);
    // The server's own words stay, whatever they are.
    if (!a.usage)
        fail_msg("%s, %s: the usage is lost", f->p->name, count);
}

static void test_hostile_counts(void **state)
{
    (void)state;
    static const char *const pieces[] = { "x", NULL };
    static const struct {
        const char *count;
        int64_t n;
    } rows[] = {
        { "0", 0 },
        { "100000000", 100000000 },
        { "7.0", 7 },
        { "100000001", TOKENS_UNKNOWN },
        { "1099511627776", TOKENS_UNKNOWN },       // 2^40
        { "9007199254740992", TOKENS_UNKNOWN },    // 2^53
        { "9223372036854775807", TOKENS_UNKNOWN }, // 2^63 - 1
        { "18446744073709551616", TOKENS_UNKNOWN },
        { "1e300", TOKENS_UNKNOWN },
        { "1e999", TOKENS_UNKNOWN },
        { "-1e999", TOKENS_UNKNOWN },
        { "-1", TOKENS_UNKNOWN },
        { "-9223372036854775808", TOKENS_UNKNOWN },
        { "2.5", TOKENS_UNKNOWN },
        { "\"12\"", TOKENS_UNKNOWN },
        { "true", TOKENS_UNKNOWN },
        { "[12]", TOKENS_UNKNOWN },
        { "{\"n\":12}", TOKENS_UNKNOWN },
    };
    for (size_t i = 0; i < COUNT_OF(forms); i++)
        for (size_t k = 0; k < COUNT_OF(rows); k++) {
            read_whole(&forms[i], "x", rows[k].count);
            expect_counts(&forms[i], rows[k].count, rows[k].n);
            read_stream(&forms[i], pieces, rows[k].count);
            expect_counts(&forms[i], rows[k].count, rows[k].n);
        }
}

/* Parts that are more than their whole, and a cost that nobody has. */
static void test_hostile_parts(void **state)
{
    (void)state;
    static const struct {
        const char *usage;
        int64_t input, read, output, reasoning;
        double usd;
    } rows[] = {
        { "\"prompt_tokens_details\":{\"cached_tokens\":11}", TOKENS_UNKNOWN, 11, 5, 0,
            NAN },
        { "\"prompt_tokens_details\":{\"cached_tokens\":-4}", TOKENS_UNKNOWN,
            TOKENS_UNKNOWN, 5, 0, NAN },
        { "\"prompt_tokens_details\":[1]", 10, 0, 5, 0, NAN },
        { "\"completion_tokens_details\":{\"reasoning_tokens\":1e18}", 10, 0,
            TOKENS_UNKNOWN, TOKENS_UNKNOWN, NAN },
        { "\"cost\":0.25", 10, 0, 5, 0, 0.25 },
        { "\"cost\":-0.25", 10, 0, 5, 0, NAN },
        { "\"cost\":\"0.25\"", 10, 0, 5, 0, NAN },
        { "\"cost\":1e12", 10, 0, 5, 0, NAN },
        { "\"cost\":1e999", 10, 0, 5, 0, NAN },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char *body = text_format(
            "{\"choices\":[{\"message\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}],"
            "\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5,%s}}",
            rows[i].usage);
        struct wire_answer wire = { 200, "", body, strlen(body), 1 };
        answer_release(&a);
        assert_int_equal(protocol_openai_chat.parse(&wire, &a, NULL), OK);
        assert_int_equal(a.failure, FAILURE_NONE);
        assert_int_equal(a.input_tokens, rows[i].input);
        assert_int_equal(a.cache_read_tokens, rows[i].read);
        assert_int_equal(a.output_tokens, rows[i].output);
        assert_int_equal(a.reasoning_tokens, rows[i].reasoning);
        assert_true(isnan(rows[i].usd) ? isnan(a.provider_cost_usd)
                                       : a.provider_cost_usd == rows[i].usd);
        free(body);
    }
}

/* A usage of many thousand members costs no time and no place. */
static void test_huge_usage(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 8u << 20);
    buffer_add_str(&b, "{\"choices\":[{\"message\":{\"content\":\"x\"},\"finish_reason\":"
                       "\"stop\"}],\"usage\":{\"prompt_tokens\":10,"
                       "\"completion_tokens\":5");
    for (int i = 0; i < 300000; i++)
        buffer_printf(&b, ",\"k%d\":%d", i, i);
    buffer_add_str(&b, "}}");
    read_body(form_of(&protocol_openai_chat), 200, "", &b);
    buffer_release(&b);
    expect_text(form_of(&protocol_openai_chat), "x");
    assert_int_equal(a.input_tokens, 10);
    assert_int_equal(a.output_tokens, 5);
    assert_true(strlen(a.usage) < 4000);
    assert_true(text_ends(a.usage, ",\"m4a1_cut\":true}"));
}

/* Nor do many of them in one stream, with other members each, nor one long one. */
static void test_many_usages(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 16u << 20);
    for (int i = 0; b.len < 12u << 20; i++) {
        buffer_add_str(&b, "data: {\"usage\":{\"prompt_tokens\":10");
        for (int k = 0; k < 1000; k++)
            buffer_printf(&b, ",\"%x\":1", i * 1000 + k);
        buffer_add_str(&b, "}}\n\n");
    }
    buffer_add_str(&b,
        "data: {\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}],"
        "\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":5}}\n\ndata: [DONE]\n\n");
    int64_t begun = clock_mono_ns();
    read_body(form_of(&protocol_openai_chat), 200, "", &b);
    assert_true(clock_mono_ns() - begun < INT64_C(15000000000)); // under sanitizers, too
    expect_text(form_of(&protocol_openai_chat), "x");
    assert_int_equal(a.input_tokens, 11);
    assert_true(strlen(a.usage) < 4000);
    buffer_clear(&b);
    buffer_add_str(&b, "{\"choices\":[{\"message\":{\"content\":\"x\"},\"finish_reason\":"
                       "\"stop\"}],\"usage\":{\"prompt_tokens\":10,"
                       "\"completion_tokens\":5,\"note\":\"");
    while (b.len < 100000)
        buffer_add_char(&b, 'x');
    buffer_add_str(&b, "\"}}");
    read_body(form_of(&protocol_openai_chat), 200, "", &b);
    assert_int_equal(a.input_tokens, 10);
    assert_string_equal(a.usage, "{\"m4a1_cut\":true}");
    buffer_release(&b);
}

/* ---- what is no answer at all ---------------------------------------------------- */

static void test_redirects(void **state)
{
    (void)state;
    static const struct {
        int http_status;
        const char *headers, *body, *says;
    } rows[] = {
        { 301, "Location: https://new.example/v1/chat\r\n", "<html>Moved</html>",
            "the server redirects to https://new.example/v1/chat (HTTP 301)" },
        { 302, "location: /login?next=secret\r\n", "", "redirects to /login?... (HTTP" },
        { 307, "Location: https://x.example\r\n", "{\"choices\":[]}",
            "put that address into the llm's \"url\"" },
        { 308, "Location: https://x.example\x01\xff/\r\n", "",
            "redirects to https://x.example ?/ (HTTP 308)" },
        { 304, "", "", "HTTP 304 without an address" },
        { 300, "Location:  \r\n", "data: {}\n\n", "HTTP 300 without an address" },
    };
    for (size_t i = 0; i < COUNT_OF(forms); i++)
        for (size_t k = 0; k < COUNT_OF(rows); k++) {
            struct buffer b;
            buffer_init(&b, MAX_BODY);
            buffer_add_str(&b, rows[k].body);
            read_body(&forms[i], rows[k].http_status, rows[k].headers, &b);
            buffer_release(&b);
            assert_int_equal(a.failure, FAILURE_REQUEST);
            if (!strstr(a.error, rows[k].says))
                fail_msg("%s: \"%s\" does not say \"%s\"", forms[i].p->name, a.error,
                    rows[k].says);
            assert_null(a.text);
        }
}

static void test_compressed(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        size_t len;
        const char *says;
    } rows[] = {
        { "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", 10, "compressed (gzip)" },
        { "\x28\xb5\x2f\xfd\x04\x00", 6, "compressed (zstd)" },
        { "\x78\x9c\x4b\x4c", 4, "compressed (zlib)" },
    };
    for (size_t i = 0; i < COUNT_OF(forms); i++)
        for (size_t k = 0; k < COUNT_OF(rows); k++) {
            struct buffer b;
            buffer_init(&b, MAX_BODY);
            buffer_add(&b, rows[k].body, rows[k].len);
            read_body(&forms[i], 200, "", &b);
            assert_int_equal(a.failure, FAILURE_MALFORMED);
            assert_non_null(strstr(a.error, rows[k].says));
            assert_non_null(strstr(a.error, "Content-Encoding"));
            read_body(&forms[i], 500, "", &b);
            buffer_release(&b);
            assert_int_equal(a.failure, FAILURE_SERVER);
            assert_non_null(strstr(a.error, rows[k].says));
        }
}

static int teardown(void **state)
{
    (void)state;
    answer_release(&a);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split_pairs),
        cmocka_unit_test(test_whole_with_half),
        cmocka_unit_test(test_halves_elsewhere),
        cmocka_unit_test(test_hostile_counts),
        cmocka_unit_test(test_hostile_parts),
        cmocka_unit_test(test_huge_usage),
        cmocka_unit_test(test_many_usages),
        cmocka_unit_test(test_redirects),
        cmocka_unit_test(test_compressed),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
