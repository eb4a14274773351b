/* http_internal.h - what the files of m4a1/http share; nobody else includes it. */
#ifndef M4A1_HTTP_HTTP_INTERNAL_H
#define M4A1_HTTP_HTTP_INTERNAL_H

#include <microhttpd.h>
#include <pthread.h>
#include "m4a1/base/pool.h"
#include "m4a1/http/http.h"
#include "m4a1/http/timer.h"

struct http_server {
    struct MHD_Daemon *daemon;
    int listen_fd;
    uint16_t port;
    char url[80];
    size_t max_body;
    http_handler *handler;
    http_done *done;
    void *arg;
    struct pool *pool;
    struct timer *timer;
    pthread_mutex_t lock; /* guards stopping, and a hand-over to the pool against it */
    int stopping;
};

enum exchange_state { EXCHANGE_READING, EXCHANGE_WORKING, EXCHANGE_SENDING };

struct http_exchange {
    struct http_server *server;
    struct MHD_Connection *connection;
    struct http_request request;
    struct buffer body;
    struct http_answer answer;
    enum exchange_state state; /* changed in the byte mover's thread only */
    int64_t arrived_ns;
    size_t next_mark;
    int handled; /* the handler ran */
    int settled; /* its outcome was told */
};

/* The callbacks that libmicrohttpd calls. */
enum MHD_Result exchange_step(void *cls, struct MHD_Connection *connection,
    const char *url, const char *method, const char *version, const char *upload,
    size_t *upload_len, void **state);
void exchange_over(void *cls, struct MHD_Connection *connection, void **state,
    enum MHD_RequestTerminationCode code);

void exchange_due(void *exchange); /* the timer's */

#endif
