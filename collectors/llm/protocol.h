/* protocol.h - what a wire protocol has to offer: one table entry, one or two files.
 *
 * A protocol turns a dialogue into a request body, and what a server sent back into an
 * answer.  It knows no sockets, no store and no keys: protocols are pure functions and
 * may run on any thread.  To add one: write its file, list it in protocol.c;
 * docs/adding-a-protocol.md walks through an example. */
#ifndef COLLECTORS_LLM_PROTOCOL_H
#define COLLECTORS_LLM_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>
#include "collectors/dialogue.h"
#include "collectors/llm/body.h"
#include "collectors/llm/key.h"
#include "m4a1/base/buffer.h"
#include "m4a1/base/error.h"
#include "schema/llm.h"

/* Why an attempt gave no answer; attempt.error_class holds the name. */
enum failure {
    FAILURE_NONE,
    FAILURE_CONNECT,    /* the server was never reached */
    FAILURE_NETWORK,    /* the connection broke before the answer was complete */
    FAILURE_STALE,      /* a kept-alive connection was dead when it was used again */
    FAILURE_TIMEOUT,    /* no complete answer within the llm's timeout */
    FAILURE_TRUNCATED,  /* a stream ended without its end mark */
    FAILURE_MALFORMED,  /* a 200 that is not what the protocol says */
    FAILURE_TOO_LARGE,  /* an answer beyond the ceiling */
    FAILURE_RATE_LIMIT, /* too many requests or tokens for now */
    FAILURE_QUOTA,      /* no money or no quota left: asking again is of no use */
    FAILURE_AUTH,       /* 401, 403: the key is not good for this */
    FAILURE_FILTER,     /* the server refuses the prompt itself */
    FAILURE_REQUEST,    /* any other 4xx */
    FAILURE_SERVER,     /* 5xx, or an error that a server sent inside a 200 */
    FAILURE_UNMARKED, /* sent to a simulator, and the answer is not marked as simulated */
    FAILURE_MARKED,   /* marked as simulated in a run that asks real servers */
    FAILURE_ABORTED,  /* given up by us, on the second Ctrl-C */
    FAILURE_KILLED,   /* left open by a collector that was killed */
    N_FAILURES
};
extern const char *const failure_names[N_FAILURES]; /* "", "connect", ... */

/* Why the text of an answer ends; response.stop_reason holds the name. */
enum stop { STOP_OTHER, STOP_STOP, STOP_LENGTH, STOP_REFUSAL, STOP_FILTER, STOP_TOOL };
extern const char *const stop_names[6]; /* "other", "stop", "length", ... */

#define TOKENS_UNKNOWN (-1) /* the server should have said and did not */

struct answer {
    enum failure failure; /* else the rest is the answer */
    char *error;          /* of a failure: what the server said, for a person */
    char *unfinished; /* of a failure: the text before it, to be searched for keys only */

    char *text;
    enum stop stop;
    char *provider_stop, *model, *fingerprint, *request_id; /* NULL = not said */
    /* Disjoint counts: 0 where the protocol has no such class, else TOKENS_UNKNOWN. */
    int64_t input_tokens, cache_read_tokens, cache_write_tokens, output_tokens,
        reasoning_tokens;
    char *usage;              /* the provider's own JSON; NULL = not said */
    double provider_cost_usd; /* NAN = not said */
    /* In a stream: how many bytes had arrived with the first token that is not empty,
     * spoken or reasoned; 0 = unknown. */
    size_t first_token_end;
    int64_t retry_after_ns; /* what the body asks to wait; -1 = it does not say */
};

void answer_init(struct answer *a);
void answer_release(struct answer *a);

/* What came back over the wire. */
struct wire_answer {
    int http_status;
    const char *headers; /* lines "Name: value\r\n", a C string */
    const char *body;
    size_t len;
    int is_complete; /* the connection ended as HTTP says that this body ends */
};

/* The value of a header, without blanks around it, cut to size; NULL where it is not
 * there.  Names are compared without case; the last one wins. */
const char *wire_header(const char *headers, const char *name, char *buf, size_t size);

/* A setting of a protocol, as "options" of an llm in a recipe give it: a word or two
 * that can change an answer or how it is asked for. */
struct protocol_option {
    const char *name;
    const char *what;           /* for messages: "the API's version" */
    const char *otherwise;      /* the value that is not given; NULL = none */
    const char *const *choices; /* ends with NULL; NULL = any text */
    int is_needed;
};

/* What stands for an empty answer in a history, for servers that refuse empty texts. */
#define PROTOCOL_NO_ANSWER "(no answer)"

/* What "{model}" is in a path, and may be as .otherwise of an option. */
#define PROTOCOL_MODEL "{model}"

/* Text and pictures, and so videos as their frames; and sound beside them. */
#define PROTOCOL_SEES (1u << VIEW_IMAGE | 1u << VIEW_VIDEO | 1u << VIEW_TEXT)
#define PROTOCOL_SEES_AND_HEARS (PROTOCOL_SEES | 1u << VIEW_AUDIO)

/* How a frame stands in a body.  before is what comes right in front of it: it ends with
 * a quote ("data":") and holds another one, so that no text inside a JSON string can
 * contain it.  The frame is base64, with "data:TYPE;base64," in front where is_data_url
 * is set. */
struct frame_form {
    const char *before;
    int is_data_url;
};

struct protocol {
    const char *name; /* as recipes say it */

    /* Behind the llm's base address.  "{model}" and "{OPTION}" stand for their values,
     * percent-encoded.  stream_path, where not NULL, is the one for streams. */
    const char *path, *stream_path;
    /* Lines "Name: value\n" that go with every request; a line with an "{OPTION}" that
     * has no value is left out.  NULL = none. */
    const char *headers;

    const struct protocol_option *options;
    size_t n_options;
    const char *const *reserved; /* parameters that m4a1 sets itself; ends with NULL */

    /* Bit k = views of kind k can be sent: PROTOCOL_SEES, or PROTOCOL_SEES_AND_HEARS. */
    unsigned kinds;
    /* What its servers are known to take at most, as published; 0 = none known.  Images a
     * request, the longest side and the encoded bytes of one. */
    int max_images, max_image_px;
    int64_t max_image_bytes;

    /* Who proves how that it may ask.  NULL: the key as Authorization: Bearer. */
    struct key_use (*key)(const struct llm *llm);

    /* True where the request can say itself that prompt caches are not to be used, or
     * the protocol uses none unasked.  NULL: it cannot, so a salt is put in front. */
    int (*has_cache_switch)(const struct llm *llm);

    /* E_ARG where the llm's parameters cannot be sent; options and reserved parameters
     * are checked before.  NULL = nothing more to check. */
    enum status (*check)(const struct llm *llm, struct error *err);

    /* Most tokens an answer may have, from the llm's parameters; -1 = no bound set. */
    int64_t (*max_output_tokens)(const struct llm *llm);
    const char *max_tokens_key; /* the parameter that sets this bound, for messages */

    /* Write the request into root, an empty object, with protocol_set_frame() for every
     * frame.  False when out of memory. */
    int (*write)(const struct llm *llm, const struct dialogue *d, struct json *root);
    /* How frames stand in its text; NULL = it carries none of these. */
    const struct frame_form *image, *audio;
    /* Puts the frames into a body whose text is written, and closes it.  NULL: the forms
     * say where they go. */
    enum status (*put_frames)(
        const struct dialogue *d, struct body *body, struct error *err);

    /* What came back, whole or stream (seen from the bytes).  Only running out of
     * memory is a failure here; all else is an answer or a failure in *out. */
    enum status (*parse)(
        const struct wire_answer *wire, struct answer *out, struct error *err);
};

extern const struct protocol protocol_openai_chat, protocol_azure_openai,
    protocol_openai_responses, protocol_anthropic, protocol_gemini, protocol_ollama,
    protocol_bedrock_converse;

const struct protocol *protocol_find(const char *name); /* NULL: no such protocol */
const char *protocol_names(void);                       /* for messages: "a, b" */
/* The i-th protocol of the table; NULL behind the last. */
const struct protocol *protocol_at(size_t i);

/* E_ARG where the llm says that it accepts views of a kind that the protocol cannot carry,
 * or where its options or parameters cannot be sent; all mistakes name the key,
 * and an unknown one the nearest that is known. */
MUST_CHECK enum status protocol_check(
    const struct protocol *p, const struct llm *llm, struct error *err);
/* The first half of it: the options alone. */
MUST_CHECK enum status protocol_check_options(
    const struct protocol *p, const struct llm *llm, struct error *err);
/* A part of it: where in the llm's parameters ("options.num_predict") the most tokens of an
 * answer are no whole number from 1 to 10,000,000; NULL = nowhere.  null is no bound. */
const char *protocol_wrong_bound(const struct llm *llm);

/* The value of an option, given or not; NULL where it has none. */
const char *protocol_option(
    const struct protocol *p, const struct llm *llm, const char *name);

/* The address of a call: base and path; a base that ends in the path's first part
 * (".../v1") does not get it twice.  Owned by the caller, NULL when out of memory. */
MUST_CHECK char *protocol_url(
    const struct protocol *p, const struct llm *llm, const char *base);

/* The lines "Name: value\n" that every request of the llm carries, beside its key; ""
 * for none.  Owned by the caller, NULL when out of memory. */
MUST_CHECK char *protocol_headers(const struct protocol *p, const struct llm *llm);

struct key_use protocol_key(const struct protocol *p, const struct llm *llm);

/* Set a member of a body to what stands for an image: "sha256:" and its hash.  Returns
 * false when out of memory. */
int protocol_set_frame(struct json *object, const char *key, const struct frame *image);

/* Render the request into an empty body: what is stored, its text with "sha256:" and a hash
 * for every frame, and the frames that are sent in their places.  E_DATA where the dialogue
 * holds what the protocol does not carry. */
MUST_CHECK enum status protocol_render(const struct protocol *p, const struct llm *llm,
    const struct dialogue *d, struct body *body, struct error *err);

/* What a plain HTTP status stands for; FAILURE_NONE below 400. */
enum failure protocol_failure_of_status(int http_status);

#endif
