/* http.h - a small HTTP/1.1 server over libmicrohttpd, for programs on the same machine.
 *
 * One thread moves bytes (epoll), a few workers run the handler, one timer thread says
 * when answers are due: a connection costs memory, never a thread.  Delays count from
 * the arrival of a request's last byte, so the handler's own time is part of a delay
 * and not on top of it. */
#ifndef M4A1_HTTP_HTTP_H
#define M4A1_HTTP_HTTP_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/error.h"

#define HTTP_MAX_HEADERS 24         /* of an answer */
#define HTTP_MAX_ANSWER (16u << 20) /* bytes of an answer's body */

struct http_exchange; /* opaque: one request and its answer */

struct http_request {
    const char *method; /* "POST" */
    const char *path;   /* decoded, without the query */
    const char *body;   /* body_len bytes and a NUL; "" without one */
    size_t body_len;
    int too_large; /* the body was above max_body and is left out */
    const struct http_exchange *exchange;
};

/* The value of a request's header, whatever its case; NULL without it.  Valid while
 * the handler runs. */
const char *http_header(const struct http_request *request, const char *name);

/* The value of an argument of the request's query, decoded; NULL without it.  Valid while
 * the handler runs. */
const char *http_query(const struct http_request *request, const char *name);

enum http_ending {
    HTTP_WHOLE, /* the answer is sent to its end */
    HTTP_CUT,   /* the connection is closed after cut_at bytes of the body */
    HTTP_DROP,  /* the connection is closed before the first byte */
};

/* What a handler fills in.  It starts as status 200, text/plain, empty, due at once. */
struct http_answer {
    int status;
    const char *content_type; /* static text */
    struct buffer body;       /* ceiling HTTP_MAX_ANSWER */
    int64_t delay_ns;         /* headers are not sent before this */
    int stream;               /* 1: no Content-Length, the body goes out at its marks */
    enum http_ending ending;
    size_t cut_at;
    void *note; /* handed to the done callback */

    /* filled by the functions below */
    struct http_mark {
        size_t end; /* of the bytes this mark releases */
        int64_t at_ns;
    } * marks;
    size_t n_marks, size_marks;
    struct {
        char name[48], value[160];
    } headers[HTTP_MAX_HEADERS];
    size_t n_headers;
};

/* Add a header; one too many or too long fails the answer, which becomes a 500. */
void http_answer_header(
    struct http_answer *answer, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* The bytes added to a stream's body since the last mark go out in one piece, at_ns
 * after the request's arrival or as soon as those before them are out. */
void http_answer_mark(struct http_answer *answer, int64_t at_ns);

/* Called in a worker thread, several at once. */
typedef void http_handler(
    void *arg, const struct http_request *request, struct http_answer *answer);

enum http_outcome {
    HTTP_SENT,    /* the whole answer was handed to the network */
    HTTP_BROKEN,  /* closed early because the answer said so (HTTP_CUT, HTTP_DROP) */
    HTTP_GONE,    /* the client closed the connection before its answer was sent */
    HTTP_STOPPED, /* the server was stopped */
};

/* Called once for every request that the handler saw: right before the last byte of its
 * answer is handed over, or when the connection is found or made to end early. */
typedef void http_done(void *arg, void *note, enum http_outcome outcome);

struct http_options {
    const char *host;         /* IPv4 or IPv6 address; NULL = 127.0.0.1 */
    uint16_t port;            /* 0 = a free one */
    size_t max_body;          /* ceiling of a request's body in bytes */
    unsigned max_connections; /* 0 = 2048 */
    unsigned n_workers;       /* 0 = one a processor */
    http_handler *handler;
    http_done *done; /* NULL is fine */
    void *arg;
};

struct http_server;

/* Start to listen and serve.  E_ARG for a host that is no address; E_IO where the port
 * cannot be had (the message says which and why). */
MUST_CHECK enum status http_server_new(
    const struct http_options *options, struct http_server **out, struct error *err);

uint16_t http_server_port(const struct http_server *server);
const char *http_server_url(
    const struct http_server *server); /* "http://127.0.0.1:8080" */

/* Stop accepting, close what is under way, wait for running handlers, end the threads.
 * NULL is fine. */
void http_server_free(struct http_server *server);

#endif
