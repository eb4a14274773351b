/* fuzz_chat_request.c - any bytes as a request to the simulated server, and as a picture. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "m4a1/base/buffer.h"
#include "m4a1/simulate/chat_request.h"
#include "m4a1/simulate/picture_size.h"
#include "m4a1/simulate/sim_judge.h"
#include "m4a1/simulate/sim_meter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct chat_request request;
    struct chat_error error;
    struct buffer text;
    double candidate, reference;
    int w, h;
    if (picture_size(data, len, &w, &h) && meter_image_tokens(w, h, 0) < 85)
        abort();
    buffer_init(&text, 1u << 20);
    if (chat_request_parse((const char *)data, len, &request, &error)) {
        sim_judge_read(chat_request_question(&request), &candidate, &reference);
        if (candidate < 1 || reference > 10 || meter_prompt_tokens(&request) < 3)
            abort();
    } else if (error.status < 400 || chat_error_print(&error, &text, NULL) != OK) {
        abort();
    }
    chat_request_release(&request);
    buffer_release(&text);
    return 0;
}
