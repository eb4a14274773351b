/* fuzz_openai_chat.c - any bytes as what a server sent back for a chat completion (see
 * fuzz_answer.h), and its headers as those that say when to ask again. */
#include "collectors/llm/retry.h"
#include "tests/fuzz/fuzz_answer.h"

#define NOW_MS INT64_C(1792670400000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    fuzz_answer(&protocol_openai_chat, data, len);
    if (len < 2)
        return 0;
    char *headers = text_copy_n((const char *)data + 2, len - 2);
    if (!headers)
        return 0;
    struct rng rng;
    rng_init(&rng, 1, "fuzz", 0);
    if (retry_after_ns(headers, NOW_MS) < -1 || retry_exhausted_ns(headers, NOW_MS) < 0 ||
        retry_wait_ns(data[0], headers, 0, &rng) < 0)
        abort();
    free(headers);
    return 0;
}
