/* fuzz_sim_request.c - any bytes as a request to the simulated server, in each protocol,
 * and as a picture. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/buffer.h"
#include "m4a1/simulate/picture_size.h"
#include "m4a1/simulate/sim_judge.h"
#include "m4a1/simulate/sim_meter.h"
#include "m4a1/simulate/sim_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void request_try(const struct sim_protocol *protocol, const char *data, size_t len)
{
    const struct sim_route route = { "model", 0 };
    struct sim_request request;
    struct sim_error error;
    struct buffer text;
    double candidate, reference;
    buffer_init(&text, 1u << 20);
    if (sim_protocol_read(protocol, &route, NULL, data, len, &request, &error)) {
        sim_judge_read(sim_request_question(&request), &candidate, &reference);
        if (candidate < 1 || reference > 10 || meter_prompt_tokens(&request) < 3 ||
            strlen(request.identity) != HASH_HEX - 1)
            abort();
    } else {
        struct json *root = protocol->error(&error, "id");
        if (error.status < 400 || json_print(root, JSON_COMPACT, &text, NULL) != OK)
            abort();
        json_free(root);
    }
    sim_request_release(&request);
    buffer_release(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    int w, h;
    if (picture_size(data, len, &w, &h) && meter_image_tokens(w, h, 0) < 85)
        abort();
    for (size_t i = 0; sim_protocol_at(i); i++)
        request_try(sim_protocol_at(i), (const char *)data, len);
    return 0;
}
