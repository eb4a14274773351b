/* fuzz_sigv4.c - any address and headers to sign: nothing but OK or a refusal, and the
 * same twice.  The first line is the address, the rest headers. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/llm/sigv4.h"
#include "m4a1/base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static enum status sign(const char *url, const char *headers, struct buffer *lines)
{
    struct sigv4 in = { .method = "POST",
        .url = url,
        .headers = headers,
        .body_sha256 = "e3b0c442",
        .wall_ms = INT64_C(1440938160000),
        .region = "us-east-1",
        .service = "bedrock",
        .access_key = "AKIDEXAMPLE",
        .secret_key = "secret" };
    buffer_init(lines, 1u << 20);
    return sigv4_sign(&in, lines, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *url = text_copy_n((const char *)data, len);
    if (!url)
        return 0;
    char *headers = strchr(url, '\n');
    if (headers)
        *headers++ = '\0';
    struct buffer a, b;
    enum status first = sign(url, headers ? headers : "", &a);
    enum status second = sign(url, headers ? headers : "", &b);
    if (first != second || !text_equal(buffer_str(&a), buffer_str(&b)) ||
        (first == OK) != (a.len > 0))
        abort();
    buffer_release(&a);
    buffer_release(&b);
    free(url);
    return 0;
}
