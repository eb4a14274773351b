/* test_bitmap_font.c - letters are the dots that they should be, and stay in their box. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include "collectors/source/bitmap_font.h"

static int is_ink(const struct picture *p, int x, int y)
{
    return p->data[((size_t)y * (size_t)p->width + (size_t)x) * 3] == 0;
}

static struct picture white(int width, int height)
{
    struct picture p;
    assert_int_equal(picture_new(width, height, 3, &p, NULL), OK);
    memset(p.data, 0xff, (size_t)width * (size_t)height * 3);
    return p;
}

/* Black pixels of a part of the picture. */
static int ink_in(const struct picture *p, int left, int top, int width, int height)
{
    int n = 0;
    for (int y = top; y < top + height; y++)
        for (int x = left; x < left + width; x++)
            n += is_ink(p, x, y);
    return n;
}

static void test_letter(void **state)
{
    (void)state;
    static const char *const want[] = { "#####", "..#..", "..#..", "..#..", "..#..",
        "..#..", "..#.." };
    struct picture p = white(20, 20);
    assert_int_equal(bitmap_text(&p, 3, 2, 17, 18, "T"), BITMAP_LINE_PX);
    for (int y = 0; y < 14; y++)
        for (int x = 0; x < 10; x++)
            assert_int_equal(is_ink(&p, 3 + x, 2 + y), want[y / 2][x / 2] == '#');
    assert_int_equal(ink_in(&p, 0, 0, 20, 20), ink_in(&p, 3, 2, 10, 14));
    picture_release(&p);
}

/* Every printable character has ink but the blank, and no two are alike. */
static void test_all_differ(void **state)
{
    (void)state;
    struct picture all['~' - ' ' + 1];
    const size_t n = sizeof all / sizeof *all;
    for (size_t i = 0; i < n; i++) {
        const char text[] = { (char)(' ' + (int)i), '\0' };
        all[i] = white(10, 14);
        bitmap_text(&all[i], 0, 0, 10, 14, text);
        assert_int_equal(ink_in(&all[i], 0, 0, 10, 14) > 0, i > 0);
        for (size_t j = 0; j < i; j++)
            assert_true(memcmp(all[i].data, all[j].data, 10 * 14 * 3) != 0);
    }
    for (size_t i = 0; i < n; i++)
        picture_release(&all[i]);
}

static void test_box(void **state)
{
    (void)state;
    struct picture p = white(60, 60), q = white(60, 60);
    // Two characters a line, two lines, and no place for the fifth.
    assert_int_equal(bitmap_text(&p, 10, 10, 23, 34, "#####"), 2 * BITMAP_LINE_PX);
    assert_int_equal(ink_in(&p, 0, 0, 60, 60), ink_in(&p, 10, 10, 22, 32));
    assert_int_equal(ink_in(&p, 10, 10, 10, 14), ink_in(&p, 22, 28, 10, 14));
    assert_true(ink_in(&p, 22, 28, 10, 14) > 0);
    assert_int_equal(bitmap_text(&p, 0, 0, 60, 13, "x"), 0);
    assert_int_equal(bitmap_text(&p, 0, 0, 60, 60, ""), 0);
    picture_release(&p);
    // A character of several bytes is one question mark.
    p = white(60, 60);
    bitmap_text(&p, 0, 0, 60, 60, "a\xc3\xa9\x01z");
    bitmap_text(&q, 0, 0, 60, 60, "a??z");
    assert_memory_equal(p.data, q.data, (size_t)60 * 60 * 3);
    picture_release(&p);
    picture_release(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_letter),
        cmocka_unit_test(test_all_differ),
        cmocka_unit_test(test_box),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
