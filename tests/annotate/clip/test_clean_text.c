/* The text that CLIP splits: expected values are those of the original with ftfy 6.3.1. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "annotate/clip/clean_text.h"
#include "m4a1/base/text.h"

static struct buffer out;

static void expect(const char *text, const char *expected)
{
    struct error err = ERROR_INIT;
    if (clean_text(text, strlen(text), &out, &err))
        fail_msg("%s", err.msg);
    assert_string_equal(buffer_str(&out), expected);
}

static void cleans_white_space_and_case(void **state)
{
    (void)state;
    expect("", "");
    expect(" \t\r\n", "");
    expect("  A  photo\tof\r\na CAT ", "a photo of a cat");
    expect("\xe3\x80\x80"
           "a\xc2\xa0\xe2\x80\xa8"
           "b\xe2\x80\x83",
        "a b");
    expect("a\xe1\xa0\x8e"
           "b",
        "a\xe1\xa0\x8e"
        "b"); // U+180E is no white space any more
    expect("\xc4\xb0stanbul \xce\x9f\xce\x94\xce\x9f\xce\xa3",
        "i\xcc\x87stanbul \xce\xbf\xce\xb4\xce\xbf\xcf\x82");
}

static void straightens_characters(void **state)
{
    (void)state;
    expect("it\xe2\x80\x99s \xe2\x80\x9cso\xe2\x80\x9d \xca\xbc", "it's \"so\" '");
    expect("\xef\xac\x81nd \xef\xac\x86 \xc5\x89 \xc4\xb2 \xc7\x85",
        "find st 'n ij d\xc5\xbe");
    expect("\xef\xbc\xa6\xef\xbc\xb5\xef\xbc\xac\xef\xbc\xac", "full");
    expect("\xef\xbe\x8a\xef\xbe\x9e", "\xe3\x83\x90"); // half-width ha and its mark
    expect("e\xcc\x81", "\xc3\xa9");
    expect("\xc2\x80 \xc2\x93x\xc2\x94 \xc2\x81", "\xe2\x82\xac \"x\" \xc2\x81");
    expect("\xc2\x85", "\xe2\x80\xa6"); // an ellipsis of Windows, no line break
}

static void removes_controls(void **state)
{
    (void)state;
    expect("\xef\xbb\xbf"
           "bom",
        "bom");
    expect("a\x01\x0b\x1c\x7f"
           "b\xef\xbf\xbc\xe2\x81\xaa"
           "c",
        "abc");
    expect("\x1b[1;31mred\x1b[0m", "red");
    expect("\x1b[\xd9\xa3m\x1b[;m!", "!"); // digits of any script
    expect("\x1b[1;31", "[1;31");
    expect("\x1b[1 m", "[1 m");
    expect("\x1b\x1b[m.", ".");
    assert_int_equal(clean_text("a\0b", 3, &out, NULL), OK);
    assert_string_equal(buffer_str(&out), "ab");
}

static void resolves_references(void **state)
{
    (void)state;
    expect("a &amp; b &eacute; &EACUTE; it&#39;s", "a & b \xc3\xa9 \xc3\xa9 it's");
    expect("&amp;amp;amp;lt;", "<"); // until nothing changes
    expect("&rsquo;&#x201c;", "'\"");
    expect("&lt;|endoftext|&gt;", "<|endoftext|>");
    expect("&notit; &#59; &#128;", "\xc2\xacit; ; \xe2\x82\xac"); // what ftfy leaves
    expect("\xef\xbc\x86"
           "amp\xef\xbc\x9b",
        "&"); // full-width & and ;
    expect("&a\x01mp;", "&");
    // From a line with "<" on, only html.unescape() twice: no capitals, curly quotes stay.
    expect("&EACUTE;\n<b>&rsquo;&EACUTE;&amp;amp;amp;\n&rsquo;",
        "\xc3\xa9 <b>\xe2\x80\x99&eacute;&amp; \xe2\x80\x99");
}

static void leaves_broken_encodings(void **state)
{
    (void)state;
    expect("sch\xc3\x83\xc2\xb6n", "sch\xc3\xa3\xc2\xb6n");
}

/* Nesting beyond the passes is cut short, not followed for ever. */
static void stops_after_its_passes(void **state)
{
    (void)state;
    struct buffer text;
    buffer_init(&text, 4 << 20);
    buffer_add_char(&text, '&');
    for (int i = 0; i < CLEAN_TEXT_PASSES; i++)
        buffer_add_str(&text, "amp;");
    expect(buffer_str(&text), "&"); // two more levels are html.unescape()'s
    while (text.len < 1 << 20)
        buffer_add_str(&text, "amp;");
    assert_int_equal(clean_text(text.data, text.len, &out, NULL), OK);
    assert_int_equal(out.len, text.len - 4 * (CLEAN_TEXT_PASSES + 2));
    buffer_release(&text);
}

static void refuses_what_is_not_utf8(void **state)
{
    (void)state;
    static const char *const broken[] = { "caf\xe9", "caf\xc3", "caf\xc0\xaf",
        "caf\xed\xa0\x80", "caf\xf4\x90\x80\x80" };
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        struct error err = ERROR_INIT;
        assert_int_equal(clean_text(broken[i], strlen(broken[i]), &out, &err), E_DATA);
        assert_non_null(strstr(err.msg, "not UTF-8 at byte 4"));
    }
}

static void keeps_the_ceiling(void **state)
{
    (void)state;
    struct buffer small;
    struct error err = ERROR_INIT;
    buffer_init(&small, 4);
    assert_int_equal(clean_text("abcd", 4, &small, &err), OK);
    assert_int_equal(clean_text("abcde", 5, &small, &err), E_LIMIT);
    assert_int_equal(clean_text("\xc3\xa9xxxx", 6, &small, &err), E_LIMIT);
    assert_int_equal(clean_text("&amp;&", 6, &small, &err), E_LIMIT);
    buffer_release(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cleans_white_space_and_case),
        cmocka_unit_test(straightens_characters),
        cmocka_unit_test(removes_controls),
        cmocka_unit_test(resolves_references),
        cmocka_unit_test(leaves_broken_encodings),
        cmocka_unit_test(stops_after_its_passes),
        cmocka_unit_test(refuses_what_is_not_utf8),
        cmocka_unit_test(keeps_the_ceiling),
    };
    buffer_init(&out, 4 << 20);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buffer_release(&out);
    return failed;
}
