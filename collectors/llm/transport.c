/* transport.c - one thread around curl_multi_poll().
 *
 * Got wrong elsewhere, so done by hand here (libcurl 7.88.1): CURLINFO_STARTTRANSFER_TIME
 * is off for large uploads, so times come from our callbacks; a body above 1 MiB gets an
 * Expect header, so an empty one is sent; interim 1xx answers reach the header callback
 * first, so each "HTTP/" line starts over; a POST on a dead connection is sent again in
 * silence, so PREREQFUNCTION counts. */
#include "collectors/llm/transport.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/llm/network.h"
#include "m4a1/base/clock.h"
#include "m4a1/base/text.h"

#define CURL_BUFFER_BYTES 16384L /* curl's smallest for uploads; keeps handles small */
#define POLL_MS 1000

static const char body_too_large[] = "the answer is larger than 16 MiB, which no answer "
                                     "of an llm is: is the llm's \"url\" "
                                     "that of an API, and are its tokens bounded?";
static const char headers_too_large[] =
    "the headers of the answer are larger than 64 KiB: is the llm's \"url\" that of an "
    "API, and does a proxy before it add them?";

/* An exchange under way. */
struct transfer {
    struct exchange *ex;
    CURL *easy;
    struct curl_slist *headers;
    struct transfer *next, *previous;
    struct body_place place; /* up to which the body was taken */
    size_t n_left;           /* behind it; 0 = all is taken, and the body may be gone */
    int n_sent;              /* times the request was about to go out */
    const char *too_large;   /* what was beyond its ceiling, in words; NULL = nothing */
};

struct transport {
    pthread_t thread;
    CURLM *multi;
    pthread_mutex_t lock;   /* guards the four below */
    struct exchange **mail; /* handed over, not taken yet */
    size_t n_mail, mail_size;
    int abort, quit;
    struct transfer *under_way; /* the thread's own */
};

/* ---- exchanges ------------------------------------------------------------------ */

void exchange_release(struct exchange *ex)
{
    buffer_release(&ex->headers);
    buffer_release(&ex->received);
    free(ex->arrivals);
    ex->arrivals = NULL;
    ex->n_arrivals = 0;
}

int64_t exchange_arrival(const struct exchange *ex, size_t n_bytes)
{
    for (size_t i = 0; n_bytes && i < ex->n_arrivals; i++)
        if (ex->arrivals[i].n_bytes >= n_bytes)
            return ex->arrivals[i].mono_ns;
    return 0;
}

static void note_arrival(struct exchange *ex, int64_t now)
{
    if (!ex->arrivals)
        ex->arrivals = malloc(EXCHANGE_MAX_ARRIVALS * sizeof *ex->arrivals);
    if (!ex->arrivals)
        return; // the first token stays unknown
    if (ex->n_arrivals < EXCHANGE_MAX_ARRIVALS)
        ex->n_arrivals++;
    ex->arrivals[ex->n_arrivals - 1] = (struct arrival) { ex->received.len, now };
}

/* ---- curl's callbacks ----------------------------------------------------------- */

static size_t on_upload(char *to, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    struct exchange *ex = t->ex;
    if (!t->n_left)
        return 0;
    size_t take = body_read(ex->body, &t->place, to, size * n);
    t->n_left -= take;
    if (!t->n_left) {
        ex->uploaded_mono_ns = clock_mono_ns();
        if (ex->uploaded)
            ex->uploaded(ex);
    }
    return take;
}

static int on_ready_to_send(
    void *arg, char *remote, char *local, int remote_port, int local_port)
{
    (void)remote, (void)local, (void)remote_port, (void)local_port;
    struct transfer *t = arg;
    if (++t->n_sent > 1)
        return CURL_PREREQFUNC_ABORT;
    t->ex->sent_mono_ns = clock_mono_ns();
    return CURL_PREREQFUNC_OK;
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    struct exchange *ex = t->ex;
    size_t len = size * n;
    if (len >= 5 && !memcmp(line, "HTTP/", 5)) {
        long status = 0;
        curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
        ex->http_status = (int)status;
        ex->first_byte_mono_ns = clock_mono_ns();
        buffer_clear(&ex->headers);
        return len;
    }
    ex->last_byte_mono_ns = clock_mono_ns();
    if (buffer_add(&ex->headers, line, len) != OK)
        t->too_large = headers_too_large;
    return t->too_large ? 0 : len;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    int64_t now = clock_mono_ns();
    t->ex->last_byte_mono_ns = now;
    if (buffer_add(&t->ex->received, data, size * n) != OK)
        t->too_large = body_too_large;
    note_arrival(t->ex, now);
    return t->too_large ? 0 : size * n;
}

/* ---- one transfer --------------------------------------------------------------- */

static int add_header(struct transfer *t, const char *line)
{
    struct curl_slist *more = curl_slist_append(t->headers, line);
    if (more)
        t->headers = more;
    return more != NULL;
}

static void wipe_headers(struct transfer *t)
{
    for (struct curl_slist *h = t->headers; h; h = h->next)
        explicit_bzero(h->data, strlen(h->data));
    curl_slist_free_all(t->headers);
    t->headers = NULL;
}

/* Adds lines "Name: value\n". */
static int add_lines(struct transfer *t, const char *lines)
{
    for (const char *line = lines; line && *line;) {
        size_t n = strcspn(line, "\n");
        char *copy = text_copy_n(line, n);
        int ok = copy && add_header(t, copy);
        if (copy)
            explicit_bzero(copy, n);
        free(copy);
        if (!ok)
            return 0;
        line += line[n] ? n + 1 : n;
    }
    return 1;
}

static enum status add_key(struct transfer *t, struct error *err)
{
    const struct exchange *ex = t->ex;
    struct key_request request = { "POST", ex->url, ex->extra ? ex->extra : "",
        ex->body_sha256, clock_wall_ms() };
    struct buffer lines;
    buffer_init(&lines, EXCHANGE_MAX_HEADERS);
    enum status s = key_lines(&ex->key, ex->token, &request, &lines, err);
    if (s == OK && !add_lines(t, buffer_str(&lines)))
        s = error_nomem(err, lines.len);
    key_wipe(&lines);
    return s;
}

static enum status set_headers(struct transfer *t, struct error *err)
{
    if (!add_header(t, "Content-Type: application/json") || !add_header(t, "Expect:") ||
        !add_header(t, "Accept: application/json, text/event-stream") ||
        !add_lines(t, t->ex->extra))
        return error_nomem(err, 1);
    return add_key(t, err);
}

static long to_ms(int64_t ns)
{
    return ns > 0 ? (long)(ns / 1000000 > 1 ? ns / 1000000 : 1) : 0L;
}

static void set_options(struct transfer *t)
{
    CURL *e = t->easy;
    struct exchange *ex = t->ex;
    curl_easy_setopt(e, CURLOPT_PRIVATE, t);
    network_set(e, ex->url);
    curl_easy_setopt(e, CURLOPT_POST, 1L);
    curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->n_left);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, t->headers);
    curl_easy_setopt(e, CURLOPT_BUFFERSIZE, CURL_BUFFER_BYTES);
    curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, CURL_BUFFER_BYTES);
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, to_ms(ex->timeout_ns));
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, to_ms(ex->connect_timeout_ns));
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, ex->error);
    curl_easy_setopt(e, CURLOPT_READFUNCTION, on_upload);
    curl_easy_setopt(e, CURLOPT_READDATA, t);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_ready_to_send);
    curl_easy_setopt(e, CURLOPT_PREREQDATA, t);
    // Nothing compressed is asked for; what comes so all the same is unpacked.
    curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "identity");
    curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, ex->is_fresh ? 1L : 0L);
}

static void set_end(struct exchange *ex, enum exchange_end end, const char *why)
{
    ex->end = end;
    if (end == EXCHANGE_COMPLETE) {
        ex->error[0] = '\0';
    } else if (!ex->error[0]) {
        size_t n = strlen(why);
        n = n < sizeof ex->error ? n : sizeof ex->error - 1;
        memcpy(ex->error, why, n);
        ex->error[n] = '\0';
    }
}

static enum exchange_end end_of(const struct transfer *t, CURLcode code)
{
    if (code == CURLE_OK)
        return EXCHANGE_COMPLETE;
    if (t->n_sent > 1 || code == CURLE_SEND_FAIL_REWIND)
        return EXCHANGE_STALE;
    if (t->n_sent == 0)
        return EXCHANGE_UNREACHED;
    if (t->too_large)
        return EXCHANGE_TOO_LARGE;
    return code == CURLE_OPERATION_TIMEDOUT ? EXCHANGE_TIMED_OUT : EXCHANGE_BROKEN;
}

static void read_connection(struct transfer *t, enum exchange_end end)
{
    curl_off_t lookup_us = 0, connect_us = 0, tls_us = 0;
    long n_connects = 0;
    curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &n_connects);
    curl_easy_getinfo(t->easy, CURLINFO_NAMELOOKUP_TIME_T, &lookup_us);
    curl_easy_getinfo(t->easy, CURLINFO_CONNECT_TIME_T, &connect_us);
    curl_easy_getinfo(t->easy, CURLINFO_APPCONNECT_TIME_T, &tls_us);
    // A stale one was reused, though curl has connected anew by now.
    t->ex->reused = end == EXCHANGE_STALE || (t->n_sent > 0 && n_connects == 0);
    if (t->ex->reused)
        return;
    connect_us = tls_us > connect_us ? tls_us : connect_us;
    t->ex->name_lookup_ns = lookup_us * 1000;
    t->ex->connect_ns = connect_us > lookup_us ? (connect_us - lookup_us) * 1000 : 0;
}

static void end_transfer(
    struct transport *tr, struct transfer *t, enum exchange_end end, const char *why)
{
    struct exchange *ex = t->ex;
    if (t->easy) {
        read_connection(t, end);
        curl_multi_remove_handle(tr->multi, t->easy);
        curl_easy_cleanup(t->easy);
    }
    wipe_headers(t);
    if (t->previous)
        t->previous->next = t->next;
    else if (tr->under_way == t)
        tr->under_way = t->next;
    if (t->next)
        t->next->previous = t->previous;
    free(t);
    set_end(ex, end, why);
    ex->done(ex);
}

static void start_transfer(struct transport *tr, struct exchange *ex)
{
    struct error err = ERROR_INIT;
    struct transfer *t = calloc(1, sizeof *t);
    if (!t) {
        set_end(ex, EXCHANGE_UNREACHED, "no memory for a request");
        ex->done(ex);
        return;
    }
    t->ex = ex;
    t->n_left = ex->body->len;
    t->easy = curl_easy_init();
    enum status s = t->easy ? set_headers(t, &err) : error_nomem(&err, sizeof *t);
    if (s == OK) {
        set_options(t);
        if (curl_multi_add_handle(tr->multi, t->easy) != CURLM_OK)
            s = error_set(&err, E_NET, "libcurl took no more requests");
    }
    t->next = tr->under_way;
    if (t->next)
        t->next->previous = t;
    tr->under_way = t;
    if (s != OK)
        end_transfer(tr, t, EXCHANGE_UNREACHED, err.msg);
}

/* ---- the thread ----------------------------------------------------------------- */

static void take_mail(struct transport *tr, int *abort_all, int *quit)
{
    struct exchange *ex = NULL;
    do {
        pthread_mutex_lock(&tr->lock);
        ex = NULL;
        if (tr->n_mail) {
            ex = tr->mail[0];
            memmove(tr->mail, tr->mail + 1, --tr->n_mail * sizeof *tr->mail);
        }
        *abort_all |= tr->abort;
        tr->abort = 0;
        *quit = tr->quit;
        pthread_mutex_unlock(&tr->lock);
        if (ex)
            start_transfer(tr, ex);
    } while (ex);
}

static void take_ended(struct transport *tr)
{
    int n_left = 0;
    CURLMsg *msg = NULL;
    while ((msg = curl_multi_info_read(tr->multi, &n_left))) {
        char *private = NULL;
        if (msg->msg != CURLMSG_DONE ||
            curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &private) != CURLE_OK)
            continue;
        struct transfer *t = (struct transfer *)(void *)private;
        CURLcode code = msg->data.result;
        enum exchange_end end = end_of(t, code);
        const char *why = end == EXCHANGE_STALE ? "the kept-alive connection was dead"
                          : end == EXCHANGE_TOO_LARGE ? t->too_large
                                                      : NULL;
        if (why) // libcurl tells how it noticed, not what it is
            t->ex->error[0] = '\0';
        network_explain(t->easy, code, t->ex->error, sizeof t->ex->error);
        end_transfer(tr, t, end, why ? why : curl_easy_strerror(code));
    }
}

/* Everything between two waits happens at one go. */
static void note_lag(struct transport *tr, int64_t lag_ns)
{
    for (struct transfer *t = tr->under_way; t; t = t->next)
        if (lag_ns > t->ex->loop_lag_ns)
            t->ex->loop_lag_ns = lag_ns;
}

static void *run(void *arg)
{
    struct transport *tr = arg;
    int64_t woken_ns = clock_mono_ns();
    for (int quit = 0; !quit;) {
        int abort_all = 0, n_running = 0;
        take_mail(tr, &abort_all, &quit);
        while ((abort_all || quit) && tr->under_way)
            // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it takes the transfer out of the list
            end_transfer(tr, tr->under_way, EXCHANGE_ABORTED, "given up on request");
        if (quit)
            break;
        curl_multi_perform(tr->multi, &n_running);
        note_lag(tr, clock_mono_ns() - woken_ns);
        take_ended(tr);
        note_lag(tr, clock_mono_ns() - woken_ns);
        curl_multi_poll(tr->multi, NULL, 0, POLL_MS, NULL);
        woken_ns = clock_mono_ns();
    }
    return NULL;
}

enum status transport_new(unsigned max_idle, struct transport **out, struct error *err)
{
    *out = NULL;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return error_set(err, E_NET, "libcurl could not be started");
    struct transport *tr = calloc(1, sizeof *tr);
    CURLM *multi = curl_multi_init();
    if (!tr || !multi)
        goto fail;
    tr->multi = multi;
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)(max_idle ? max_idle : 1));
    curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    pthread_mutex_init(&tr->lock, NULL);
    if (pthread_create(&tr->thread, NULL, run, tr) != 0) {
        pthread_mutex_destroy(&tr->lock);
        goto fail;
    }
    *out = tr;
    return OK;
fail:
    curl_multi_cleanup(multi);
    free(tr);
    curl_global_cleanup();
    return error_nomem(err, sizeof *tr);
}

void transport_send(struct transport *tr, struct exchange *ex)
{
    buffer_init(&ex->headers, EXCHANGE_MAX_HEADERS);
    buffer_init(&ex->received, EXCHANGE_MAX_BODY);
    pthread_mutex_lock(&tr->lock);
    int ok = tr->n_mail < tr->mail_size;
    if (!ok) {
        size_t size = tr->mail_size ? tr->mail_size * 2 : 32;
        struct exchange **more = realloc(tr->mail, size * sizeof(struct exchange *));
        if (more) {
            tr->mail = more;
            tr->mail_size = size;
            ok = 1;
        }
    }
    if (ok)
        tr->mail[tr->n_mail++] = ex;
    pthread_mutex_unlock(&tr->lock);
    if (ok) {
        curl_multi_wakeup(tr->multi);
        return;
    }
    set_end(ex, EXCHANGE_UNREACHED, "no memory for a request");
    ex->done(ex);
}

void transport_abort(struct transport *tr)
{
    pthread_mutex_lock(&tr->lock);
    tr->abort = 1;
    pthread_mutex_unlock(&tr->lock);
    curl_multi_wakeup(tr->multi);
}

void transport_free(struct transport *tr)
{
    if (!tr)
        return;
    pthread_mutex_lock(&tr->lock);
    tr->quit = 1;
    pthread_mutex_unlock(&tr->lock);
    curl_multi_wakeup(tr->multi);
    pthread_join(tr->thread, NULL);
    curl_multi_cleanup(tr->multi);
    pthread_mutex_destroy(&tr->lock);
    free(tr->mail);
    free(tr);
    curl_global_cleanup();
}
