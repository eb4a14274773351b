/* fuzz_ollama.c - any bytes as what Ollama sent back; see fuzz_answer.h. */
#include "tests/fuzz/fuzz_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    return fuzz_answer(&protocol_ollama, data, len);
}
