/* raw_server.h - a TCP server for tests that plays exactly the bytes it is told.
 *
 * One thread a connection reads whole HTTP requests and gives each to the test's
 * handler, which sends whatever it likes, slowly, broken or not at all. */
#ifndef TESTS_SUPPORT_RAW_SERVER_H
#define TESTS_SUPPORT_RAW_SERVER_H

#include <stddef.h>

struct raw_server;
struct raw_connection;

struct raw_request {
    int number;        /* of this request, from 0, over the whole server */
    int on_connection; /* of this request on its connection, from 0 */
    const char *head;  /* request line and headers, a C string */
    const char *body;  /* a C string */
    size_t len;
};

/* Returns 1 to keep the connection, 0 to close it. */
typedef int raw_handler(
    struct raw_connection *c, const struct raw_request *request, void *arg);

/* Listens on a free port of 127.0.0.1; NULL where that fails. */
struct raw_server *raw_server_start(raw_handler *handler, void *arg);
void raw_server_stop(struct raw_server *s);
const char *raw_server_url(const struct raw_server *s); /* "http://127.0.0.1:PORT" */
int raw_server_n_requests(struct raw_server *s);
int raw_server_n_connections(struct raw_server *s);

void raw_send(struct raw_connection *c, const char *text);
void raw_send_bytes(struct raw_connection *c, const void *bytes, size_t len);
void raw_printf(struct raw_connection *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void raw_sleep_ms(int ms);
void raw_reset(struct raw_connection *c); /* RST instead of FIN when it is closed */

/* A whole answer with Content-Length; headers are lines that end in "\r\n". */
void raw_answer(
    struct raw_connection *c, int status, const char *headers, const char *body);

/* A chat completion that says text, with 100 tokens in and 10 out. */
void raw_chat(struct raw_connection *c, const char *headers, const char *text);

/* The head of a stream in chunks, one chunk, and the end of the chunks. */
void raw_stream_begin(struct raw_connection *c, const char *headers);
void raw_stream_chunk(struct raw_connection *c, const char *text);
void raw_stream_end(struct raw_connection *c);

#endif
