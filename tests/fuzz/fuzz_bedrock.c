/* fuzz_bedrock.c - any bytes as what Bedrock sent back; see fuzz_answer.h.
 *
 * Checksums of frames are made right where the second byte is 'C', so that what is
 * behind them is reached, too. */
#include "collectors/llm/event_stream.h"
#include "tests/fuzz/fuzz_answer.h"

#define MIN_FRAME 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static size_t number(const uint8_t *s)
{
    return (size_t)s[0] << 24 | (size_t)s[1] << 16 | (size_t)s[2] << 8 | s[3];
}

static void put(uint8_t *s, uint32_t n)
{
    for (int i = 0; i < 4; i++)
        s[i] = (uint8_t)(n >> (24 - 8 * i));
}

static void mend(uint8_t *s, size_t len)
{
    while (len >= MIN_FRAME) {
        size_t size = number(s);
        if (size < MIN_FRAME || size > len)
            return;
        put(s + 8, event_stream_crc(s, 8));
        put(s + size - 4, event_stream_crc(s, size - 4));
        s += size;
        len -= size;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 2 || data[1] != 'C')
        return fuzz_answer(&protocol_bedrock_converse, data, len);
    uint8_t *copy = malloc(len);
    if (!copy)
        return 0;
    memcpy(copy, data, len);
    mend(copy + 2, len - 2);
    fuzz_answer(&protocol_bedrock_converse, copy, len);
    free(copy);
    return 0;
}
