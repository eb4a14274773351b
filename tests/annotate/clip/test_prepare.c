/* test_prepare.c - images as the original package prepares them: byte for byte where the
 * shared material is, and the arithmetic of sizes and crops without it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "annotate/clip/prepare.h"
#include "collectors/source/resample.h"
#include "m4a1/base/hash.h"
#include "m4a1/base/random.h"
#include "tests/support/clip_golden.h"

static struct clip_preparation published(uint32_t side)
{
    return (struct clip_preparation) { .resize = side,
        .crop = side,
        .mean = { 0.48145466f, 0.4578275f, 0.40821073f },
        .std = { 0.26862954f, 0.26130258f, 0.27577711f } };
}

/* One picture at one size against the reference. */
static void compare(const struct json *golden, const struct buffer *file, uint32_t side)
{
    char key[16], hash[HASH_HEX], name[96];
    snprintf(key, sizeof key, "%u", side);
    const char *stem = json_text(json_get(golden, "file"), "");
    const struct json *want = json_get(json_get(golden, "sizes"), key);
    struct clip_preparation how = published(side);
    size_t n = (size_t)3 * side * side;
    uint8_t *rgb = malloc(n);
    float *pixels = malloc(n * sizeof *pixels);
    assert_true(rgb && pixels);

    struct error err = ERROR_INIT;
    if (prepare_file(file->data, file->len, &how, rgb, pixels, &err) != OK)
        fail_msg("%s: %s", stem, err.msg);
    hash_hex(rgb, n, hash);
    if (strcmp(hash, json_text(json_get(want, "crop_u8_sha256"), "")) != 0)
        fail_msg("%s at %u: the cropped bytes differ", stem, side);

    const struct json *samples = json_get(want, "sample997");
    for (size_t i = 0; i < json_size(samples); i++)
        assert_float_equal(pixels[997 * i], json_number(json_at(samples, i), NAN), 1e-6);
    assert_int_equal(json_size(samples), (n + 996) / 997);
    if (side == 64) {
        snprintf(name, sizeof name, "preprocess/%.*s_64.npy",
            (int)(strrchr(stem, '.') - stem), stem);
        float *all = clip_golden_floats(name, &n);
        for (size_t i = 0; i < n; i++)
            assert_float_equal(pixels[i], all[i], 1e-6);
        free(all);
    }
    free(rgb);
    free(pixels);
}

static void test_as_the_original(void **state)
{
    (void)state;
    if (!clip_golden_there()) {
        print_message("the shared golden/clip is not there; M4A1_SHARED says where\n");
        skip();
    }
    struct json *golden = clip_golden_json("preprocess/preprocess_golden.json");
    const struct json *images = json_get(golden, "images");
    assert_int_equal(json_size(images), CLIP_GOLDEN_IMAGES);
    for (size_t i = 0; i < CLIP_GOLDEN_IMAGES; i++) {
        char name[96];
        struct buffer file;
        snprintf(name, sizeof name, "images/%s",
            json_text(json_get(json_at(images, i), "file"), ""));
        clip_golden_read(name, &file);
        compare(json_at(images, i), &file, 64);
        compare(json_at(images, i), &file, 224);
        buffer_release(&file);
    }
    json_free(golden);
}

static struct picture noise(int width, int height, int channels)
{
    struct picture p;
    struct rng rng;
    rng_init(&rng, 1, "prepare", 0);
    assert_int_equal(picture_new(width, height, channels, &p, NULL), OK);
    for (size_t i = 0; i < (size_t)width * (size_t)height * (size_t)channels; i++)
        p.data[i] = (uint8_t)rng_below(&rng, 256);
    return p;
}

/* The crop of p resized to width x height starts at (left, top). */
static void expect_crop(
    const struct picture *p, uint32_t side, int width, int height, int left, int top)
{
    struct clip_preparation how = published(side);
    struct picture whole;
    uint8_t *rgb = malloc((size_t)3 * side * side);
    assert_non_null(rgb);
    assert_int_equal(picture_resample(p, width, height, &whole, NULL), OK);
    assert_int_equal(prepare_picture(p, &how, rgb, NULL, NULL), OK);
    for (uint32_t y = 0; y < side; y++)
        assert_memory_equal(rgb + (size_t)y * side * 3,
            whole.data + ((size_t)(top + (int)y) * (size_t)width + (size_t)left) * 3,
            (size_t)side * 3);
    picture_release(&whole);
    free(rgb);
}

static void test_sizes_and_crops(void **state)
{
    (void)state;
    static const struct {
        int width, height;   /* of the picture */
        int width2, height2; /* resized to 16 on the shorter side, the rest cut off */
        int left, top;       /* half of what is over, halves to even */
    } cases[] = {
        { 40, 40, 16, 16, 0, 0 }, { 40, 30, 21, 16, 2, 0 }, /* 21.33; 2.5 to 2 */
        { 30, 44, 16, 23, 0, 4 },                           /* 23.47; 3.5 to 4 */
        { 19, 16, 19, 16, 2, 0 },                           /* not resized; 1.5 to 2 */
        { 16, 17, 16, 17, 0, 0 },                           /* 0.5 to 0 */
        { 8, 9, 16, 18, 0, 1 },                             /* made larger */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct picture p = noise(cases[i].width, cases[i].height, 3);
        expect_crop(
            &p, 16, cases[i].width2, cases[i].height2, cases[i].left, cases[i].top);
        picture_release(&p);
    }
}

/* A checkpoint may resize to more than it crops. */
static void test_resize_beyond_crop(void **state)
{
    (void)state;
    struct picture p = noise(20, 20, 3);
    struct clip_preparation how = published(16);
    how.resize = 20;
    uint8_t rgb[16 * 16 * 3];
    assert_int_equal(prepare_picture(&p, &how, rgb, NULL, NULL), OK);
    for (size_t y = 0; y < 16; y++)
        assert_memory_equal(rgb + y * 48, p.data + ((y + 2) * 20 + 2) * 3, 48);
    picture_release(&p);
}

static void test_values(void **state)
{
    (void)state;
    struct picture p = noise(16, 16, 3);
    struct clip_preparation how = published(16);
    float *pixels = malloc(3 * 256 * sizeof *pixels);
    assert_non_null(pixels);
    assert_int_equal(prepare_picture(&p, &how, NULL, pixels, NULL), OK);
    for (size_t i = 0; i < 256; i++)
        for (size_t c = 0; c < 3; c++)
            assert_float_equal(pixels[c * 256 + i],
                ((float)p.data[3 * i + c] / 255 - how.mean[c]) / how.std[c], 1e-6);
    free(pixels);
    picture_release(&p);
}

/* Ink is resized as ink; the pixels handed in are not changed. */
static void test_cmyk(void **state)
{
    (void)state;
    struct picture p = noise(16, 24, 4), ink, q = noise(16, 24, 4);
    struct clip_preparation how = published(8);
    uint8_t rgb[8 * 8 * 3];
    assert_int_equal(prepare_picture(&p, &how, rgb, NULL, NULL), OK);
    assert_memory_equal(p.data, q.data, 16 * 24 * 4);
    assert_int_equal(picture_resample(&p, 8, 12, &ink, NULL), OK);
    assert_int_equal(picture_to_rgb(&ink, NULL), OK);
    assert_memory_equal(rgb, ink.data + 2 * 8 * 3, sizeof rgb);
    picture_release(&p);
    picture_release(&q);
    picture_release(&ink);
}

static void test_refused(void **state)
{
    (void)state;
    struct clip_preparation how = published(224);
    struct error err = ERROR_INIT;
    assert_int_equal(prepare_file("GIF89a", 6, &how, NULL, NULL, &err), E_DATA);
    assert_non_null(strstr(err.msg, "neither a JPEG nor a PNG"));

    struct picture p = noise(65000, 1, 3); /* would be 14,560,000 x 224 */
    assert_int_equal(prepare_picture(&p, &how, NULL, NULL, &err), E_DATA);
    assert_non_null(strstr(err.msg, "resizing 65000 x 1 pixels"));
    picture_release(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_the_original),
        cmocka_unit_test(test_sizes_and_crops),
        cmocka_unit_test(test_resize_beyond_crop),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_cmyk),
        cmocka_unit_test(test_refused),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
