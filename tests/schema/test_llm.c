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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_limits_of_pictures),
    };
    return cmocka_run_group_tests_name("llm", tests, NULL, NULL);
}
