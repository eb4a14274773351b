/* fuzz_openai_chat.c - any bytes as what a server sent back for a chat completion.
 *
 * The first byte chooses HTTP status and whether the connection ended well; bytes up to
 * the first blank line are headers where the second byte is 'H'. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/llm/openai_chat.h"
#include "collectors/llm/retry.h"
#include "m4a1/base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_count(int64_t n)
{
    if (n < TOKENS_UNKNOWN)
        abort();
}

static void check_text(const char *s)
{
    if (s && text_utf8_valid(s, strlen(s)) != strlen(s))
        abort();
}

static void check(const struct wire_answer *wire, const struct answer *a)
{
    if ((a->failure == FAILURE_NONE) != (a->text != NULL) ||
        (a->failure == FAILURE_NONE) != (a->error == NULL))
        abort();
    if (wire->http_status >= 400 && a->failure == FAILURE_NONE)
        abort();
    if (a->first_token_end > wire->len)
        abort();
    check_count(a->input_tokens);
    check_count(a->cache_read_tokens);
    check_count(a->cache_write_tokens);
    check_count(a->output_tokens);
    check_count(a->reasoning_tokens);
    check_text(a->text);
    check_text(a->error);
    check_text(a->model);
    check_text(a->request_id);
    check_text(a->usage);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const int statuses[] = { 200, 200, 200, 201, 302, 400, 429, 500 };
    if (len < 2)
        return 0;
    char *text = text_copy_n((const char *)data + 2, len - 2);
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
    struct wire_answer wire = { statuses[data[0] % 8], headers, body, n, data[0] & 8 };
    struct answer a;
    if (openai_chat_read(&wire, "x-request-id", &a, NULL) == OK)
        check(&wire, &a);
    answer_release(&a);

    int64_t after = retry_after_ns(headers, INT64_C(1792670400000));
    if (after < -1 || retry_exhausted_ns(headers, INT64_C(1792670400000)) < 0)
        abort();
    struct rng rng;
    rng_init(&rng, 1, "fuzz", 0);
    if (retry_wait_ns(data[0], headers, 0, &rng) < 0)
        abort();
    free(text);
    return 0;
}
