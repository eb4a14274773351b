/* answer_case.h - for tests of parsers: bodies as servers send them, and what has to come
 * out.  Functions assert with cmocka. */
#ifndef TESTS_SUPPORT_ANSWER_CASE_H
#define TESTS_SUPPORT_ANSWER_CASE_H

#include "collectors/llm/protocol.h"

/* Read a body with protocol p into *a, which held an answer or zeros. */
void answer_case_read(const struct protocol *p, int http_status, const char *headers,
    const char *body, int is_complete, struct answer *a);

/* Input, read from cache, written to cache, output, reasoning; -1 = unknown. */
void answer_case_tokens(const struct answer *a, int64_t in, int64_t read, int64_t write,
    int64_t out, int64_t reasoning);

/* A body that is a whole answer: its text and stop.  Cut behind any byte by a broken
 * connection it is none, nor where the server ends it so, but for the last n_optional
 * bytes. */
void answer_case_whole(const struct protocol *p, const char *body, size_t n_optional,
    const char *text, enum stop stop);

struct answer_case_failure {
    int http_status;
    const char *body;
    enum failure failure;
    const char *says; /* a part of the message */
};

void answer_case_failures(
    const struct protocol *p, const struct answer_case_failure *rows, size_t n);

#endif
