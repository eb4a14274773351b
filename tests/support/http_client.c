/* http_client.c - connect, send, receive. */
#include "tests/support/http_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "m4a1/base/clock.h"

#define HEAD_MAX (1u << 16)
#define BODY_MAX (64u << 20)

int client_connect(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0)
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int send_all(int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

int client_send(int fd, const char *method, const char *path, const char *headers,
    const void *body, size_t len)
{
    struct buffer head;
    buffer_init(&head, HEAD_MAX);
    (void)buffer_printf(
        &head, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s", method, path, headers);
    if (len)
        (void)buffer_printf(
            &head, "Content-Type: application/json\r\nContent-Length: %zu\r\n", len);
    (void)buffer_add_str(&head, "\r\n");
    int result = send_all(fd, buffer_str(&head), head.len);
    if (result == 0)
        result = send_all(fd, body, len);
    buffer_release(&head);
    return result;
}

/* Append what comes next to b; 0 at the end of the connection. */
static int receive_more(int fd, struct client_reply *out, struct buffer *b)
{
    char bytes[65536];
    ssize_t n;
    do
        n = recv(fd, bytes, sizeof bytes, 0);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return 0;
    out->last_ns = clock_mono_ns();
    if (!out->first_ns)
        out->first_ns = out->last_ns;
    return buffer_add(b, bytes, (size_t)n) == OK;
}

static int head_receive(int fd, struct client_reply *out, struct buffer *raw)
{
    const char *end;
    while (!(end = strstr(buffer_str(raw), "\r\n\r\n")))
        if (!receive_more(fd, out, raw))
            return 0;
    size_t len = (size_t)(end - raw->data) + 4;
    (void)buffer_add(&out->head, raw->data, len);
    memmove(raw->data, raw->data + len, raw->len - len + 1);
    raw->len -= len;
    out->status = (int)strtol(out->head.data + strlen("HTTP/1.1 "), NULL, 10);
    return 1;
}

static enum client_end chunks_receive(
    int fd, struct client_reply *out, struct buffer *raw)
{
    size_t at = 0;
    for (;;) {
        const char *line;
        while (!raw->data || !(line = strstr(raw->data + at, "\r\n")))
            if (!receive_more(fd, out, raw))
                return CLIENT_BROKEN;
        size_t size = strtoul(raw->data + at, NULL, 16);
        at = (size_t)(line - raw->data) + 2;
        while (raw->len < at + size + 2)
            if (!receive_more(fd, out, raw))
                return CLIENT_BROKEN;
        if (!size)
            return CLIENT_WHOLE;
        (void)buffer_add(&out->body, raw->data + at, size);
        if (out->n_pieces < sizeof out->piece_end / sizeof *out->piece_end)
            out->piece_end[out->n_pieces++] = out->body.len;
        at += size + 2;
    }
}

void client_receive(int fd, struct client_reply *out)
{
    struct buffer raw;
    char value[32];
    memset(out, 0, sizeof *out);
    buffer_init(&raw, BODY_MAX);
    buffer_init(&out->head, HEAD_MAX);
    buffer_init(&out->body, BODY_MAX);
    out->sent_ns = clock_mono_ns();
    if (!head_receive(fd, out, &raw)) {
        out->end = raw.len ? CLIENT_BROKEN : CLIENT_NONE;
        goto done;
    }
    if (*client_header(out, "Transfer-Encoding", value, sizeof value)) {
        out->end = chunks_receive(fd, out, &raw);
        goto done;
    }
    int sized = *client_header(out, "Content-Length", value, sizeof value) != '\0';
    size_t size = sized ? strtoul(value, NULL, 10) : SIZE_MAX;
    while (raw.len < size && receive_more(fd, out, &raw))
        continue;
    out->end = sized && raw.len < size ? CLIENT_BROKEN : CLIENT_WHOLE;
    (void)buffer_add(&out->body, buffer_str(&raw), raw.len);
done:
    buffer_release(&raw);
}

void client_exchange(uint16_t port, const char *method, const char *path,
    const char *headers, const char *body, struct client_reply *out)
{
    int fd = client_connect(port);
    size_t len = body ? strlen(body) : 0;
    int64_t begin_ns = clock_mono_ns();
    if (fd < 0 || client_send(fd, method, path, headers, body ? body : "", len) != 0) {
        memset(out, 0, sizeof *out);
        out->end = CLIENT_NONE;
    } else {
        client_receive(fd, out);
        out->sent_ns = begin_ns;
    }
    if (fd >= 0)
        close(fd);
}

const char *client_header(
    const struct client_reply *reply, const char *name, char *buf, size_t size)
{
    size_t len = strlen(name);
    *buf = '\0';
    for (const char *line = strstr(buffer_str(&reply->head), "\r\n"); line;
         line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, len) != 0 || line[2 + len] != ':')
            continue;
        const char *value = line + 2 + len + 1;
        value += strspn(value, " ");
        snprintf(buf, size, "%.*s", (int)strcspn(value, "\r"), value);
        break;
    }
    return buf;
}

void client_reply_release(struct client_reply *reply)
{
    buffer_release(&reply->head);
    buffer_release(&reply->body);
}
