/* Associations of a store: which frames and prompts are embedded, in which batches, and what
 * is derived from them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "annotate/associate.h"
#include "annotate/clip/prepare.h"
#include "annotate/frame_feed.h"
#include "m4a1/base/hash.h"
#include "schema/query.h"
#include "tests/support/make_image.h"
#include "tests/support/store_fixture.h"

#define N_FRAMES 45 /* more than the ring holds, and no whole number of batches */
#define SIDE 32

static const struct clip_preparation how = { .resize = SIDE,
    .crop = SIDE,
    .mean = { 0.5F, 0.5F, 0.5F },
    .std = { 0.25F, 0.25F, 0.25F } };

static void run(struct store_fixture *f, const char *sql)
{
    struct error err = ERROR_INIT;
    if (store_run(f->store, &err, sql, "") != OK)
        fail_msg("%s: %s", sql, err.msg);
}

static int64_t count(struct store_fixture *f, const char *sql)
{
    int64_t n;
    assert_int_equal(store_int(f->store, -1, &n, NULL, sql, ""), OK);
    return n;
}

/* A gray picture of one level, so that a frame is known by its pixels; broken: without its end. */
static int64_t add_frame(struct store_fixture *f, int level, int broken)
{
    const struct make_jpeg picture = {
        .width = 48, .height = 40, .channels = 3, .quality = 95
    };
    uint8_t pixels[48 * 40 * 3];
    struct buffer jpeg;
    struct error err = ERROR_INIT;
    char hash[HASH_HEX];
    memset(pixels, level, sizeof pixels);
    buffer_init(&jpeg, 1 << 20);
    make_jpeg(&picture, pixels, &jpeg);
    size_t len = broken ? jpeg.len - 3 : jpeg.len;
    hash_hex(jpeg.data, len, hash);
    if (store_run(f->store, &err,
            "INSERT INTO frame (sha256, media_type, width_px, height_px, bytes) VALUES "
            "(?, 'image/jpeg', 48, 40, ?)",
            "tb", hash, jpeg.data, len) != OK)
        fail_msg("%s", err.msg);
    buffer_release(&jpeg);
    return store_last_id(f->store);
}

static int is_broken(size_t i)
{
    return i == 3 || (i >= 16 && i < 24); // one of a batch, and a whole batch
}

static void batches_keep_their_order_and_leave_out_broken_frames(void **state)
{
    (void)state;
    struct store_fixture f;
    int64_t ids[N_FRAMES];
    size_t n = 0, n_broken = 0, n_batches = 0;
    int has_batch = 1;
    store_fixture_open(&f, "keep");
    for (size_t i = 0; i < N_FRAMES; i++)
        ids[i] = add_frame(&f, (int)(5 * i), is_broken(i));
    struct frame_feed *feed;
    struct frame_batch batch;
    struct error err = ERROR_INIT;
    assert_int_equal(frame_feed_open(f.store, ids, N_FRAMES, &how, 3, &feed, &err), OK);
    for (size_t i = 0; has_batch; n_batches++) {
        assert_int_equal(frame_feed_next(feed, &batch, &has_batch, &err), OK);
        for (size_t k = 0; k < batch.n; k++, i++, n++) {
            while (is_broken(i))
                i++;
            assert_int_equal(batch.frame_ids[k], ids[i]);
            double level = ((double)batch.pixels[k * 3 * SIDE * SIDE] * 0.25 + 0.5) * 255;
            assert_true(fabs(level - 5 * (double)i) < 1.5);
        }
        if (!n_broken && batch.n_broken) {
            char name[32];
            snprintf(name, sizeof name, "frame %lld: ", (long long)ids[3]);
            assert_non_null(strstr(batch.broken.msg, name));
        }
        n_broken += batch.n_broken;
    }
    assert_int_equal(n_broken, 9);
    assert_int_equal(n, N_FRAMES - 9);
    assert_int_equal(n_batches, (N_FRAMES + FRAME_FEED_BATCH - 1) / FRAME_FEED_BATCH + 1);
    frame_feed_close(feed);
    // One that is closed early, while workers are busy.
    assert_int_equal(frame_feed_open(f.store, ids, N_FRAMES, &how, 2, &feed, &err), OK);
    frame_feed_close(feed);
    assert_int_equal(frame_feed_open(f.store, ids, 0, &how, 1, &feed, &err), OK);
    assert_int_equal(frame_feed_next(feed, &batch, &has_batch, &err), OK);
    assert_false(has_batch);
    frame_feed_close(feed);
    store_fixture_close(&f);
}

static void models_are_known_by_their_identity(void **state)
{
    (void)state;
    struct store_fixture f;
    struct embeddings_model a, b, c;
    struct error err = ERROR_INIT;
    store_fixture_open(&f, "keep");
    assert_int_equal(embeddings_find(f.store, "0123456789abcdef", &a, &err), E_NOT_FOUND);
    assert_non_null(strstr(err.msg, "m4a1 associate"));
    assert_int_equal(embeddings_add(f.store, "0123456789abcdef", "/some/vit b,32//", 4,
                         "{}", &a, NULL),
        OK);
    assert_string_equal(a.name, "vit-b-32-01234567");
    assert_int_equal(
        embeddings_add(f.store, "0123456789abcdef", "elsewhere", 4, "{}", &b, NULL), OK);
    assert_int_equal(b.model_id, a.model_id);
    // An import has the name that another checkpoint would get.
    run(&f, "INSERT INTO association_model (name) VALUES ('clip-ff012345')");
    assert_int_equal(
        embeddings_add(f.store, "ff0123456789", "..", 4, "{}", &c, NULL), OK);
    assert_string_equal(c.name, "ff0123456789");
    store_fixture_close(&f);
}

static void the_nearest_frames_come_first(void **state)
{
    (void)state;
    struct store_fixture f;
    struct embeddings_model m;
    struct embeddings_near near[3];
    size_t n, n_frames;
    const float vectors[][2] = { { 1, 0 }, { 0, 2 }, { 3, 3 }, { -1, 0 }, { 5, 0 } };
    store_fixture_open(&f, "keep");
    assert_int_equal(embeddings_add(f.store, "id", "clip", 2, "{}", &m, NULL), OK);
    int64_t first = 0;
    for (int i = 0; i < 5; i++) {
        int64_t id = add_frame(&f, 50 * i, 0);
        first = i ? first : id;
        assert_int_equal(embeddings_put_frame(f.store, &m, id, vectors[i], NULL), OK);
    }
    assert_int_equal(
        embeddings_nearest(f.store, &m, vectors[0], 3, near, &n, &n_frames, NULL), OK);
    assert_int_equal(n, 3);
    assert_int_equal(n_frames, 5);
    assert_int_equal(near[0].frame_id, first); // as near as the last, and before it
    assert_int_equal(near[1].frame_id, first + 4);
    assert_int_equal(near[2].frame_id, first + 2);
    assert_true(fabs(near[2].cosine - sqrt(0.5)) < 1e-7);
    const float nan[2] = { 1, NAN };
    struct error err = ERROR_INIT;
    assert_int_equal(embeddings_put_text(f.store, &m, "a prompt", nan, &err), E_DATA);
    assert_non_null(strstr(err.msg, "a prompt"));
    store_fixture_close(&f);
}

/* Values of the fixture's turns: cosines of what is kept, for views that are images. */
static void values_are_derived_once(void **state)
{
    (void)state;
    struct store_fixture f;
    struct embeddings_model m;
    size_t n;
    float vector[2] = { 2, 0 };
    store_fixture_open(&f, "keep");
    int64_t llm = store_fixture_llm(&f, "gpt", "http://127.0.0.1:1", NULL);
    store_fixture_session(&f, llm, 2, 1);
    run(&f, "UPDATE view SET kind = 'text' WHERE view_id = 2");
    assert_int_equal(embeddings_add(f.store, "id", "clip", 2, "{}", &m, NULL), OK);
    char **texts;
    size_t n_texts, n_ids;
    int64_t *ids;
    assert_int_equal(
        embeddings_missing_texts(f.store, m.model_id, &texts, &n_texts, NULL), OK);
    assert_int_equal(n_texts, count(&f, "SELECT count(DISTINCT text) FROM prompt"));
    for (size_t i = 0; i < n_texts; i++)
        assert_int_equal(embeddings_put_text(f.store, &m, texts[i], vector, NULL), OK);
    embeddings_free_texts(texts, n_texts);
    assert_int_equal(
        embeddings_missing_frames(f.store, m.model_id, &ids, &n_ids, NULL), OK);
    assert_int_equal(n_ids, count(&f, "SELECT count(DISTINCT frame_id) FROM scene_frame "
                                      "JOIN view USING (view_id) WHERE kind = 'image'"));
    vector[1] = 2;
    for (size_t i = 0; i < n_ids; i++)
        assert_int_equal(embeddings_put_frame(f.store, &m, ids[i], vector, NULL), OK);
    free(ids);
    int64_t expected = count(&f, "SELECT count(*) FROM turn JOIN session USING "
                                 "(session_id) JOIN scene_frame USING (scene_id, at_ms) "
                                 "JOIN view USING (view_id) WHERE kind = 'image'");
    assert_true(expected > 0);
    assert_int_equal(associate_derive(f.store, &m, &n, NULL), OK);
    assert_int_equal(n, expected);
    assert_int_equal(
        count(&f, "SELECT count(*) FROM association JOIN view USING (view_id) WHERE "
                  "kind = 'image' AND abs(value - sqrt(0.5)) < 1e-7"),
        expected);
    assert_int_equal(count(&f, "SELECT count(*) FROM association"), expected);
    assert_int_equal(associate_derive(f.store, &m, &n, NULL), OK);
    assert_int_equal(n, 0);
    store_fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_keep_their_order_and_leave_out_broken_frames),
        cmocka_unit_test(models_are_known_by_their_identity),
        cmocka_unit_test(the_nearest_frames_come_first),
        cmocka_unit_test(values_are_derived_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
