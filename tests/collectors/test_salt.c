/* Calls that no prompt cache may shorten begin with digits of their own. */
#include "collectors/salt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collectors/engine.h"
#include "m4a1/base/text.h"
#include "tests/support/raw_server.h"
#include "tests/support/store_fixture.h"

#define MAX_SEEN 8

static char *seen[MAX_SEEN];
static int n_refused;

/* Refuses the first n_refused requests with a 500. */
static int take(struct raw_connection *c, const struct raw_request *request, void *arg)
{
    (void)arg;
    if (request->number < MAX_SEEN)
        seen[request->number] = text_copy(request->body);
    if (request->number < n_refused)
        raw_answer(c, 500, "retry-after-ms: 1\r\n", "{\"error\":\"not yet\"}");
    else
        raw_chat(c, "", "A cup.");
    return 1;
}

static void forget(void)
{
    for (size_t i = 0; i < MAX_SEEN; i++) {
        free(seen[i]);
        seen[i] = NULL;
    }
}

/* Two turns of one session. */
static void collect(void (*set)(struct llm *llm), int refused)
{
    struct store_fixture f;
    struct engine_options o;
    struct engine_result r;
    struct error err = ERROR_INIT;
    forget();
    n_refused = refused;
    struct raw_server *server = raw_server_start(take, NULL);
    store_fixture_open(&f, "keep");
    int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), set);
    store_fixture_price(&f, llm, 0, 0);
    store_fixture_session(&f, llm, 2, 5);
    engine_options_init(&o);
    if (engine_run(f.store, &o, &r, &err) != OK)
        fail_msg("%s", err.msg);
    assert_int_equal(r.n_answered, 2);
    engine_result_release(&r);
    store_fixture_close(&f);
    raw_server_stop(server);
}

static void avoid(struct llm *llm)
{
    llm->avoid_cache = 1;
}

static void avoid_behind_system(struct llm *llm)
{
    llm->avoid_cache = 1;
    llm->system_prompt = text_copy("Be brief.");
}

static void avoid_by_switch(struct llm *llm)
{
    llm->avoid_cache = 1;
    llm->options = json_new_object();
    json_set_text(llm->options, "server", "llama.cpp");
}

/* The digits behind this text; fails where there are none. */
static const char *salt_behind(const char *body, const char *text)
{
    const char *salt = strstr(body, text);
    assert_non_null(salt);
    salt += strlen(text);
    assert_int_equal(strspn(salt, "0123456789abcdef"), SALT_DIGITS);
    assert_memory_equal(salt + SALT_DIGITS, "\\n", 2);
    return salt;
}

static void test_salted(void **state)
{
    (void)state;
    // The first request is refused and sent again: three attempts, three salts.
    static const char first[] = "\"content\":[{\"type\":\"text\",\"text\":\"";
    collect(avoid, 1);
    const char *salts[3];
    for (size_t i = 0; i < 3; i++) {
        salts[i] = salt_behind(seen[i], first);
        assert_memory_equal(salts[i] + SALT_DIGITS + 2, "View ", 5);
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(salts[i], salts[k], SALT_DIGITS);
    }
    // The same salt in front of the later turn's history would let a cache go on.
    collect(avoid_behind_system, 0);
    for (size_t i = 0; i < 2; i++)
        assert_memory_equal(
            salt_behind(seen[i], "\"role\":\"system\",\"content\":\"") + SALT_DIGITS,
            "\\nBe brief.", 11);
    assert_null(strstr(seen[0], "cache_prompt"));
}

static void test_not_salted(void **state)
{
    (void)state;
    collect(NULL, 0);
    assert_non_null(strstr(seen[0], "\"text\":\"View "));
    assert_null(strstr(seen[0], "cache_prompt"));
    // llama.cpp has a switch of its own.
    collect(avoid_by_switch, 0);
    assert_non_null(strstr(seen[0], "\"text\":\"View "));
    assert_non_null(strstr(seen[0], "\"cache_prompt\":false"));
    forget();
}

static void test_needed(void **state)
{
    (void)state;
    struct llm llm = { .avoid_cache = 1 };
    assert_true(salt_is_needed(&protocol_openai_chat, &llm));
    assert_true(salt_is_needed(&protocol_azure_openai, &llm));
    assert_true(salt_is_needed(&protocol_openai_responses, &llm));
    // Anthropic caches only what a request asks to be cached.
    assert_false(salt_is_needed(&protocol_anthropic, &llm));
    llm.avoid_cache = 0;
    assert_false(salt_is_needed(&protocol_openai_chat, &llm));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_salted),
        cmocka_unit_test(test_not_salted),
        cmocka_unit_test(test_needed),
    };
    return cmocka_run_group_tests_name("salt", tests, NULL, NULL);
}
