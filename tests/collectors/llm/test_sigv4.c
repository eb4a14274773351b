/* Signatures against the examples that AWS publishes ("aws-sig-v4-test-suite", and the
 * one in "Create a signed AWS API request"), and the rules for paths. */
#include "collectors/llm/sigv4.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "m4a1/base/hash.h"
#include "m4a1/base/text.h"

#define SUITE_TIME_MS INT64_C(1440938160000) /* 2015-08-30 12:36:00 UTC */
#define TOKEN                                                                            \
    "AQoDYXdzEPT//////////"                                                              \
    "wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTf"  \
    "lfKD8YUuwthAx7mSEI/"                                                                \
    "qkPpKPi/"                                                                           \
    "kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8T"  \
    "x6q6fE8YQcHNVXAkiY9q6d+"                                                            \
    "xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+"                                               \
    "scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="

struct row {
    const char *name, *method, *url, *headers, *token, *signed_headers, *signature;
};

static struct sigv4 request(const struct row *row, char hash[HASH_HEX])
{
    hash_hex("", 0, hash);
    return (struct sigv4) { .method = row->method,
        .url = row->url,
        .headers = row->headers,
        .body_sha256 = hash,
        .wall_ms = SUITE_TIME_MS,
        .region = "us-east-1",
        .service = "service",
        .access_key = "AKIDEXAMPLE",
        .secret_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        .session_token = row->token };
}

static void expect(const struct row *row, const char *service)
{
    char hash[HASH_HEX];
    struct sigv4 in = request(row, hash);
    in.service = service;
    struct buffer lines;
    buffer_init(&lines, 10000);
    assert_int_equal(sigv4_sign(&in, &lines, NULL), OK);
    char *expected = text_format(
        "X-Amz-Date: 20150830T123600Z\n%s%s%sAuthorization: AWS4-HMAC-SHA256 "
        "Credential=AKIDEXAMPLE/20150830/us-east-1/%s/aws4_request, SignedHeaders=%s, "
        "Signature=%s\n",
        row->token ? "X-Amz-Security-Token: " : "", row->token ? row->token : "",
        row->token ? "\n" : "", service, row->signed_headers, row->signature);
    if (!text_equal(buffer_str(&lines), expected))
        fail_msg("%s: %s", row->name, buffer_str(&lines));
    free(expected);
    buffer_release(&lines);
}

#define AWS "https://example.amazonaws.com"
#define HOST_DATE "host;x-amz-date"

static void test_published(void **state)
{
    (void)state;
    static const struct row rows[] = {
        { "get-vanilla", "GET", AWS "/", "", NULL, HOST_DATE,
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
        { "post-vanilla", "POST", AWS "/", "", NULL, HOST_DATE,
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b" },
        { "get-vanilla-query-order-key-case", "GET", AWS "/?Param2=value2&Param1=value1",
            "", NULL, HOST_DATE,
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500" },
        { "post-header-value-case", "POST", AWS "/", "My-Header1: VALUE1\n", NULL,
            "host;my-header1;x-amz-date",
            "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d" },
        { "post-sts-header-before", "POST", AWS "/", "", TOKEN,
            "host;x-amz-date;x-amz-security-token",
            "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead" },
        { "get-utf8", "GET", AWS "/\xE1\x88\xB4", "", NULL, HOST_DATE,
            "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        expect(&rows[i], "service");
    static const struct row list_users = { "ListUsers", "GET",
        "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08",
        "Content-Type: application/x-www-form-urlencoded; charset=utf-8\n", NULL,
        "content-type;host;x-amz-date",
        "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7" };
    expect(&list_users, "iam");
}

static void expect_canonical(const char *url, const char *headers, const char *expected)
{
    struct row row = { "", "GET", url, headers, NULL, NULL, NULL };
    char hash[HASH_HEX];
    struct sigv4 in = request(&row, hash);
    in.body_sha256 = "HASH";
    struct buffer out, names;
    buffer_init(&out, 10000);
    buffer_init(&names, 10000);
    assert_int_equal(sigv4_canonical(&in, "DATE", &out, &names, NULL), OK);
    assert_string_equal(buffer_str(&out), expected);
    buffer_release(&out);
    buffer_release(&names);
}

#define TAIL "host:h\nx-amz-date:DATE\n\nhost;x-amz-date\nHASH"

static void test_paths(void **state)
{
    (void)state;
    // What was encoded for sending is encoded again; what stands for itself is not.
    expect_canonical("https://h/model/anthropic.claude-3-v2%3A0/converse", "",
        "GET\n/model/anthropic.claude-3-v2%253A0/converse\n\n" TAIL);
    expect_canonical(
        "https://h/model/a:0/converse", "", "GET\n/model/a%3A0/converse\n\n" TAIL);
    expect_canonical("https://h", "", "GET\n/\n\n" TAIL);
    expect_canonical("https://h//", "", "GET\n/\n\n" TAIL);
    expect_canonical("https://h/./", "", "GET\n/\n\n" TAIL);
    expect_canonical("https://h/a/b/../..", "", "GET\n/\n\n" TAIL);
    expect_canonical("https://h/../a", "", "GET\n/a\n\n" TAIL);
    expect_canonical("https://h//a//", "", "GET\n/a/\n\n" TAIL);
    expect_canonical("https://h/-._~az09AZ", "", "GET\n/-._~az09AZ\n\n" TAIL);
}

static void test_queries(void **state)
{
    (void)state;
    expect_canonical(
        "https://h/?b=2&a-b=x&a=2&a=1#top", "", "GET\n/\na=1&a=2&a-b=x&b=2\n" TAIL);
    expect_canonical("https://h/?x=%2f%7e&flag&=v&&y=a=b", "",
        "GET\n/\n=v&flag=&x=%2F~&y=a%3Db\n" TAIL);
    expect_canonical("https://h?q=1", "", "GET\n/\nq=1\n" TAIL);
    expect_canonical("https://h?q=%zz%", "", "GET\n/\nq=%25zz%25\n" TAIL);
}

static void test_headers(void **state)
{
    (void)state;
    expect_canonical("https://h/",
        "My-Header1:  a   b \tc  \nmy-header1: 2\nZ:\nmy-header1: 1\n",
        "GET\n/\n\nhost:h\nmy-header1:a b c,2,1\nx-amz-date:DATE\nz:\n\n"
        "host;my-header1;x-amz-date;z\nHASH");
    // The port stands in the Host header unless it is the scheme's own.
    expect_canonical("https://h:443/", "", "GET\n/\n\n" TAIL);
    expect_canonical("http://u@h:80/", "", "GET\n/\n\n" TAIL);
    expect_canonical("http://127.0.0.1:8080/", "",
        "GET\n/\n\nhost:127.0.0.1:8080\nx-amz-date:DATE\n\nhost;x-amz-date\nHASH");
}

static void test_refused(void **state)
{
    (void)state;
    struct row row = { "", "POST", "https:///", "", NULL, NULL, NULL };
    char hash[HASH_HEX];
    struct error err = ERROR_INIT;
    struct buffer lines;
    buffer_init(&lines, 10000);
    struct sigv4 in = request(&row, hash);
    assert_int_equal(sigv4_sign(&in, &lines, &err), E_ARG);
    assert_non_null(strstr(err.msg, "host"));
    in.url = "/model/x";
    assert_int_equal(sigv4_sign(&in, &lines, NULL), E_ARG);
    in.url = "https://h/";
    in.wall_ms = -1;
    assert_int_equal(sigv4_sign(&in, &lines, NULL), E_ARG);
    in.wall_ms = INT64_C(253402300800000);
    assert_int_equal(sigv4_sign(&in, &lines, NULL), E_ARG);
    struct buffer many;
    buffer_init(&many, 10000);
    for (int i = 0; i < 100; i++)
        buffer_printf(&many, "H%d: x\n", i);
    in.wall_ms = 0;
    in.headers = buffer_str(&many);
    assert_int_equal(sigv4_sign(&in, &lines, &err), E_ARG);
    assert_int_equal(lines.len, 0);
    buffer_release(&many);
    buffer_release(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_queries),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests_name("sigv4", tests, NULL, NULL);
}
