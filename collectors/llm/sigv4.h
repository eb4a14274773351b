/* sigv4.h - AWS Signature Version 4 over the headers and the hash of a request.
 *
 * Pure: it reads no clock and no environment.  libcurl before 8.14 signs a path as it is
 * sent, while AWS (all services but S3) encodes each of its segments once more, so that
 * model ids with a colon fail there; hence our own.  Source: AWS, "Create a signed AWS
 * API request". */
#ifndef COLLECTORS_LLM_SIGV4_H
#define COLLECTORS_LLM_SIGV4_H

#include <stdint.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/error.h"

struct sigv4 {
    const char *method;      /* "POST" */
    const char *url;         /* as it is sent: encoded once, with host and maybe a port */
    const char *headers;     /* lines "Name: value\n" that are signed, too; "" for none */
    const char *body_sha256; /* hexadecimal digits */
    int64_t wall_ms;
    const char *region, *service; /* "us-east-1", "bedrock" */
    const char *access_key, *secret_key;
    const char *session_token; /* of temporary keys; NULL = none */
};

/* Add the lines "X-Amz-Date: ...\n", with a token "X-Amz-Security-Token: ...\n", and
 * "Authorization: ...\n", which go out beside what was signed.  Host, those lines and
 * headers are signed.  E_ARG for an address without a host or a time outside the years
 * 1970 to 9999. */
MUST_CHECK enum status sigv4_sign(
    const struct sigv4 *in, struct buffer *lines, struct error *err);

/* The canonical request, the text whose hash is signed; for tests and for comparing
 * with what AWS quotes in an error.  amz_date is "20150830T123600Z". */
MUST_CHECK enum status sigv4_canonical(const struct sigv4 *in, const char *amz_date,
    struct buffer *out, struct buffer *signed_headers, struct error *err);

#endif
