/* What makes the identity of an llm, and what comes back out of a store. */
#include "schema/llm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "m4a1/base/text.h"
#include "schema/query.h"
#include "tests/support/store_fixture.h"

static void set_options(struct llm *llm)
{
    llm->options = json_new_object();
    json_set_text(llm->options, "detail", "low");
    llm->avoid_cache = 1;
}

static void set_no_options(struct llm *llm)
{
    llm->options = json_new_object();
}

static void set_limits(struct llm *llm)
{
    llm->max_image_px = 512;
    llm->max_image_bytes = 60000;
}

static void set_resizing(struct llm *llm)
{
    set_limits(llm);
    llm->resizes_images = 1;
}

static char *facts_of(const struct llm *llm)
{
    struct json *facts = NULL;
    struct buffer text;
    buffer_init(&text, 10000);
    assert_int_equal(llm_facts(llm, &facts, NULL), OK);
    assert_int_equal(json_print(facts, JSON_CANONICAL, &text, NULL), OK);
    json_free(facts);
    return buffer_detach(&text, NULL);
}

static void expect_identity(const struct llm *llm, const char *facts)
{
    char hex[HASH_HEX], *text = text_format("m4a1-llm-1\n%s", facts);
    char *found = facts_of(llm);
    assert_string_equal(found, facts);
    hash_hex(text, strlen(text), hex);
    assert_string_equal(llm->identity, hex);
    free(found);
    free(text);
}

/* Options are facts; a store of before there were any knows its llms again. */
static void test_identity(void **state)
{
    (void)state;
    static const char plain[] = "{\"endpoint\":\"test\",\"model\":\"model-of-plain\","
                                "\"parameters\":{\"max_tokens\":100},"
                                "\"protocol\":\"openai-chat\"}";
    static const char with_options[] =
        "{\"endpoint\":\"test\",\"model\":\"model-of-low\",\"options\":{\"detail\":"
        "\"low\"},"
        "\"parameters\":{\"max_tokens\":100},\"protocol\":\"openai-chat\"}";
    struct store_fixture f;
    struct llm *llms = NULL;
    size_t n = 0;
    store_fixture_open(&f, "keep");
    store_fixture_llm(&f, "plain", "http://127.0.0.1:1", set_no_options);
    store_fixture_llm(&f, "low", "http://127.0.0.1:1", set_options);
    store_fixture_reopen(&f);
    assert_int_equal(llm_load_all(f.store, 0, &llms, &n, NULL), OK);
    assert_int_equal(n, 2);
    expect_identity(&llms[0], plain);
    expect_identity(&llms[1], with_options);
    assert_null(llms[0].options);
    assert_false(llms[0].avoid_cache);
    assert_string_equal(json_text(json_get(llms[1].options, "detail"), NULL), "low");
    assert_true(llms[1].avoid_cache);
    llm_free_all(llms, n);
    store_fixture_close(&f);
}

/* Refusing changes no answer, resizing may. */
static void test_limits_of_pictures(void **state)
{
    (void)state;
    static const char refusing[] =
        "{\"endpoint\":\"test\",\"model\":\"model-of-refusing\","
        "\"parameters\":{\"max_tokens\":100},\"protocol\":\"openai-chat\"}";
    static const char resizing[] =
        "{\"endpoint\":\"test\",\"images\":{\"image_bytes\":60000,\"image_px\":512,"
        "\"too_large\":\"resize\"},\"model\":\"model-of-resizing\","
        "\"parameters\":{\"max_tokens\":100},\"protocol\":\"openai-chat\"}";
    struct store_fixture f;
    struct llm *llms = NULL;
    size_t n = 0;
    store_fixture_open(&f, "keep");
    store_fixture_llm(&f, "refusing", "http://127.0.0.1:1", set_limits);
    store_fixture_llm(&f, "resizing", "http://127.0.0.1:1", set_resizing);
    store_fixture_reopen(&f);
    assert_int_equal(llm_load_all(f.store, 0, &llms, &n, NULL), OK);
    assert_int_equal(n, 2);
    expect_identity(&llms[0], refusing);
    expect_identity(&llms[1], resizing);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(llms[i].max_image_px, 512);
        assert_int_equal(llms[i].max_image_bytes, 60000);
        assert_int_equal(llms[i].resizes_images, i == 1);
    }
    llm_free_all(llms, n);
    store_fixture_close(&f);
}

/* A row of the table llm as somebody left it. */
static enum status load_edited(
    struct store_fixture *f, const char *sql, struct llm **llms, struct error *err)
{
    size_t n = 0;
    *err = (struct error)ERROR_INIT;
    assert_int_equal(store_run(f->store, err, sql, ""), OK);
    return llm_load_all(f->store, 0, llms, &n, err);
}

static void test_edited_rows(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *says;
    } rows[] = {
        { "UPDATE llm SET facts = json_set(facts, '$.parameters', json('[1]'))",
            "facts.parameters is no object" },
        { "UPDATE llm SET facts = json_set(facts, '$.parameters', 5)",
            "facts.parameters is no object" },
        { "UPDATE llm SET facts = json_set(facts, '$.options', json('[\"a\"]'))",
            "facts.options is no object" },
        { "UPDATE llm SET settings = json_set(settings, '$.key_env', 'A$(id)')",
            "settings.key_env is no name" },
        { "UPDATE llm SET settings = json_set(settings, '$.url', 'http://h/'||char(13))",
            "settings.url is no address" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct store_fixture f;
        struct llm *llms = NULL;
        struct error err;
        store_fixture_open(&f, "keep");
        store_fixture_llm(&f, "a", "http://127.0.0.1:1", NULL);
        if (load_edited(&f, rows[i].sql, &llms, &err) != E_DATA ||
            !strstr(err.msg, rows[i].says) || !strstr(err.msg, "llm a: "))
            fail_msg("%s: %s", rows[i].sql, err.msg);
        assert_null(llms);
        store_fixture_close(&f);
    }
}

static void test_settings_are_cut(void **state)
{
    (void)state;
    struct store_fixture f;
    struct llm *llms = NULL;
    struct error err;
    store_fixture_open(&f, "keep");
    store_fixture_llm(&f, "a", "http://127.0.0.1:1", NULL);
    assert_int_equal(
        load_edited(&f,
            "UPDATE llm SET settings = json_set(settings, '$.slots', 2000000000,"
            " '$.max_attempts', -5, '$.timeout_s', 1e300, '$.image_tokens',"
            " 9007199254740991, '$.rpm', -9, '$.tpm', 9e15, '$.max_usd', -1,"
            " '$.watts', -2, '$.accepts.image', 9000000000000000)",
            &llms, &err),
        OK);
    assert_int_equal(llms->slots, LLM_MAX_SLOTS);
    assert_int_equal(llms->max_attempts, 1);
    assert_true(llms->timeout_s == 86400);
    assert_int_equal(llms->image_tokens, LLM_MAX_IMAGE_TOKENS);
    assert_int_equal(llms->rpm, 0);
    assert_int_equal(llms->tpm, LLM_MAX_PER_MINUTE);
    assert_true(llms->max_usd == 0);
    assert_true(llms->watts == 0);
    assert_int_equal(llms->accepts[VIEW_IMAGE], LLM_MAX_VIEWS);
    llm_free_all(llms, 1);
    store_fixture_close(&f);
}

static void test_addresses(void **state)
{
    (void)state;
    static const char *const good[] = { "http://h", "https://api.openai.com/v1",
        "http://127.0.0.1:8000", "http://[::1]:65535/x", "http://[::1]", "https://h:1/",
        "https://a.b/c:d" };
    static const char *const bad[] = { "", "h", "ftp://h", "http://", "http:///x",
        "http://:80", "http://h:", "http://h:b", "http://h:0", "http://h:99999",
        "http://h:65536", "http://h:80b", "http://h:000080", "http://[::1",
        "http://[::1]x", "http://u:p@h", "http://h?x", "http://h#x", "http://h x",
        "http://h\\x", "http://h/a\r\nX: y", "http://h/\x01", "http://h/\x7f",
        "http://h\"" };
    for (size_t i = 0; i < COUNT_OF(good); i++)
        if (!llm_is_url(good[i]))
            fail_msg("%s is refused", good[i]);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (llm_is_url(bad[i]))
            fail_msg("%s is taken", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_limits_of_pictures),
        cmocka_unit_test(test_edited_rows),
        cmocka_unit_test(test_settings_are_cut),
        cmocka_unit_test(test_addresses),
    };
    return cmocka_run_group_tests_name("llm", tests, NULL, NULL);
}
