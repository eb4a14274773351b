/* exchange.c - one request and its answer: read, hand to a worker, wait, send.
 *
 * libmicrohttpd calls exchange_step() and body_read() in its own thread.  A connection
 * is suspended while a worker or the timer has it, and only then do they touch it. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "m4a1/base/clock.h"
#include "m4a1/base/log.h"
#include "m4a1/http/http_internal.h"

const char *http_header(const struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(
        request->exchange->connection, MHD_HEADER_KIND, name);
}

const char *http_query(const struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(
        request->exchange->connection, MHD_GET_ARGUMENT_KIND, name);
}

void http_answer_header(
    struct http_answer *answer, const char *name, const char *fmt, ...)
{
    if (answer->n_headers == HTTP_MAX_HEADERS) {
        answer->body.failed = E_LIMIT;
        return;
    }
    char *value = answer->headers[answer->n_headers].value;
    size_t size = sizeof answer->headers[0].value;
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(value, size, fmt, args);
    va_end(args);
    int name_len = snprintf(answer->headers[answer->n_headers].name,
        sizeof answer->headers[0].name, "%s", name);
    if (len < 0 || (size_t)len >= size || name_len < 0 ||
        (size_t)name_len >= sizeof answer->headers[0].name)
        answer->body.failed = E_LIMIT;
    answer->n_headers++;
}

void http_answer_mark(struct http_answer *answer, int64_t at_ns)
{
    answer->stream = 1;
    if (answer->n_marks == answer->size_marks) {
        size_t size = answer->size_marks ? answer->size_marks * 2 : 16;
        struct http_mark *marks = realloc(answer->marks, size * sizeof *marks);
        if (!marks) {
            answer->body.failed = E_NOMEM;
            return;
        }
        answer->marks = marks;
        answer->size_marks = size;
    }
    answer->marks[answer->n_marks++] = (struct http_mark) { answer->body.len, at_ns };
}

static void answer_init(struct http_answer *answer)
{
    memset(answer, 0, sizeof *answer);
    answer->status = 200;
    answer->content_type = "text/plain";
    buffer_init(&answer->body, HTTP_MAX_ANSWER);
}

/* What a client gets where an answer could not be made. */
static void answer_fail(struct http_answer *answer)
{
    void *note = answer->note;
    buffer_release(&answer->body);
    free(answer->marks);
    answer_init(answer);
    answer->note = note;
    answer->status = 500;
    (void)buffer_add_str(&answer->body, "the server could not make its answer\n");
    log_error("http: an answer was too large or memory ran out; 500 was sent instead");
}

static int is_stopping(struct http_server *server)
{
    pthread_mutex_lock(&server->lock);
    int stopping = server->stopping;
    pthread_mutex_unlock(&server->lock);
    return stopping;
}

/* Whether the client has closed its side.  A suspended connection is not watched, so
 * this is asked before bytes are sent; a client that half-closes counts as gone. */
static int client_gone(const struct http_exchange *exchange)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    char byte;
    if (!info)
        return 0;
    ssize_t n = recv(info->connect_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

/* Tell the handler's side, once, and before the last byte leaves: a client that has its
 * answer finds it counted. */
static void exchange_settle(struct http_exchange *exchange, enum http_outcome outcome)
{
    struct http_server *server = exchange->server;
    if (exchange->settled || !exchange->handled)
        return;
    exchange->settled = 1;
    if (server->done)
        server->done(server->arg, exchange->answer.note, outcome);
}

static ssize_t body_end(struct http_exchange *exchange, enum http_outcome outcome)
{
    exchange_settle(exchange, outcome);
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

void exchange_due(void *item)
{
    struct http_exchange *exchange = item;
    MHD_resume_connection(exchange->connection);
}

/* Runs in a worker. */
static void exchange_work(void *arg)
{
    struct http_exchange *exchange = arg;
    struct http_server *server = exchange->server;
    exchange->request.body = buffer_str(&exchange->body);
    exchange->request.body_len = exchange->body.len;
    exchange->handled = 1;
    server->handler(server->arg, &exchange->request, &exchange->answer);
    buffer_release(&exchange->body);
    if (exchange->answer.body.failed != OK)
        answer_fail(&exchange->answer);
    timer_add(server->timer, exchange->arrived_ns + exchange->answer.delay_ns, exchange);
}

/* The request is complete: suspend the connection and give it to a worker. */
static enum MHD_Result exchange_hand_over(struct http_exchange *exchange)
{
    struct http_server *server = exchange->server;
    enum MHD_Result result = MHD_YES;
    exchange->arrived_ns = clock_mono_ns();
    exchange->state = EXCHANGE_WORKING;
    pthread_mutex_lock(&server->lock);
    if (server->stopping) {
        result = MHD_NO;
    } else {
        MHD_suspend_connection(exchange->connection);
        struct error err = ERROR_INIT;
        if (pool_submit(server->pool, exchange_work, exchange, &err) != OK) {
            answer_fail(&exchange->answer);
            MHD_resume_connection(exchange->connection);
        }
    }
    pthread_mutex_unlock(&server->lock);
    return result;
}

/* Give libmicrohttpd the next bytes of a body that is timed or will be cut. */
static ssize_t body_read(void *cls, uint64_t pos, char *out, size_t max)
{
    struct http_exchange *exchange = cls;
    const struct http_answer *answer = &exchange->answer;
    size_t at = (size_t)pos, end = answer->body.len;
    if (is_stopping(exchange->server))
        return body_end(exchange, HTTP_STOPPED);
    if (answer->ending == HTTP_CUT && at >= answer->cut_at)
        return body_end(exchange, HTTP_BROKEN);
    if (at >= end)
        return MHD_CONTENT_READER_END_OF_STREAM;
    while (exchange->next_mark < answer->n_marks &&
           answer->marks[exchange->next_mark].end <= at)
        exchange->next_mark++;
    if (exchange->next_mark < answer->n_marks) {
        const struct http_mark *mark = &answer->marks[exchange->next_mark];
        int64_t due_ns = exchange->arrived_ns + mark->at_ns;
        if (due_ns > clock_mono_ns()) {
            MHD_suspend_connection(exchange->connection);
            timer_add(exchange->server->timer, due_ns, exchange);
            return 0;
        }
        end = mark->end;
    }
    if (client_gone(exchange))
        return body_end(exchange, HTTP_GONE);
    if (answer->ending == HTTP_CUT && end > answer->cut_at)
        end = answer->cut_at;
    size_t n = end - at < max ? end - at : max;
    if (answer->ending == HTTP_WHOLE && at + n == answer->body.len)
        exchange_settle(exchange, HTTP_SENT);
    memcpy(out, answer->body.data + at, n);
    return (ssize_t)n;
}

static struct MHD_Response *response_new(struct http_exchange *exchange)
{
    struct http_answer *answer = &exchange->answer;
    struct MHD_Response *response;
    if (answer->stream || answer->ending == HTTP_CUT)
        response = MHD_create_response_from_callback(
            answer->stream ? MHD_SIZE_UNKNOWN : answer->body.len, 32768, body_read,
            exchange, NULL);
    else
        response = MHD_create_response_from_buffer(
            answer->body.len, answer->body.data, MHD_RESPMEM_PERSISTENT);
    if (!response)
        return NULL;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->content_type);
    for (size_t i = 0; i < answer->n_headers; i++)
        MHD_add_response_header(
            response, answer->headers[i].name, answer->headers[i].value);
    return response;
}

/* The answer is there and due: send it, or break off as it says. */
static enum MHD_Result exchange_send(struct http_exchange *exchange)
{
    enum http_outcome outcome = HTTP_SENT;
    exchange->state = EXCHANGE_SENDING;
    if (exchange->answer.ending == HTTP_DROP)
        outcome = HTTP_BROKEN;
    else if (is_stopping(exchange->server))
        outcome = HTTP_STOPPED;
    else if (client_gone(exchange))
        outcome = HTTP_GONE;
    if (outcome != HTTP_SENT) {
        exchange_settle(exchange, outcome);
        return MHD_NO;
    }
    struct MHD_Response *response = response_new(exchange);
    if (!response)
        return MHD_NO;
    if (!exchange->answer.stream && exchange->answer.ending == HTTP_WHOLE)
        exchange_settle(exchange, HTTP_SENT);
    enum MHD_Result result = MHD_queue_response(
        exchange->connection, (unsigned)exchange->answer.status, response);
    MHD_destroy_response(response);
    return result;
}

static struct http_exchange *exchange_new(struct http_server *server,
    struct MHD_Connection *connection, const char *method, const char *url)
{
    struct http_exchange *exchange = calloc(1, sizeof *exchange);
    if (!exchange)
        return NULL;
    exchange->server = server;
    exchange->connection = connection;
    exchange->request.method = method;
    exchange->request.path = url;
    exchange->request.exchange = exchange;
    buffer_init(&exchange->body, server->max_body);
    answer_init(&exchange->answer);
    return exchange;
}

enum MHD_Result exchange_step(void *cls, struct MHD_Connection *connection,
    const char *url, const char *method, const char *version, const char *upload,
    size_t *upload_len, void **state)
{
    (void)version;
    struct http_exchange *exchange = *state;
    if (!exchange) {
        *state = exchange_new(cls, connection, method, url);
        return *state ? MHD_YES : MHD_NO;
    }
    if (*upload_len) {
        /* A body above the ceiling is read to its end and dropped, so that the client
         * gets an answer instead of a reset. */
        if (!exchange->request.too_large &&
            buffer_add(&exchange->body, upload, *upload_len) != OK) {
            exchange->request.too_large = 1;
            buffer_release(&exchange->body);
        }
        *upload_len = 0;
        return MHD_YES;
    }
    return exchange->state == EXCHANGE_READING ? exchange_hand_over(exchange)
                                               : exchange_send(exchange);
}

void exchange_over(void *cls, struct MHD_Connection *connection, void **state,
    enum MHD_RequestTerminationCode code)
{
    struct http_exchange *exchange = *state;
    (void)cls;
    (void)connection;
    *state = NULL;
    if (!exchange)
        return;
    /* Not told yet: a stream without a byte, or a connection that ended early. */
    if (code == MHD_REQUEST_TERMINATED_COMPLETED_OK)
        exchange_settle(exchange, HTTP_SENT);
    else if (code == MHD_REQUEST_TERMINATED_DAEMON_SHUTDOWN)
        exchange_settle(exchange, HTTP_STOPPED);
    else
        exchange_settle(exchange, HTTP_GONE);
    buffer_release(&exchange->body);
    buffer_release(&exchange->answer.body);
    free(exchange->answer.marks);
    free(exchange);
}
