/* What every protocol of the table has to keep, and the requests of the OpenAI family and
 * of Anthropic word for word. */
#include "collectors/llm/protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "m4a1/base/json.h"
#include "m4a1/base/text.h"
#include "schema/query.h"
#include "tests/support/protocol_case.h"
#include "tests/support/store_fixture.h"

static struct store_fixture f;
static struct frame_cache *cache;
static struct dialogue *dialogue; /* two turns, two images, a system prompt */

static int open_all(void **state)
{
    (void)state;
    store_fixture_open(&f, "keep");
    int64_t llm = store_fixture_llm(&f, "a", "http://127.0.0.1:1", NULL);
    int64_t call = store_fixture_session(&f, llm, 2, 5);
    assert_int_equal(
        store_run(f.store, NULL,
            "INSERT INTO response (call_id, text) VALUES (?, 'A \"cup\".')", "i", call),
        OK);
    assert_int_equal(frame_cache_new(1 << 20, &cache, NULL), OK);
    struct llm asked = { .accepts = { -1, -1, -1, 0 },
        .system_prompt = (char *)"Be brief." };
    return dialogue_build(f.store, cache, call + 1, &asked, &dialogue, NULL) != OK;
}

static int close_all(void **state)
{
    (void)state;
    dialogue_free(dialogue);
    frame_cache_free(cache);
    store_fixture_close(&f);
    return 0;
}

static struct json *object(const char *text)
{
    struct json *j = NULL;
    struct error err = ERROR_INIT;
    if (json_parse(text, strlen(text), "test", 0, &j, &err) != OK)
        fail_msg("%s: %s", text, err.msg);
    return j;
}

/* An llm that owns nothing but its two objects. */
static struct llm make_llm(const char *parameters, const char *options)
{
    return (struct llm) { .name = (char *)"a",
        .model = (char *)"m:1",
        .key_env = (char *)"M4A1_TEST_KEY",
        .accepts = { -1, -1, -1, 0 },
        .parameters = object(parameters),
        .options = options ? object(options) : NULL };
}

static void free_llm(struct llm *llm)
{
    json_free(llm->parameters);
    json_free(llm->options);
}

/* ---- every protocol ------------------------------------------------------------- */

/* Parameters and options that all of them take, or that only one of them needs. */
static struct llm any_llm(const struct protocol *p)
{
    const char *parameters = "{\"max_tokens\":64}";
    if (text_equal(p->name, "ollama"))
        parameters = "{\"num_ctx\":8192}";
    return make_llm(parameters, NULL);
}

static void expect_ok(const struct protocol *p, const struct llm *llm)
{
    struct error err = ERROR_INIT;
    if (protocol_check(p, llm, &err) != OK)
        fail_msg("%s: %s", p->name, err.msg);
}

static void expect_refused(const struct protocol *p, const char *parameters,
    const char *options, const char *says)
{
    struct error err = ERROR_INIT;
    struct llm llm = make_llm(parameters, options);
    if (protocol_check(p, &llm, &err) != E_ARG || !strstr(err.msg, says))
        fail_msg("%s %s: \"%s\" does not say \"%s\"", parameters, options ? options : "",
            err.msg, says);
    free_llm(&llm);
}

static void test_table(void **state)
{
    (void)state;
    size_t n = 0;
    const struct protocol *p = NULL;
    for (; (p = protocol_at(n)); n++) {
        assert_ptr_equal(protocol_find(p->name), p);
        assert_non_null(strstr(protocol_names(), p->name));
        assert_int_equal(p->path[0], '/');
        for (size_t i = 0; i < p->n_options; i++)
            assert_non_null(p->options[i].what);
    }
    assert_true(n >= 7);
    assert_null(protocol_find("gpt"));
    size_t n_names = 1;
    for (const char *c = protocol_names(); *c; c++)
        n_names += *c == ',';
    assert_int_equal(n_names, n);
}

static void test_every_check(void **state)
{
    (void)state;
    const struct protocol *p = NULL;
    for (size_t i = 0; (p = protocol_at(i)); i++) {
        struct llm llm = any_llm(p);
        expect_ok(p, &llm);
        free_llm(&llm);
        expect_refused(p, "{}", "{\"no_such_option\":\"x\"}", "no_such_option");
        assert_non_null(p->reserved);
        for (size_t k = 0; p->reserved[k]; k++) {
            char *parameters = text_format("{\"%s\":1}", p->reserved[k]);
            expect_refused(p, parameters, NULL, p->reserved[k]);
            free(parameters);
        }
    }
}

static size_t count_of(const char *text, const char *word)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, word)); at += strlen(word))
        n++;
    return n;
}

/* The stored body with the images put in by hand is what is sent. */
static void expect_images(const char *body, const char *stored)
{
    char *rest = text_copy(body);
    for (size_t i = 0; i < dialogue->n_messages; i++) {
        const struct dialogue_message *m = &dialogue->messages[i];
        for (size_t k = 0; k < m->n_parts; k++) {
            if (!m->parts[k].frame)
                continue;
            const char *data = NULL;
            size_t len = 0;
            assert_int_equal(frame_encoded(m->parts[k].frame, 0, &data, &len, NULL), OK);
            char *found = strstr(rest, data);
            assert_non_null(found);
            char *next = text_format("%.*ssha256:%s%s", (int)(found - rest), rest,
                frame_sha256(m->parts[k].frame), found + len);
            free(rest);
            rest = next;
        }
    }
    for (char *at = rest; (at = strstr(at, "data:image/"));) // of data URLs
        memmove(at, strstr(at, "sha256:"), strlen(strstr(at, "sha256:")) + 1);
    assert_string_equal(rest, stored);
    free(rest);
}

/* The most tokens of an answer, wherever a protocol has them: a number that no answer has
 * would make reservations, and the request, nonsense. */
static void test_bounds(void **state)
{
    (void)state;
    static const struct {
        const struct protocol *p;
        const char *place, *form;
    } rows[] = {
        { &protocol_openai_chat, "max_completion_tokens",
            "{\"max_completion_tokens\":#}" },
        { &protocol_openai_chat, "max_tokens", "{\"max_tokens\":#}" },
        { &protocol_openai_responses, "max_output_tokens", "{\"max_output_tokens\":#}" },
        { &protocol_anthropic, "max_tokens", "{\"max_tokens\":#}" },
        { &protocol_gemini, "maxOutputTokens", "{\"maxOutputTokens\":#}" },
        { &protocol_gemini, "generationConfig.maxOutputTokens",
            "{\"generationConfig\":{\"maxOutputTokens\":#}}" },
        { &protocol_ollama, "num_predict", "{\"num_ctx\":8192,\"num_predict\":#}" },
        { &protocol_ollama, "options.num_predict",
            "{\"options\":{\"num_ctx\":8192,\"num_predict\":#}}" },
        { &protocol_bedrock_converse, "maxTokens", "{\"maxTokens\":#}" },
        { &protocol_bedrock_converse, "inferenceConfig.maxTokens",
            "{\"inferenceConfig\":{\"maxTokens\":#}}" },
    };
    static const char *const wrong[] = { "0", "-1", "-5", "10000001", "1e18", "2.5",
        "\"100\"", "true", "[1]" };
    static const char *const right[] = { "1", "100", "10000000", "64.0" };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char *says = text_format(
            "\"%s\" has to be a whole number from 1 to 10000000", rows[i].place);
        const char *at = strchr(rows[i].form, '#');
        for (size_t k = 0; k < COUNT_OF(wrong) + COUNT_OF(right); k++) {
            int is_wrong = k < COUNT_OF(wrong);
            char *parameters = text_format("%.*s%s%s", (int)(at - rows[i].form),
                rows[i].form, is_wrong ? wrong[k] : right[k - COUNT_OF(wrong)], at + 1);
            protocol_expect_check(
                rows[i].p, "m", parameters, NULL, is_wrong ? says : NULL);
            free(parameters);
        }
        free(says);
    }
}

static void test_every_body(void **state)
{
    (void)state;
    const struct protocol *p = NULL;
    for (size_t i = 0; (p = protocol_at(i)); i++) {
        for (int stream = 0; stream <= 1; stream++) {
            struct llm llm = any_llm(p);
            struct body body;
            struct buffer sent;
            struct error err = ERROR_INIT;
            llm.stream = stream;
            body_init(&body);
            if (protocol_render(p, &llm, dialogue, &body, &err) != OK)
                fail_msg("%s: %s", p->name, err.msg);
            protocol_flatten(&body, &sent);
            json_free(object(buffer_str(&sent)));
            expect_images(buffer_str(&sent), buffer_str(&body.text));
            // The first turn's views, each behind its label, then what was said.
            static const char *const said[] = { "Be brief.", "View ", "View ",
                "A \\\"cup\\\"." };
            const char *at = strstr(buffer_str(&body.text), said[0]);
            assert_non_null(at);
            assert_int_equal(count_of(buffer_str(&body.text), "View "), 2);
            assert_int_equal(count_of(buffer_str(&body.text), "sha256:"), 2);
            if (text_equal(p->name, "bedrock-converse") || text_equal(p->name, "gemini"))
                at = buffer_str(&body.text); // whose system prompt may stand anywhere
            for (size_t k = 1; k < COUNT_OF(said); k++) {
                at = strstr(at + 1, said[k]);
                if (!at)
                    fail_msg("%s: no \"%s\" in its place: %s", p->name, said[k],
                        buffer_str(&body.text));
            }
            body_release(&body);
            buffer_release(&sent);
            free_llm(&llm);
        }
    }
}

/* ---- bodies --------------------------------------------------------------------- */

/* Replaces the first word in text, which is freed. */
static char *replaced(char *text, const char *word, const char *by)
{
    const char *found = strstr(text, word);
    assert_non_null(found);
    char *next =
        text_format("%.*s%s%s", (int)(found - text), text, by, found + strlen(word));
    free(text);
    return next;
}

/* The stored body of an llm as it has to be: before, both turns, after.  Texts are parts of
 * this type; image is the part of one, with HASH for its mark. */
struct body_case {
    const char *before, *type, *image, *after;
};

static void expect_body(
    const struct protocol *p, struct llm llm, const struct body_case *c)
{
    struct body body;
    body_init(&body);
    expect_ok(p, &llm);
    assert_int_equal(protocol_render(p, &llm, dialogue, &body, NULL), OK);
    char *expected =
        text_format("%s{\"role\":\"user\",\"content\":["
                    "{\"type\":\"%s\",\"text\":\"View first_person:\"},%s,"
                    "{\"type\":\"%s\",\"text\":\"View front:\"},%s,"
                    "{\"type\":\"%s\",\"text\":\"What is \\\"here\\\"?\"}]},"
                    "{\"role\":\"assistant\",\"content\":\"A \\\"cup\\\".\"},"
                    "{\"role\":\"user\",\"content\":\"And what else?\"}],%s",
            c->before, c->type, c->image, c->type, c->image, c->type, c->after);
    const struct dialogue_message *m = &dialogue->messages[0];
    for (size_t k = 0; k < m->n_parts; k++)
        if (m->parts[k].frame)
            expected = replaced(expected, "HASH", frame_sha256(m->parts[k].frame));
    assert_string_equal(buffer_str(&body.text), expected);
    free(expected);
    body_release(&body);
    free_llm(&llm);
}

static struct llm with(struct llm llm, int stream, int avoid_cache)
{
    llm.stream = stream;
    llm.avoid_cache = avoid_cache;
    return llm;
}

static void expect_chat(const struct protocol *p, struct llm llm, const char *role,
    const char *detail, const char *after)
{
    char *before = text_format("{\"model\":\"m:1\",\"messages\":[{\"role\":\"%s\","
                               "\"content\":\"Be brief.\"},",
        role);
    char *image = text_format(
        "{\"type\":\"image_url\",\"image_url\":{\"url\":\"sha256:HASH\"%s}}", detail);
    struct body_case c = { before, "text", image, after };
    expect_body(p, llm, &c);
    free(before);
    free(image);
}

static void test_chat_bodies(void **state)
{
    (void)state;
    const struct protocol *p = &protocol_openai_chat;
    expect_chat(p, make_llm("{\"temperature\":0}", NULL), "system", "",
        "\"temperature\":0,\"stream\":false}");
    expect_chat(p, with(make_llm("{}", NULL), 1, 0), "system", "",
        "\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
    expect_chat(p, with(make_llm("{\"stream_options\":null}", NULL), 1, 0), "system", "",
        "\"stream\":true}");
    expect_chat(p, make_llm("{}", "{\"detail\":\"low\",\"system_role\":\"developer\"}"),
        "developer", ",\"detail\":\"low\"", "\"stream\":false}");
    expect_chat(p, with(make_llm("{}", "{\"server\":\"llama.cpp\"}"), 0, 1), "system", "",
        "\"stream\":false,\"cache_prompt\":false}");
    expect_chat(&protocol_azure_openai, make_llm("{}", "{\"detail\":\"high\"}"), "system",
        ",\"detail\":\"high\"", "\"stream\":false}");
    expect_refused(p, "{\"n\":2}", NULL, "has to be 1");
    expect_refused(p, "{}", "{\"sever\":\"x\"}", "did you mean \"server\"");
    expect_refused(p, "{}", "{\"detail\":\"original\"}", "\"auto\", \"low\", \"high\"");
    expect_refused(p, "{}", "{\"project\":\"a\\nb\"}", "without blanks");
    expect_refused(p, "{}", "{\"project\":7}", "without blanks");
}

static void test_responses_bodies(void **state)
{
    (void)state;
    const struct protocol *p = &protocol_openai_responses;
    struct body_case c = {
        "{\"model\":\"m:1\",\"instructions\":\"Be brief.\",\"input\":[", "input_text",
        "{\"type\":\"input_image\",\"image_url\":\"sha256:HASH\",\"detail\":\"auto\"}",
        "\"max_output_tokens\":64,\"store\":false,\"stream\":false}"
    };
    expect_body(p, make_llm("{\"max_output_tokens\":64}", NULL), &c);
    c.image = "{\"type\":\"input_image\",\"image_url\":\"sha256:HASH\",\"detail\":"
              "\"original\"}";
    c.after = "\"store\":true,\"stream\":true}";
    expect_body(
        p, with(make_llm("{\"store\":true}", "{\"detail\":\"original\"}"), 1, 0), &c);
    expect_refused(p, "{\"previous_response_id\":\"r\"}", NULL, "previous_response_id");
}

static void test_anthropic_bodies(void **state)
{
    (void)state;
    const struct protocol *p = &protocol_anthropic;
    struct body_case c = { "{\"model\":\"m:1\",\"system\":\"Be brief.\",\"messages\":[",
        "text",
        "{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":"
        "\"image/jpeg\",\"data\":\"sha256:HASH\"}}",
        "\"max_tokens\":64,\"temperature\":0,\"stream\":false}" };
    expect_body(p, make_llm("{\"max_tokens\":64,\"temperature\":0}", NULL), &c);
    c.after = "\"max_tokens\":64,\"stream\":true}";
    expect_body(p,
        with(make_llm("{\"max_tokens\":64}", "{\"anthropic_version\":\"2026-10-21\"}"), 1,
            1),
        &c);
    expect_refused(p, "{}", NULL, "needs the parameter \"max_tokens\"");
    expect_refused(p, "{\"max_tokens\":64,\"top_p\":1}",
        "{\"anthropic_version\":\"2026-10-21\"}", "refuses the parameter \"top_p\"");
    expect_refused(p, "{\"max_tokens\":64}", "{\"version\":\"2023-06-01\"}",
        "no option \"version\"");
    struct llm llm = make_llm("{\"max_tokens\":64,\"cache_control\":{}}", NULL);
    expect_ok(p, &llm);
    llm.avoid_cache = 1;
    assert_int_equal(protocol_check(p, &llm, NULL), E_ARG);
    free_llm(&llm);
}

/* An answer without a text was no mistake, but Anthropic refuses to be told of it. */
static void test_empty_answer(void **state)
{
    (void)state;
    struct dialogue_part question = { .text = (char *)"?" },
                         empty = { .text = (char *)"" };
    struct dialogue_message messages[] = { { 0, &question, 1 }, { 1, &empty, 1 },
        { 0, &question, 1 } };
    struct dialogue d = { .messages = messages, .n_messages = 3 };
    struct llm llm = make_llm("{\"max_tokens\":64}", NULL);
    struct body body;
    body_init(&body);
    assert_int_equal(protocol_render(&protocol_anthropic, &llm, &d, &body, NULL), OK);
    assert_non_null(strstr(buffer_str(&body.text), PROTOCOL_NO_ANSWER));
    assert_null(strstr(buffer_str(&body.text), "\"\""));
    body_release(&body);
    free_llm(&llm);
}

/* ---- addresses, headers, keys --------------------------------------------------- */

static void expect_url(
    const struct protocol *p, struct llm llm, const char *base, const char *expected)
{
    char *url = protocol_url(p, &llm, base);
    assert_string_equal(url, expected);
    free(url);
    free_llm(&llm);
}

static void test_urls(void **state)
{
    (void)state;
    expect_url(&protocol_openai_chat, make_llm("{}", NULL), "http://127.0.0.1:8080",
        "http://127.0.0.1:8080/v1/chat/completions");
    expect_url(&protocol_openai_chat, make_llm("{}", NULL), "https://x.ai/api/v1",
        "https://x.ai/api/v1/chat/completions");
    expect_url(&protocol_azure_openai, make_llm("{}", NULL), "https://r.openai.azure.com",
        "https://r.openai.azure.com/openai/deployments/m%3A1/chat/completions"
        "?api-version=2024-10-21");
    expect_url(&protocol_azure_openai,
        make_llm(
            "{}", "{\"deployment\":\"my gpt\",\"api_version\":\"2025-01-01-preview\"}"),
        "https://r.openai.azure.com/openai",
        "https://r.openai.azure.com/openai/deployments/my%20gpt/chat/completions"
        "?api-version=2025-01-01-preview");
    expect_url(&protocol_openai_responses, make_llm("{}", NULL), "https://api.openai.com",
        "https://api.openai.com/v1/responses");
    expect_url(&protocol_anthropic, make_llm("{}", NULL), "https://api.anthropic.com/v1",
        "https://api.anthropic.com/v1/messages");
}

static void expect_headers(const struct protocol *p, const char *options,
    const char *headers, const char *key_line)
{
    struct llm llm = make_llm("{}", options);
    char *lines = protocol_headers(p, &llm);
    assert_string_equal(lines, headers);
    free(lines);
    struct key_use use = protocol_key(p, &llm);
    struct buffer b;
    buffer_init(&b, 1000);
    key_lines_shown(&use, &b);
    assert_string_equal(buffer_str(&b), key_line);
    buffer_release(&b);
    free_llm(&llm);
}

static void test_headers(void **state)
{
    (void)state;
    static const char bearer[] = "Authorization: Bearer $M4A1_TEST_KEY\n";
    static const char x_api_key[] = "x-api-key: $M4A1_TEST_KEY\n";
    static const char api_key[] = "api-key: $M4A1_TEST_KEY\n";
    expect_headers(&protocol_openai_chat, NULL, "", bearer);
    expect_headers(&protocol_openai_chat, "{\"project\":\"proj_1\"}",
        "OpenAI-Project: proj_1\n", bearer);
    expect_headers(&protocol_openai_responses,
        "{\"organization\":\"org_1\",\"project\":\"proj_1\"}",
        "OpenAI-Organization: org_1\nOpenAI-Project: proj_1\n", bearer);
    expect_headers(&protocol_azure_openai, NULL, "", api_key);
    expect_headers(&protocol_azure_openai, "{\"auth\":\"bearer\"}", "", bearer);
    expect_headers(
        &protocol_anthropic, NULL, "anthropic-version: 2023-06-01\n", x_api_key);
    expect_headers(&protocol_anthropic, "{\"anthropic_version\":\"2026-10-21\"}",
        "anthropic-version: 2026-10-21\n", bearer);
    expect_headers(&protocol_anthropic,
        "{\"anthropic_version\":\"2026-10-21\",\"auth\":\"x-api-key\"}",
        "anthropic-version: 2026-10-21\n", x_api_key);
    expect_headers(&protocol_anthropic,
        "{\"auth\":\"bearer\",\"anthropic_beta\":\"a-1,b-2\"}",
        "anthropic-version: 2023-06-01\nanthropic-beta: a-1,b-2\n", bearer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_every_check),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_every_body),
        cmocka_unit_test(test_chat_bodies),
        cmocka_unit_test(test_responses_bodies),
        cmocka_unit_test(test_anthropic_bodies),
        cmocka_unit_test(test_empty_answer),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_headers),
    };
    return cmocka_run_group_tests_name("protocol", tests, open_all, close_all);
}
