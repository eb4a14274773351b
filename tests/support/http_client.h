/* http_client.h - a small blocking HTTP/1.1 client over raw sockets, for tests.
 *
 * It shows what libraries hide: how an answer was split on the wire, and whether it
 * ended as it should.  It connects to 127.0.0.1 only. */
#ifndef TESTS_SUPPORT_HTTP_CLIENT_H
#define TESTS_SUPPORT_HTTP_CLIENT_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/buffer.h"

enum client_end {
    CLIENT_WHOLE,  /* a complete answer */
    CLIENT_NONE,   /* the connection was closed before any byte came */
    CLIENT_BROKEN, /* it was closed within the answer */
};

struct client_reply {
    enum client_end end;
    int status; /* 0 without an answer */
    struct buffer head, body;
    size_t n_pieces; /* chunks of a chunked body */
    size_t piece_end[4096];
    /* client_exchange(): before the request was sent; client_receive(): when it began. */
    int64_t sent_ns;
    int64_t first_ns, last_ns; /* first and last byte of the answer */
};

/* Connect; -1 on failure. */
int client_connect(uint16_t port);

/* Send a request; headers are whole lines ("A: b\r\n") or "".  Returns 0, -1 on failure. */
int client_send(int fd, const char *method, const char *path, const char *headers,
    const void *body, size_t len);

/* Read one answer: a body with Content-Length, in chunks, or up to the close.  The
 * connection stays open. */
void client_receive(int fd, struct client_reply *out);

/* Connect, send, receive, close. */
void client_exchange(uint16_t port, const char *method, const char *path,
    const char *headers, const char *body, struct client_reply *out);

/* The value of a header in buf; "" without it. */
const char *client_header(
    const struct client_reply *reply, const char *name, char *buf, size_t size);

void client_reply_release(struct client_reply *reply);

#endif
