/* sim_request.h - a request as all protocols have it: model, messages, images, sounds,
 * limits.
 *
 * The protocols' readers fill it.  What a real API refuses is refused here with the same
 * status, so that a collector's mistakes show before they cost money. */
#ifndef M4A1_SIMULATE_SIM_REQUEST_H
#define M4A1_SIMULATE_SIM_REQUEST_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/hash.h"
#include "m4a1/base/json.h"

#define SIM_MAX_MESSAGES 2048
#define SIM_MAX_IMAGES 500 /* a request; the highest ceiling of any vendor but Gemini */
#define SIM_MAX_SOUNDS 32
#define SIM_MAX_MODEL 256 /* bytes of a model's name in a path, with the NUL */

struct sim_image {
    char hash[HASH_HEX]; /* SHA-256 of the image's bytes */
    int width_px, height_px;
    int low_detail;
    const char *label; /* the text right before it; "" without one.  Of frames of a clip
                          ("At 0.5 s:") the clip's */
};

struct sim_sound {
    char hash[HASH_HEX];
    int64_t duration_ms, tokens;
    const char *label;
};

struct sim_message {
    const char *role;   /* "system", "developer", "user" or "assistant" */
    struct buffer text; /* its texts joined by newlines */
    size_t n_images, n_sounds;
};

struct sim_request {
    const char *model;
    struct sim_message *messages;
    size_t n_messages;
    struct sim_image *images; /* of all messages, in order */
    size_t n_images;
    struct sim_sound sounds[SIM_MAX_SOUNDS]; /* of all messages, in order */
    size_t n_sounds, n_texts;
    int stream, include_usage;
    int as_array;       /* a stream as one JSON array (Gemini without alt=sse) */
    int64_t max_tokens; /* of the answer; 0 = no limit given */
    /* SHA-256 of the model and the body's canonical JSON, without the members that
     * cannot change an answer (each protocol says which). */
    char identity[HASH_HEX];

    struct json *body; /* what the pointers above may point into */
    char path_model[SIM_MAX_MODEL];
    const char *label; /* for the next image or sound */
    const char *view;  /* the last label that named a view; "" for none */
};

/* An error before it has a protocol's form; "" stands for nothing in the texts. */
struct sim_error {
    int status;
    char message[512], type[40], param[96], code[48];
    int64_t retry_ms; /* the wait to ask for; -1 = none */
};

/* Parse a body that has to be a JSON object.  Returns 1, or 0 with error filled.  out is
 * to be released in both cases. */
int sim_request_parse(
    const char *body, size_t len, struct sim_request *out, struct sim_error *error);
void sim_request_release(struct sim_request *request);

/* Fill error; returns 0, so that a check may end in `return sim_refuse(...)`. */
int sim_refuse(struct sim_error *error, int status, const char *code, const char *param,
    const char *fmt, ...) PRINTF_LIKE(5, 6);

/* --- what readers build with; each returns 1, or 0 with error filled --- */

/* Begin a message; role is static text. */
int sim_request_message(
    struct sim_request *request, const char *role, struct sim_error *error);

/* Add a text to the last message; it is the label of an image right behind it. */
int sim_request_text(
    struct sim_request *request, const char *text, struct sim_error *error);

struct sim_image_rules {
    size_t max_images, max_bytes; /* 0 = no such limit */
    int max_side_px;
};

/* Add an image to the last message: canonical base64 of a JPEG, PNG, GIF or WebP.
 * media_type, where not NULL, has to be that of the bytes; rules may be NULL. */
int sim_request_image(struct sim_request *request, const char *base64,
    const char *media_type, const struct sim_image_rules *rules, const char *param,
    struct sim_error *error);

/* A data URL of an image; low_detail bills it less. */
int sim_request_data_url(struct sim_request *request, const char *url, int low_detail,
    const char *param, struct sim_error *error);

/* Add a sound to the last message: canonical base64 of a WAV, billed so many tokens a
 * second. */
int sim_request_sound(struct sim_request *request, const char *base64,
    int tokens_a_second, const char *param, struct sim_error *error);

/* Take the member "model" of the body: a text that is not empty. */
int sim_request_model(struct sim_request *request, struct sim_error *error);

/* A member that, where it is there and not null, is a number in [min, max]. */
int sim_range_check(const struct json *object, const char *key, double min, double max,
    const char *param, struct sim_error *error);

/* A member that, where it is there, is a whole number of at least 1: the limit of the
 * answer.  Gemini's and Ollama's own rules are in their files. */
int sim_limit_read(struct sim_request *request, const struct json *object,
    const char *key, const char *param, struct sim_error *error);

/* "stream" of the body, where it is there. */
int sim_stream_read(struct sim_request *request, struct sim_error *error);

/* Set the identity; ignored ends with NULL, and these members are taken out of the body.
 * scope, "" for none, tells protocols apart. */
int sim_request_identify(struct sim_request *request, const char *scope,
    const char *const *ignored, struct sim_error *error);

/* --- for those that answer --- */

/* The text of the last user message; "" without one. */
const char *sim_request_question(const struct sim_request *request);

/* A message's text; "" where it has none. */
const char *sim_message_text(const struct sim_message *message);

#endif
