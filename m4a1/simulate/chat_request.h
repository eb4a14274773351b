/* chat_request.h - read and judge an OpenAI Chat Completions request.
 *
 * What the real API refuses is refused here with the same status and the same form of
 * error, so that a collector's mistakes show before they cost money. */
#ifndef M4A1_SIMULATE_CHAT_REQUEST_H
#define M4A1_SIMULATE_CHAT_REQUEST_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/hash.h"
#include "m4a1/base/json.h"

#define CHAT_MAX_MESSAGES 2048
#define CHAT_MAX_IMAGES 500 /* the real API's ceiling a request */

struct chat_image {
    char hash[HASH_HEX]; /* SHA-256 of the image's bytes */
    int width_px, height_px;
    int low_detail;
    const char *label; /* the text part right before it; "" without one */
};

struct chat_message {
    const char *role;
    char *text; /* its text parts joined by newlines; owned */
    size_t n_images;
};

struct chat_request {
    const char *model;
    struct chat_message *messages;
    size_t n_messages;
    struct chat_image *images; /* of all messages, in order */
    size_t n_images;
    int stream, include_usage;
    int64_t max_tokens; /* of the answer; 0 = no limit given */
    /* SHA-256 of the body's canonical JSON without the members that cannot change an
     * answer: stream, stream_options, user, metadata, store, service_tier,
     * safety_identifier, prompt_cache_key. */
    char identity[HASH_HEX];
    struct json *body; /* what the pointers above point into */
};

/* An error as the API sends it; "" stands for null in param and code. */
struct chat_error {
    int status;
    char message[512], type[40], param[96], code[48];
};

/* Parse and check a body.  Returns 1, or 0 with error filled; out is to be released in
 * both cases.  Unknown members are accepted, as by the real API's compatible servers. */
int chat_request_parse(
    const char *body, size_t len, struct chat_request *out, struct chat_error *error);
void chat_request_release(struct chat_request *request);

/* The text of the last user message; "" without one. */
const char *chat_request_question(const struct chat_request *request);

/* Fill error; returns 0, so that a check may end in `return chat_refuse(...)`. */
int chat_refuse(struct chat_error *error, int status, const char *code, const char *param,
    const char *fmt, ...) PRINTF_LIKE(5, 6);

/* The error's JSON document, {"error":{...}}. */
MUST_CHECK enum status chat_error_print(
    const struct chat_error *error, struct buffer *out, struct error *err);

#endif
