/* protocol_case.h - what tests of wire protocols share: answers read from bytes, and
 * requests rendered from a real dialogue.  Functions assert with cmocka. */
#ifndef TESTS_SUPPORT_PROTOCOL_CASE_H
#define TESTS_SUPPORT_PROTOCOL_CASE_H

#include <stddef.h>
#include <stdint.h>
#include "collectors/llm/protocol.h"

struct wire_row {
    int http_status;
    const char *headers, *body;
    enum failure failure;
    const char *says; /* part of the answer's error */
};

/* The bytes of a body as sent; out is filled anew, for buffer_release(). */
void protocol_flatten(const struct body *body, struct buffer *out);

/* Read a body of len bytes; a is released before and filled anew. */
void protocol_read(const struct protocol *p, struct answer *a, int http_status,
    const char *headers, const char *body, size_t len, int is_complete);

void protocol_expect_tokens(const struct answer *a, int64_t input, int64_t cache_read,
    int64_t cache_write, int64_t output, int64_t reasoning);

/* Every row is the failure it says, with nothing of an answer. */
void protocol_expect_failures(
    const struct protocol *p, const struct wire_row *rows, size_t n);

/* Wherever a 200 is cut by a broken connection, nothing of it is an answer. */
void protocol_expect_no_half(
    const struct protocol *p, const char *headers, const char *body, size_t len);

/* check() says E_ARG for an llm with these parameters and options (JSON; NULL = none),
 * in words with says in them; says NULL: it says OK. */
void protocol_expect_check(const struct protocol *p, const char *model,
    const char *parameters, const char *options, const char *says);

/* The second turn of a dialogue with two images ("View first_person:", "View front:") in
 * the first, rendered: system prompt "Be brief.", answer between the turns as given.
 * Every "%s" of expected stands for an image: its hash in what is stored, its base64 in
 * what is sent. */
void protocol_expect_render(const struct protocol *p, const char *parameters,
    int is_stream, const char *answer, const char *expected);

#endif
