/* test_clip.c - embeddings, cosines and activations as the original code gave them, of the
 * shared golden/clip: for the fast towers and for the plain ones of tests/support. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "annotate/clip/clip.h"
#include "annotate/clip/prepare.h"
#include "annotate/clip/probe.h"
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "tests/support/clip_golden.h"
#include "tests/support/clip_reference.h"
#include "tests/support/scratch_folder.h"

#define EMBEDDING_TOLERANCE 2e-5
#define COSINE_TOLERANCE 2e-6
#define ACTIVATION_TOLERANCE 5e-5
#define CONTEXT 77
#define PROJECTION 48
#define SIDE 64
#define PIXELS (3 * SIDE * SIDE)
#define TRACED_TEXT 3 /* whose activations there are; the image is the first */
#define TRACED_WIDTH 96

static int skip_without_golden(void)
{
    if (clip_golden_there())
        return 0;
    print_message("the shared golden/clip is not there; M4A1_SHARED says where\n");
    return 1;
}

static struct clip *open_clip(const char *dir, unsigned n_threads, int bf16)
{
    struct clip *clip = NULL;
    struct error err = ERROR_INIT;
    const struct clip_options options = { .n_threads = n_threads, .bf16 = bf16 };
    if (clip_open(dir, &options, &clip, &err) != OK)
        fail_msg("%s", err.msg);
    return clip;
}

/* The eleven images, [3][64][64] each. */
static float *golden_pixels(const struct clip_preparation *how)
{
    struct json *j = clip_golden_json("embeddings/embeddings_golden.json");
    const struct json *names = json_get(j, "images");
    float *pixels = calloc((size_t)CLIP_GOLDEN_IMAGES * PIXELS, sizeof *pixels);
    assert_non_null(pixels);
    assert_int_equal(json_size(names), CLIP_GOLDEN_IMAGES);
    for (size_t i = 0; i < CLIP_GOLDEN_IMAGES; i++) {
        char path[96];
        struct buffer file;
        snprintf(path, sizeof path, "images/%s", json_text(json_at(names, i), ""));
        clip_golden_read(path, &file);
        assert_int_equal(
            prepare_file(file.data, file.len, how, NULL, pixels + i * PIXELS, NULL), OK);
        buffer_release(&file);
    }
    json_free(j);
    return pixels;
}

static void expect_near(
    const char *what, const float *found, const float *want, size_t n, double tolerance)
{
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)found[i] - want[i]);
        worst = d > worst || isnan(d) ? d : worst;
    }
    if (!(worst <= tolerance))
        fail_msg("%s: %g away, %g allowed", what, worst, tolerance);
}

/* Images and texts of the folder, and all their cosines. */
static void expect_golden(const char *dir, unsigned n_threads)
{
    struct clip *clip = open_clip(dir, n_threads, 0);
    struct json *j = clip_golden_json("embeddings/embeddings_golden.json");
    float images[CLIP_GOLDEN_IMAGES * PROJECTION], texts[CLIP_GOLDEN_TEXTS * PROJECTION];
    const char *prompts[CLIP_GOLDEN_TEXTS];
    size_t n = 0;
    for (size_t i = 0; i < CLIP_GOLDEN_TEXTS; i++)
        prompts[i] = json_text(json_at(json_get(j, "texts"), i), "");
    float *pixels = golden_pixels(clip_preparation(clip));
    assert_int_equal(clip_config(clip)->projection, PROJECTION);
    assert_int_equal(
        clip_embed_images(clip, pixels, CLIP_GOLDEN_IMAGES, images, NULL), OK);
    assert_int_equal(clip_embed_texts(clip, prompts, CLIP_GOLDEN_TEXTS, texts, NULL), OK);

    float *want = clip_golden_floats("embeddings/image_embeds.npy", &n);
    assert_int_equal(n, COUNT_OF(images));
    expect_near("images", images, want, n, EMBEDDING_TOLERANCE);
    free(want);
    n = 0;
    want = clip_golden_floats("embeddings/text_embeds.npy", &n);
    assert_int_equal(n, COUNT_OF(texts));
    expect_near("texts", texts, want, n, EMBEDDING_TOLERANCE);
    free(want);
    n = (size_t)CLIP_GOLDEN_IMAGES * CLIP_GOLDEN_TEXTS;
    double *cosines = clip_golden_doubles("embeddings/cosine_image_x_text_f64.npy", &n);
    for (size_t i = 0; i < CLIP_GOLDEN_IMAGES; i++)
        for (size_t t = 0; t < CLIP_GOLDEN_TEXTS; t++) {
            double found =
                clip_cosine(images + i * PROJECTION, texts + t * PROJECTION, PROJECTION);
            double away = fabs(found - cosines[i * CLIP_GOLDEN_TEXTS + t]);
            if (!(away <= COSINE_TOLERANCE))
                fail_msg("cosine of image %zu and text %zu: %g away", i, t, away);
        }
    free(cosines);
    free(pixels);
    json_free(j);
    clip_close(clip);
}

static void test_f32(void **state)
{
    (void)state;
    if (skip_without_golden())
        skip();
    char *dir = clip_golden_path("tiny");
    expect_golden(dir, 1);
    expect_golden(dir, 2);
    free(dir);
}

/* The same numbers as F16, in a folder with the older style of preparation. */
static void test_f16(void **state)
{
    (void)state;
    if (skip_without_golden())
        skip();
    static const char *const files[][2] = {
        { "tiny/model.fp16.safetensors", "model.safetensors" },
        { "tiny/preprocessor_config.oldstyle.json", "preprocessor_config.json" },
        { "tiny/config.json", "config.json" },
        { "tiny/vocab.json", "vocab.json" },
        { "tiny/merges.txt", "merges.txt" },
    };
    char folder[256];
    scratch_folder_open(folder);
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        char *from = clip_golden_path(files[i][0]), *to = path_join(folder, files[i][1]);
        char *real = realpath(from, NULL);
        assert_non_null(to);
        assert_int_equal(symlink(real, to), 0);
        free(real);
        free(from);
        free(to);
    }
    expect_golden(folder, 2);
    scratch_folder_close(folder);
}

/* --- activations --- */

/* What the fast towers let one see, to be compared stage by stage. */
struct seen {
    const char *tower;
    size_t n_blocks, n_stages;
    float before[CONTEXT * TRACED_WIDTH]; /* the stream in front of what comes next */
};

static float *golden_stage(const struct seen *seen, const char *stage, size_t *n)
{
    char name[96];
    snprintf(name, sizeof name, "embeddings/activations/%s_%s.npy", seen->tower, stage);
    return clip_golden_floats(name, n);
}

static void compare_stage(
    struct seen *seen, const char *stage, const float *found, size_t n)
{
    size_t n_want = 0;
    float *want = golden_stage(seen, stage, &n_want);
    assert_true(n <= n_want); // a text ends at its end token here
    expect_near(stage, found, want, n, ACTIVATION_TOLERANCE);
    seen->n_stages++;
    free(want);
}

/* The stream's change since the last stage is what a part of the block gave. */
static void compare_change(
    struct seen *seen, const char *stage, const float *data, size_t n)
{
    float change[CONTEXT * TRACED_WIDTH];
    for (size_t i = 0; i < n; i++)
        change[i] = data[i] - seen->before[i];
    if (stage)
        compare_stage(seen, stage, change, n);
    memcpy(seen->before, data, n * sizeof *data);
}

/* Of the last block there is a row for what goes on: the first of an image, the last of a
 * text, which is not the last of the reference. */
static void compare_last(
    struct seen *seen, const char *stage, const float *data, size_t width, size_t row)
{
    size_t n = 0;
    float *want = golden_stage(seen, stage, &n);
    expect_near(stage, data, want + row * width, width, ACTIVATION_TOLERANCE);
    seen->n_stages++;
    free(want);
}

static size_t traced_text_length(void)
{
    struct json *j = clip_golden_json("embeddings/embeddings_golden.json");
    size_t n = (size_t)json_int(json_at(json_get(j, "eot_index"), TRACED_TEXT), 0) + 1;
    json_free(j);
    return n;
}

static void see_fast(void *arg, const char *stage, size_t block, const float *data,
    size_t n_rows, size_t width)
{
    struct seen *seen = arg;
    char name[64];
    size_t row = strcmp(seen->tower, "text") ? 0 : traced_text_length() - 1, n;
    n = strcmp(seen->tower, "text") ? n_rows * width : (row + 1) * width; // less padding
    if (!strcmp(stage, "patches")) {
        compare_stage(seen, "conv1", data, n_rows * width);
    } else if (!strcmp(stage, "embeddings") || !strcmp(stage, "pre_ln")) {
        compare_stage(seen, stage, data, n);
        memcpy(seen->before, data, n * sizeof *data);
    } else if (!strcmp(stage, "post_ln") || !strcmp(stage, "proj")) {
        compare_stage(seen, stage, data, n_rows * width);
    } else if (!strcmp(stage, "final_ln")) {
        compare_last(seen, stage, data, width, row);
    } else if (block == seen->n_blocks - 1) {
        snprintf(name, sizeof name, "block%zu", block);
        if (!strcmp(stage, "block"))
            compare_last(seen, name, data, width, row);
    } else if (!strcmp(stage, "block")) {
        compare_change(seen, block ? NULL : "block0_mlp_out", data, n);
        snprintf(name, sizeof name, "block%zu", block);
        compare_stage(seen, name, data, n);
    } else if (block == 0 && !strcmp(stage, "middle")) {
        compare_change(seen, "block0_attn_out", data, n);
    } else if (block == 0 && strcmp(stage, "attention") != 0) {
        snprintf(
            name, sizeof name, "block0_%s", strcmp(stage, "activation") ? stage : "gelu");
        compare_stage(seen, name, data, n);
    }
}

static void test_activations(void **state)
{
    (void)state;
    if (skip_without_golden())
        skip();
    char *dir = clip_golden_path("tiny");
    struct clip *clip = open_clip(dir, 1, 0);
    float *pixels = golden_pixels(clip_preparation(clip)), out[PROJECTION];
    struct seen seen = { .tower = "image", .n_blocks = 2 };
    const struct clip_probe probe = { see_fast, &seen };
    clip_watch(clip, &probe);
    assert_int_equal(clip_embed_images(clip, pixels, 1, out, NULL), OK);
    assert_int_equal(seen.n_stages, 12);

    struct json *j = clip_golden_json("embeddings/embeddings_golden.json");
    const char *prompt = json_text(json_at(json_get(j, "texts"), TRACED_TEXT), NULL);
    seen = (struct seen) { .tower = "text", .n_blocks = 3 };
    assert_int_equal(clip_embed_texts(clip, &prompt, 1, out, NULL), OK);
    assert_int_equal(seen.n_stages, 11);
    json_free(j);
    free(pixels);
    clip_close(clip);
    free(dir);
}

static void see_reference(
    void *arg, const char *stage, const double *data, size_t n_rows, size_t width)
{
    struct seen *seen = arg;
    if (strstr(stage, "_attn") && !strstr(stage, "_attn_out"))
        return;
    if (strncmp(stage, "block0", 6) != 0 && strchr(stage, '_') &&
        !strncmp(stage, "block", 5))
        return; // parts of later blocks
    size_t n = n_rows * width;
    float *copy = calloc(n, sizeof *copy);
    assert_non_null(copy);
    for (size_t i = 0; i < n; i++)
        copy[i] = (float)data[i];
    compare_stage(seen, stage, copy, n);
    free(copy);
}

static void test_reference(void **state)
{
    (void)state;
    if (skip_without_golden())
        skip();
    char *dir = clip_golden_path("tiny");
    struct clip_config config;
    struct clip_preparation how;
    struct tensors *t = NULL;
    assert_int_equal(checkpoint_config(dir, &config, NULL), OK);
    assert_int_equal(checkpoint_preparation(dir, &config, &how, NULL), OK);
    assert_int_equal(tensors_open(dir, &t, NULL), OK);
    float *pixels = golden_pixels(&how);
    double out[PROJECTION];
    struct seen seen = { .tower = "image" };
    clip_reference_image(t, &config, pixels, see_reference, &seen, out);
    assert_int_equal(seen.n_stages, 13);

    struct json *j = clip_golden_json("embeddings/embeddings_golden.json");
    const struct json *row = json_at(json_get(j, "text_ids"), TRACED_TEXT);
    int32_t ids[CONTEXT];
    size_t n = json_size(row);
    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)json_int(json_at(row, i), -1);
    seen = (struct seen) { .tower = "text" };
    clip_reference_text(t, &config, ids, n, see_reference, &seen, out);
    assert_int_equal(seen.n_stages, 12);
    json_free(j);
    free(pixels);
    tensors_close(t);
    free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f32),
        cmocka_unit_test(test_f16),
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_reference),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
