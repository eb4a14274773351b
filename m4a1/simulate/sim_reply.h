/* sim_reply.h - an answer before it has a protocol's form, and the writing of streams.
 *
 * A protocol's file makes the JSON; what is common to all is here: framing, the cutting
 * of a text into pieces, the time of each, awkward places where the bytes are split, and
 * the faults that happen within an answer. */
#ifndef M4A1_SIMULATE_SIM_REPLY_H
#define M4A1_SIMULATE_SIM_REPLY_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/json.h"
#include "m4a1/base/random.h"
#include "m4a1/http/http.h"
#include "m4a1/simulate/sim_fault.h"
#include "m4a1/simulate/sim_meter.h"

#define SIM_FINGERPRINT "m4a1-simulator-1" /* in bodies that have such a field */
#define SIM_CREATED 1767225600 /* fixed (2026-01-01), so that answers repeat */
#define SIM_CREATED_TEXT "2026-01-01T00:00:00Z"

/* How an llm says no. */
enum sim_way {
    WAY_ANSWER, /* it does not */
    WAY_WORDS,  /* in the words of an answer */
    WAY_FIELD,  /* with the vendor's field or stop reason for it */
    WAY_OUTPUT, /* a filter withholds the answer */
    WAY_PROMPT, /* a filter withholds the prompt */
};

struct sim_protocol;

struct sim_reply {
    const struct sim_protocol *protocol;
    const char *id; /* with the vendor's prefix */
    const char *model;
    const char *text; /* text_len bytes and a NUL */
    size_t text_len;
    enum sim_way way;
    int is_cut; /* at the token limit */
    int has_usage;
    int include_usage; /* OpenAI's stream_options.include_usage */
    int as_array;      /* Gemini's stream without alt=sse */
    int64_t prompt_tokens, cached_tokens, completion_tokens;
    int64_t audio_tokens; /* of prompt_tokens */
    struct sim_pace pace;
    enum sim_fault fault;
};

enum sim_framing {
    FRAMING_SSE,
    FRAMING_SSE_CRLF,
    FRAMING_NDJSON,
    FRAMING_ARRAY,        /* one JSON array, an element at a time */
    FRAMING_EVENT_STREAM, /* application/vnd.amazon.eventstream */
};

/* A stream being written.  status is sticky: what comes after a failure does nothing. */
struct sim_stream {
    const struct sim_reply *reply;
    struct rng *rng; /* chooses pieces and splits */
    struct http_answer *answer;
    enum sim_framing framing;
    int64_t at_ns;      /* of the next event */
    int64_t tokens_out; /* of the text so far, the piece at hand included */
    size_t n_events;
    int is_over; /* a fault ended it: further events are dropped */
    enum status status;
    struct error *err;
};

/* Sets the content type; to be called first. */
void sim_stream_begin(struct sim_stream *stream, enum sim_framing framing);

/* Add an event and free root.  event names it in SSE and event streams; NULL = no name. */
void sim_stream_event(struct sim_stream *stream, const char *event, struct json *root);

/* Add the text in pieces of one to four words, each an event that piece makes. */
typedef struct json *sim_piece(const struct sim_stream *stream, const char *text);
void sim_stream_text(struct sim_stream *stream, const char *event, sim_piece *piece);

/* Bytes that are no event, like "data: [DONE]\n\n". */
void sim_stream_bytes(struct sim_stream *stream, const char *bytes);

/* Closes what the framing opened. */
enum status sim_stream_end(struct sim_stream *stream);

/* One JSON document, due when its last token would be; frees root. */
MUST_CHECK enum status sim_whole(const struct sim_reply *reply, struct json *root,
    struct http_answer *answer, struct error *err);

/* A character that FAULT_BAD_UTF8 puts into a text; on the wire it is broken. */
#define SIM_BREAKABLE "\xef\xbf\xbd"

#endif
