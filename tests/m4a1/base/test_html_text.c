/* Character references by both rules. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "m4a1/base/html_text.h"
#include "m4a1/base/text.h"

struct html_case {
    const char *text, *lenient, *whole; /* what html.unescape() and ftfy give */
};

static void expect(const char *text, enum html_rule rule, const char *expected)
{
    struct buffer out;
    buffer_init(&out, 1000);
    assert_int_equal(html_unescape(text, strlen(text), rule, &out, NULL), OK);
    assert_string_equal(buffer_str(&out), expected);
    buffer_release(&out);
}

static void expect_cases(const struct html_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        expect(cases[i].text, HTML_LENIENT, cases[i].lenient);
        expect(cases[i].text, HTML_WHOLE, cases[i].whole);
    }
}

static void replaces_names(void **state)
{
    (void)state;
    static const struct html_case cases[] = {
        { "", "", "" },
        { "no references", "no references", "no references" },
        { "a &amp; b", "a & b", "a & b" },
        { "&lt;b&gt;", "<b>", "<b>" },
        { "&amp;lt;", "&lt;", "&lt;" }, // once
        { "x&nbsp;y", "x\xc2\xa0y", "x\xc2\xa0y" },
        { "&Tab;&NewLine;|", "\t\n|", "\t\n|" }, // white space survives
        { "&acE;", "\xe2\x88\xbe\xcc\xb3", "\xe2\x88\xbe\xcc\xb3" }, // two code points
        { "&semi;", ";", ";" },
        { "&fjlig;", "fj", "fj" },
        { "&Jscr;", "\xf0\x9d\x92\xa5", "\xf0\x9d\x92\xa5" },
        // The longest name has 31 letters, more than ftfy looks at.
        { "&CounterClockwiseContourIntegral;", "\xe2\x88\xb3",
            "&CounterClockwiseContourIntegral;" },
        // Without a semicolon, and beginnings.
        { "&amp", "&", "&amp" },
        { "fish&chips;", "fish&chips;", "fish&chips;" },
        { "&notit;", "\xc2\xacit;", "&notit;" },
        { "&notanentity;",
            "\xc2\xac"
            "anentity;",
            "&notanentity;" },
        { "&noname;", "&noname;", "&noname;" },
        { "&", "&", "&" },
        { "&;", "&;", "&;" },
        { "&&amp;&", "&&&", "&&&" },
        { "& amp;", "& amp;", "& amp;" },
        { "&amp\xc3\xa9;", "&\xc3\xa9;", "&amp\xc3\xa9;" },
        // Capitals, where they are no names of their own.
        { "P&EACUTE;REZ", "P&EACUTE;REZ", "P\xc3\x89REZ" },
        { "&Eacute;&eacute;", "\xc3\x89\xc3\xa9", "\xc3\x89\xc3\xa9" },
        { "&SZLIG;", "&SZLIG;", "SS" },
        { "&eACUTE;", "&eACUTE;", "&eACUTE;" },
        { "&LTHREE;", "<HREE;", "&LTHREE;" },
        { "&AMP;", "&", "&" },
    };
    expect_cases(cases, COUNT_OF(cases));
}

static void replaces_numbers(void **state)
{
    (void)state;
    static const struct html_case cases[] = {
        { "&#39;&#x27;&#X27;", "'''", "'''" },
        { "&#128512;", "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
        { "&#65", "A", "&#65" },
        { "&#65b;", "Ab;", "&#65b;" },
        { "&#x41g;", "Ag;", "&#x41g;" },
        { "&#;&#x;&#", "&#;&#x;&#", "&#;&#x;&#" },
        { "&#59;", ";", "&#59;" }, // ftfy takes this for a part of something
        { "&#128;&#150;", "\xe2\x82\xac\xe2\x80\x93", "\xe2\x82\xac\xe2\x80\x93" },
        { "&#129;", "\xc2\x81", "\xc2\x81" },
        { "&#0;&#xD800;&#x110000;", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd",
            "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        { "&#99999999999999999999;", "\xef\xbf\xbd", "\xef\xbf\xbd" },
        { "a&#1;&#11;&#x7f;&#xFDD0;&#xFFFE;&#x1FFFF;b", "ab", "ab" },
        { "&#13;&#9;", "\r\t", "\r\t" },
        // 24 letters and digits are ftfy's most.
        { "&#000000000000000000000065;", "A", "A" },
        { "&#0000000000000000000000065;", "A", "&#0000000000000000000000065;" },
    };
    expect_cases(cases, COUNT_OF(cases));
}

static void takes_any_bytes_and_a_ceiling(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 8);
    assert_int_equal(html_unescape("a\0&amp;\0", 8, HTML_LENIENT, &out, NULL), OK);
    assert_int_equal(out.len, 4);
    assert_memory_equal(out.data, "a\0&\0", 4);
    struct error err = ERROR_INIT;
    assert_int_equal(html_unescape("123456789", 9, HTML_LENIENT, &out, &err), E_LIMIT);
    assert_true(err.msg[0] != '\0');
    buffer_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replaces_names),
        cmocka_unit_test(replaces_numbers),
        cmocka_unit_test(takes_any_bytes_and_a_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
