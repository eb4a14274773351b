/* test_picture.c - pictures: orientation, JPEG of every kind, damage, encoding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "collectors/source/exif.h"
#include "collectors/source/jpeg.h"
#include "collectors/source/picture.h"
#include "tests/support/make_image.h"

#define FILE_MAX ((size_t)1 << 26)

static enum status decode(
    const struct buffer *b, unsigned flags, struct picture *out, struct error *err)
{
    *err = (struct error)ERROR_INIT;
    // An exact copy, so that a sanitizer sees any byte read behind the end.
    void *copy = malloc(b->len ? b->len : 1);
    assert_non_null(copy);
    if (b->len)
        memcpy(copy, b->data, b->len);
    enum status s = picture_decode(copy, b->len, flags, out, err);
    free(copy);
    return s;
}

static const uint8_t *at(const struct picture *p, int x, int y)
{
    return p->data + ((size_t)y * (size_t)p->width + (size_t)x) * (size_t)p->channels;
}

static void assert_near(const uint8_t *got, int r, int g, int b, int tolerance)
{
    assert_in_range(got[0] - r + tolerance, 0, 2 * tolerance);
    assert_in_range(got[1] - g + tolerance, 0, 2 * tolerance);
    assert_in_range(got[2] - b + tolerance, 0, 2 * tolerance);
}

// 32 x 16: four quarters in red, green / blue, white.
static void quarters(uint8_t pixels[16 * 32 * 3])
{
    static const uint8_t colours[4][3] = { { 255, 0, 0 }, { 0, 255, 0 }, { 0, 0, 255 },
        { 255, 255, 255 } };
    for (int y = 0; y < 16; y++)
        for (int x = 0; x < 32; x++)
            memcpy(pixels + (y * 32 + x) * 3, colours[(y >= 8) * 2 + (x >= 16)], 3);
}

static void test_orient_exactly(void **state)
{
    (void)state;
    static const char src[] = "123456"; // 3 wide, 2 high
    static const char *const want[9] = { NULL, "123456", "321654", "654321", "456123",
        "142536", "415263", "635241", "362514" };
    for (int o = 1; o <= 8; o++) {
        struct picture p;
        assert_int_equal(picture_new(3, 2, 3, &p, NULL), OK);
        for (int i = 0; i < 6; i++)
            memset(p.data + 3 * i, src[i], 3);
        assert_int_equal(picture_orient(&p, o, NULL), OK);
        assert_int_equal(p.width, o >= 5 ? 2 : 3);
        assert_int_equal(p.height, o >= 5 ? 3 : 2);
        for (int i = 0; i < 6; i++)
            assert_int_equal(p.data[3 * i + 2], want[o][i]);
        picture_release(&p);
    }
    struct picture p = { 0 };
    assert_int_equal(picture_orient(&p, 9, NULL), E_ARG);
}

// Where the red, green, blue and white quarters stand once the picture is upright.
static void test_exif_orientations(void **state)
{
    (void)state;
    static const char *const want[9] = { NULL, "rgbw", "grwb", "wbgr", "bwrg", "rbgw",
        "brwg", "wgbr", "gwrb" };
    uint8_t pixels[16 * 32 * 3];
    quarters(pixels);
    for (int o = 1; o <= 8; o++)
        for (int big_endian = 0; big_endian < 2; big_endian++) {
            struct buffer file;
            struct picture p;
            struct error err;
            buffer_init(&file, FILE_MAX);
            make_jpeg(
                &(struct make_jpeg) { 32, 16, 3, 95, 0, o, big_endian }, pixels, &file);
            assert_int_equal(decode(&file, 0, &p, &err), OK);
            assert_int_equal(p.width, o >= 5 ? 16 : 32);
            for (int i = 0; i < 4; i++) {
                const uint8_t *v = at(&p, p.width / 4 + i % 2 * p.width / 2,
                    p.height / 4 + i / 2 * p.height / 2);
                char c = want[o][i];
                assert_near(v, c == 'r' || c == 'w' ? 255 : 0,
                    c == 'g' || c == 'w' ? 255 : 0, c == 'b' || c == 'w' ? 255 : 0, 20);
            }
            picture_release(&p);
            assert_int_equal(decode(&file, PICTURE_AS_STORED, &p, &err), OK);
            assert_int_equal(p.width, 32);
            picture_release(&p);
            buffer_release(&file);
        }
}

static void test_exif_survives_nonsense(void **state)
{
    (void)state;
    static const uint8_t good[26] = { 'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1,
        0, 0, 0, 6, 0 };
    uint8_t block[26];
    assert_int_equal(exif_orientation(good, sizeof good), 6);
    for (size_t n = 0; n < 22; n++) {
        uint8_t *cut = malloc(n ? n : 1);
        memcpy(cut, good, n);
        assert_int_equal(exif_orientation(cut, n), 1);
        free(cut);
    }
    for (size_t i = 0; i < sizeof good; i++)
        for (int bit = 0; bit < 8; bit++) {
            memcpy(block, good, sizeof block);
            block[i] ^= (uint8_t)(1 << bit);
            assert_in_range(exif_orientation(block, sizeof block), 1, 8);
        }
}

static void test_kinds(void **state)
{
    (void)state;
    uint8_t rgb[16 * 16 * 3], gray[16 * 16], cmyk[16 * 16 * 4];
    for (int i = 0; i < 16 * 16; i++) {
        memcpy(rgb + 3 * i, "\x20\x80\xe0", 3);
        gray[i] = 77;
        memcpy(cmyk + 4 * i, "\xff\x40\xff\xc0", 4); // magenta ink 191, black ink 63
    }
    struct {
        int channels, progressive;
        const uint8_t *pixels;
        int r, g, b;
    } cases[] = { { 3, 0, rgb, 0x20, 0x80, 0xe0 }, { 3, 1, rgb, 0x20, 0x80, 0xe0 },
        { 1, 0, gray, 77, 77, 77 }, { 1, 1, gray, 77, 77, 77 },
        { 4, 0, cmyk, 192, 48, 192 }, { 4, 1, cmyk, 192, 48, 192 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buffer file;
        struct picture p;
        struct error err;
        buffer_init(&file, FILE_MAX);
        make_jpeg(&(struct make_jpeg) { .width = 16,
                      .height = 16,
                      .channels = cases[i].channels,
                      .quality = 100,
                      .progressive = cases[i].progressive },
            cases[i].pixels, &file);
        assert_int_equal(decode(&file, 0, &p, &err), OK);
        assert_int_equal(p.channels, 3);
        assert_near(at(&p, 8, 8), cases[i].r, cases[i].g, cases[i].b, 3);
        picture_release(&p);
        assert_int_equal(decode(&file, PICTURE_KEEP_CMYK, &p, &err), OK);
        assert_int_equal(p.channels, cases[i].channels == 4 ? 4 : 3);
        if (p.channels == 4)
            assert_near(at(&p, 8, 8) + 1, 191, 0, 63, 3);
        picture_release(&p);
        buffer_release(&file);
    }
}

// Every prefix of a file is refused, whatever is cut off.
static void test_truncated(void **state)
{
    (void)state;
    uint8_t pixels[48 * 64 * 3];
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * i >> 5);
    for (int progressive = 0; progressive < 2; progressive++) {
        struct buffer file, cut;
        buffer_init(&file, FILE_MAX);
        make_jpeg(
            &(struct make_jpeg) { 64, 48, 3, 80, progressive, 6, 0 }, pixels, &file);
        for (size_t n = 0; n < file.len; n++) {
            struct picture p;
            struct error err;
            buffer_init(&cut, FILE_MAX);
            buffer_add(&cut, file.data, n);
            assert_int_equal(decode(&cut, 0, &p, &err), E_DATA);
            assert_null(p.data);
            assert_true(strlen(err.msg) > 10);
            buffer_release(&cut);
        }
        buffer_release(&file);
    }
}

static void test_damaged_never_crashes(void **state)
{
    (void)state;
    uint8_t pixels[16 * 32 * 3];
    quarters(pixels);
    struct buffer file;
    buffer_init(&file, FILE_MAX);
    make_jpeg(&(struct make_jpeg) { 32, 16, 3, 80, 0, 3, 0 }, pixels, &file);
    for (size_t i = 3; i < file.len; i++) {
        char kept = file.data[i];
        file.data[i] = (char)(kept ^ 0x55);
        struct picture p;
        struct error err;
        if (decode(&file, 0, &p, &err) == OK)
            picture_release(&p);
        else
            assert_true(err.code == E_DATA);
        file.data[i] = kept;
    }
    buffer_release(&file);
}

static void test_refused(void **state)
{
    (void)state;
    struct buffer file;
    struct picture p;
    struct error err;
    buffer_init(&file, FILE_MAX);
    assert_int_equal(decode(&file, 0, &p, &err), E_DATA);
    assert_non_null(strstr(err.msg, "empty"));
    buffer_add_str(&file, "GIF89a, or so it says");
    assert_int_equal(decode(&file, 0, &p, &err), E_DATA);
    assert_non_null(strstr(err.msg, "neither"));

    // A header that claims 65,000 x 65,000 pixels costs nothing.
    uint8_t pixels[16 * 32 * 3];
    quarters(pixels);
    buffer_clear(&file);
    make_jpeg(
        &(struct make_jpeg) { .width = 32, .height = 16, .channels = 3, .quality = 80 },
        pixels, &file);
    for (size_t i = 0; i + 9 < file.len; i++)
        if (memcmp(file.data + i, "\xff\xc0", 2) == 0) {
            memcpy(file.data + i + 5, "\xfd\xe8\xfd\xe8", 4);
            break;
        }
    assert_int_equal(decode(&file, 0, &p, &err), E_DATA);
    assert_non_null(strstr(err.msg, "65000 x 65000"));
    assert_non_null(strstr(err.msg, "100 megapixels"));
    buffer_release(&file);
}

// The last scan of a progressive file, again and again.
static void test_too_many_scans(void **state)
{
    (void)state;
    uint8_t pixels[16 * 32 * 3];
    quarters(pixels);
    struct buffer file, bomb;
    buffer_init(&file, FILE_MAX);
    buffer_init(&bomb, FILE_MAX);
    make_jpeg(
        &(struct make_jpeg) {
            .width = 32, .height = 16, .channels = 3, .quality = 80, .progressive = 1 },
        pixels, &file);
    size_t scan = file.len - 2;
    while (memcmp(file.data + scan, "\xff\xda", 2) != 0)
        scan--;
    buffer_add(&bomb, file.data, scan);
    for (int i = 0; i < 2 * JPEG_MAX_SCANS; i++)
        buffer_add(&bomb, file.data + scan, file.len - 2 - scan);
    buffer_add(&bomb, "\xff\xd9", 2);
    struct picture p;
    struct error err;
    assert_int_equal(decode(&bomb, 0, &p, &err), E_DATA);
    assert_non_null(strstr(err.msg, "scans"));
    buffer_release(&bomb);
    buffer_release(&file);
}

static void test_encode(void **state)
{
    (void)state;
    uint8_t pixels[16 * 32 * 3];
    quarters(pixels);
    struct buffer file, a, b;
    struct picture p, again;
    struct error err;
    buffer_init(&file, FILE_MAX);
    buffer_init(&a, FILE_MAX);
    buffer_init(&b, FILE_MAX);
    make_jpeg(&(struct make_jpeg) { 32, 16, 3, 95, 0, 8, 0 }, pixels, &file);
    assert_int_equal(decode(&file, 0, &p, &err), OK);
    assert_int_equal(picture_encode_jpeg(&p, 90, &a, &err), OK);
    assert_int_equal(picture_encode_jpeg(&p, 90, &b, &err), OK);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
    for (size_t i = 0; i + 4 < a.len; i++)
        assert_memory_not_equal(a.data + i, "Exif", 4);
    assert_int_equal(decode(&a, 0, &again, &err), OK);
    assert_int_equal(again.width, 16);
    assert_int_equal(again.height, 32);
    picture_release(&again);
    assert_int_equal(picture_encode_jpeg(&p, 0, &b, &err), E_ARG);
    assert_int_equal(picture_encode_jpeg(&p, 101, &b, &err), E_ARG);
    struct buffer tight;
    buffer_init(&tight, 100);
    assert_int_equal(picture_encode_jpeg(&p, 90, &tight, &err), E_LIMIT);
    buffer_release(&tight);
    picture_release(&p);
    buffer_release(&a);
    buffer_release(&b);
    buffer_release(&file);
}

static void test_fit(void **state)
{
    (void)state;
    static const int cases[][5] = { { 4000, 3000, 768, 768, 576 },
        { 3000, 4000, 768, 576, 768 }, { 768, 768, 768, 768, 768 },
        { 100, 50, 768, 100, 50 }, { 5000, 1, 768, 768, 1 },
        { 4000, 3000, 0, 4000, 3000 }, { 1001, 333, 100, 100, 33 },
        { 65500, 1500, 65500, 65500, 1500 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int w, h;
        picture_fit(cases[i][0], cases[i][1], cases[i][2], &w, &h);
        assert_int_equal(w, cases[i][3]);
        assert_int_equal(h, cases[i][4]);
    }
    struct picture p;
    assert_int_equal(picture_new(400, 300, 3, &p, NULL), OK);
    assert_int_equal(picture_shrink(&p, 100, NULL), OK);
    assert_int_equal(p.width, 100);
    assert_int_equal(p.height, 75);
    assert_int_equal(picture_shrink(&p, 200, NULL), OK);
    assert_int_equal(p.width, 100);
    picture_release(&p);
}

static void test_sizes(void **state)
{
    (void)state;
    struct picture p;
    assert_int_equal(picture_new(0, 5, 3, &p, NULL), E_DATA);
    assert_int_equal(picture_new(5, -1, 3, &p, NULL), E_DATA);
    assert_int_equal(picture_new(10001, 10000, 3, &p, NULL), E_DATA);
    assert_int_equal(picture_new(65501, 1, 3, &p, NULL), E_DATA);
    assert_null(p.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orient_exactly),
        cmocka_unit_test(test_exif_orientations),
        cmocka_unit_test(test_exif_survives_nonsense),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_damaged_never_crashes),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_too_many_scans),
        cmocka_unit_test(test_encode),
        cmocka_unit_test(test_fit),
        cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
