/* Matches of expressions, one after the other. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "m4a1/base/buffer.h"
#include "m4a1/base/regex.h"

/* The matches with "|" behind each. */
static void expect(
    const char *pattern, unsigned flags, const char *text, const char *expected)
{
    struct regex *regex = NULL;
    struct regex_scan *scan = NULL;
    struct buffer found;
    enum status s;
    size_t from = 0, to = 0;
    buffer_init(&found, 1000);
    assert_int_equal(regex_open(pattern, flags, &regex, NULL), OK);
    assert_int_equal(regex_scan_open(regex, text, strlen(text), &scan, NULL), OK);
    while ((s = regex_scan_next(scan, &from, &to, NULL)) == OK) {
        assert_true(from < to && to <= strlen(text));
        buffer_add(&found, text + from, to - from);
        buffer_add_char(&found, '|');
    }
    assert_int_equal(s, E_NOT_FOUND);
    assert_int_equal(
        regex_scan_next(scan, &from, &to, NULL), E_NOT_FOUND); // and stays so
    assert_string_equal(buffer_str(&found), expected);
    regex_scan_close(scan);
    regex_close(regex);
    buffer_release(&found);
}

static void finds_one_match_after_the_other(void **state)
{
    (void)state;
    expect("[a-z]+", 0, "ab, c; D", "ab|c|");
    expect("[a-z]+", REGEX_IGNORE_CASE, "ab, c; D", "ab|c|D|");
    expect("x", 0, "", "");
    expect("x", 0, "abc", "");
    expect("x*", 0, "axxb\xc3\xa9x", "xx|x|"); // empty ones are passed over
    expect("'s", REGEX_IGNORE_CASE, "it's IT'S '\xc5\xbf", "'s|'S|'\xc5\xbf|");
}

static void knows_unicode(void **state)
{
    (void)state;
    expect("\\p{L}+", 0, "\xc3\xa9t\xc3\xa9 \xe4\xbd\xa0\xe5\xa5\xbd 1",
        "\xc3\xa9t\xc3\xa9|\xe4\xbd\xa0\xe5\xa5\xbd|");
    expect("\\p{N}", 0, "1\xc2\xb2\xd9\xa3", "1|\xc2\xb2|\xd9\xa3|");
    expect(".", 0, "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80|");
}

static void refuses_a_wrong_expression(void **state)
{
    (void)state;
    struct regex *regex = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(regex_open("a(b", 0, &regex, &err), E_ARG);
    assert_null(regex);
    assert_non_null(strstr(err.msg, "'a(b' is wrong at byte 3"));
    regex_close(NULL);
    regex_scan_close(NULL);
}

/* Reading the text anew at every match would take minutes. */
static void takes_long_texts(void **state)
{
    (void)state;
    const size_t len = 4 << 20;
    char *text = malloc(len + 1);
    assert_non_null(text);
    memset(text, '1', len);
    text[len] = '\0';
    struct regex *regex = NULL;
    struct regex_scan *scan = NULL;
    size_t from = 0, to = 0, n = 0;
    assert_int_equal(regex_open("\\p{L}+|\\p{N}", 0, &regex, NULL), OK);
    assert_int_equal(regex_scan_open(regex, text, len, &scan, NULL), OK);
    while (regex_scan_next(scan, &from, &to, NULL) == OK)
        n++;
    assert_int_equal(n, len);
    regex_scan_close(scan);
    regex_close(regex);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_one_match_after_the_other),
        cmocka_unit_test(knows_unicode),
        cmocka_unit_test(refuses_a_wrong_expression),
        cmocka_unit_test(takes_long_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
