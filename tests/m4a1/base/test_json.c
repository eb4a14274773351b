/* JSON: what is refused, what survives a round trip bit for bit, and where things stand. */
#include <float.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "m4a1/base/json.h"
#include "m4a1/base/random.h"
#include "m4a1/base/text.h"

static enum status parse(
    const char *text, unsigned flags, struct json **out, struct error *err)
{
    return json_parse(text, strlen(text), "t.json", flags, out, err);
}

static void refuses_with_line_and_column(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t len;
        const char *message;
    } cases[] = {
        { "{\"a\": 1,\n \"b\": x}", 0, "t.json:2:7: not JSON from here on" },
        { "[1, 2", 0, "t.json:1:5: not JSON from here on" },
        { "", 0, "t.json:1:1: ends before the JSON value does" },
        { "{} x", 0, "t.json:1:4: text behind the JSON value" },
        { "\"a\xff\"", 0, "t.json:1:3: not UTF-8" },
        { "\"\xed\xa0\x80\"", 0, "t.json:1:2: not UTF-8" },
        { "\"a\0b\"", 5, "t.json:1:3: a NUL byte" },
        { "\"a\\u0000b\"", 0, "t.json:1:3: an escaped NUL" },
        { "\"a\\u00zzb\"", 0, "t.json:1:3: \\u without four digits behind it" },
        { "\"a\\u12", 0, "t.json:1:3: \\u without four digits behind it" },
        { "[\n\"\\ud83d!\"]", 0, "t.json:2:2: half of a surrogate pair" },
        { "\"\\ude00\"", 0, "t.json:1:2: half of a surrogate pair" },
        { "[1e999]", 0, "t.json: a number out of range" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct json *j;
        struct error err = ERROR_INIT;
        size_t len = cases[i].len ? cases[i].len : strlen(cases[i].text);
        assert_int_equal(json_parse(cases[i].text, len, "t.json", 0, &j, &err), E_DATA);
        assert_null(j);
        assert_string_equal(err.msg, cases[i].message);
    }
}

static void an_escaped_backslash_is_no_escaped_nul(void **state)
{
    (void)state;
    struct json *j;
    assert_int_equal(parse("\"\\\\u0000\"", 0, &j, NULL), OK);
    assert_string_equal(json_text(j, ""), "\\u0000");
    json_free(j);
}

/* Parse as JSON_MEND says, join, compare. */
static void expect_mended(const char *text, const char *expected)
{
    struct json *j;
    assert_int_equal(parse(text, JSON_MEND, &j, NULL), OK);
    char *joined = text_copy(json_text(j, NULL));
    json_join_halves(joined);
    assert_string_equal(joined, expected);
    assert_int_equal(text_utf8_valid(joined, strlen(joined)), strlen(joined));
    free(joined);
    json_free(j);
}

static void careless_texts_are_mended_on_request(void **state)
{
    (void)state;
    expect_mended("\"a\\u0000b\"", "a\xEF\xBF\xBD"
                                   "b");
    expect_mended("\"\\ud83d\\ude00\"", "\xF0\x9F\x98\x80");
    expect_mended("\"\\udbff\\udfff\"", "\xF4\x8F\xBF\xBF");
    expect_mended("\"\\ud800\\udc00\"", "\xF0\x90\x80\x80");
    expect_mended("\"a\\ud83d\"", "a\xEF\xBF\xBD");
    expect_mended("\"\\\\ud83d\"", "\\ud83d");
    expect_mended("\"\\\\\\ud83d\"", "\\\xEF\xBF\xBD");
    expect_mended("\"\\ude00\\ud83d\\ud83d\"", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
    json_join_halves(NULL);
    struct json *j;
    assert_int_equal(parse("[1e999,-1e999]", JSON_MEND, &j, NULL), OK);
    assert_true(json_number(json_at(j, 0), 0) == DBL_MAX);
    assert_true(json_number(json_at(j, 1), 0) == -DBL_MAX);
    json_free(j);
    // All else stays an error.
    assert_int_equal(parse("\"\\uzzzz\"", JSON_MEND, &j, NULL), E_DATA);
    assert_int_equal(parse("\"\\ud83d", JSON_MEND, &j, NULL), E_DATA);
    assert_int_equal(parse("\"\\ud8", JSON_MEND, &j, NULL), E_DATA);
    assert_int_equal(parse("\"\xed\xa0\xbd\"", JSON_MEND, &j, NULL), E_DATA);
}

/* Texts that were put together from pieces. */
static void halves_are_joined_where_they_meet(void **state)
{
    (void)state;
    struct json *j;
    char joined[32];
    assert_int_equal(parse("[\"x\\ud83d\",\"\\ude00y\"]", JSON_MEND, &j, NULL), OK);
    snprintf(joined, sizeof joined, "%s%s", json_text(json_at(j, 0), ""),
        json_text(json_at(j, 1), ""));
    json_free(j);
    json_join_halves(joined);
    assert_string_equal(joined, "x\xF0\x9F\x98\x80y");
    char plain[] = "\xED\x9F\xBF \xED"; // the last character before the halves; a cut one
    json_join_halves(plain);
    assert_string_equal(plain, "\xED\x9F\xBF \xED");
}

/* A comment may say what it likes. */
static void escapes_in_comments_are_no_matter(void **state)
{
    (void)state;
    struct json *j;
    assert_int_equal(
        parse("[1] // C:\\users \\ud83d \\u0000", JSON_COMMENTS, &j, NULL), OK);
    json_free(j);
}

static void comments_keep_their_lines(void **state)
{
    (void)state;
    const char *text = "{ // one\n /* two\n three */ \"a//b\": \"/* no */\",\n \"c\": }";
    struct json *j;
    struct error err = ERROR_INIT;
    assert_int_equal(parse(text, JSON_COMMENTS, &j, &err), E_DATA);
    assert_string_equal(err.msg, "t.json:4:7: not JSON from here on");

    assert_int_equal(parse("{\"a//b\": \"/* no */\" /**/}", JSON_COMMENTS, &j, &err), OK);
    assert_string_equal(json_text(json_get(j, "a//b"), ""), "/* no */");
    json_free(j);
    assert_int_equal(parse("[1] /* open", JSON_COMMENTS, &j, &err), E_DATA);
}

static void doubled_keys_are_refused_on_request(void **state)
{
    (void)state;
    struct json *j;
    assert_int_equal(
        parse("{\"a\":[{\"b\":1,\"b\":2}]}", JSON_UNIQUE_KEYS, &j, NULL), E_DATA);
    assert_int_equal(parse("{\"a\":[{\"b\":1,\"b\":2}]}", 0, &j, NULL), OK);
    json_free(j);
    // 100,000 keys take no longer than they have to.
    struct buffer many;
    buffer_init(&many, 4u << 20);
    for (int i = 0; i < 100000; i++)
        buffer_printf(&many, "%s\"key %d\":0", i ? "," : "{", i);
    buffer_add_str(&many, ",\"key 7\":0}");
    assert_int_equal(parse(buffer_str(&many), JSON_UNIQUE_KEYS, &j, NULL), E_DATA);
    buffer_release(&many);
}

/* 2^53 may be what is left of 2^53 + 1. */
static void rounded_numbers_are_no_whole_ones(void **state)
{
    (void)state;
    struct json *j;
    assert_int_equal(
        parse("[9007199254740991,-9007199254740991,9007199254740992,9007199254740993,"
              "-9007199254740992,1e300,1.5]",
            0, &j, NULL),
        OK);
    for (size_t i = 0; i < json_size(j); i++)
        assert_int_equal(json_is_int(json_at(j, i)), i < 2);
    assert_int_equal(json_int(json_at(j, 0), 0), INT64_C(9007199254740991));
    assert_int_equal(json_int(json_at(j, 3), 7), 7);
    json_free(j);
}

static void every_double_reads_back_bit_equal(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 1, "test", 0);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = rng_next(&rng);
        double x, y;
        memcpy(&x, &bits, sizeof x);
        if (x - x != 0)
            continue; /* JSON has no form for infinities and NANs */
        struct json *array = json_new_array(), *again;
        json_add_number(array, x);
        struct buffer out;
        buffer_init(&out, 1000);
        assert_int_equal(json_print(array, JSON_COMPACT, &out, NULL), OK);
        assert_int_equal(json_parse(out.data, out.len, "x", 0, &again, NULL), OK);
        y = json_number(json_at(again, 0), 0);
        assert_memory_equal(&x, &y, sizeof x);
        json_free(array);
        json_free(again);
        buffer_release(&out);
    }
}

static void prints_three_styles(void **state)
{
    (void)state;
    struct json *j;
    assert_int_equal(parse("{\"b\":[1,{\"z\":null,\"a\":true}],\"a\":"
                           "\"\\u0001\\n\\\"\\\\\xc3\xa9\",\"e\":[],"
                           "\"f\":{}}",
                         0, &j, NULL),
        OK);
    struct buffer out;
    buffer_init(&out, 1000);
    assert_int_equal(json_print(j, JSON_CANONICAL, &out, NULL), OK);
    assert_string_equal(out.data,
        "{\"a\":\"\\u0001\\n\\\"\\\\\xc3\xa9\",\"b\":[1,{\"a\":true,"
        "\"z\":null}],\"e\":[],\"f\":{}}");
    buffer_clear(&out);
    assert_int_equal(json_print(json_get(j, "b"), JSON_PRETTY, &out, NULL), OK);
    assert_string_equal(
        out.data, "[\n  1,\n  {\n    \"z\": null,\n    \"a\": true\n  }\n]");
    buffer_release(&out);
    json_free(j);
}

static void finds_the_line_of_a_path(void **state)
{
    (void)state;
    const char *text =
        "{\n \"llms\": { \"gpt-4\": { }, // x\n  \"gpt-4.1\": {\n   \"limits\":\n    "
        "{\"rpm\": 5}\n  "
        "}\n },\n \"prompts\": [\n  {\"a\": \"},{\"},\n  {\"text\": 2}\n ]\n}";
    static const struct {
        const char *path;
        int line;
    } cases[] = {
        { "llms", 2 },
        { "llms.gpt-4.1", 3 },
        { "llms.gpt-4.1.limits.rpm", 5 },
        { "llms.gpt-4.1.nothing", 3 },
        { "prompts[1].text", 10 },
        { "prompts[9]", 8 },
        { "nothing", 1 },
        { "", 1 },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(
            json_line(text, strlen(text), JSON_COMMENTS, cases[i].path), cases[i].line);
}

static void building_fails_late_and_cleanly(void **state)
{
    (void)state;
    assert_null(json_set_int(NULL, "a", 1));
    struct json *j = json_new_object();
    json_set_text(j, "a", "x");
    json_set_text(j, "a", NULL); /* replaces */
    assert_int_equal(json_size(j), 1);
    assert_true(json_is_null(json_get(j, "a")));
    json_set_int(json_set_object(j, "o"), "n", 9007199254740991);
    assert_int_equal(json_int(json_get(json_get(j, "o"), "n"), 0), 9007199254740991);
    assert_null(json_get(json_get(j, "missing"), "n"));
    json_remove(j, "o");
    assert_int_equal(json_size(j), 1);
    json_free(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_with_line_and_column),
        cmocka_unit_test(an_escaped_backslash_is_no_escaped_nul),
        cmocka_unit_test(careless_texts_are_mended_on_request),
        cmocka_unit_test(halves_are_joined_where_they_meet),
        cmocka_unit_test(escapes_in_comments_are_no_matter),
        cmocka_unit_test(comments_keep_their_lines),
        cmocka_unit_test(doubled_keys_are_refused_on_request),
        cmocka_unit_test(rounded_numbers_are_no_whole_ones),
        cmocka_unit_test(every_double_reads_back_bit_equal),
        cmocka_unit_test(prints_three_styles),
        cmocka_unit_test(finds_the_line_of_a_path),
        cmocka_unit_test(building_fails_late_and_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
