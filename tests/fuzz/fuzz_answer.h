/* fuzz_answer.h - any bytes as what a server sent back, for the targets of protocols.
 *
 * The first byte chooses HTTP status and whether the connection ended well; bytes up to
 * the first blank line are headers where the second byte is 'H'. */
#ifndef TESTS_FUZZ_FUZZ_ANSWER_H
#define TESTS_FUZZ_FUZZ_ANSWER_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/llm/protocol.h"
#include "m4a1/base/text.h"

static void fuzz_check_text(const char *s)
{
    if (s && text_utf8_valid(s, strlen(s)) != strlen(s))
        abort();
}

static void fuzz_check_answer(const struct wire_answer *wire, const struct answer *a)
{
    const int64_t counts[] = { a->input_tokens, a->cache_read_tokens,
        a->cache_write_tokens, a->output_tokens, a->reasoning_tokens, a->retry_after_ns };
    const char *texts[] = { a->text, a->error, a->model, a->request_id, a->usage,
        a->provider_stop, a->fingerprint, a->unfinished };
    if ((a->failure == FAILURE_NONE) != (a->text != NULL) ||
        (a->failure == FAILURE_NONE) != (a->error == NULL))
        abort();
    if (wire->http_status >= 300 && a->failure == FAILURE_NONE)
        abort();
    if (a->unfinished && a->failure == FAILURE_NONE)
        abort();
    if (a->provider_cost_usd < 0 || a->provider_cost_usd > 1e6)
        abort();
    if (a->first_token_end > wire->len)
        abort();
    for (size_t i = 0; i < COUNT_OF(counts); i++)
        if (counts[i] < TOKENS_UNKNOWN)
            abort();
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        fuzz_check_text(texts[i]);
}

static int fuzz_answer(const struct protocol *p, const uint8_t *data, size_t len)
{
    static const int statuses[] = { 200, 200, 200, 201, 302, 400, 429, 500 };
    if (len < 2)
        return 0;
    char *text = malloc(len - 1);
    if (!text)
        return 0;
    memcpy(text, data + 2, len - 2);
    text[len - 2] = '\0';
    char *body = text;
    const char *headers = "";
    size_t n = len - 2;
    char *blank = data[1] == 'H' ? strstr(text, "\n\n") : NULL;
    if (blank) {
        *blank = '\0';
        headers = text;
        body = blank + 2;
        n -= (size_t)(body - text);
    }
    // A body of its own size, so that reading past its end is seen.
    char *exact = malloc(n ? n : 1);
    if (exact) {
        memcpy(exact, body, n);
        struct wire_answer wire = { statuses[data[0] % 8], headers, exact, n,
            data[0] & 8 };
        struct answer a;
        if (p->parse(&wire, &a, NULL) == OK)
            fuzz_check_answer(&wire, &a);
        answer_release(&a);
    }
    free(exact);
    free(text);
    return 0;
}

#endif
