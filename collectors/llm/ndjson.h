/* ndjson.h - JSON documents, one a line, out of bytes that arrive in any pieces.
 *
 * Lines end with LF; a CR before it is white space to JSON and stays.  Blank lines are
 * skipped.  Where the input is split changes nothing that comes out. */
#ifndef COLLECTORS_LLM_NDJSON_H
#define COLLECTORS_LLM_NDJSON_H

#include <stddef.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/error.h"

/* One line, without its end: len bytes and a NUL behind them.  end is the offset, from
 * the stream's first byte, behind the byte that ended the line.  Valid during the call.
 * Returns 0 to go on, else the reader stops. */
typedef int ndjson_line(const char *line, size_t len, size_t end, void *arg);

struct ndjson {
    struct buffer line;
    size_t offset; /* bytes taken so far */
    int stopped;   /* the callback asked to stop */
};

/* max is the ceiling of one line, in bytes. */
void ndjson_init(struct ndjson *n, size_t max);
void ndjson_release(struct ndjson *n);

/* Take the next len bytes.  E_LIMIT where a line is too long, E_NOMEM. */
MUST_CHECK enum status ndjson_feed(struct ndjson *n, const char *bytes, size_t len,
    ndjson_line *fn, void *arg, struct error *err);

/* The stream ended as its sender meant it to: a last line without an end is a line,
 * too.  Not for a broken connection. */
MUST_CHECK enum status ndjson_end(
    struct ndjson *n, ndjson_line *fn, void *arg, struct error *err);

#endif
