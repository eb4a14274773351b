/* Every kind of view in every protocol: what is rendered, and what is refused. */
#include "collectors/llm/protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "m4a1/base/json.h"
#include "m4a1/base/text.h"
#include "tests/support/kinds_case.h"
#include "tests/support/protocol_case.h"
#include "tests/support/store_fixture.h"

static struct store_fixture f;
static struct frame_cache *cache;
static int64_t call;
static struct dialogue *seen, *heard; /* without and with the sound */

static int open_all(void **state)
{
    (void)state;
    store_fixture_open(&f, "keep");
    kinds_use(&f);
    call = store_fixture_session(&f, store_fixture_llm(&f, "a", "http://x", NULL), 1, 7);
    assert_int_equal(frame_cache_new(1 << 20, &cache, NULL), OK);
    struct llm llm = { .accepts = { -1, -1, -1, 0 } };
    assert_int_equal(dialogue_build(f.store, cache, call, &llm, &seen, NULL), OK);
    llm.accepts[VIEW_AUDIO] = 1;
    return dialogue_build(f.store, cache, call, &llm, &heard, NULL) != OK;
}

static int close_all(void **state)
{
    (void)state;
    dialogue_free(seen);
    dialogue_free(heard);
    frame_cache_free(cache);
    store_fixture_close(&f);
    return 0;
}

static struct json *object(const char *text)
{
    struct json *j = NULL;
    assert_int_equal(json_parse(text, strlen(text), "test", 0, &j, NULL), OK);
    return j;
}

/* The parts of the user's message, in order; %s is "sha256:" and a hash, or base64. */
struct row {
    const struct protocol *p;
    const char *parameters;
    const char *text, *image, *sound; /* forms of a part; sound NULL = none */
};

#define TEXT "{\"type\":\"text\",\"text\":\"%s\"}"
#define CHAT_IMAGE "{\"type\":\"image_url\",\"image_url\":{\"url\":\"%s\"}}"
#define CHAT_SOUND                                                                       \
    "{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"%s\",\"format\":\"wav\"}}"

static const struct row rows[] = {
    { &protocol_openai_chat, "{}", TEXT, CHAT_IMAGE, CHAT_SOUND },
    { &protocol_azure_openai, "{}", TEXT, CHAT_IMAGE, CHAT_SOUND },
    { &protocol_openai_responses, "{}", "{\"type\":\"input_text\",\"text\":\"%s\"}",
        "{\"type\":\"input_image\",\"image_url\":\"%s\",\"detail\":\"auto\"}", NULL },
    { &protocol_anthropic, "{\"max_tokens\":9}", TEXT,
        "{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":"
        "\"image/jpeg\",\"data\":\"%s\"}}",
        NULL },
    { &protocol_gemini, "{}", "{\"text\":\"%s\"}",
        "{\"inlineData\":{\"mimeType\":\"image/jpeg\",\"data\":\"%s\"}}",
        "{\"inlineData\":{\"mimeType\":\"audio/wav\",\"data\":\"%s\"}}" },
    { &protocol_bedrock_converse, "{}", "{\"text\":\"%s\"}",
        "{\"image\":{\"format\":\"jpeg\",\"source\":{\"bytes\":\"%s\"}}}", NULL },
};

/* A form with its %s filled in, behind a comma unless it is the first. */
static void add(struct buffer *to, const char *form, const char *what)
{
    const char *at = strstr(form, "%s");
    if (to->len)
        buffer_add_char(to, ',');
    buffer_add(to, form, (size_t)(at - form));
    buffer_add_str(to, what);
    buffer_add_str(to, at + 2);
}

static void expected_parts(const struct row *row, int is_stored, struct buffer *to)
{
    const struct dialogue *d = row->sound ? heard : seen;
    for (size_t k = 0; k < d->messages[0].n_parts; k++) {
        const struct dialogue_part *part = &d->messages[0].parts[k];
        int is_sound = dialogue_is_sound(part);
        int is_url = strstr(row->image, "url") && !is_sound;
        const char *base64 = NULL;
        size_t len = 0;
        if (!part->frame) {
            int is_quoted = strchr(part->text, '"') != NULL;
            add(to, row->text, is_quoted ? "What is \\\"here\\\"?" : part->text);
            continue;
        }
        assert_int_equal(frame_encoded(part->frame, is_url, &base64, &len, NULL), OK);
        char *what = is_stored ? text_format("sha256:%s", frame_sha256(part->frame))
                               : text_copy_n(base64, len);
        add(to, is_sound ? row->sound : row->image, what);
        free(what);
    }
}

static void expect(const struct row *row, int is_stored, const char *made)
{
    struct buffer parts;
    buffer_init(&parts, 1 << 20);
    expected_parts(row, is_stored, &parts);
    if (!strstr(made, buffer_str(&parts)))
        fail_msg("%s: %s\nis not in\n%s", row->p->name, buffer_str(&parts), made);
    buffer_release(&parts);
}

static struct llm make_llm(const struct row *row, int hears)
{
    return (struct llm) { .name = (char *)"x",
        .model = (char *)"m",
        .accepts = { -1, -1, -1, hears },
        .parameters = object(row->parameters) };
}

static void test_rendered(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct row *row = &rows[i];
        struct llm llm = make_llm(row, row->sound != NULL);
        struct error err = ERROR_INIT;
        struct body body;
        struct buffer sent;
        body_init(&body);
        if (protocol_check(row->p, &llm, &err) != OK ||
            protocol_render(row->p, &llm, row->sound ? heard : seen, &body, &err) != OK)
            fail_msg("%s: %s", row->p->name, err.msg);
        protocol_flatten(&body, &sent);
        expect(row, 1, buffer_str(&body.text));
        expect(row, 0, buffer_str(&sent));
        buffer_release(&sent);
        body_release(&body);
        json_free(llm.parameters);
    }
}

/* Ollama's images stand beside one text that has all labels, in the same order. */
static void test_ollama(void **state)
{
    (void)state;
    struct row row = { &protocol_ollama, "{\"num_ctx\":8192}", NULL, NULL, NULL };
    struct llm llm = make_llm(&row, 0);
    struct body body;
    body_init(&body);
    assert_int_equal(protocol_render(&protocol_ollama, &llm, seen, &body, NULL), OK);
    const char *text = "View first_person, 3 frames, every 0.5 s:\\nAt 0 s:\\nAt 0.5 s:"
                       "\\nAt 1 s:\\nView side:\\n" KINDS_TEXT "\\nWhat is";
    assert_non_null(strstr(buffer_str(&body.text), text));
    size_t n = 0;
    for (const char *c = buffer_str(&body.text); (c = strstr(c, "sha256:")); c++)
        n++;
    assert_int_equal(n, 3);
    body_release(&body);
    json_free(llm.parameters);
}

/* Where there is no word for sound, a recipe that says otherwise is refused, and so is a
 * dialogue that holds some all the same. */
static void test_no_sound(void **state)
{
    (void)state;
    static const struct row ollama = { &protocol_ollama, "{\"num_ctx\":8192}", NULL, NULL,
        NULL };
    size_t n_silent = 0;
    for (size_t i = 0; i <= COUNT_OF(rows); i++) {
        const struct row *row = i < COUNT_OF(rows) ? &rows[i] : &ollama;
        struct llm llm = make_llm(row, 1);
        struct error err = ERROR_INIT;
        struct body body;
        body_init(&body);
        assert_int_equal(protocol_check(row->p, &llm, &err), row->sound ? OK : E_ARG);
        if (!row->sound) {
            n_silent++;
            assert_non_null(strstr(err.msg, "llm \"x\": the protocol"));
            assert_non_null(strstr(err.msg, "carries no audio"));
            assert_int_equal(protocol_render(row->p, &llm, heard, &body, &err), E_DATA);
        }
        body_release(&body);
        json_free(llm.parameters);
    }
    assert_int_equal(n_silent, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rendered),
        cmocka_unit_test(test_ollama),
        cmocka_unit_test(test_no_sound),
    };
    return cmocka_run_group_tests_name("modalities", tests, open_all, close_all);
}
