/* sim_wire.h - the wire protocols from a client's side, for tests of the simulator: the
 * same dialogue as a request of each, and what an answer says.
 *
 * Written from the vendors' documentation, not from our collectors. */
#ifndef TESTS_SUPPORT_SIM_WIRE_H
#define TESTS_SUPPORT_SIM_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/json.h"
#include "tests/support/http_client.h"

enum wire {
    WIRE_CHAT,
    WIRE_AZURE,
    WIRE_RESPONSES,
    WIRE_ANTHROPIC,
    WIRE_GEMINI,
    WIRE_OLLAMA,
    WIRE_BEDROCK,
    N_WIRES
};
extern const char *const wire_names[N_WIRES]; /* as recipes say them */

#define WIRE_HISTORY "Good evening. What do you see?"
#define WIRE_ANSWER "A kitchen – with a “blue” bowl."
#define WIRE_SYSTEM "You answer in few words."

struct wire_ask {
    const char *model, *question;
    const char *const *images; /* [n_images] base64, all of one type */
    size_t n_images;
    const char *media_type; /* "image/png" */
    int history;            /* 1: a system prompt and an earlier turn with the images */
    int stream;
    int max_tokens; /* 0 = 500 */
};

/* Path with its query, headers that the protocol needs, and the body; the caller frees
 * the body. */
struct wire_request {
    char path[300], headers[200];
    char *body;
};
struct wire_request wire_request(enum wire wire, const struct wire_ask *ask);

/* What an answer says, whole or as a stream. */
struct wire_says {
    struct buffer text, refusal;
    char stop[40];          /* the vendor's word */
    char error[200];        /* of an error inside: its text */
    int has_end;            /* the end mark of a stream, or a stop reason */
    int is_broken;          /* something was not JSON, UTF-8 or a frame */
    int64_t prompt, cached; /* prompt with the cached ones; -1 = not said */
    int64_t output;
    size_t n_pieces; /* of text */
};
void wire_read(
    enum wire wire, int stream, const struct client_reply *reply, struct wire_says *out);
void wire_says_release(struct wire_says *says);

#endif
