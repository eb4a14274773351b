/* transport.h - requests over HTTP, many at once, with honest times.  The only owner of
 * libcurl.
 *
 * One thread drives curl's multi interface.  It moves bytes and takes stamps of the
 * monotonic clock in curl's callbacks; it parses nothing and takes no other lock than
 * its own.  Each exchange is one POST: a request that libcurl would send a second time
 * by itself (a kept-alive connection that turned out dead) is stopped and reported.
 * No redirects, no other schemes than http and https, certificates verified, proxies of
 * the environment never for loopback. */
#ifndef COLLECTORS_LLM_TRANSPORT_H
#define COLLECTORS_LLM_TRANSPORT_H

#include <stddef.h>
#include <stdint.h>
#include "collectors/llm/body.h"
#include "collectors/llm/key.h"
#include "m4a1/base/buffer.h"
#include "m4a1/base/error.h"

#define EXCHANGE_MAX_BODY (16u << 20) /* bytes of an answer */
#define EXCHANGE_MAX_HEADERS (64u << 10)
#define EXCHANGE_MAX_ARRIVALS 1024 /* beyond it only the last arrival is kept */

enum exchange_end {
    EXCHANGE_COMPLETE,  /* an answer, whole as HTTP says */
    EXCHANGE_UNREACHED, /* the request was never handed over */
    EXCHANGE_BROKEN,    /* the connection ended early; what came is kept */
    EXCHANGE_TIMED_OUT,
    EXCHANGE_TOO_LARGE,
    EXCHANGE_STALE,   /* the connection was dead; curl wanted to send again */
    EXCHANGE_ABORTED, /* by transport_abort() */
};

/* n_bytes of the answer's body had arrived at mono_ns. */
struct arrival {
    size_t n_bytes;
    int64_t mono_ns;
};

struct exchange {
    /* what is asked; lives until done() was called */
    const char *url;
    struct key_use key;
    const char *token; /* sent in place of the key; no secret; NULL = the key */
    const char *extra; /* further lines "Name: value\n"; NULL = none */
    const struct body *body;
    const char *body_sha256; /* for signatures; NULL where nothing is signed */
    int is_fresh;            /* over a new connection, never one that was kept alive */
    int64_t timeout_ns, connect_timeout_ns;
    /* NULL or called once the last byte of the body was taken: body is not read again. */
    void (*uploaded)(struct exchange *ex);
    void (*done)(struct exchange *ex); /* both on the transport's thread; must be quick */
    void *arg;                         /* the caller's */

    /* what came; released with exchange_release() */
    enum exchange_end end;
    char error[256]; /* empty where end is EXCHANGE_COMPLETE */
    int http_status; /* 0 = none */
    int reused;      /* over a connection that was open already */
    struct buffer headers, received;
    struct arrival *arrivals;
    size_t n_arrivals;
    int64_t name_lookup_ns, connect_ns;
    /* Stamps of clock_mono_ns(), 0 = never: request handed over, its last byte taken,
     * first byte of the answer (not of an interim 1xx), last byte of the answer. */
    int64_t sent_mono_ns, uploaded_mono_ns, first_byte_mono_ns, last_byte_mono_ns;
    /* The longest that the thread was busy at one go while the exchange was under way: no
     * stamp is later than what it stands for by more. */
    int64_t loop_lag_ns;
};

void exchange_release(struct exchange *ex);

/* When the byte with this number (from 1) had arrived; 0 = unknown. */
int64_t exchange_arrival(const struct exchange *ex, size_t n_bytes);

struct transport;

/* Starts the thread.  max_idle connections are kept alive. */
MUST_CHECK enum status transport_new(
    unsigned max_idle, struct transport **out, struct error *err);

/* Hand over an exchange; done() is called once for it, whatever happens. */
void transport_send(struct transport *t, struct exchange *ex);

/* End every exchange that is under way, with EXCHANGE_ABORTED. */
void transport_abort(struct transport *t);

/* Aborts what is under way and ends the thread; NULL is fine. */
void transport_free(struct transport *t);

#endif
