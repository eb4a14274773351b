/* test_fit.c - pictures within limits: what is made smaller, what is refused, and that
 * what is sent is what the store holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "collectors/dialogue.h"
#include "collectors/fit.h"
#include "collectors/source/picture.h"
#include "m4a1/base/random.h"
#include "m4a1/base/text.h"
#include "schema/query.h"
#include "tests/support/store_fixture.h"

#define FILE_MAX ((size_t)1 << 24)

static struct store_fixture f;
static struct llm *llms;
static size_t n_llms;
static int used[8];

/* A picture that does not compress well, or a flat one. */
static void make_picture(int width, int height, int is_noisy, struct buffer *out)
{
    struct picture p;
    struct rng rng;
    rng_init(&rng, 7, "picture", 0);
    buffer_init(out, FILE_MAX);
    assert_int_equal(picture_new(width, height, 3, &p, NULL), OK);
    for (size_t i = 0; i < (size_t)width * (size_t)height * 3; i++)
        p.data[i] = is_noisy ? (uint8_t)rng_below(&rng, 256) : 90;
    assert_int_equal(picture_encode_jpeg(&p, 90, out, NULL), OK);
    picture_release(&p);
}

/* Real pictures in place of the fixture's: view 1 is 640 x 480, view 2 is 300 x 400 and
 * noisy, view 3 is 200 x 100. */
static void put_pictures(void)
{
    static const struct {
        int width, height, is_noisy;
    } sizes[] = { { 640, 480, 0 }, { 300, 400, 1 }, { 200, 100, 0 } };
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct buffer jpeg;
        char sha256[HASH_HEX];
        make_picture(sizes[i].width, sizes[i].height, sizes[i].is_noisy, &jpeg);
        hash_hex(jpeg.data, jpeg.len, sha256);
        assert_int_equal(
            store_run(f.store, NULL,
                "UPDATE frame SET sha256 = ?, width_px = ?, height_px = ?,"
                " bytes = ? WHERE frame_id = ?",
                "tiibi", sha256, (int64_t)sizes[i].width, (int64_t)sizes[i].height,
                (const void *)jpeg.data, jpeg.len, (int64_t)i + 1),
            OK);
        buffer_release(&jpeg);
    }
}

static void resize_to_256(struct llm *llm)
{
    llm->max_image_px = 256;
    llm->resizes_images = 1;
}

static void refuse_above_256(struct llm *llm)
{
    llm->max_image_px = 256;
}

static void few_bytes(struct llm *llm)
{
    llm->max_image_bytes = 12000;
    llm->resizes_images = 1;
}

static void hardly_any_bytes(struct llm *llm)
{
    llm->max_image_bytes = 100;
    llm->resizes_images = 1;
}

static void as_anthropic(struct llm *llm)
{
    free(llm->protocol);
    llm->protocol = text_copy("anthropic");
}

/* One llm and one call of it that shows the views 0x7; returns the call. */
static int64_t begin(void (*set)(struct llm *llm))
{
    store_fixture_open(&f, "keep");
    put_pictures();
    int64_t llm_id = store_fixture_llm(&f, "eye", "http://127.0.0.1:1", set);
    int64_t call = store_fixture_session(&f, llm_id, 1, 7);
    assert_int_equal(llm_load_all(f.store, 0, &llms, &n_llms, NULL), OK);
    for (size_t i = 0; i < n_llms; i++)
        used[i] = 1;
    return call;
}

static void end(void)
{
    llm_free_all(llms, n_llms);
    store_fixture_close(&f);
}

static enum status fit_all(struct error *err)
{
    static const struct ready_rules scope = { 0 };
    const struct fit_run run = {
        .scope = &scope, .llms = llms, .n_llms = n_llms, .used = used
    };
    return fit_pictures(f.store, &run, err);
}

static int64_t count(const char *sql)
{
    int64_t n = -1;
    assert_int_equal(store_int(f.store, -1, &n, NULL, sql, ""), OK);
    return n;
}

static void test_pictures_are_made_smaller_once(void **state)
{
    (void)state;
    begin(resize_to_256);
    assert_int_equal(fit_all(NULL), OK);
    assert_int_equal(count("SELECT count(*) FROM frame_fit"), 2);
    assert_int_equal(count("SELECT count(*) FROM frame_fit x JOIN frame r ON r.frame_id ="
                           " x.fitted_id WHERE (x.frame_id, r.width_px, r.height_px) IN"
                           " (VALUES (1, 256, 192), (2, 192, 256))"),
        2);
    assert_int_equal(fit_all(NULL), OK); // nothing is left to do
    assert_int_equal(count("SELECT count(*) FROM frame"), 5);

    int64_t sent = 0;
    assert_int_equal(fit_lookup(f.store, &llms[0], 1, &sent, NULL), OK);
    assert_true(sent > 3);
    assert_int_equal(fit_lookup(f.store, &llms[0], 3, &sent, NULL), OK);
    assert_int_equal(sent, 3);
    end();
}

static void test_a_dialogue_shows_what_was_made(void **state)
{
    (void)state;
    int64_t call = begin(resize_to_256);
    struct frame_cache *cache = NULL;
    struct dialogue *d = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(frame_cache_new(1 << 20, &cache, NULL), OK);
    // Before they are made the call cannot be built, so nothing too large is ever sent.
    assert_int_equal(dialogue_build(f.store, cache, call, &llms[0], &d, &err), E_DATA);
    assert_non_null(strstr(err.msg, "frame 1 is larger than llm eye takes"));
    assert_int_equal(fit_all(NULL), OK);
    assert_int_equal(dialogue_build(f.store, cache, call, &llms[0], &d, NULL), OK);
    int64_t n_seen = 0;
    for (size_t i = 0; i < d->messages[0].n_parts; i++) {
        const struct frame *frame = d->messages[0].parts[i].frame;
        if (!frame)
            continue;
        assert_in_range(frame_width_px(frame), 1, 256);
        assert_in_range(frame_height_px(frame), 1, 256);
        n_seen++;
    }
    assert_int_equal(n_seen, 3);
    dialogue_free(d);
    frame_cache_free(cache);
    end();
}

static void test_too_large_is_refused(void **state)
{
    (void)state;
    begin(refuse_above_256);
    struct error err = ERROR_INIT;
    assert_int_equal(fit_all(&err), E_ARG);
    assert_non_null(strstr(err.msg,
        "nothing was sent: llm eye takes pictures of at most 256 px, but view "
        "first_person of scene kitchen at 0.5 s has 640 x 480 px and "));
    assert_non_null(strstr(err.msg, "and 1 more are too large"));
    assert_non_null(strstr(err.msg, "\"too_large\": \"resize\""));
    assert_int_equal(count("SELECT count(*) FROM frame_fit"), 0);

    // A plan is told as well.
    assert_int_equal(fit_check(f.store, llms, n_llms, &err), E_ARG);
    assert_non_null(strstr(err.msg, "nothing was planned: llm eye takes pictures"));

    // Neither an llm without work nor one that never sees them minds.
    used[0] = 0;
    assert_int_equal(fit_all(NULL), OK);
    used[0] = 1;
    llms[0].accepts[VIEW_IMAGE] = 0;
    assert_int_equal(fit_all(NULL), OK);
    end();
}

static void test_answered_calls_do_not_count(void **state)
{
    (void)state;
    int64_t call = begin(refuse_above_256);
    assert_int_equal(fit_all(NULL), E_ARG);
    assert_int_equal(
        store_run(f.store, NULL,
            "INSERT INTO response (call_id, text) VALUES (?, 'seen')", "i", call),
        OK);
    assert_int_equal(fit_all(NULL), OK);
    end();
}

static void test_few_bytes(void **state)
{
    (void)state;
    begin(few_bytes);
    assert_int_equal(fit_all(NULL), OK);
    // Only the noisy one is too large; its shape stays.
    assert_int_equal(count("SELECT count(*) FROM frame_fit"), 1);
    assert_int_equal(
        count("SELECT length(r.bytes) <= 12000 AND length(r.bytes) > 4000 AND"
              " abs(4 * r.width_px - 3 * r.height_px) <= 4"
              " FROM frame_fit x JOIN frame r ON r.frame_id = x.fitted_id"
              " WHERE x.frame_id = 2 AND x.max_px = 0"),
        1);
    end();
}

static void test_no_picture_is_small_enough(void **state)
{
    (void)state;
    begin(hardly_any_bytes);
    struct error err = ERROR_INIT;
    assert_int_equal(fit_all(&err), E_ARG);
    assert_non_null(strstr(err.msg, "more than 100 bytes; raise \"image_bytes\""));
    assert_int_equal(count("SELECT count(*) FROM frame"), 3);
    end();
}

static void test_limits_that_are_published(void **state)
{
    (void)state;
    begin(as_anthropic);
    struct fit_limits limits = fit_limits_of(&llms[0]);
    assert_int_equal(limits.max_px, 8000);
    assert_int_equal(limits.max_bytes, 5 * 1024 * 1024 / 4 * 3); // 5 MiB of base64
    assert_int_equal(fit_all(NULL), OK);
    assert_int_equal(store_run(f.store, NULL,
                         "UPDATE frame SET width_px = 8001 WHERE frame_id = 1", ""),
        OK);
    struct error err = ERROR_INIT;
    assert_int_equal(fit_all(&err), E_ARG);
    assert_non_null(strstr(err.msg, "what is published for anthropic"));
    llms[0].max_image_px = 9000; // the recipe knows better
    assert_int_equal(fit_all(NULL), OK);
    end();
}

static void test_a_broken_picture(void **state)
{
    (void)state;
    begin(resize_to_256);
    struct error err = ERROR_INIT;
    assert_int_equal(
        store_run(f.store, NULL,
            "UPDATE frame SET bytes = substr(bytes, 1, 900) WHERE frame_id = 2", ""),
        OK);
    assert_int_equal(fit_all(&err), E_DATA);
    assert_non_null(strstr(err.msg, "nothing was sent: frame 2"));
    assert_int_equal(count("SELECT count(*) FROM frame_fit"), 0);
    end();
}

static void test_interrupted(void **state)
{
    (void)state;
    static const struct ready_rules scope = { 0 };
    static const volatile sig_atomic_t yes = 1;
    begin(resize_to_256);
    const struct fit_run run = {
        .scope = &scope, .llms = llms, .n_llms = n_llms, .used = used, .interrupted = &yes
    };
    assert_int_equal(fit_pictures(f.store, &run, NULL), E_INTERRUPTED);
    end();
}

static void test_same_bytes(void **state)
{
    (void)state;
    struct buffer picture, a, b;
    int width, height;
    const struct fit_limits limits = { 100, 5000 };
    make_picture(300, 200, 1, &picture);
    buffer_init(&a, FILE_MAX);
    buffer_init(&b, FILE_MAX);
    for (int i = 0; i < 2; i++)
        assert_int_equal(fit_jpeg(picture.data, picture.len, limits, i ? &b : &a, &width,
                             &height, NULL),
            OK);
    assert_in_range(width, 1, 100);
    assert_in_range(a.len, 1, 5000);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
    buffer_release(&a);
    buffer_release(&b);
    buffer_release(&picture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pictures_are_made_smaller_once),
        cmocka_unit_test(test_a_dialogue_shows_what_was_made),
        cmocka_unit_test(test_too_large_is_refused),
        cmocka_unit_test(test_answered_calls_do_not_count),
        cmocka_unit_test(test_few_bytes),
        cmocka_unit_test(test_no_picture_is_small_enough),
        cmocka_unit_test(test_limits_that_are_published),
        cmocka_unit_test(test_a_broken_picture),
        cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_same_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
