/* http.c - a server's life: the listening socket, the threads, the stop. */
#include "m4a1/http/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "m4a1/http/http_internal.h"

#define IDLE_SECONDS 120u /* a connection without a request is closed after this */
#define BACKLOG 1024

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static enum status address_read(const char *host, uint16_t port, union address *address,
    socklen_t *len, struct error *err)
{
    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, host, &address->v4.sin_addr) == 1) {
        address->v4.sin_family = AF_INET;
        address->v4.sin_port = htons(port);
        *len = sizeof address->v4;
        return OK;
    }
    if (inet_pton(AF_INET6, host, &address->v6.sin6_addr) == 1) {
        address->v6.sin6_family = AF_INET6;
        address->v6.sin6_port = htons(port);
        *len = sizeof address->v6;
        return OK;
    }
    return error_set(err, E_ARG,
        "cannot listen on '%s': give an IPv4 or IPv6 address, such as 127.0.0.1", host);
}

/* Open server->listen_fd and set port and url. */
static enum status server_listen(
    struct http_server *server, const char *host, uint16_t port, struct error *err)
{
    union address address;
    socklen_t len = 0;
    enum status status = address_read(host, port, &address, &len, err);
    if (status != OK)
        return status;
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int yes = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(fd, &address.any, len) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, &address.any, &len) != 0) {
        int code = errno;
        if (fd >= 0)
            close(fd);
        return error_set(err, E_IO, "cannot listen on %s port %u: %s%s", host, port,
            strerror(code),
            code == EADDRINUSE ? "; give another --port, or 0 for a free one" : "");
    }
    int v6 = address.any.sa_family == AF_INET6;
    server->listen_fd = fd;
    server->port = ntohs(v6 ? address.v6.sin6_port : address.v4.sin_port);
    snprintf(server->url, sizeof server->url, v6 ? "http://[%s]:%u" : "http://%s:%u",
        host, server->port);
    return OK;
}

enum status http_server_new(
    const struct http_options *options, struct http_server **out, struct error *err)
{
    *out = NULL;
    unsigned max_connections = options->max_connections ? options->max_connections : 2048;
    struct http_server *server = calloc(1, sizeof *server);
    if (!server)
        return error_nomem(err, sizeof *server);
    server->listen_fd = -1;
    server->max_body = options->max_body ? options->max_body : 1;
    server->handler = options->handler;
    server->done = options->done;
    server->arg = options->arg;
    pthread_mutex_init(&server->lock, NULL);
    enum status status = server_listen(
        server, options->host ? options->host : "127.0.0.1", options->port, err);
    if (status == OK)
        status = pool_new(options->n_workers, &server->pool, err);
    if (status == OK)
        status = timer_new(max_connections, exchange_due, &server->timer, err);
    if (status != OK)
        goto fail;
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
        exchange_step, server, MHD_OPTION_LISTEN_SOCKET, server->listen_fd,
        MHD_OPTION_CONNECTION_LIMIT, max_connections, MHD_OPTION_CONNECTION_TIMEOUT,
        IDLE_SECONDS, MHD_OPTION_NOTIFY_COMPLETED, exchange_over, server, MHD_OPTION_END);
    if (!server->daemon) {
        status = error_set(err, E_IO, "cannot start the HTTP server on %s: %s",
            server->url, strerror(errno));
        goto fail;
    }
    *out = server;
    return OK;
fail:
    http_server_free(server);
    return status;
}

uint16_t http_server_port(const struct http_server *server)
{
    return server->port;
}

const char *http_server_url(const struct http_server *server)
{
    return server->url;
}

void http_server_free(struct http_server *server)
{
    if (!server)
        return;
    /* Nothing may be suspended when the daemon stops: first no new hand-overs, then
     * the workers end, then the timer resumes all that waits. */
    if (server->daemon)
        MHD_quiesce_daemon(server->daemon);
    pthread_mutex_lock(&server->lock);
    server->stopping = 1;
    pthread_mutex_unlock(&server->lock);
    pool_free(server->pool);
    if (server->timer)
        timer_stop(server->timer);
    if (server->daemon)
        MHD_stop_daemon(server->daemon);
    timer_free(server->timer);
    if (server->listen_fd >= 0)
        close(server->listen_fd);
    pthread_mutex_destroy(&server->lock);
    free(server);
}
