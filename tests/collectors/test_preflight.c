/* What a run says before its first request about views that an llm does not take. */
#include "collectors/preflight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "m4a1/base/text.h"
#include "tests/support/kinds_case.h"
#include "tests/support/store_fixture.h"

static struct store_fixture f;

static int open_store(void **state)
{
    (void)state;
    store_fixture_open(&f, "keep");
    kinds_use(&f);
    return 0;
}

static int close_store(void **state)
{
    (void)state;
    store_fixture_close(&f);
    return 0;
}

static int limits[N_VIEW_KINDS];
static const char *protocol;

static void use(struct llm *llm)
{
    memcpy(llm->accepts, limits, sizeof limits);
    if (!protocol)
        return;
    free(llm->protocol);
    llm->protocol = text_copy(protocol);
}

/* Calls with these views each; what preflight says of them, or that it is content. */
static void expect(const char *says)
{
    struct ready_rules scope = { .n_shards = 1 };
    struct preflight_rules rules = {
        .scope = &scope, .is_simulated = 1, .allow_unpriced = 1
    };
    struct llm *llms = NULL;
    size_t n = 0;
    int used[8];
    struct error err = ERROR_INIT;
    assert_int_equal(llm_load_all(f.store, 0, &llms, &n, NULL), OK);
    assert_in_range(n, 1, 8);
    enum status s = preflight(f.store, &rules, llms, n, used, &err);
    if (s != (says ? E_ARG : OK) || (says && !strstr(err.msg, says)))
        fail_msg("\"%s\" does not say \"%s\"", err.msg, says ? says : "(nothing)");
    llm_free_all(llms, n);
}

static void ask(int image, int video, int text, int audio)
{
    const int wanted[] = { image, video, text, audio };
    memcpy(limits, wanted, sizeof limits);
}

/* views: bit 0 a clip of three pictures, bit 1 a text, bit 2 sound */
static void test_kinds(void **state)
{
    (void)state;
    ask(-1, -1, -1, 1);
    int64_t llm = store_fixture_llm(&f, "hears", "http://127.0.0.1:1", use);
    store_fixture_session(&f, llm, 2, 7);
    expect(NULL);
    ask(-1, -1, -1, 0);
    llm = store_fixture_llm(&f, "deaf", "http://127.0.0.1:2", use);
    store_fixture_session(&f, llm, 2, 7);
    // The second turn adds nothing, and what was heard before is left out of it.
    expect("nothing was sent: llm deaf accepts no audio, but call 3 brings view front");
    ask(2, -1, 0, -1);
    llm = store_fixture_llm(&f, "short", "http://127.0.0.1:3", use);
    store_fixture_session(&f, llm, 2, 3);
    expect("; llm short accepts no texts, but call 5 brings view side");
    ask(2, -1, -1, -1);
    llm = store_fixture_llm(&f, "small", "http://127.0.0.1:4", use);
    store_fixture_session(&f, llm, 3, 1);
    expect(
        "; llm small accepts 2 images, but 3 calls, the first of them call 7, bring up to"
        " 3: first_person (3 frames)");
}

/* Where the recipe says nothing, the protocol's published limit holds. */
static void test_limit_of_the_protocol(void **state)
{
    (void)state;
    kinds_run(&f,
        "INSERT INTO scene_frame (scene_id, view_id, at_ms, part, offset_ms, frame_id,"
        " source) SELECT scene_id, 1, at_ms, p.value, p.value * 500, frame_id, 'clip'"
        " FROM scene_frame, "
        "json_each('[3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]') p"
        " WHERE view_id = 1 AND part = 0");
    protocol = "bedrock-converse";
    ask(-1, -1, -1, 0);
    int64_t llm = store_fixture_llm(&f, "aws", "http://127.0.0.1:5", use);
    store_fixture_session(&f, llm, 1, 1);
    expect("llm aws accepts 20 images, but call 1 brings 21: first_person (21 frames)"
           " (bedrock-converse is not known to take more");
    kinds_run(&f, "UPDATE llm SET settings = json_set(settings, '$.accepts.image', 40)");
    expect(NULL);
    protocol = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kinds, open_store, close_store),
        cmocka_unit_test_setup_teardown(
            test_limit_of_the_protocol, open_store, close_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
