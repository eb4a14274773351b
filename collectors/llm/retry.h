/* retry.h - whether and when an attempt that failed is made again.
 *
 * Pure: times come in, times go out.  The rules are those that the OpenAI and Anthropic
 * clients share: 408, 409, 429, 5xx and broken connections are tried again, after what
 * the server's headers say, else after 0.5 s doubled each time, at most 8 s, minus up to
 * a quarter by chance.  Money that ran out and other 4xx are final.  Times of day in headers
 * are counted from the answer's own Date, where it has one: this machine's clock may be
 * wrong. */
#ifndef COLLECTORS_LLM_RETRY_H
#define COLLECTORS_LLM_RETRY_H

#include <stdint.h>
#include "collectors/llm/protocol.h"
#include "m4a1/base/random.h"

#define SECOND_NS INT64_C(1000000000)

/* True where asking again is of no use.  headers may be NULL; x-should-retry overrides
 * the class, but not a quota that is gone. */
int retry_is_final(enum failure failure, int http_status, const char *headers);

/* What the server asks to wait, in ns, from retry-after-ms or retry-after (seconds or a
 * date); 0 = no time at all, -1 = it does not say. */
int64_t retry_after_ns(const char *headers, int64_t now_wall_ms);

/* How long to wait before the attempt that follows n_failed failures (from 1), where the
 * headers ask for no time above 0 also. */
int64_t retry_wait_ns(
    int n_failed, const char *headers, int64_t now_wall_ms, struct rng *rng);

/* How long the llm as a whole should pause because a header says that 0 requests or
 * tokens remain, in ns; 0 = not.  Of OpenAI and those like it: x-ratelimit-remaining-
 * requests and -tokens, with -reset- as a duration ("1s", "6m0s", "20ms").  Of Anthropic:
 * anthropic-ratelimit-requests-remaining and of tokens, input-tokens and output-tokens,
 * with -reset as a time (RFC 3339). */
int64_t retry_exhausted_ns(const char *headers, int64_t now_wall_ms);

#endif
