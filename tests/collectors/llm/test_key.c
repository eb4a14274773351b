/* Keys: how they are sent, and that nothing which comes back holds one. */
#include "collectors/llm/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "m4a1/base/hash.h"
#include "m4a1/base/text.h"

#define ID "AKIA0PLANTED1EXAMPLE"
#define SECRET "wJalr/XUtnFEMI+K7MDENG/bPxRfi=="
#define SESSION "FwoGZXIvYXdzEPlantedSessionToken"

static enum status sign(const struct key_use *use, const struct key_request *request,
    struct buffer *lines, struct error *err)
{
    assert_string_equal(use->scope, "eu-north-1");
    assert_string_equal(key_value(use, 1), SECRET);
    buffer_printf(lines, "Authorization: %s %s %s\n", request->method, request->url,
        request->body_sha256);
    return buffer_status(lines, "signature", err);
}

static const struct key_use signed_use = { .way = KEY_SIGNED,
    .sign = sign,
    .variables = { { "M4A1_TEST_ID", 0 }, { "M4A1_TEST_SECRET", 0 },
        { "M4A1_TEST_SESSION", 1 } },
    .n_variables = 3,
    .scope = "eu-north-1" };

static int set_variables(void **state)
{
    (void)state;
    return setenv("M4A1_TEST_ID", ID, 1) || setenv("M4A1_TEST_SECRET", SECRET, 1) ||
           setenv("M4A1_TEST_SESSION", SESSION, 1) ||
           setenv("M4A1_TEST_KEY", "sk-planted-0a1b2c3d", 1) ||
           unsetenv("M4A1_TEST_NONE");
}

static void expect_lines(
    const struct key_use *use, const char *token, const char *sent, const char *shown)
{
    struct key_request request = { "POST", "http://x/y", "", "abc", 0 };
    struct buffer b;
    buffer_init(&b, 1000);
    assert_int_equal(key_lines(use, token, &request, &b, NULL), OK);
    assert_string_equal(buffer_str(&b), sent);
    key_wipe(&b);
    key_lines_shown(use, &b);
    assert_string_equal(buffer_str(&b), shown);
    buffer_release(&b);
}

static void test_lines(void **state)
{
    (void)state;
    struct key_use bearer = { .way = KEY_BEARER, .env = "M4A1_TEST_KEY" };
    struct key_use header = {
        .way = KEY_HEADER, .env = "M4A1_TEST_KEY", .header = "x-api-key"
    };
    struct key_use none = { 0 };
    expect_lines(&bearer, NULL, "Authorization: Bearer sk-planted-0a1b2c3d\n",
        "Authorization: Bearer $M4A1_TEST_KEY\n");
    expect_lines(
        &header, NULL, "x-api-key: sk-planted-0a1b2c3d\n", "x-api-key: $M4A1_TEST_KEY\n");
    expect_lines(
        &header, "simulated", "x-api-key: simulated\n", "x-api-key: $M4A1_TEST_KEY\n");
    expect_lines(&none, NULL, "", "");
    expect_lines(&signed_use, NULL, "Authorization: POST http://x/y abc\n",
        "Authorization: (a signature made of $M4A1_TEST_ID $M4A1_TEST_SECRET "
        "$M4A1_TEST_SESSION)\n");
    expect_lines(&signed_use, "simulated", "Authorization: Bearer simulated\n",
        "Authorization: (a signature made of $M4A1_TEST_ID $M4A1_TEST_SECRET "
        "$M4A1_TEST_SESSION)\n");
}

static void test_check(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct key_use missing = { .env = "M4A1_TEST_NONE" };
    assert_int_equal(key_check(&missing, &err), E_NOT_FOUND);
    assert_non_null(strstr(err.msg, "M4A1_TEST_NONE"));
    assert_int_equal(key_check(&signed_use, &err), OK);
    setenv("M4A1_TEST_SESSION", "", 1); // it is optional
    assert_int_equal(key_check(&signed_use, &err), OK);
    setenv("M4A1_TEST_SECRET", "planted\n", 1);
    assert_int_equal(key_check(&signed_use, &err), E_ARG);
    assert_non_null(strstr(err.msg, "M4A1_TEST_SECRET"));
    assert_null(strstr(err.msg, "planted"));
    unsetenv("M4A1_TEST_SECRET");
    assert_int_equal(key_check(&signed_use, &err), E_NOT_FOUND);
    assert_int_equal(set_variables(NULL), 0);
}

/* before and after are what has to be left. */
static void expect_scrubbed(const char *before, const char *echo, const char *after)
{
    char *text = text_format("%s%s%s", before, echo, after);
    size_t len = strlen(text), n = key_scrub(&signed_use, text, len);
    if (!n)
        fail_msg("not found: %s", text);
    assert_int_equal(strlen(text), len);
    for (size_t i = 0; i < len; i++) {
        int is_echo = i >= strlen(before) && i < strlen(before) + strlen(echo);
        int is_kept = text[i] != '*';
        if (is_echo == is_kept)
            fail_msg("%s%s%s became %s", before, echo, after, text);
    }
    free(text);
}

static void test_scrub(void **state)
{
    (void)state;
    static const char *const echoes[] = { ID, SECRET, SESSION,
        "wJalr\\/XUtnFEMI+K7MDENG\\/bPxRfi==",               // PHP, cJSON's readers
        "wJalr/XUtnFEMI\\u002bK7MDENG/bPxRfi\\u003d\\u003D", // Gson, .NET
        "wJalr\\\\\\/XUtnFEMI\\\\u002bK7MDENG/bPxRfi==",     // JSON inside JSON
        "wJalr%2FXUtnFEMI%2bK7MDENG%2FbPxRfi%3D%3d",         // an address
        "\\u0077Jalr/XUtnFEMI+K7MDENG/bPxRfi==",
        "wJalr%252FXUtnFEMI%25252bK7MDENG%2FbPxRfi%3D%253d",      // an address in another
        "wJalr&#x2F;XUtnFEMI&#43;K7MDENG&#047;bPxRfi&#61;&#x3d;", // HTML
        "&#119;Jalr/XUtnFEMI+K7MDENG/bPxRfi==", "%77Jalr/XUtnFEMI+K7MDENG/bPxRfi==" };
    for (size_t i = 0; i < COUNT_OF(echoes); i++) {
        expect_scrubbed("", echoes[i], "");
        expect_scrubbed("{\"error\":\"bad key ", echoes[i], "\\n\"}");
        expect_scrubbed("\\\"", echoes[i], "\\\"");
    }
    expect_scrubbed("", ID ID, "");
    char harmless[] = "wJalr/XUtnFEMI+K7MDENG/bPxRfi= AKIA0PLANTED1EXAMPL \\u0041KIA "
                      "wJalr&#x2F &#;&#x;&#99999999999;% %2 %25 %25252525252525252525 &";
    assert_int_equal(key_scrub(&signed_use, harmless, strlen(harmless)), 0);
    assert_int_equal(key_scrub(&signed_use, NULL, 0), 0);
    struct key_use none = { 0 };
    assert_int_equal(key_scrub(&none, harmless, strlen(harmless)), 0);
}

/* At whatever place in a text that became base64 the secret stands, what is left of it
 * decodes to less than two of its bytes at either end. */
static void test_scrub_base64(void **state)
{
    (void)state;
    for (size_t shift = 0; shift < 7; shift++) {
        for (int is_url = 0; is_url <= 1; is_url++) {
            char text[200], coded[400];
            uint8_t back[400];
            size_t n_back = 0;
            snprintf(text, sizeof text, "%.*s%s:rest", (int)shift, "Basic: ", SECRET);
            base64_encode(text, strlen(text), coded);
            for (char *c = coded; is_url && *c; c++)
                *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
            assert_int_equal(key_scrub(&signed_use, coded, strlen(coded)), 1);
            for (char *c = coded; *c; c++)
                *c = *c == '*' || *c == '-' || *c == '_' ? 'A' : *c;
            assert_int_equal(
                base64_decode(coded, strlen(coded), back, &n_back, NULL), OK);
            for (size_t i = shift + 1; i < shift + strlen(SECRET) - 1; i++)
                assert_int_equal(back[i], 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_scrub),
        cmocka_unit_test(test_scrub_base64),
    };
    return cmocka_run_group_tests_name("key", tests, set_variables, NULL);
}
