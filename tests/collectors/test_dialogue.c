/* What a call says, from a real store. */
#include "collectors/dialogue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "m4a1/base/text.h"
#include "schema/query.h"
#include "tests/support/kinds_case.h"
#include "tests/support/store_fixture.h"

static struct store_fixture f;
static struct frame_cache *cache;
static int64_t llm;

static int open_all(void **state)
{
    (void)state;
    store_fixture_open(&f, "keep");
    llm = store_fixture_llm(&f, "a", "http://127.0.0.1:1", NULL);
    return frame_cache_new(1 << 20, &cache, NULL) != OK;
}

static int close_all(void **state)
{
    (void)state;
    frame_cache_free(cache);
    store_fixture_close(&f);
    return 0;
}

static void answer(int64_t call_id, const char *text)
{
    assert_int_equal(
        store_run(f.store, NULL, "INSERT INTO response (call_id, text) VALUES (?, ?)",
            "it", call_id, text),
        OK);
}

static const struct llm any_llm = { .accepts = { -1, -1, -1, 0 } };
static const struct llm text_llm = { .accepts = { 0, 0, -1, 0 } };
static const struct llm hearing_llm = { .accepts = { -1, -1, -1, -1 } };

/* "U[View a:][image]What? A[Yes.] ..." */
static void write_dialogue(const struct dialogue *d, struct buffer *b)
{
    for (size_t i = 0; i < d->n_messages; i++) {
        buffer_add_str(b, d->messages[i].is_assistant ? "A" : "U");
        for (size_t k = 0; k < d->messages[i].n_parts; k++)
            buffer_printf(b, "[%s]",
                dialogue_is_sound(&d->messages[i].parts[k]) ? "sound"
                : d->messages[i].parts[k].frame             ? "image"
                                                : d->messages[i].parts[k].text);
    }
}

static void expect_from(const struct llm *asked, int64_t call_id, const char *expected)
{
    struct dialogue *d = NULL;
    struct error err = ERROR_INIT;
    struct buffer b;
    buffer_init(&b, 10000);
    if (dialogue_build(f.store, cache, call_id, asked, &d, &err) != OK)
        fail_msg("%s", err.msg);
    write_dialogue(d, &b);
    assert_string_equal(buffer_str(&b), expected);
    buffer_release(&b);
    dialogue_free(d);
}

static void expect(int64_t call_id, const char *expected)
{
    expect_from(&any_llm, call_id, expected);
}

static void set_history(const char *settings)
{
    assert_int_equal(
        store_run(f.store, NULL, "UPDATE plan SET settings = ?", "t", settings), OK);
}

static void test_history(void **state)
{
    (void)state;
    int64_t call = store_fixture_session(&f, llm, 4, 5);
    expect(call, "U[View first_person:][image][View front:][image][What is \"here\"?]");
    answer(call, "Cups.");
    answer(call + 1, "Nothing.");
    answer(call + 2, "Old.");
    answer(call + 2, "New."); // the last answer counts
    expect(call + 3, "U[View first_person:][image][View front:][image][What is \"here\"?]"
                     "A[Cups.]U[And what else?]A[Nothing.]U[What is \"here\"?]A[New.]"
                     "U[And what else?]");
    expect_from(&text_llm, call + 1, "U[What is \"here\"?]A[Cups.]U[And what else?]");
    set_history("{\"history\":{\"images\":\"drop\",\"max_turns\":null}}");
    expect(call + 1, "U[What is \"here\"?]A[Cups.]U[And what else?]");
    set_history("{\"history\":{\"images\":\"keep\",\"max_turns\":1}}");
    expect(call + 3, "U[What is \"here\"?]A[New.]U[And what else?]");
    set_history("{\"history\":{\"images\":\"keep\",\"max_turns\":0}}");
    expect(call + 3, "U[And what else?]");
    set_history("{}");
}

static void test_question(void **state)
{
    (void)state;
    int64_t call = store_fixture_session(&f, llm, 2, 1);
    answer(call, "Cups.");
    int64_t judge =
        store_fixture_call(&f, call + 1, "judge", llm, "Score this.", 0, call + 1);
    expect(judge, "U[Score this.]");
    judge = store_fixture_call(&f, call + 1, "judge", llm, "Score it.", 2, call + 1);
    expect(judge, "U[View side:][image][Score it.]");
    // Another action of the same turn has the same history.
    int64_t other = store_fixture_call(&f, call + 1, "fan_out", llm, NULL, 4, 0);
    expect(other, "U[View first_person:][image][What is \"here\"?]A[Cups.]"
                  "U[View front:][image][And what else?]");
}

static void expect_failure_of(
    const struct llm *asked, int64_t call_id, enum status status, const char *why)
{
    struct dialogue *d = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(dialogue_build(f.store, cache, call_id, asked, &d, &err), status);
    assert_null(d);
    if (!strstr(err.msg, why))
        fail_msg("\"%s\" does not say \"%s\"", err.msg, why);
}

static void expect_failure(int64_t call_id, enum status status, const char *why)
{
    expect_failure_of(&any_llm, call_id, status, why);
}

static void test_failures(void **state)
{
    (void)state;
    int64_t call = store_fixture_session(&f, llm, 2, 3);
    expect_failure(call + 1, E_DATA, "no answer yet");
    expect_failure(9999, E_NOT_FOUND, "no call 9999");
    assert_int_equal(store_run(f.store, NULL,
                         "UPDATE scene_frame SET frame_id = NULL WHERE view_id = 2", ""),
        OK);
    expect_failure(call, E_DATA, "view \"side\" has no frame");
    assert_int_equal(store_run(f.store, NULL,
                         "UPDATE scene_frame SET frame_id = 2 WHERE view_id = 2", ""),
        OK);
    assert_int_equal(
        store_run(f.store, NULL, "UPDATE view SET kind = 'audio' WHERE view_id = 2", ""),
        OK);
    expect_failure_of(&hearing_llm, call, E_DATA,
        "view \"side\" has a frame of type image/jpeg, not sound");
    assert_int_equal(
        store_run(f.store, NULL, "UPDATE view SET kind = 'image' WHERE view_id = 2", ""),
        OK);
}

static void test_bounds(void **state)
{
    (void)state;
    int64_t call = store_fixture_session(&f, llm, 1, 7);
    struct dialogue *d = NULL;
    struct llm brief_llm = { .accepts = { -1, -1, -1, 0 }, .system_prompt = "Be brief." };
    assert_int_equal(dialogue_build(f.store, cache, call, &brief_llm, &d, NULL), OK);
    assert_int_equal(d->shown[VIEW_IMAGE].n, 3);
    int64_t text = dialogue_max_input_tokens(d, 1) - 3;
    assert_in_range(text, 70, 200);
    assert_int_equal(dialogue_max_input_tokens(d, 1000), text + 3000);
    // 640 x 480 pixels are two tiles of 512.
    assert_int_equal(dialogue_max_input_tokens(d, 0), text + 3 * (2833 + 2 * 5667));
    dialogue_free(d);
}

#define CLIP                                                                             \
    "[View first_person, 3 frames, every 0.5 s:][At 0 s:][image][At 0.5 s:][image]"      \
    "[At 1 s:][image]"
#define LOG "[View side:][" KINDS_TEXT "]"
#define MIC "[View front:][sound]"

static void test_kinds(void **state)
{
    (void)state;
    kinds_use(&f);
    int64_t call = store_fixture_session(&f, llm, 2, 7);
    expect_from(&hearing_llm, call, "U" CLIP LOG MIC "[What is \"here\"?]");
    answer(call, "Cups.");
    expect_from(&hearing_llm, call + 1,
        "U" CLIP LOG MIC "[What is \"here\"?]A[Cups.]U[And what else?]");
    // What an llm never takes is left out of what it sees.
    expect(call, "U" CLIP LOG "[What is \"here\"?]");
    expect_from(&text_llm, call, "U" LOG "[What is \"here\"?]");
    const struct llm deaf = { .accepts = { -1, 0, 0, 0 } };
    expect_from(&deaf, call, "U[What is \"here\"?]");
    // Uneven steps are not told as even, and an empty text is told.
    kinds_run(&f, "UPDATE scene_frame SET offset_ms = 1200 WHERE part = 2");
    kinds_run(&f, "UPDATE scene_frame SET frame_id = 103 WHERE view_id = 2");
    expect(call, "U[View first_person, 3 frames:][At 0 s:][image][At 0.5 s:][image]"
                 "[At 1.2 s:][image][View side:][(empty)][What is \"here\"?]");
    kinds_undo(&f);
}

static void expect_too_many(int64_t call_id, int kind, int most, const char *why)
{
    struct dialogue *d = NULL;
    struct error err = ERROR_INIT;
    struct llm asked = { .name = "x", .accepts = { -1, -1, -1, -1 } };
    assert_int_equal(dialogue_build(f.store, cache, call_id, &asked, &d, NULL), OK);
    assert_int_equal(dialogue_check_accepts(d, &asked, &err), OK);
    asked.accepts[kind] = most;
    assert_int_equal(dialogue_check_accepts(d, &asked, &err), why ? E_DATA : OK);
    if (why && !strstr(err.msg, why))
        fail_msg("\"%s\" does not say \"%s\"", err.msg, why);
    dialogue_free(d);
}

static void test_too_many(void **state)
{
    (void)state;
    kinds_use(&f);
    int64_t call = store_fixture_session(&f, llm, 1, 7);
    expect_too_many(call, VIEW_IMAGE, 3, NULL);
    expect_too_many(call, VIEW_IMAGE, 2,
        "llm x accepts 2 images, but with its history the call has 3: first_person");
    expect_too_many(call, VIEW_VIDEO, 1, NULL);
    expect_too_many(call, VIEW_AUDIO, 0,
        "llm x accepts 0 audio views, but with its history the call has 1: front");
    kinds_undo(&f);
}

/* Text counts by its bytes, sound by its seconds. */
static void test_bounds_of_kinds(void **state)
{
    (void)state;
    kinds_use(&f);
    int64_t call = store_fixture_session(&f, llm, 1, 0);
    int64_t with = store_fixture_session(&f, llm, 1, 6);
    struct dialogue *d = NULL;
    assert_int_equal(dialogue_build(f.store, cache, call, &hearing_llm, &d, NULL), OK);
    int64_t text = dialogue_max_input_tokens(d, 100);
    dialogue_free(d);
    assert_int_equal(dialogue_build(f.store, cache, with, &hearing_llm, &d, NULL), OK);
    assert_int_equal(d->shown[VIEW_IMAGE].n, 0);
    int64_t labels = (int64_t)strlen("View side:" KINDS_TEXT "View front:");
    assert_int_equal(dialogue_max_input_tokens(d, 100), text + labels + 3 * 32);
    dialogue_free(d);
    kinds_undo(&f);
}

/* Images outlive the cache that dropped them, and are encoded once. */
static void test_cache(void **state)
{
    (void)state;
    struct frame_cache *small = NULL;
    struct frame *a = NULL, *b = NULL, *again = NULL;
    const char *text = NULL, *same = NULL;
    size_t len = 0;
    assert_int_equal(frame_cache_new(10, &small, NULL), OK);
    assert_int_equal(frame_cache_get(small, f.store, 1, &a, NULL), OK);
    assert_int_equal(frame_encoded(a, 0, &text, &len, NULL), OK);
    assert_int_equal(frame_cache_get(small, f.store, 1, &again, NULL), OK);
    assert_ptr_equal(a, again);
    assert_int_equal(frame_encoded(again, 0, &same, &len, NULL), OK);
    assert_ptr_equal(text, same);
    assert_int_equal(frame_cache_get(small, f.store, 2, &b, NULL), OK);
    frame_cache_free(small);
    assert_true(text_starts(text, "/9j/"));
    assert_int_equal(len, strlen(text));
    frame_release(a);
    frame_release(again);
    frame_release(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_question),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_bounds_of_kinds),
        cmocka_unit_test(test_cache),
    };
    return cmocka_run_group_tests_name("dialogue", tests, open_all, close_all);
}
