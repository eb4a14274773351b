/* answer_case.c - see answer_case.h. */
#include "tests/support/answer_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "m4a1/base/text.h"

static void read_bytes(const struct protocol *p, int http_status, const char *headers,
    const char *body, size_t len, int is_complete, struct answer *a)
{
    // A copy of just this length, so that a sanitizer sees what reads beyond it.
    char *copy = text_copy_n(body, len);
    struct wire_answer wire = { http_status, headers, copy, len, is_complete };
    answer_release(a);
    assert_int_equal(p->parse(&wire, a, NULL), OK);
    free(copy);
}

void answer_case_read(const struct protocol *p, int http_status, const char *headers,
    const char *body, int is_complete, struct answer *a)
{
    read_bytes(p, http_status, headers, body, strlen(body), is_complete, a);
}

void answer_case_tokens(const struct answer *a, int64_t in, int64_t read, int64_t write,
    int64_t out, int64_t reasoning)
{
    assert_int_equal(a->input_tokens, in);
    assert_int_equal(a->cache_read_tokens, read);
    assert_int_equal(a->cache_write_tokens, write);
    assert_int_equal(a->output_tokens, out);
    assert_int_equal(a->reasoning_tokens, reasoning);
}

void answer_case_whole(const struct protocol *p, const char *body, size_t n_optional,
    const char *text, enum stop stop)
{
    struct answer a;
    size_t len = strlen(body);
    answer_init(&a);
    read_bytes(p, 200, "", body, len, 1, &a);
    if (a.failure != FAILURE_NONE)
        fail_msg("%s: %s: %s", p->name, failure_names[a.failure], a.error);
    assert_string_equal(a.text, text);
    assert_int_equal(a.stop, stop);
    for (size_t n = 0; n < len; n++) {
        for (int is_complete = 0; is_complete <= 1; is_complete++) {
            if (is_complete && n >= len - n_optional)
                continue;
            read_bytes(p, 200, "", body, n, is_complete, &a);
            if (a.failure == FAILURE_NONE)
                fail_msg("%s: %zu of %zu bytes (%s) are an answer: %s", p->name, n, len,
                    is_complete ? "complete" : "broken", a.text);
            assert_null(a.text);
            assert_non_null(a.error);
        }
    }
    answer_release(&a);
}

void answer_case_failures(
    const struct protocol *p, const struct answer_case_failure *rows, size_t n)
{
    struct answer a;
    answer_init(&a);
    for (size_t i = 0; i < n; i++) {
        answer_case_read(p, rows[i].http_status, "", rows[i].body, 1, &a);
        if (a.failure != rows[i].failure || !a.error || !strstr(a.error, rows[i].says))
            fail_msg("%s: %d %s: %s: %s", p->name, rows[i].http_status, rows[i].body,
                failure_names[a.failure], a.error ? a.error : "(nothing)");
        assert_null(a.text);
    }
    answer_release(&a);
}
