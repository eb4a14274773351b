/* flat_server.h - an HTTP server that answers every POST alike, for benches.
 *
 * One process of its own, one thread, epoll; it reads bodies into nothing and keeps
 * connections alive, so that whoever asks is the bottleneck.  The answer is a chat completion
 * of a few words with its usage.  Its header x-request-id is how many ns the server had the
 * request: from its first byte read to the answer written, so that a client's own share in a
 * latency can be told. */
#ifndef TESTS_SUPPORT_FLAT_SERVER_H
#define TESTS_SUPPORT_FLAT_SERVER_H

#include <stdint.h>
#include <sys/types.h>

struct flat_server {
    int port;
    pid_t pid;
};

/* An answer comes delay_ns after the last byte of its request, and gap_ns after the answer
 * before it at the earliest; the gap keeps clients from asking in step.  False on failure. */
int flat_server_start(int64_t delay_ns, int64_t gap_ns, struct flat_server *out);

/* Ends it; CPU seconds that it took. */
double flat_server_stop(struct flat_server *s);

#endif
