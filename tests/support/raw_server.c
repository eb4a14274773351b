/* raw_server.c - see raw_server.h. */
#include "tests/support/raw_server.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "m4a1/base/text.h"

#define MAX_REQUEST (32u << 20)
#define MAX_CONNECTIONS 4096

struct raw_connection {
    struct raw_server *server;
    pthread_t thread;
    int fd, reset;
};

struct raw_server {
    int fd;
    char url[64];
    raw_handler *handler;
    void *arg;
    atomic_int n_requests, n_connections;
    pthread_t thread;
    pthread_mutex_t lock; /* guards connections */
    struct raw_connection *connections[MAX_CONNECTIONS];
    int stopping;
};

/* One request into buf: *len bytes are there already, *used is its length.  False at the
 * end of the connection. */
static int read_request(int fd, char *buf, size_t *len, size_t *n_head, size_t *used)
{
    for (;;) {
        buf[*len] = '\0';
        char *end = strstr(buf, "\r\n\r\n");
        if (end) {
            *n_head = (size_t)(end - buf) + 4;
            const char *cl = strstr(buf, "\r\nContent-Length:");
            size_t n_body = cl && cl < end ? strtoul(cl + 17, NULL, 10) : 0;
            *used = *n_head + n_body;
            if (*len >= *used)
                return 1;
        }
        ssize_t n = recv(fd, buf + *len, MAX_REQUEST - *len, 0);
        if (n <= 0)
            return 0;
        *len += (size_t)n;
    }
}

static void *serve(void *arg)
{
    struct raw_connection *c = arg;
    char *buf = malloc(MAX_REQUEST + 1);
    size_t len = 0, n_head = 0, used = 0;
    int n = 0, keep = buf != NULL;
    while (keep && read_request(c->fd, buf, &len, &n_head, &used)) {
        char *head = strndup(buf, n_head), *body = strndup(buf + n_head, used - n_head);
        struct raw_request request = { atomic_fetch_add(&c->server->n_requests, 1), n++,
            head, body, used - n_head };
        keep = c->server->handler(c, &request, c->server->arg);
        free(head);
        free(body);
        memmove(buf, buf + used, len - used);
        len -= used;
    }
    free(buf);
    if (c->reset) {
        struct linger linger = { 1, 0 };
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    pthread_mutex_lock(&c->server->lock);
    close(c->fd);
    c->fd = -1;
    pthread_mutex_unlock(&c->server->lock);
    return NULL;
}

static void *accept_all(void *arg)
{
    struct raw_server *s = arg;
    for (;;) {
        int fd = accept(s->fd, NULL, NULL);
        int i = atomic_load(&s->n_connections);
        if (fd < 0 || i == MAX_CONNECTIONS)
            return NULL;
        struct raw_connection *c = calloc(1, sizeof *c);
        c->server = s;
        c->fd = fd;
        pthread_mutex_lock(&s->lock);
        s->connections[i] = c;
        pthread_create(&c->thread, NULL, serve, c);
        pthread_mutex_unlock(&s->lock);
        atomic_fetch_add(&s->n_connections, 1);
    }
}

struct raw_server *raw_server_start(raw_handler *handler, void *arg)
{
    struct raw_server *s = calloc(1, sizeof *s);
    struct sockaddr_in at = { .sin_family = AF_INET };
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t n = sizeof at;
    s->handler = handler;
    s->arg = arg;
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    pthread_mutex_init(&s->lock, NULL);
    if (bind(s->fd, (struct sockaddr *)&at, sizeof at) || listen(s->fd, 64) ||
        getsockname(s->fd, (struct sockaddr *)&at, &n) ||
        pthread_create(&s->thread, NULL, accept_all, s)) {
        close(s->fd);
        free(s);
        return NULL;
    }
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d", ntohs(at.sin_port));
    return s;
}

void raw_server_stop(struct raw_server *s)
{
    if (!s)
        return;
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->fd);
    for (int i = 0; i < atomic_load(&s->n_connections); i++) {
        struct raw_connection *c = s->connections[i];
        pthread_mutex_lock(&s->lock);
        if (c->fd >= 0)
            shutdown(c->fd, SHUT_RDWR);
        pthread_mutex_unlock(&s->lock);
        pthread_join(c->thread, NULL);
        free(c);
    }
    pthread_mutex_destroy(&s->lock);
    free(s);
}

const char *raw_server_url(const struct raw_server *s)
{
    return s->url;
}

int raw_server_n_requests(struct raw_server *s)
{
    return atomic_load(&s->n_requests);
}

int raw_server_n_connections(struct raw_server *s)
{
    return atomic_load(&s->n_connections);
}

void raw_send_bytes(struct raw_connection *c, const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len) {
        ssize_t n = send(c->fd, at, len, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        at += n;
        len -= (size_t)n;
    }
}

void raw_send(struct raw_connection *c, const char *text)
{
    raw_send_bytes(c, text, strlen(text));
}

void raw_printf(struct raw_connection *c, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *text = malloc((size_t)n + 1);
    va_start(args, fmt);
    vsnprintf(text, (size_t)n + 1, fmt, args);
    va_end(args);
    raw_send(c, text);
    free(text);
}

void raw_sleep_ms(int ms)
{
    struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };
    nanosleep(&ts, NULL);
}

void raw_reset(struct raw_connection *c)
{
    c->reset = 1;
}

void raw_answer(
    struct raw_connection *c, int status, const char *headers, const char *body)
{
    raw_printf(c,
        "HTTP/1.1 %d Whatever\r\nContent-Type: application/json\r\n%s"
        "Content-Length: %zu\r\n\r\n%s",
        status, headers, strlen(body), body);
}

void raw_chat(struct raw_connection *c, const char *headers, const char *text)
{
    char *body = text_format(
        "{\"id\":\"chat-1\",\"model\":\"m-2026\",\"choices\":[{\"index\":0,\"message\":"
        "{\"role\":\"assistant\",\"content\":\"%s\"},\"finish_reason\":\"stop\"}],"
        "\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":10,"
        "\"total_tokens\":110}}",
        text);
    raw_answer(c, 200, headers, body);
    free(body);
}

void raw_stream_begin(struct raw_connection *c, const char *headers)
{
    raw_printf(c,
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n%s"
        "Transfer-Encoding: chunked\r\n\r\n",
        headers);
}

void raw_stream_chunk(struct raw_connection *c, const char *text)
{
    raw_printf(c, "%zx\r\n%s\r\n", strlen(text), text);
}

void raw_stream_end(struct raw_connection *c)
{
    raw_send(c, "0\r\n\r\n");
}
