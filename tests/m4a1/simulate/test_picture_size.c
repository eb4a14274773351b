/* test_picture_size.c - sizes of the four formats, and no size from broken headers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/buffer.h"
#include "m4a1/base/files.h"
#include "m4a1/base/random.h"
#include "m4a1/base/text.h"
#include "m4a1/simulate/picture_size.h"

struct sample {
    const char *name;
    const char *bytes;
    size_t len;
    int width_px, height_px;
};

#define BYTES(s) s, sizeof(s) - 1

static const struct sample samples[] = {
    { "png", BYTES("\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x03\0\0\0\x02\x01"), 768, 513 },
    { "gif", BYTES("GIF89a\x40\x01\xf0\0"), 320, 240 },
    { "webp, lossy", BYTES("RIFF\0\0\0\0WEBPVP8 \0\0\0\0\x30\1\0\x9d\1\x2a\x40\1\xf0\0"),
        320, 240 },
    { "webp, lossless", BYTES("RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f\x3f\xc1\x3b\0\0\0\0\0\0"),
        320, 240 },
    { "webp, extended", BYTES("RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x3f\1\0\xef\0\0"),
        320, 240 },
    { "jpeg, a fill byte and a comment before the frame",
        BYTES("\xff\xd8\xff\xfe\0\4ab\xff\xff\xc2\0\x11\x08\0\xf0\1\x40\3"), 320, 240 },
    { "jpeg, a table that looks like a frame",
        BYTES("\xff\xd8\xff\xc4\0\4ab\xff\xc0\0\x11\x08\0\xf0\1\x40"), 320, 240 },
};

static void sizes_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        int w = -1, h = -1;
        if (!picture_size((const uint8_t *)samples[i].bytes, samples[i].len, &w, &h))
            fail_msg("%s: no size", samples[i].name);
        assert_int_equal(w, samples[i].width_px);
        assert_int_equal(h, samples[i].height_px);
    }
}

/* Every prefix, from memory of exactly its length, so that a sanitizer sees each read
 * behind the end. */
static void headers_that_end_early_have_no_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(samples); i++)
        for (size_t len = 0; len + 3 < samples[i].len && len < 20; len++) {
            uint8_t *part = malloc(len ? len : 1);
            int w, h;
            memcpy(part, samples[i].bytes, len);
            if (picture_size(part, len, &w, &h) &&
                (w != samples[i].width_px || h != samples[i].height_px))
                fail_msg("%s: a wrong size from %zu bytes", samples[i].name, len);
            free(part);
        }
}

static void other_bytes_are_no_picture(void **state)
{
    (void)state;
    static const struct sample others[] = {
        { "text", BYTES("this is no picture, it is text of some length"), 0, 0 },
        { "png without size", BYTES("\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\0\0\0\0\0"), 0,
            0 },
        { "jpeg that ends before its frame", BYTES("\xff\xd8\xff\xd9\0\0\0\0"), 0, 0 },
        { "jpeg with a segment of length 0", BYTES("\xff\xd8\xff\xfe\0\0\xff\xc0\0\x11"),
            0, 0 },
        { "bmp", BYTES("BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\2\0\0\0\2\0\0\0"), 0,
            0 },
    };
    int w, h;
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        const uint8_t *bytes = (const uint8_t *)others[i].bytes;
        if (picture_size(bytes, others[i].len, &w, &h))
            fail_msg("%s has a size", others[i].name);
    }
    struct rng rng;
    rng_init(&rng, 1, "test/picture", 0);
    for (int i = 0; i < 20000; i++) {
        uint8_t bytes[64];
        for (size_t k = 0; k < sizeof bytes; k++)
            bytes[k] = (uint8_t)rng_below(&rng, 256);
        bytes[0] = 0xff;
        bytes[1] = 0xd8;
        bytes[2] = 0xff;
        if (picture_size(bytes, sizeof bytes, &w, &h))
            assert_true(w > 0 && h > 0);
    }
}

static void real_views_have_their_size(void **state)
{
    (void)state;
    const char *shared = getenv("M4A1_SHARED");
    char *folder = path_join(shared ? shared : "../shared", "data/views");
    char *path = path_join(folder, "side.jpg");
    struct buffer bytes;
    int w, h;
    buffer_init(&bytes, 1u << 26);
    enum status status = file_read(path, &bytes, NULL);
    free(folder);
    free(path);
    if (status != OK) {
        print_message("no shared views here: skipped\n");
        skip();
    }
    assert_true(picture_size((const uint8_t *)bytes.data, bytes.len, &w, &h));
    assert_true(w > 100 && h > 100);
    buffer_release(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_read),
        cmocka_unit_test(headers_that_end_early_have_no_size),
        cmocka_unit_test(other_bytes_are_no_picture),
        cmocka_unit_test(real_views_have_their_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
