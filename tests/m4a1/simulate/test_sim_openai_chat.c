/* test_sim_openai_chat.c - what is read from a chat completion, and how bad ones are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/text.h"
#include "tests/support/chat_body.h"
#include "tests/support/sim_case.h"

#define USER(content) "\"messages\":[{\"role\":\"user\",\"content\":" content "}]}"
#define PART(part) "{\"model\":\"m\"," USER("[" part "]")

static void a_good_request_is_read(void **state)
{
    (void)state;
    struct sim_request request;
    struct sim_error error;
    char *body = chat_body(CHAT_CLOUD, "What is “here”?", 7, 2,
        "\"stream\":true,\"stream_options\":{\"include_usage\":true},"
        "\"max_completion_tokens\":64,\"temperature\":0.2,\"reasoning_effort\":\"low\",");
    if (!sim_case_read(body, strlen(body), &request, &error))
        fail_msg("%s", error.message);
    assert_string_equal(request.model, CHAT_CLOUD);
    assert_true(request.stream && request.include_usage);
    assert_int_equal(request.max_tokens, 64);
    assert_int_equal(request.n_messages, 1);
    assert_int_equal(request.messages[0].n_images, 2);
    assert_int_equal(request.n_images, 2);
    assert_int_equal(request.images[0].width_px, 768);
    assert_int_equal(request.images[0].height_px, 512);
    assert_string_equal(request.images[1].label, "View side:");
    assert_string_not_equal(request.images[0].hash, request.images[1].hash);
    assert_string_equal(sim_request_question(&request),
        "View first_person:\nView side:\nWhat is “here”?");
    sim_request_release(&request);
    free(body);
}

static void identity_of(const char *body, char out[HASH_HEX])
{
    struct sim_request request;
    struct sim_error error;
    if (!sim_case_read(body, strlen(body), &request, &error))
        fail_msg("%s: %s", body, error.message);
    memcpy(out, request.identity, HASH_HEX);
    sim_request_release(&request);
}

static void identity_is_what_can_change_an_answer(void **state)
{
    (void)state;
    char base[HASH_HEX], other[HASH_HEX];
    identity_of("{\"model\":\"m\",\"temperature\":0," USER("\"hi\""), base);
    static const char *const same[] = {
        "{ \"temperature\": 0.0, \"model\": \"m\", " USER("\"hi\""),
        "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true},"
        "\"temperature\":0," USER("\"hi\""),
        "{\"model\":\"m\",\"user\":\"x\",\"metadata\":{\"a\":\"b\"},\"store\":false,"
        "\"service_tier\":\"auto\",\"safety_identifier\":\"s\",\"prompt_cache_key\":"
        "\"k\","
        "\"temperature\":0," USER("\"hi\""),
    };
    static const char *const different[] = {
        "{\"model\":\"n\",\"temperature\":0," USER("\"hi\""),
        "{\"model\":\"m\",\"temperature\":1," USER("\"hi\""),
        "{\"model\":\"m\",\"temperature\":0,\"seed\":2," USER("\"hi\""),
        "{\"model\":\"m\",\"temperature\":0," USER("\"ho\""),
    };
    for (size_t i = 0; i < COUNT_OF(same); i++) {
        identity_of(same[i], other);
        assert_string_equal(base, other);
    }
    for (size_t i = 0; i < COUNT_OF(different); i++) {
        identity_of(different[i], other);
        assert_string_not_equal(base, other);
    }
}

static const struct {
    const char *body;
    const char *param, *code;
} bad[] = {
    { "", "", "" },
    { "[]", "", "" },
    { "{\"model\":\"m\",", "", "" },
    { "{\"model\":\"m\"} and more", "", "" },
    { "{" USER("\"hi\""), "model", "" },
    { "{\"model\":3," USER("\"hi\""), "model", "invalid_type" },
    { "{\"model\":\"m\"}", "messages", "missing_required_parameter" },
    { "{\"model\":\"m\",\"messages\":\"hi\"}", "messages", "invalid_type" },
    { "{\"model\":\"m\",\"messages\":[]}", "messages", "empty_array" },
    { "{\"model\":\"m\",\"messages\":[3]}", "messages[0].role", "invalid_value" },
    { "{\"model\":\"m\",\"messages\":[{\"role\":\"human\",\"content\":\"x\"}]}",
        "messages[0].role", "invalid_value" },
    { "{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}]}", "messages[0].content",
        "missing_required_parameter" },
    { "{\"model\":\"m\"," USER("3"), "messages[0].content", "invalid_type" },
    { "{\"model\":\"m\"," USER("[]"), "messages[0].content", "invalid_type" },
    { PART("{\"type\":\"text\"}"), "messages[0].content[0]", "invalid_type" },
    { PART("{\"type\":\"video\"}"), "messages[0].content[0]", "invalid_value" },
    { PART("{\"type\":\"text\",\"text\":\"a\"},"
           "{\"type\":\"image_url\",\"image_url\":\"data:image/png;base64,AAAA\"}"),
        "messages[0].content[1].image_url", "invalid_type" },
    { PART("{\"type\":\"image_url\",\"image_url\":{}}"),
        "messages[0].content[0].image_url.url", "missing_required_parameter" },
    { PART("{\"type\":\"image_url\",\"image_url\":{\"url\":\"http://x/a.png\"}}"),
        "messages[0].content[0].image_url.url", "invalid_image_url" },
    { PART("{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:text/plain,hi\"}}"),
        "messages[0].content[0].image_url.url", "invalid_image_url" },
    { PART("{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/"
           "png;base64,A*\"}}"),
        "messages[0].content[0].image_url.url", "invalid_base64_image" },
    { PART("{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,\"}}"),
        "messages[0].content[0].image_url.url", "invalid_base64_image" },
    { PART("{\"type\":\"image_url\",\"image_url\":"
           "{\"url\":\"data:image/png;base64,aGVsbG8gd29ybGQh\"}}"),
        "messages[0].content[0].image_url.url", "image_parse_error" },
    { PART("{\"type\":\"image_url\",\"image_url\":"
           "{\"url\":\"data:image/png;base64,AAAA\",\"detail\":\"fine\"}}"),
        "messages[0].content[0].image_url.detail", "invalid_value" },
    { "{\"model\":\"m\",\"stream\":\"yes\"," USER("\"hi\""), "stream", "invalid_type" },
    { "{\"model\":\"m\",\"stream_options\":{\"include_usage\":true}," USER("\"hi\""),
        "stream_options", "" },
    { "{\"model\":\"m\",\"temperature\":3," USER("\"hi\""), "temperature",
        "decimal_above_max_value" },
    { "{\"model\":\"m\",\"top_p\":-1," USER("\"hi\""), "top_p",
        "decimal_below_min_value" },
    { "{\"model\":\"m\",\"n\":2," USER("\"hi\""), "n", "decimal_above_max_value" },
    { "{\"model\":\"m\",\"max_completion_tokens\":0," USER("\"hi\""),
        "max_completion_tokens", "invalid_type" },
    { "{\"model\":\"m\",\"max_tokens\":null," USER("\"hi\""), "max_tokens",
        "invalid_type" },
    { "{\"model\":\"m\",\"max_tokens\":5,\"max_completion_tokens\":5," USER("\"hi\""),
        "max_tokens", "invalid_parameter_combination" },
};

static void bad_requests_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct sim_request request;
        struct sim_error error;
        if (sim_case_read(bad[i].body, strlen(bad[i].body), &request, &error))
            fail_msg("accepted: %s", bad[i].body);
        if (error.status != 400 || strcmp(error.param, bad[i].param) != 0 ||
            strcmp(error.code, bad[i].code) != 0)
            fail_msg("%s\n -> %d param '%s' code '%s'", bad[i].body, error.status,
                error.param, error.code);
        assert_string_equal(error.type, "invalid_request_error");
        assert_true(strlen(error.message) > 10);
        sim_request_release(&request);
    }
}

static void errors_have_the_published_form(void **state)
{
    (void)state;
    struct sim_error error;
    struct buffer text;
    struct json *root;
    buffer_init(&text, 4096);
    /* A message that is cut stays valid UTF-8. */
    char name[600];
    for (size_t i = 0; i + 2 < sizeof name; i += 2)
        memcpy(name + i, "é", 3);
    sim_refuse(&error, 400, "", "p", "x%s", name);
    struct json *made = sim_openai_error(&error, "");
    assert_int_equal(json_print(made, JSON_COMPACT, &text, NULL), OK);
    json_free(made);
    assert_int_equal(json_parse(text.data, text.len, "error", 0, &root, NULL), OK);
    const struct json *body = json_get(root, "error");
    assert_int_equal(json_size(body), 4);
    assert_true(json_is_null(json_get(body, "code")));
    assert_string_equal(json_text(json_get(body, "param"), ""), "p");
    assert_string_equal(json_text(json_get(body, "type"), ""), "invalid_request_error");
    json_free(root);
    buffer_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_request_is_read),
        cmocka_unit_test(identity_is_what_can_change_an_answer),
        cmocka_unit_test(bad_requests_are_refused),
        cmocka_unit_test(errors_have_the_published_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
