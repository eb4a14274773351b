/* fuzz_openai_responses.c - any bytes as what the Responses API sent back; see fuzz_answer.h. */
#include "tests/fuzz/fuzz_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    return fuzz_answer(&protocol_openai_responses, data, len);
}
