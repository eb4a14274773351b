/* protocol_case.c - see protocol_case.h. */
#include "tests/support/protocol_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collectors/dialogue.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"
#include "schema/query.h"
#include "tests/support/store_fixture.h"

void protocol_read(const struct protocol *p, struct answer *a, int http_status,
    const char *headers, const char *body, size_t len, int is_complete)
{
    struct wire_answer wire = { http_status, headers, body, len, is_complete };
    answer_release(a);
    assert_int_equal(p->parse(&wire, a, NULL), OK);
    assert_int_equal(a->failure == FAILURE_NONE, a->text != NULL);
    assert_int_equal(a->failure == FAILURE_NONE, a->error == NULL);
}

void protocol_expect_tokens(const struct answer *a, int64_t input, int64_t cache_read,
    int64_t cache_write, int64_t output, int64_t reasoning)
{
    assert_int_equal(a->input_tokens, input);
    assert_int_equal(a->cache_read_tokens, cache_read);
    assert_int_equal(a->cache_write_tokens, cache_write);
    assert_int_equal(a->output_tokens, output);
    assert_int_equal(a->reasoning_tokens, reasoning);
}

void protocol_expect_failures(
    const struct protocol *p, const struct wire_row *rows, size_t n)
{
    struct answer a;
    answer_init(&a);
    for (size_t i = 0; i < n; i++) {
        const struct wire_row *row = &rows[i];
        protocol_read(
            p, &a, row->http_status, row->headers, row->body, strlen(row->body), 1);
        if (a.failure != row->failure || !strstr(a.error, row->says))
            fail_msg("%d %s: %s: %s", row->http_status, row->body,
                failure_names[a.failure], a.error ? a.error : "(nothing)");
    }
    answer_release(&a);
}

void protocol_expect_no_half(
    const struct protocol *p, const char *headers, const char *body, size_t len)
{
    struct answer a;
    answer_init(&a);
    for (size_t n = 0; n < len; n++) {
        protocol_read(p, &a, 200, headers, body, n, 0);
        if (a.failure == FAILURE_NONE)
            fail_msg("%zu of %zu bytes are an answer: %s", n, len, a.text);
    }
    protocol_read(p, &a, 200, headers, body, len, 1);
    if (a.failure != FAILURE_NONE)
        fail_msg("the whole is no answer: %s", a.error);
    answer_release(&a);
}

static struct json *parsed(const char *text)
{
    struct json *j = NULL;
    assert_int_equal(json_parse(text, strlen(text), "test", 0, &j, NULL), OK);
    return j;
}

static void fill(struct llm *llm, const struct protocol *p, const char *parameters)
{
    static char name[] = "x", model[] = "the-model", prompt[] = "Be brief.";
    *llm = (struct llm) { .name = name,
        .protocol = NULL,
        .model = model,
        .parameters = parsed(parameters),
        .system_prompt = prompt,
        .accepts = { -1, -1, -1, 0 } };
    (void)p;
}

void protocol_expect_check(const struct protocol *p, const char *model,
    const char *parameters, const char *options, const char *says)
{
    struct llm llm;
    struct error err = ERROR_INIT;
    char *own_model = text_copy(model);
    fill(&llm, p, parameters);
    llm.model = own_model;
    llm.options = options ? parsed(options) : NULL;
    enum status s = protocol_check(p, &llm, &err);
    if ((s == OK) != (says == NULL) || (says && !strstr(err.msg, says)))
        fail_msg("%s: \"%s\" does not say \"%s\"", parameters, err.msg,
            says ? says : "(nothing)");
    json_free(llm.parameters);
    json_free(llm.options);
    free(own_model);
}

/* The images of a dialogue put where expected has "%s", by hash or as base64. */
static void put(
    const struct dialogue *d, const char *expected, int is_stored, struct buffer *out)
{
    for (size_t i = 0; i < d->n_messages; i++) {
        for (size_t k = 0; k < d->messages[i].n_parts; k++) {
            struct frame *image = d->messages[i].parts[k].frame;
            const char *text = NULL, *mark = strstr(expected, "%s");
            size_t len = 0;
            if (!image)
                continue;
            assert_non_null(mark);
            assert_int_equal(frame_encoded(image, 0, &text, &len, NULL), OK);
            buffer_add(out, expected, (size_t)(mark - expected));
            if (is_stored)
                buffer_printf(out, "sha256:%s", frame_sha256(image));
            else
                buffer_add(out, text, len);
            expected = mark + 2;
        }
    }
    buffer_add_str(out, expected);
}

static void compare(const struct dialogue *d, const char *expected, int is_stored,
    const struct buffer *made)
{
    struct buffer whole;
    buffer_init(&whole, 1u << 20);
    put(d, expected, is_stored, &whole);
    if (!text_equal(buffer_str(&whole), buffer_str(made)))
        fail_msg("rendered %s\ninstead of %s", buffer_str(made), buffer_str(&whole));
    buffer_release(&whole);
}

void protocol_flatten(const struct body *body, struct buffer *out)
{
    struct body_place place = { 0 };
    char piece[1000];
    size_t n = 0;
    buffer_init(out, BODY_MAX);
    while ((n = body_read(body, &place, piece, sizeof piece)))
        buffer_add(out, piece, n);
    assert_int_equal(out->len, body->len);
}

void protocol_expect_render(const struct protocol *p, const char *parameters,
    int is_stream, const char *answer, const char *expected)
{
    struct store_fixture f;
    struct frame_cache *cache = NULL;
    struct dialogue *d = NULL;
    struct body body;
    struct buffer sent;
    struct llm llm;
    body_init(&body);
    fill(&llm, p, parameters);
    llm.stream = is_stream;
    store_fixture_open(&f, "keep");
    int64_t id = store_fixture_llm(&f, "a", "http://127.0.0.1:1", NULL);
    int64_t call = store_fixture_session(&f, id, 2, 5);
    assert_int_equal(
        store_run(f.store, NULL, "INSERT INTO response (call_id, text) VALUES (?, ?)",
            "it", call, answer),
        OK);
    assert_int_equal(frame_cache_new(1 << 20, &cache, NULL), OK);
    assert_int_equal(dialogue_build(f.store, cache, call + 1, &llm, &d, NULL), OK);
    assert_int_equal(protocol_render(p, &llm, d, &body, NULL), OK);
    protocol_flatten(&body, &sent);
    compare(d, expected, 1, &body.text);
    compare(d, expected, 0, &sent);
    dialogue_free(d);
    frame_cache_free(cache);
    store_fixture_close(&f);
    json_free(llm.parameters);
    body_release(&body);
    buffer_release(&sent);
}
