/* bench_associate.c - a whole pass of `m4a1 associate` (read, decode, resize, embed, write)
 * beside the image tower alone, on a ViT-B/32 with random weights.
 *
 * Rounds of both alternate, so that what else the machine does falls on both; each line has
 * the best round.  Frames are 640 x 480 with noise, which is hard to decode for its size.
 *
 *   build/tests/bench/bench_associate            about two minutes
 *   build/tests/bench/bench_associate --quick    a fifth of the frames, one round */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "annotate/associate.h"
#include "annotate/clip/prepare.h"
#include "annotate/frame_feed.h"
#include "m4a1/base/clock.h"
#include "m4a1/base/hash.h"
#include "m4a1/base/random.h"
#include "m4a1/base/text.h"
#include "schema/query.h"
#include "tests/support/clip_checkpoint.h"
#include "tests/support/make_image.h"
#include "tests/support/scratch_folder.h"

#define WIDTH 640
#define HEIGHT 480
#define N_FRAMES 160
#define N_ROUNDS 3

static _Noreturn void fail(const struct error *err)
{
    fprintf(stderr, "bench_associate: %s\n", err->msg);
    exit(1);
}

static void must(enum status s, const struct error *err)
{
    if (s)
        fail(err);
}

static void draw(struct buffer *jpeg, uint64_t index)
{
    static uint8_t pixels[WIDTH * HEIGHT * 3];
    const struct make_jpeg how = {
        .width = WIDTH, .height = HEIGHT, .channels = 3, .quality = 90
    };
    struct rng rng;
    rng_init(&rng, index, "bench_associate", 0);
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i / 3 % WIDTH / 4 + rng_below(&rng, 32));
    make_jpeg(&how, pixels, jpeg);
}

/* A store whose one view that is an image has n frames. */
static struct store *make_store(const char *path, int n)
{
    struct store *store;
    struct error err = ERROR_INIT;
    must(store_create(path, "bench", &store, &err), &err);
    must(store_begin(store, &err), &err);
    must(store_run(store, &err,
             "INSERT INTO view (position, name, kind, privacy) VALUES (0, 'v', 'image', "
             "1)",
             ""),
        &err);
    must(store_run(store, &err, "INSERT INTO scene (name) VALUES ('s')", ""), &err);
    for (int i = 0; i < n; i++) {
        struct buffer jpeg;
        char hash[HASH_HEX];
        buffer_init(&jpeg, (size_t)1 << 26);
        draw(&jpeg, (uint64_t)i);
        hash_hex(jpeg.data, jpeg.len, hash);
        must(store_run(store, &err,
                 "INSERT INTO frame (sha256, media_type, width_px, height_px, bytes) "
                 "VALUES (?, 'image/jpeg', 640, 480, ?)",
                 "tb", hash, jpeg.data, jpeg.len),
            &err);
        must(store_run(store, &err,
                 "INSERT INTO scene_frame (scene_id, view_id, at_ms, frame_id, source) "
                 "VALUES (1, 1, ?, ?, 'f')",
                 "ii", (int64_t)i, store_last_id(store)),
            &err);
        buffer_release(&jpeg);
    }
    must(store_commit(store, &err), &err);
    return store;
}

/* Seconds of the tower for n frames, a batch of the pass again and again. */
static double tower_alone(struct clip *clip, int n, float *pixels, float *out)
{
    struct error err = ERROR_INIT;
    int64_t began = clock_mono_ns();
    for (int i = 0; i < n; i += FRAME_FEED_BATCH)
        must(clip_embed_images(clip, pixels, FRAME_FEED_BATCH, out, &err), &err);
    return (double)(clock_mono_ns() - began) / 1e9;
}

/* Seconds of a pass that finds no embedding. */
static double whole_pass(struct clip *clip, struct store *store, unsigned n_threads)
{
    struct error err = ERROR_INIT;
    struct associate_result result;
    const struct associate_options options = { .dir = "bench", .n_workers = n_threads };
    must(store_run(store, &err, "DELETE FROM embedding", ""), &err);
    must(associate_store(store, clip, &options, &result, &err), &err);
    return result.images_s;
}

static void measure(
    const char *folder, struct store *store, int n, int n_rounds, unsigned n_threads)
{
    struct clip *clip;
    struct error err = ERROR_INIT;
    const struct clip_options options = { .n_threads = n_threads };
    must(clip_open(folder, &options, &clip, &err), &err);
    size_t side = clip_config(clip)->image_size, dims = clip_config(clip)->projection;
    float *pixels = malloc(FRAME_FEED_BATCH * 3 * side * side * sizeof *pixels);
    float *out = malloc(FRAME_FEED_BATCH * dims * sizeof *out);
    struct buffer jpeg;
    buffer_init(&jpeg, (size_t)1 << 26);
    if (!pixels || !out)
        exit(1);
    for (size_t i = 0; i < FRAME_FEED_BATCH; i++) {
        buffer_clear(&jpeg);
        draw(&jpeg, i);
        must(prepare_file(jpeg.data, jpeg.len, clip_preparation(clip), NULL,
                 pixels + i * 3 * side * side, &err),
            &err);
    }
    int64_t began = clock_mono_ns();
    for (size_t i = 0; i < FRAME_FEED_BATCH; i++)
        must(
            prepare_file(jpeg.data, jpeg.len, clip_preparation(clip), NULL, pixels, &err),
            &err);
    double prepare_s = (double)(clock_mono_ns() - began) / 1e9 / FRAME_FEED_BATCH;
    tower_alone(clip, FRAME_FEED_BATCH, pixels, out);
    double tower = 1e9, pass = 1e9;
    for (int round = 0; round < n_rounds; round++) {
        double one = tower_alone(clip, n, pixels, out);
        tower = one < tower ? one : tower;
        one = whole_pass(clip, store, n_threads);
        pass = one < pass ? one : pass;
    }
    printf(
        "%u thread%s  tower alone %.1f frames/s, whole pass %.1f (%.1f %%); decoding and "
        "resizing alone %.1f ms a frame\n",
        n_threads, n_threads == 1 ? " " : "s", n / tower, n / pass, 100 * tower / pass,
        1e3 * prepare_s);
    buffer_release(&jpeg);
    free(out);
    free(pixels);
    clip_close(clip);
}

int main(int argc, char **argv)
{
    int quick = argc > 1 && !strcmp(argv[1], "--quick");
    int n = quick ? N_FRAMES / 5 : N_FRAMES;
    char folder[256];
    scratch_folder_open(folder);
    const struct clip_checkpoint how = clip_checkpoint_b32();
    clip_checkpoint_write(folder, &how);
    char *path = text_format("%s/bench.m4a1", folder);
    struct store *store = make_store(path, n);
    printf("ViT-B/32 geometry, random weights, float32, %d frames of %d x %d, batch %d\n",
        n, WIDTH, HEIGHT, FRAME_FEED_BATCH);
    for (unsigned n_threads = 1; n_threads <= 2; n_threads++)
        measure(folder, store, n, quick ? 1 : N_ROUNDS, n_threads);
    store_close(store);
    free(path);
    scratch_folder_close(folder);
    return 0;
}
