/* test_png.c - PNG of every colour type and depth, exactly; damage and claims. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "collectors/source/picture.h"
#include "tests/support/make_image.h"

#define FILE_MAX ((size_t)1 << 26)

static enum status decode(const struct buffer *b, struct picture *out, struct error *err)
{
    *err = (struct error)ERROR_INIT;
    void *copy = malloc(b->len ? b->len : 1);
    assert_non_null(copy);
    memcpy(copy, b->data, b->len);
    enum status s = picture_decode(copy, b->len, 0, out, err);
    free(copy);
    return s;
}

// Make, decode and compare with RGB triples.
static void expect(const struct make_png *how, const void *raw, size_t n_raw,
    const uint8_t *rgb, size_t n_rgb)
{
    struct buffer file;
    struct picture p;
    struct error err;
    buffer_init(&file, FILE_MAX);
    make_png(how, raw, n_raw, &file);
    enum status s = decode(&file, &p, &err);
    assert_string_equal(err.msg, "");
    assert_int_equal(s, OK);
    assert_int_equal((size_t)p.width * (size_t)p.height * 3, n_rgb);
    assert_memory_equal(p.data, rgb, n_rgb);
    picture_release(&p);
    buffer_release(&file);
}

#define EXPECT(how, raw, ...)                                                            \
    do {                                                                                 \
        const uint8_t want[] = { __VA_ARGS__ };                                          \
        expect(&(how), raw, sizeof raw - 1, want, sizeof want);                          \
    } while (0)

static void test_gray(void **state)
{
    (void)state;
    struct make_png one = { .width = 4, .height = 1, .bit_depth = 1 };
    EXPECT(one, "\0\xa0", 255, 255, 255, 0, 0, 0, 255, 255, 255, 0, 0, 0);
    struct make_png two = { .width = 4, .height = 1, .bit_depth = 2 };
    EXPECT(two, "\0\x1b", 0, 0, 0, 85, 85, 85, 170, 170, 170, 255, 255, 255);
    struct make_png four = { .width = 2, .height = 1, .bit_depth = 4 };
    EXPECT(four, "\0\x1f", 17, 17, 17, 255, 255, 255);
    struct make_png eight = { .width = 2, .height = 1, .bit_depth = 8 };
    EXPECT(eight, "\0\x07\xfe", 7, 7, 7, 254, 254, 254);
    // 16 bits are rounded: 0x0080 * 255 / 65535 = 0.498, 0x0081 = 0.502.
    struct make_png sixteen = { .width = 3, .height = 1, .bit_depth = 16 };
    EXPECT(sixteen, "\0\x00\x80\x00\x81\xff\xff", 0, 0, 0, 1, 1, 1, 255, 255, 255);
}

static void test_colour(void **state)
{
    (void)state;
    struct make_png rgb = { .width = 2, .height = 2, .bit_depth = 8, .colour_type = 2 };
    EXPECT(rgb, "\0\x01\x02\x03\x04\x05\x06\0\x07\x08\x09\x0a\x0b\x0c", 1, 2, 3, 4, 5, 6,
        7, 8, 9, 10, 11, 12);
    struct make_png deep = { .width = 1, .height = 1, .bit_depth = 16, .colour_type = 2 };
    EXPECT(deep, "\0\xff\xff\x80\x80\x00\x00", 255, 128, 0);
    static const uint8_t palette[] = { 9, 8, 7, 200, 100, 50, 1, 2, 3 };
    struct make_png indexed = { .width = 3,
        .height = 1,
        .bit_depth = 8,
        .colour_type = 3,
        .palette = palette,
        .n_palette = 3 };
    EXPECT(indexed, "\0\x01\x00\x02", 200, 100, 50, 9, 8, 7, 1, 2, 3);
    indexed.bit_depth = 2;
    EXPECT(indexed, "\0\x48", 200, 100, 50, 9, 8, 7, 1, 2, 3);
}

static void test_alpha_over_white(void **state)
{
    (void)state;
    struct make_png rgba = { .width = 3, .height = 1, .bit_depth = 8, .colour_type = 6 };
    EXPECT(rgba, "\0\x0a\x14\x1e\xff\x0a\x14\x1e\x00\x00\x00\x00\x80", 10, 20, 30, 255,
        255, 255, 127, 127, 127);
    struct make_png ya = { .width = 2, .height = 1, .bit_depth = 8, .colour_type = 4 };
    EXPECT(ya, "\0\x10\xff\x10\x00", 16, 16, 16, 255, 255, 255);
    struct make_png deep = { .width = 1, .height = 1, .bit_depth = 16, .colour_type = 6 };
    EXPECT(deep, "\0\x12\x12\x12\x12\x12\x12\x00\x00", 255, 255, 255);
    struct make_png ya_deep = {
        .width = 1, .height = 1, .bit_depth = 16, .colour_type = 4
    };
    EXPECT(ya_deep, "\0\x12\x12\xff\xff", 18, 18, 18);
    static const uint8_t palette[] = { 9, 8, 7, 200, 100, 50 };
    struct make_png indexed = { .width = 2,
        .height = 1,
        .bit_depth = 8,
        .colour_type = 3,
        .palette = palette,
        .n_palette = 2,
        .transparency = (const uint8_t *)"\x00",
        .n_transparency = 1 };
    EXPECT(indexed, "\0\x00\x01", 255, 255, 255, 200, 100, 50);
    struct make_png key = { .width = 2,
        .height = 1,
        .bit_depth = 8,
        .colour_type = 2,
        .transparency = (const uint8_t *)"\0\x01\0\x02\0\x03",
        .n_transparency = 6 };
    EXPECT(key, "\0\x01\x02\x03\x04\x05\x06", 255, 255, 255, 4, 5, 6);
}

static void test_orientation(void **state)
{
    (void)state;
    struct make_png png = {
        .width = 2, .height = 1, .bit_depth = 8, .colour_type = 2, .orientation = 3
    };
    EXPECT(png, "\0\x01\x02\x03\x04\x05\x06", 4, 5, 6, 1, 2, 3);
}

// Adam7: the passes of an 8 x 8 picture whose sample at (x, y) is 10 y + x.
static size_t adam7(uint8_t *raw)
{
    static const int passes[7][4] = { { 0, 0, 8, 8 }, { 4, 0, 8, 8 }, { 0, 4, 4, 8 },
        { 2, 0, 4, 4 }, { 0, 2, 2, 4 }, { 1, 0, 2, 2 }, { 0, 1, 1, 2 } };
    size_t n = 0;
    for (int i = 0; i < 7; i++)
        for (int y = passes[i][1]; y < 8; y += passes[i][3]) {
            raw[n++] = 0;
            for (int x = passes[i][0]; x < 8; x += passes[i][2])
                raw[n++] = (uint8_t)(10 * y + x);
        }
    return n;
}

static void test_interlaced(void **state)
{
    (void)state;
    uint8_t raw[128], want[8 * 8 * 3];
    struct make_png png = { .width = 8, .height = 8, .bit_depth = 8, .interlaced = 1 };
    size_t n = adam7(raw);
    for (int i = 0; i < 64; i++)
        memset(want + 3 * i, 10 * (i / 8) + i % 8, 3);
    expect(&png, raw, n, want, sizeof want);
}

static void test_truncated(void **state)
{
    (void)state;
    uint8_t raw[20 * 61];
    for (size_t i = 0; i < sizeof raw; i++)
        raw[i] = i % 61 ? (uint8_t)(i * 7) : 0;
    struct make_png png = { .width = 20, .height = 20, .bit_depth = 8, .colour_type = 2 };
    struct buffer file, cut;
    struct picture p;
    struct error err;
    buffer_init(&file, FILE_MAX);
    make_png(&png, raw, sizeof raw, &file);
    assert_int_equal(decode(&file, &p, &err), OK);
    picture_release(&p);
    for (size_t n = 8; n < file.len; n++) {
        buffer_init(&cut, FILE_MAX);
        buffer_add(&cut, file.data, n);
        assert_int_equal(decode(&cut, &p, &err), E_DATA);
        assert_non_null(strstr(err.msg, "too early"));
        buffer_release(&cut);
    }
    // One bit wrong anywhere behind the signature: a checksum tells.
    for (size_t i = 8; i < file.len; i++) {
        file.data[i] ^= 1;
        assert_int_equal(decode(&file, &p, &err), E_DATA);
        file.data[i] ^= 1;
    }
    // Sound chunks around too little data.
    for (size_t rows = 0; rows < 20; rows++) {
        buffer_clear(&file);
        make_png(&png, raw, rows * 61, &file);
        assert_int_equal(decode(&file, &p, &err), E_DATA);
        png.transparency = rows % 2 ? NULL : (const uint8_t *)"\0\x01\0\x02\0\x03";
        png.n_transparency = rows % 2 ? 0 : 6;
    }
    buffer_release(&file);
}

// Last rows of one colour are no sign of damage.
static void test_plain_rows(void **state)
{
    (void)state;
    static const uint8_t levels[] = { 0, 0x5a, 0xff };
    for (size_t i = 0; i < sizeof levels; i++)
        for (int type = 0; type <= 6; type += 2) {
            static const int samples[] = { 1, 0, 3, 0, 2, 0, 4 };
            uint8_t raw[3 * (1 + 4 * 4)];
            size_t n = 1 + 4 * (size_t)samples[type];
            memset(raw, levels[i], sizeof raw);
            for (size_t y = 0; y < 3; y++)
                raw[y * n] = 0;
            struct buffer file;
            struct picture p;
            struct error err;
            buffer_init(&file, FILE_MAX);
            make_png(
                &(struct make_png) {
                    .width = 4, .height = 3, .bit_depth = 8, .colour_type = type },
                raw, 3 * n, &file);
            assert_int_equal(decode(&file, &p, &err), OK);
            picture_release(&p);
            buffer_release(&file);
        }
}

static void test_claims(void **state)
{
    (void)state;
    struct make_png png = { .width = 65000, .height = 65000, .bit_depth = 8 };
    struct buffer file;
    struct picture p;
    struct error err;
    buffer_init(&file, FILE_MAX);
    make_png(&png, (const uint8_t *)"", 0, &file);
    assert_int_equal(decode(&file, &p, &err), E_DATA);
    assert_non_null(strstr(err.msg, "65000 x 65000"));
    buffer_clear(&file);
    png.width = png.height = 9000; // allowed, but not with so little data
    make_png(&png, (const uint8_t *)"\0\x01\x02", 3, &file);
    assert_int_equal(decode(&file, &p, &err), E_DATA);
    assert_non_null(strstr(err.msg, "before the last row"));
    buffer_clear(&file);
    png.width = 0;
    make_png(&png, (const uint8_t *)"", 0, &file);
    assert_int_equal(decode(&file, &p, &err), E_DATA);
    buffer_clear(&file);
    png = (struct make_png) { .width = 2, .height = 2, .bit_depth = 3 };
    make_png(&png, (const uint8_t *)"", 0, &file);
    assert_int_equal(decode(&file, &p, &err), E_DATA);
    buffer_release(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gray),
        cmocka_unit_test(test_colour),
        cmocka_unit_test(test_alpha_over_white),
        cmocka_unit_test(test_orientation),
        cmocka_unit_test(test_interlaced),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_plain_rows),
        cmocka_unit_test(test_claims),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
