/* reading.h - what the parsers of all protocols share: documents and streams, errors,
 * counts, and the answer that is put together from them.
 *
 * A parser gives its protocol's meaning of one JSON document (a whole answer, or an
 * event of a stream); broken JSON, missing ends, ceilings and memory are seen to here, and
 * so are redirects, compressed bodies and characters that a stream cut in two. */
#ifndef COLLECTORS_LLM_READING_H
#define COLLECTORS_LLM_READING_H

#include "collectors/llm/protocol.h"
#include "m4a1/base/json.h"

#define READING_MAX_TEXT (8u << 20)  /* bytes of an answer's text */
#define READING_MAX_EVENT (4u << 20) /* bytes of one event of a stream */

struct reading {
    struct answer *a;
    const struct wire_answer *wire;
    struct buffer text, refusal;
    /* What the server counted, merged over a stream; NULL = nothing. */
    struct json *usage;
    int is_usage_cut;
    int is_document;      /* one JSON document; else an event of a stream */
    int has_answer;       /* something came that only an answer has; the parser sets it */
    int has_token;        /* this document brought a token; the parser sets it */
    int is_done;          /* the stream's end mark came; the parser sets it */
    int may_end_unmarked; /* a clean end behind a stop reason will do as its end mark */
    int no_memory, is_malformed;
};

/* One document or event.  event is "" where none was named.  An error is told with
 * reading_error(); it ends a stream. */
typedef void reading_take(struct reading *r, const char *event, const struct json *j);

/* A whole parser: reads wire as one document or as server-sent events, as its bytes
 * look, and gives each piece to take.  Under an error status only a document is read;
 * one that take makes no error of becomes one that quotes the body.  id_header, where
 * not NULL, names the header that holds the id of the request.  E_NOMEM only. */
MUST_CHECK enum status reading_run(const struct wire_answer *wire, reading_take *take,
    const char *id_header, int may_end_unmarked, struct answer *out, struct error *err);

/* The three steps of it, for protocols with another kind of stream. */
void reading_begin(struct reading *r, const struct wire_answer *wire, struct answer *out);
/* One event's text to JSON and take; end is the offset behind it.  Returns 0 to go on. */
int reading_event(struct reading *r, reading_take *take, const char *event,
    const char *data, size_t len, size_t end);
MUST_CHECK enum status reading_document(
    struct reading *r, reading_take *take, struct error *err);
/* False where a body is none of a stream whatever its bytes: under a status that is not
 * 2xx, and where it is compressed.  reading_document() says what it is. */
int reading_may_stream(const struct wire_answer *wire);
/* The checks behind a stream's last event. */
void reading_end_stream(struct reading *r);
/* Makes the answer of what was read and frees the rest; s is what reading gave. */
MUST_CHECK enum status reading_finish(
    struct reading *r, const char *id_header, enum status s, struct error *err);

/* Keep a copy of s in a slot of the answer; NULL and "" change nothing. */
void reading_keep(struct reading *r, char **slot, const char *s);

/* Add a text (NULL is none) to the answer, or to its refusal; counts as a token where
 * it is not empty. */
void reading_text(struct reading *r, const char *s);
void reading_refusal(struct reading *r, const char *s);

/* A failure with a sentence of ours; the body is quoted. */
void reading_fail(struct reading *r, enum failure failure, const char *what);

/* What a server said of an error.  code and type are its words (NULL = none), inside
 * the HTTP status that the body names (0 = none).  The status says how to go on; words
 * decide where there is none, and where money or a filter is meant. */
void reading_error(struct reading *r, int inside, const char *code, const char *type,
    const char *message);

/* Take over the members of a usage object that are not null, a hundred over a whole stream;
 * returns r->usage, NULL where nothing was counted yet.  It becomes the answer's usage, up
 * to 64 KiB; a member "m4a1_cut" says that some of it was left out. */
struct json *reading_usage(struct reading *r, const struct json *usage);

/* A count; absent where it is not there, TOKENS_UNKNOWN where it is nonsense. */
int64_t reading_count(const struct json *j, int64_t absent);

/* A cost that the server reports, in USD; NAN where it is none or nonsense. */
double reading_cost_usd(const struct json *j);

/* The five disjoint counts out of totals: input_total holds read and write, output_total
 * holds reasoning.  Parts that do not fit into their whole make the rest unknown. */
void reading_tokens(struct reading *r, int64_t input_total, int64_t cache_read,
    int64_t cache_write, int64_t output_total, int64_t reasoning);

/* True where the text of j is not empty. */
int reading_is_said(const struct json *j);

#endif
