/* test_resample.c - the resampler against a plain one in double, and, where the shared
 * material is, byte for byte against Pillow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/source/resample.h"
#include "m4a1/base/files.h"
#include "m4a1/base/random.h"
#include "m4a1/base/text.h"

#define FILE_MAX ((size_t)1 << 26)
#define CROP 224

static double cubic(double x)
{
    x = fabs(x);
    if (x < 1)
        return 1.5 * x * x * x - 2.5 * x * x + 1;
    return x < 2 ? -0.5 * x * x * x + 2.5 * x * x - 4 * x + 2 : 0;
}

// One line of n samples to m, by the definition.
static void plain_line(const double *in, int n, double *out, int m)
{
    double scale = (double)n / m, widen = scale < 1 ? 1 : scale;
    for (int i = 0; i < m; i++) {
        double sum = 0, weights = 0, center = (i + 0.5) * scale;
        for (int j = 0; j < n; j++) {
            double w = cubic((j + 0.5 - center) / widen);
            sum += w * in[j];
            weights += w;
        }
        sum /= weights;
        out[i] = sum < 0 ? 0 : sum > 255 ? 255 : sum;
    }
}

static void compare_with_plain(int w, int h, int w2, int h2, struct rng *rng)
{
    struct picture p, q;
    assert_int_equal(picture_new(w, h, 3, &p, NULL), OK);
    for (int i = 0; i < w * h * 3; i++)
        p.data[i] = (uint8_t)rng_below(rng, 256);
    assert_int_equal(picture_resample(&p, w2, h2, &q, NULL), OK);
    assert_int_equal(q.width, w2);
    assert_int_equal(q.height, h2);
    double *in = calloc((size_t)(w + h), sizeof *in);
    double *wide = calloc((size_t)(w2 * h), sizeof *wide);
    double *out = calloc((size_t)(w2 + h2), sizeof *out);
    for (int c = 0; c < 3; c++) {
        for (int y = 0; y < h; y++) {
            for (int x = 0; x < w; x++)
                in[x] = p.data[(y * w + x) * 3 + c];
            plain_line(in, w, wide + y * w2, w2);
        }
        for (int x = 0; x < w2; x++) {
            for (int y = 0; y < h; y++)
                in[y] = wide[y * w2 + x];
            plain_line(in, h, out, h2);
            for (int y = 0; y < h2; y++)
                assert_true(fabs(out[y] - q.data[(y * w2 + x) * 3 + c]) < 1.6);
        }
    }
    free(in);
    free(wide);
    free(out);
    picture_release(&p);
    picture_release(&q);
}

static void test_plain(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 1, "test", 0);
    static const int sizes[][4] = { { 40, 30, 20, 15 }, { 31, 17, 7, 5 },
        { 8, 6, 33, 19 }, { 50, 3, 9, 12 }, { 1, 1, 5, 5 }, { 64, 64, 1, 1 },
        { 20, 20, 20, 7 }, { 20, 20, 7, 20 } };
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        compare_with_plain(sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3], &rng);
}

static void test_flat_and_same(void **state)
{
    (void)state;
    struct picture p, q;
    assert_int_equal(picture_new(37, 23, 4, &p, NULL), OK);
    for (int i = 0; i < 37 * 23; i++)
        memcpy(p.data + 4 * i, "\x00\xff\x65\x01", 4);
    assert_int_equal(picture_resample(&p, 11, 90, &q, NULL), OK);
    for (int i = 0; i < 11 * 90; i++)
        assert_memory_equal(q.data + 4 * i, "\x00\xff\x65\x01", 4);
    picture_release(&q);
    for (int i = 0; i < 37 * 23 * 4; i++)
        p.data[i] = (uint8_t)(i * i >> 3);
    assert_int_equal(picture_resample(&p, 37, 23, &q, NULL), OK);
    assert_memory_equal(p.data, q.data, 37 * 23 * 4);
    picture_release(&q);
    assert_int_equal(picture_resample(&p, 0, 5, &q, NULL), E_DATA);
    assert_int_equal(picture_resample(&p, 5, 70000, &q, NULL), E_DATA);
    assert_null(q.data);
    picture_release(&p);
}

static int round_half_even(int twice)
{
    int down = twice / 2;
    return twice % 2 && down % 2 ? down + 1 : down;
}

// CLIP's preparation: short side to 224, long side cut off, then the middle.
static void compare_with_pillow(const char *shared, const char *name)
{
    struct buffer file, want;
    struct picture p, q;
    struct error err = ERROR_INIT;
    buffer_init(&file, FILE_MAX);
    buffer_init(&want, FILE_MAX);
    char *path = text_format("%s/golden/clip/images/%s", shared, name);
    char *golden = text_format(
        "%s/golden/clip/preprocess/%.*s_224_u8.rgb", shared, (int)strlen(name) - 4, name);
    assert_int_equal(file_read(path, &file, &err), OK);
    assert_int_equal(file_read(golden, &want, &err), OK);
    assert_int_equal(want.len, CROP * CROP * 3);
    assert_int_equal(picture_decode(file.data, file.len,
                         PICTURE_AS_STORED | PICTURE_KEEP_CMYK, &p, &err),
        OK);
    int w = CROP, h = CROP;
    if (p.width < p.height)
        h = CROP * p.height / p.width;
    else
        w = CROP * p.width / p.height;
    assert_int_equal(picture_resample(&p, w, h, &q, &err), OK);
    assert_int_equal(picture_to_rgb(&q, &err), OK);
    int left = round_half_even(w - CROP), top = round_half_even(h - CROP);
    for (int y = 0; y < CROP; y++)
        assert_memory_equal(q.data + ((top + y) * w + left) * 3,
            want.data + (size_t)y * CROP * 3, CROP * 3);
    picture_release(&p);
    picture_release(&q);
    buffer_release(&file);
    buffer_release(&want);
    free(path);
    free(golden);
}

static void test_pillow(void **state)
{
    (void)state;
    static const char *const names[] = { "01_first_420.jpg", "02_overhead_444.jpg",
        "03_side_progressive.jpg", "04_tall_422.jpg", "05_tiny.jpg", "06_large.jpg",
        "07_gray.jpg", "08_cmyk.jpg", "09_exif_orientation6.jpg", "10_exact224.jpg",
        "11_side_rgb.png" };
    const char *shared = getenv("M4A1_SHARED") ? getenv("M4A1_SHARED") : "../shared";
    char *folder = text_format("%s/golden/clip/images", shared);
    int there = file_is_folder(folder);
    free(folder);
    if (!there) {
        print_message(
            "no shared material in %s: Pillow's bytes are not compared\n", shared);
        skip();
    }
    for (size_t i = 0; i < COUNT_OF(names); i++)
        compare_with_pillow(shared, names[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_flat_and_same),
        cmocka_unit_test(test_pillow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
